"""From a stored dataset version to arrays: split, prepared, targets as the loss wants them."""

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.prepare import cells
from core.data.prepare.pipeline import Pipeline, plan
from core.data.prepare.preparation import Cells
from core.data.prepare.standardizer import Standardizer
from core.data.prepare.steps.standardize import Standardize
from core.data.table import columns
from core.data.table.query import parse
from core.data.table.row_filter import select
from core.data.table.schema import Label
from core.data.table.tensors import shape_of
from core.errors import InvalidError
from core.nn.array import Array, Shape
from core.nn.losses.grouped_cross_entropy import GroupedCrossEntropy
from core.spec import JobSpec
from core.training.dataset import targets
from core.training.dataset.split import parts_of
from core.training.dataset.targets import Classes
from core.training.dataset.types import Column, Encoding, Part, Problem

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dealt:
    """All but the features: targets, weights, and which rows each part has."""

    y: Array
    classes: Classes
    weight: Array | None
    parts: dict[str, NDArray[np.int64]]


def pose(spec: JobSpec, table: pa.Table) -> tuple[Problem, Encoding]:
    """Split the rows, learn the preparation on the training rows alone, and apply it to all.

    Raises InvalidError naming the column when something in it cannot be used.
    """
    numbers: NDArray[np.int64] = np.arange(table.num_rows)
    if spec.data.query is not None:
        numbers = kept(spec, table)
        table = table.take(pa.array(numbers))
    names = feature_names(spec, table.schema)
    dealt = deal(spec, table)
    x, standardizer, pipeline = _features(spec, table, names, dealt.parts["train"])

    def part(name: str) -> Part | None:
        rows = dealt.parts[name]
        if not len(rows):
            return None
        features = x[rows] if standardizer is None else standardizer.apply(x[rows])
        weight = None if dealt.weight is None else dealt.weight[rows]
        return Part(features, dealt.y[rows], weight, numbers[rows])

    train = part("train")
    if train is None:
        raise InvalidError("the training split is empty")
    encoding = Encoding(
        described(table.schema, names),
        described(table.schema, spec.data.targets),
        dealt.classes,
        standardizer,
        pipeline,
    )
    refuse_other_outputs(spec, train.x.shape[1:], dealt.classes)
    return Problem(train, part("valid"), part("test"), augment=spec.data.augment), encoding


def kept(spec: JobSpec, table: pa.Table) -> NDArray[np.int64]:
    """The numbers of the rows that the query keeps. Raises InvalidError when there is none."""
    found = select(parse(spec.data.query or "").undealt(), table)
    if not len(found):
        raise InvalidError("data.query: no row of the dataset meets it")
    return found


def feature_names(spec: JobSpec, schema: pa.Schema) -> tuple[str, ...]:
    """The columns that go in, in order."""
    apart = spec.data.apart
    return spec.data.features or tuple(name for name in schema.names if name not in apart)


def deal(spec: JobSpec, table: pa.Table) -> Dealt:
    """Read targets and weights, and split the rows. `table` need not have the features."""
    target = targets.read(spec, table)
    y, classes = target.y, target.classes
    weight = None
    if spec.data.sample_weight is not None:
        dtype = np.dtype(spec.precision)
        weight = columns.features(table, [spec.data.sample_weight], dtype=dtype)[:, 0]
        if (weight < 0).any():
            raise InvalidError(f"column {spec.data.sample_weight!r} has weights below 0")
    single = spec.loss.target == "class" or (spec.loss.target == "binary" and y[0:1].size == 1)
    by_class = spec.data.stratify and single
    parts = parts_of(spec.data, table, y.reshape(-1) if by_class else None)
    for column, labels in zip(spec.data.targets, classes, strict=True):
        if labels is not None:
            codes = target.codes[column][parts["train"]]
            _check_seen(column, labels, codes, folded=spec.data.split.fold is not None)
    if weight is not None:
        _refuse_weightless(weight, parts)
    return Dealt(y, classes, weight, parts)


def refuse_other_outputs(spec: JobSpec, shape: Shape, classes: Classes) -> None:
    """A query may leave fewer classes than the dataset has: the network must have an output each.

    Without a query this was found out when the job was submitted.
    """
    if spec.data.query is None:
        return
    found = tuple(len(labels or ()) for labels in classes)
    if isinstance(spec.loss, GroupedCrossEntropy) and spec.loss.groups != found:
        raise InvalidError(
            f"loss.groups are {list(spec.loss.groups)}; the rows that data.query keeps have "
            f"{list(found)} classes"
        )
    if spec.loss.target == "class":
        count = math.prod(spec.network.output(shape))
        if count != found[0]:
            raise InvalidError(
                f"the network ends with {count} outputs; the rows that data.query keeps have "
                f"{found[0]} classes"
            )
    if spec.loss.target == "binary":
        for name, labels in zip(spec.data.targets, classes, strict=True):
            if labels is not None and len(labels) != 2:
                raise InvalidError(
                    f"column {name!r} has {len(labels)} distinct values in the rows that "
                    f"data.query keeps; {spec.loss.kind} needs two"
                )


def described(schema: pa.Schema, names: tuple[str, ...]) -> tuple[Column, ...]:
    """Columns as rows of a prediction must have them."""
    fields = [schema.field(name) for name in names]
    return tuple(
        Column(f.name, shape_of(f), columns.is_text(f.type), columns.is_boolean(f.type))
        for f in fields
    )


def _features(
    spec: JobSpec, table: pa.Table, names: tuple[str, ...], training: NDArray[np.int64]
) -> tuple[Array, Standardizer | None, Pipeline]:
    """All rows as they go in but for the standardizer, and what the training rows taught.

    A column that the precision of the network rounds too coarsely is standardized before.
    """
    dtype = np.dtype(spec.precision)
    features = [cells.feature(table, name) for name in names]
    shapes = {one.name: one.shape for one in features}
    if not spec.data.prepare:
        x = columns.features(table, names, dtype=dtype)
        standardizer = Standardizer.fit(x[training]) if spec.data.standardize else None
        if standardizer is None or not any(
            _rounded(cells.read(table, name, dtype), training, dtype)
            for name in cells.unresolved(shapes, standardizer, dtype)
        ):
            return x, standardizer, Pipeline()
    read = {name: cells.read(table, name, dtype) for name in names}
    pipeline = Pipeline.fit(spec.data.prepare, features, read, training)
    x = cells.lay(read, names, dtype)
    features = list(plan(spec.data.prepare, features).features)
    standardizer = _standardizer(spec, x[training], cells.finished(read, features))
    if standardizer is None:
        return x, None, pipeline
    shapes = {name: part.shape[1:] for name, part in read.items()}
    coarse = tuple(
        name
        for name in cells.unresolved(shapes, standardizer, dtype)
        if _rounded(read[name], training, dtype)
    )
    if not coarse:
        return x, standardizer, pipeline
    further = (Standardize(columns=coarse),)
    pipeline = Pipeline((*pipeline.steps, *Pipeline.fit(further, features, read, training).steps))
    x = cells.lay(read, names, dtype)
    finished = cells.finished(read, plan(further, features).features)
    return x, _standardizer(spec, x[training], finished), pipeline


def _rounded(column: Cells, training: NDArray[np.int64], dtype: np.dtype[Any]) -> bool:
    """Whether `dtype` does not hold the training rows of a column as they are."""
    return not cells.exact([column[training]], dtype)


def _standardizer(spec: JobSpec, x: Array, finished: NDArray[np.bool_]) -> Standardizer | None:
    """Learned of the rows `x`, where that is wanted and not all numbers are `finished`."""
    if not spec.data.standardize or finished.all():
        return None
    return Standardizer.fit(x).sparing(finished)


def _check_seen(column: str, labels: tuple[Label, ...], training: Array, *, folded: bool) -> None:
    """Raise InvalidError for a class that only validation or test rows have: it cannot be learned.

    A fold may be so, and warns: each row validates once, also the only one of its class.
    """
    unseen = np.setdiff1d(np.arange(len(labels)), training)
    if len(unseen):
        named = ", ".join(repr(labels[code]) for code in unseen[:10])
        message = f"no training row has the class {named} of column {column!r}"
        if not folded:
            raise InvalidError(f"{message}: give the split more training rows, or stratify it")
        log.warning("%s in this fold: its rows count as mistaken", message)


def _refuse_weightless(weight: Array, parts: dict[str, Any]) -> None:
    """Rows that all weigh nothing have no mean."""
    for name, rows in parts.items():
        if len(rows) and not weight[rows].any():
            raise InvalidError(f"all rows of the {name} split have a sample weight of 0")
