"""From a stored dataset version to arrays: split, prepared, targets as the loss wants them."""

from typing import Any

import numpy as np
import pyarrow as pa

from core.data import columns
from core.data.preparation import Standardizer
from core.data.schema import Label
from core.data.splits import split
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
    x = columns.features(table, names, dtype=np.dtype(spec.precision))
    y, classes = _targets(spec, table)
    weight = None
    if spec.data.sample_weight is not None:
        weight = columns.features(table, [spec.data.sample_weight], dtype=x.dtype)[:, 0]
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
    standardizer = Standardizer.fit(x[parts["train"]]) if spec.data.standardize else None

    def part(name: str) -> Part | None:
        rows = parts[name]
        if not len(rows):
            return None
        features = x[rows] if standardizer is None else standardizer.apply(x[rows])
        return Part(features, y[rows], None if weight is None else weight[rows])

    train = part("train")
    if train is None:
        raise InvalidError("the training split is empty")
    encoding = Encoding(_columns(table, names), _columns(table, spec.data.targets), classes)
    if standardizer is not None:
        encoding = Encoding(encoding.features, encoding.targets, classes, standardizer)
    return Problem(train, part("valid"), part("test")), encoding


def _columns(table: pa.Table, names: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(Column(name, shape_of(table.schema.field(name))) for name in names)


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
