"""Training on more rows than memory holds: targets in memory, features read as they are needed."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.prepare import cells
from core.data.prepare.lazy_features import Prepared
from core.data.prepare.pipeline import Pipeline, plan
from core.data.prepare.preparation import Cells, Feature, Preparation
from core.data.prepare.standardizer import Standardizer
from core.data.prepare.steps.one_hot import OneHot
from core.data.prepare.steps.standardize import Standardize
from core.data.table import columns
from core.data.table.query import parse
from core.data.table.reader import Arrival, Stretches
from core.data.table.schema import MAX_CLASSES
from core.errors import InvalidError
from core.nn.array import Shape
from core.spec import JobSpec
from core.training.dataset.arrays import (
    Dealt,
    deal,
    described,
    feature_names,
    kept,
    pose,
    refuse_other_outputs,
)
from core.training.dataset.types import COPIES, Encoding, Part, Problem

MEASURED = 1 / 16
"""Share of the memory up to which rows that only validate or test stay there, prepared."""

Rows = NDArray[np.int64]


def posed(
    spec: JobSpec, path: Path, memory_bytes: int, arrival: Arrival | None = None
) -> tuple[Problem, Encoding]:
    """As `pose`, of the version at `path`, in about `memory_bytes` of memory; 0: as much as it is.

    What fits is posed in memory. Otherwise features stay where they are: a problem of that kind
    says how much memory it is for. Targets and weights are in memory anyway. With `arrival` rows
    that are not here yet are waited for when they are needed.
    """
    if not memory_bytes and arrival is None:
        return pose(spec, columns.load(path))
    stretches = Stretches(path, arrival)
    if not memory_bytes or _fits(spec, stretches, None, memory_bytes):
        stretches.wait()
        return pose(spec, columns.load(path))
    small = stretches.whole(apart(spec))
    numbers: Rows = np.arange(len(stretches))
    if spec.data.query is not None:
        numbers = kept(spec, small)
        if _fits(spec, stretches, numbers, memory_bytes):
            stretches.wait()
            return pose(spec, columns.load(path))
        small = small.take(pa.array(numbers))
    return _streamed(spec, stretches, numbers, deal(spec, small), memory_bytes)


def _streamed(
    spec: JobSpec, stretches: Stretches, numbers: Rows, dealt: Dealt, memory_bytes: int
) -> tuple[Problem, Encoding]:
    if not len(dealt.parts["train"]):
        raise InvalidError("the training split is empty")
    features = _learned(spec, stretches, numbers[dealt.parts["train"]])
    refuse_other_outputs(spec, features.row_shape, dealt.classes)

    def part(name: str) -> Part | None:
        rows = dealt.parts[name]
        if not len(rows):
            return None
        weight = None if dealt.weight is None else dealt.weight[rows]
        few = len(rows) * features.row_bytes <= memory_bytes * MEASURED
        mine = numbers[rows]
        x = features.of(mine, kept=few and name != "train")
        return Part(x, dealt.y[rows], weight, mine)

    train = part("train")
    assert train is not None
    encoding = Encoding(
        described(stretches.schema, features.names),
        described(stretches.schema, spec.data.targets),
        dealt.classes,
        features.standardizer,
        features.pipeline,
    )
    problem = Problem(train, part("valid"), part("test"), memory_bytes, spec.data.augment)
    return problem, encoding


def _learned(spec: JobSpec, stretches: Stretches, training: Rows) -> Prepared:
    """The training rows, with what passes over them taught.

    A column that the precision of the network rounds too coarsely is standardized before.
    """
    names = feature_names(spec, stretches.schema)
    raw = Prepared(stretches, training, names, np.dtype(spec.precision))
    prepared = _taught(spec, raw, spec.data.prepare)
    learned, pipeline = prepared.standardizer, prepared.pipeline
    if learned is None or not learned.unresolved(raw.dtype).any():
        return prepared
    shapes = {name: part.shape[1:] for name, part in _first_row(prepared).items()}
    coarse = tuple(
        name
        for name in cells.unresolved(shapes, learned, raw.dtype)
        if not cells.exact(pipeline.column(name, raw.column(name)), raw.dtype)
    )
    if not coarse:
        return prepared
    return _taught(spec, raw, (*spec.data.prepare, Standardize(columns=coarse)))


def _taught(spec: JobSpec, raw: Prepared, steps: tuple[Preparation, ...]) -> Prepared:
    """The rows prepared by these steps, and standardized if that is wanted."""
    features = _described(raw.stretches.schema, raw.names)
    pipeline = Pipeline.fit_blocks(steps, features, raw.column, raw.numbers)
    prepared = replace(raw, pipeline=pipeline)
    first = prepared[0:1]  # what one row becomes is known only now
    prepared = replace(prepared, row_shape=first.shape[1:])
    if not spec.data.standardize:
        return prepared
    finished = np.zeros(first[0].size, bool)
    if steps:
        finished = cells.finished(_first_row(prepared), plan(steps, features).features)
    if finished.all():
        return prepared
    standardizer = Standardizer.fit_blocks(prepared.blocks()).sparing(finished)
    return replace(prepared, standardizer=standardizer)


def _first_row(prepared: Prepared) -> dict[str, Cells]:
    """The cells of the first row, prepared."""
    table = prepared.stretches.rows(prepared.numbers[:1], prepared.names)
    row = {name: cells.read(table, name, prepared.dtype) for name in prepared.names}
    prepared.pipeline.apply(row)
    return row


def _described(schema: pa.Schema, names: tuple[str, ...]) -> list[Feature]:
    table = schema.empty_table()
    return [cells.feature(table, name) for name in names]


def apart(spec: JobSpec) -> list[str]:
    """The columns that are wanted in memory."""
    names = [*spec.data.apart]
    if spec.data.split.stratify_by is not None:
        names.append(spec.data.split.stratify_by)
    if spec.data.query is not None:
        names += parse(spec.data.query).columns
    return names


def _fits(spec: JobSpec, stretches: Stretches, numbers: Rows | None, memory_bytes: int) -> bool:
    """Whether the features can be prepared in memory."""
    rows = len(stretches) if numbers is None else len(numbers)
    names = feature_names(spec, stretches.schema)
    features = _described(stretches.schema, names)
    number_bytes = rows * np.dtype(spec.precision).itemsize * COPIES
    most = [replace(one, classes=MAX_CLASSES) if one.text else one for one in features]
    if number_bytes * _width(spec, most) <= memory_bytes:
        return True
    if not any(isinstance(one, OneHot) for one in spec.data.prepare):
        return False
    # Only now is it worth a pass over the rows to know how many categories there are.
    counted = [_counted(one, stretches) if one.text else one for one in features]
    return number_bytes * _width(spec, counted) <= memory_bytes


def _width(spec: JobSpec, features: list[Feature]) -> int:
    """How many numbers a row has, before its preparation or after, whatever is more."""
    shapes: list[Shape] = [one.shape for one in plan(spec.data.prepare, features).features]
    return max(sum(math.prod(one.shape) for one in features), sum(map(math.prod, shapes)))


def _counted(feature: Feature, stretches: Stretches) -> Feature:
    """The feature with the number of its distinct values: what a one-hot code of it takes."""
    found: set[Any] = set()
    for batch in stretches.batches():
        found.update(batch.column(feature.name).unique().to_pylist())
    return replace(feature, classes=len(found))
