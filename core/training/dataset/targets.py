"""Target columns as the loss wants them, for rows that train and for rows that are measured."""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from core.data.table import columns
from core.data.table.schema import Label
from core.data.table.tensors import shape_of
from core.errors import InvalidError
from core.nn.array import Array
from core.spec import JobSpec

Classes: TypeAlias = tuple[tuple[Label, ...] | None, ...]
"""Of each target column its labels in the order of their codes, or None where it has none."""


@dataclass(frozen=True)
class Targets:
    """`y (rows, ...)` as the loss wants it; the labels, and of labelled columns each row's code."""

    y: Array
    classes: Classes
    codes: dict[str, Array] = field(default_factory=dict)


def read(spec: JobSpec, table: pa.Table, known: Classes | None = None) -> Targets:
    """The targets of all rows, coded as `known` says, or by the labels there are.

    Raises InvalidError naming a column that is missing, or a value that is none of the labels.
    """
    names, kind = spec.data.targets, spec.loss.target
    if kind in {"number", "distribution"}:
        numbers = columns.features(table, names, dtype=np.dtype(spec.precision))
        return Targets(numbers, (None,) * len(names))
    parts: list[Array] = []
    classes: list[tuple[Label, ...] | None] = []
    codes: dict[str, Array] = {}
    for index, name in enumerate(names):
        if kind == "binary" and shape_of(columns.field(table, name)):
            parts.append(_switches(spec, table, name))
            classes.append(None)
            continue
        wanted = None if known is None else known[index] or ()
        labels, code = columns.encoded(table, name, wanted)
        codes[name] = code
        classes.append(labels)
        if kind == "class":
            return Targets(code, tuple(classes), codes)
        parts.append(np.eye(len(labels))[code] if kind == "classes" else code[:, None])
    y: Array = np.concatenate(parts, axis=1).astype(spec.precision)
    return Targets(y, tuple(classes), codes)


def _switches(spec: JobSpec, table: pa.Table, name: str) -> Array:
    """A tensor column of zeros and ones, flattened to `(rows, n)`."""
    values = columns.features(table, [name], dtype=np.dtype(spec.precision))
    if not ((values == 0) | (values == 1)).all():
        raise InvalidError(
            f"column {name!r} holds numbers other than 0 and 1; {spec.loss.kind} needs these"
        )
    return values.reshape(len(values), -1)
