"""A stored dataset version as a `Dataset`: rows selected, split, prepared, targets encoded.

What fits into memory is held there. Otherwise targets and weights are, and features are read from
the disk as they are needed.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.prepare.features import (
    Features,
    StreamedFeatures,
    TableFeatures,
    describe,
    numeric_array,
)
from core.data.prepare.pipeline import Standardizer
from core.data.prepare.plan import plan
from core.data.prepare.preparation import Feature
from core.data.prepare.steps.one_hot import OneHot
from core.data.split.folds import Fold
from core.data.split.split import Split, assign
from core.data.table import columns
from core.data.table.order import ascending
from core.data.table.query import parse
from core.data.table.reader import Arrival, TableReader
from core.data.table.row_filter import select
from core.data.table.schema import MAX_CLASSES, Label
from core.data.table.tensors import shape_of
from core.errors import InvalidError
from core.nn.array import Array
from core.nn.losses.grouped_cross_entropy import GroupedCrossEntropy
from core.spec import JobSpec
from core.spec.defaults import standardizes_target
from core.training.dataset_types import Classes, Column, Dataset, Encoding, Part

log = logging.getLogger(__name__)

COPIES = 3
"""How often all features are in memory while they are prepared: read, split, standardized."""
CACHED = 1 / 16
"""Share of the memory up to which a streamed part that validates or tests stays in memory."""

Rows = NDArray[np.int64]


def load(
    spec: JobSpec, path: Path, memory_bytes: int = 0, arrival: Arrival | None = None
) -> tuple[Dataset, Encoding]:
    """The dataset version at `path`, as `spec` trains on it, in about `memory_bytes` of memory.

    With 0 bytes memory is not limited. Features that do not fit are read from the disk. With
    `arrival`, rows that are still being copied to this machine are waited for when they are needed.
    Raises InvalidError naming column and row when something cannot be used.
    """
    reader = TableReader(path, arrival)
    if not memory_bytes or _fits(spec, reader, len(reader), memory_bytes):
        return from_table(spec, reader.table())
    table = reader.columns(resident_columns(spec))
    numbers = select_rows(spec, table)
    if spec.data.query is not None:
        if _fits(spec, reader, len(numbers), memory_bytes):
            return from_table(spec, reader.table())
        table = table.take(pa.array(numbers))
    targets = _read_targets(spec, table)
    features = StreamedFeatures(
        names=feature_names(spec, reader.schema),
        dtype=np.dtype(spec.precision),
        reader=reader,
        numbers=numbers[targets.parts["train"]],
    ).fit(spec.data.prepare, standardize=spec.data.standardize)

    def read(name: str) -> StreamedFeatures:
        rows = targets.parts[name]
        few = len(rows) * features.row_bytes <= memory_bytes * CACHED
        return features.select(numbers[rows], cached=few and name != "train")

    dataset, encoding = _join(spec, targets, features, read, numbers)
    return replace(dataset, memory_bytes=memory_bytes), encoding


def from_table(spec: JobSpec, table: pa.Table) -> tuple[Dataset, Encoding]:
    """The rows of `table`, as `spec` trains on them, in memory. Raises InvalidError as `load`."""
    numbers = select_rows(spec, table)
    if spec.data.query is not None:
        table = table.take(pa.array(numbers))
    targets = _read_targets(spec, table)
    features = TableFeatures(
        names=feature_names(spec, table.schema),
        dtype=np.dtype(spec.precision),
        table=table,
        numbers=numbers,
        training=targets.parts["train"],
    ).fit(spec.data.prepare, standardize=spec.data.standardize)
    return _join(spec, targets, features, lambda name: features.rows(targets.parts[name]), numbers)


def select_rows(spec: JobSpec, table: pa.Table) -> Rows:
    """The numbers of the rows that the query selects; without a query, of all rows.

    Raises InvalidError when the query selects no row.
    """
    if spec.data.query is None:
        return np.arange(table.num_rows)
    rows = select(parse(spec.data.query).without_job_split(), table)
    if not len(rows):
        raise InvalidError("data.query: no row of the dataset meets it")
    return rows


def feature_names(spec: JobSpec, schema: pa.Schema) -> tuple[str, ...]:
    """The feature columns, in order."""
    others = spec.data.apart
    return spec.data.features or tuple(name for name in schema.names if name not in others)


def resident_columns(spec: JobSpec) -> list[str]:
    """The columns that are read into memory even when features are streamed."""
    names = [*spec.data.apart]
    if spec.data.split.stratify_by is not None:
        names.append(spec.data.split.stratify_by)
    if spec.data.query is not None:
        names += parse(spec.data.query).columns
    return names


@dataclass(frozen=True)
class Targets:
    """Targets `y (rows, ...)` as the loss expects them, and their labels.

    `codes` holds the code of each row for target columns with labels.
    """

    y: Array
    classes: Classes
    codes: dict[str, Array] = field(default_factory=dict)


def encode_targets(spec: JobSpec, table: pa.Table, known: Classes | None = None) -> Targets:
    """The targets of all rows, with codes for the labels `known`, or for the labels in the table.

    Numbers are in the units of the data. Raises InvalidError naming a column that is missing, or a
    value that is not among the labels.
    """
    names, kind = spec.data.targets, spec.loss.target
    if kind in {"number", "distribution"}:
        return Targets(numeric_array(table, names, _precision(spec, table)), (None,) * len(names))
    parts: list[Array] = []
    classes: list[tuple[Label, ...] | None] = []
    codes: dict[str, Array] = {}
    for index, name in enumerate(names):
        if kind == "binary" and shape_of(columns.field(table.schema, name)):
            parts.append(_zeros_and_ones(spec, table, name))
            classes.append(None)
            continue
        labels, code = columns.encoded(table, name, None if known is None else known[index] or ())
        codes[name] = code
        classes.append(labels)
        if kind == "class":
            return Targets(code, tuple(classes), codes)
        parts.append(np.eye(len(labels))[code] if kind == "classes" else code[:, None])
    y: Array = np.concatenate(parts, axis=1).astype(spec.precision)
    return Targets(y, tuple(classes), codes)


def _precision(spec: JobSpec, table: pa.Table) -> str:
    """The float type in which number targets are read.

    Single numbers that are standardized afterwards keep all their digits until then.
    """
    fields = (columns.field(table.schema, name) for name in spec.data.targets)
    single = not any(shape_of(column) for column in fields)
    return "float64" if standardizes_target(spec) and single else spec.precision


def _zeros_and_ones(spec: JobSpec, table: pa.Table, name: str) -> Array:
    """A tensor column of zeros and ones, flattened to `(rows, n)`."""
    values = numeric_array(table, [name], spec.precision)
    if not ((values == 0) | (values == 1)).all():
        raise InvalidError(
            f"column {name!r} holds numbers other than 0 and 1; {spec.loss.kind} needs these"
        )
    return values.reshape(len(values), -1)


@dataclass(frozen=True)
class _SplitTargets:
    """Everything but the features: targets, sample weights, and the rows of each part.

    `standardizer` has standardized `y (rows, ...)`.
    """

    y: Array
    classes: Classes
    weight: Array | None
    parts: dict[str, Rows]
    standardizer: Standardizer | None


def _read_targets(spec: JobSpec, table: pa.Table) -> _SplitTargets:
    """Read targets and weights, and split the rows. `table` needs no feature columns."""
    targets = encode_targets(spec, table)
    weight = None
    if spec.data.sample_weight is not None:
        weight = numeric_array(table, [spec.data.sample_weight], spec.precision)[:, 0]
        if (weight < 0).any():
            raise InvalidError(f"column {spec.data.sample_weight!r} has weights below 0")
    parts = _split(spec, table, targets)
    for column, labels in zip(spec.data.targets, targets.classes, strict=True):
        if labels is not None:
            codes = targets.codes[column][parts["train"]]
            _check_seen(column, labels, codes, folded=spec.data.split.fold is not None)
    for name, rows in parts.items():
        if weight is not None and len(rows) and not weight[rows].any():
            raise InvalidError(f"all rows of the {name} split have a sample weight of 0")
    if not len(parts["train"]):
        raise InvalidError("the training split is empty")
    y, standardizer = targets.y, None
    if standardizes_target(spec):
        train = parts["train"]
        learned = y[train] if weight is None else y[train[weight[train] > 0]]
        y, standardizer = _standardize(y, learned, spec.precision)
    return _SplitTargets(y, targets.classes, weight, parts, standardizer)


def _standardize(y: Array, learned: Array, precision: str) -> tuple[Array, Standardizer]:
    """The targets `y` standardized as the rows `learned` teach, as floats of `precision`."""
    with np.errstate(over="ignore", invalid="ignore"):
        standardizer = Standardizer.fit(learned)
        standardized = standardizer.apply(y, precision)
    if not (np.isfinite(standardizer.scale).all() and np.isfinite(standardized).all()):
        raise InvalidError(
            "data.target: numbers are too far apart to be standardized: leave out the rows with "
            "extreme ones, or set data.standardize_target to false"
        )
    return standardized, standardizer


def _split(spec: JobSpec, table: pa.Table, targets: Targets) -> dict[str, Rows]:
    """The row numbers of each part, with classes spread evenly if the spec says so."""
    data, how = spec.data, spec.data.split
    for name in (how.column, how.group_by, how.stratify_by, how.order_by):
        if name is not None and (shape := shape_of(columns.field(table.schema, name))):
            raise InvalidError(f"column {name!r} holds arrays of shape {shape}: it cannot split")
    y, kind = targets.y, spec.loss.target
    single = kind == "class" or (kind == "binary" and y[0:1].size == 1)
    labels = y.reshape(-1) if data.stratify and single else None
    fold = None if how.fold is None else Fold(how.fold.number, how.fold.of)
    split = Split(how.dealt, how.column, how.group_by, how.stratify_by, data.split_seed, fold)
    order = None if how.order_by is None else ascending(table.column(how.order_by), how.order_by)
    return assign(split, table.num_rows, table.column, labels, order)


def _check_seen(column: str, labels: tuple[Label, ...], training: Array, *, folded: bool) -> None:
    """Raise InvalidError for a class without a training row: it cannot be learned.

    In a fold this is a warning: each row validates once, also the only row of a class.
    """
    unseen = np.setdiff1d(np.arange(len(labels)), training)
    if len(unseen):
        names = ", ".join(repr(labels[code]) for code in unseen[:10])
        message = f"no training row has the class {names} of column {column!r}"
        if not folded:
            raise InvalidError(f"{message}: give the split more training rows, or stratify it")
        log.warning("%s in this fold: its rows count as mistaken", message)


def _join(
    spec: JobSpec,
    targets: _SplitTargets,
    features: Features,
    read: Callable[[str], Any],
    numbers: Rows,
) -> tuple[Dataset, Encoding]:
    """Features, which `read` returns for each part, with targets and weights."""
    _check_outputs(spec, features, targets.classes)
    standardizer = targets.standardizer
    if standardizer is not None:
        outputs = spec.network.output(features.row_shape)
        standardizer = standardizer.laid_out(targets.y.shape[1:], outputs)

    def part(name: str) -> Part | None:
        rows = targets.parts[name]
        if not len(rows):
            return None
        weight = None if targets.weight is None else targets.weight[rows]
        return Part(read(name), targets.y[rows], weight, numbers[rows], standardizer)

    train = part("train")
    assert train is not None
    encoding = Encoding(
        _columns(features.schema, features.names),
        _columns(features.schema, spec.data.targets),
        targets.classes,
        features.standardizer,
        features.pipeline,
        standardizer,
    )
    return Dataset(train, part("valid"), part("test"), augment=spec.data.augment), encoding


def _check_outputs(spec: JobSpec, features: Features, classes: Classes) -> None:
    """Raise InvalidError unless the network has an output for each class that a query leaves.

    Without a query this was checked when the job was submitted.
    """
    if spec.data.query is None:
        return
    counts = tuple(len(labels or ()) for labels in classes)
    if isinstance(spec.loss, GroupedCrossEntropy) and spec.loss.groups != counts:
        raise InvalidError(
            f"loss.groups are {list(spec.loss.groups)}; the rows that data.query keeps have "
            f"{list(counts)} classes"
        )
    if spec.loss.target == "class":
        outputs = math.prod(spec.network.output(features.row_shape))
        if outputs != counts[0]:
            raise InvalidError(
                f"the network ends with {outputs} outputs; the rows that data.query keeps have "
                f"{counts[0]} classes"
            )
    if spec.loss.target == "binary":
        for name, labels in zip(spec.data.targets, classes, strict=True):
            if labels is not None and len(labels) != 2:
                raise InvalidError(
                    f"column {name!r} has {len(labels)} distinct values in the rows that "
                    f"data.query keeps; {spec.loss.kind} needs two"
                )


def _columns(schema: pa.Schema, names: tuple[str, ...]) -> tuple[Column, ...]:
    """Columns as the rows of a prediction must have them."""
    fields = [schema.field(name) for name in names]
    return tuple(
        Column(f.name, shape_of(f), columns.is_text(f.type), columns.is_boolean(f.type))
        for f in fields
    )


def _fits(spec: JobSpec, reader: TableReader, rows: int, memory_bytes: int) -> bool:
    """Whether the features of so many rows can be prepared in memory."""
    features = describe(reader.schema, feature_names(spec, reader.schema))
    number_bytes = rows * np.dtype(spec.precision).itemsize * COPIES
    widest = [replace(f, classes=MAX_CLASSES) if f.text else f for f in features]
    if number_bytes * _width(spec, widest) <= memory_bytes:
        return True
    if not any(isinstance(step, OneHot) for step in spec.data.prepare):
        return False
    # Counting categories takes a pass over the rows.
    counted = [_count_classes(f, reader) if f.text else f for f in features]
    return number_bytes * _width(spec, counted) <= memory_bytes


def _width(spec: JobSpec, features: list[Feature]) -> int:
    """The numbers of a row before its preparation or after it, whichever is more."""
    prepared = plan(spec.data.prepare, features).features
    return max(sum(math.prod(f.shape) for f in side) for side in (features, prepared))


def _count_classes(feature: Feature, reader: TableReader) -> Feature:
    """The feature with the number of its distinct values, which sizes a one-hot code."""
    values: set[Any] = set()
    for batch in reader.batches():
        values.update(batch.column(feature.name).unique().to_pylist())
    return replace(feature, classes=len(values))
