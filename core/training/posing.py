"""From a stored dataset version to arrays: split, prepared, targets as the loss wants them."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data import cells, columns
from core.data.pipeline import Pipeline, plan
from core.data.schema import Label
from core.data.splits import split
from core.data.standardizer import Standardizer
from core.data.tensors import shape_of
from core.errors import InvalidError
from core.nn.array import Array
from core.spec import JobSpec
from core.training.problem import Column, Encoding, Part, Problem


def pose(spec: JobSpec, table: pa.Table) -> tuple[Problem, Encoding]:
    """Split the rows, learn the preparation on the training rows alone, and apply it to all.

    Raises InvalidError naming the column when something in it cannot be used.
    """
    apart = {*spec.data.targets, spec.data.sample_weight}
    names = spec.data.features or tuple(n for n in table.column_names if n not in apart)
    y, classes = _targets(spec, table)
    weight = None
    if spec.data.sample_weight is not None:
        weight = columns.features(table, [spec.data.sample_weight], dtype=np.dtype(spec.precision))[
            :, 0
        ]
        if (weight < 0).any():
            raise InvalidError(f"column {spec.data.sample_weight!r} has weights below 0")
    by_class = spec.data.stratify and spec.loss.target == "class"
    parts = split(
        table.num_rows,
        spec.data.split.model_dump(),
        spec.data.split_seed,
        labels=y if by_class else None,
    )
    _refuse_unseen(y, parts, classes[0] if spec.loss.target == "class" else None)
    x, standardizer, pipeline = _features(spec, table, names, parts["train"])

    def part(name: str) -> Part | None:
        rows = parts[name]
        if not len(rows):
            return None
        features = x[rows] if standardizer is None else standardizer.apply(x[rows])
        return Part(features, y[rows], None if weight is None else weight[rows])

    train = part("train")
    if train is None:
        raise InvalidError("the training split is empty")
    encoding = Encoding(
        _columns(table, names), _columns(table, spec.data.targets), classes, standardizer, pipeline
    )
    return Problem(train, part("valid"), part("test")), encoding


def _columns(table: pa.Table, names: tuple[str, ...]) -> tuple[Column, ...]:
    fields = [columns.field(table, name) for name in names]
    return tuple(Column(f.name, shape_of(f), columns.is_text(f.type)) for f in fields)


def _features(
    spec: JobSpec, table: pa.Table, names: tuple[str, ...], training: NDArray[np.int64]
) -> tuple[Array, Standardizer | None, Pipeline]:
    """All rows as they go in but for the standardizer, and what the training rows taught."""
    dtype = np.dtype(spec.precision)
    if not spec.data.prepare:
        x = columns.features(table, names, dtype=dtype)
        standardizer = Standardizer.fit(x[training]) if spec.data.standardize else None
        return x, standardizer, Pipeline()
    features = [cells.feature(table, name) for name in names]
    read = {name: cells.read(table, name, dtype) for name in names}
    pipeline = Pipeline.fit(spec.data.prepare, features, read, training)
    x = cells.lay(read, names, dtype)
    finished = cells.finished(read, plan(spec.data.prepare, features).features)
    if not spec.data.standardize or finished.all():
        return x, None, pipeline
    return x, Standardizer.fit(x[training]).sparing(finished), pipeline


def _targets(spec: JobSpec, table: pa.Table) -> tuple[Array, tuple[tuple[Label, ...] | None, ...]]:
    """Targets as the loss wants them, and the labels of each target column."""
    names = spec.data.targets
    if spec.loss.target in {"number", "distribution"}:
        return columns.features(table, names, dtype=np.dtype(spec.precision)), (None,) * len(names)
    codes, classes = [], []
    for name in names:
        values = columns.labels(table, name)
        labels = tuple(np.unique(values).tolist())
        codes.append(columns.codes(values, labels, name))
        classes.append(labels)
    if spec.loss.target == "class":
        return codes[0], tuple(classes)
    y: Array = np.stack(codes, axis=-1).astype(spec.precision)
    return y, tuple(classes)


def _refuse_unseen(y: Array, parts: dict[str, Any], classes: tuple[Label, ...] | None) -> None:
    """A class that only validation or test rows have cannot be learned: say which."""
    if classes is None:
        return
    unseen = np.setdiff1d(np.arange(len(classes)), y[parts["train"]])
    if len(unseen):
        named = ", ".join(repr(classes[code]) for code in unseen[:10])
        raise InvalidError(
            f"no training row has the class {named}: give the split more training rows, or "
            "stratify it"
        )
