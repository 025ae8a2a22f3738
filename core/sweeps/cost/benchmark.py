"""How long a trial would train: some batches of made-up rows, timed here and now."""

import math
import time

import numpy as np
from threadpoolctl import threadpool_limits

from core.data.table.schema import DatasetSchema
from core.errors import ChainruleError
from core.nn.array import Array
from core.spec import JobSpec
from core.spec.admission import input_shape
from core.training.dataset.types import Part, Problem
from core.training.trainer import Trainer

MOST_WEIGHTS = 20_000_000
_SECONDS = 0.4
_WARM_STEPS = 3
_MOST_ROWS = 4096
_MEASURED_PARTS = 1.15
"""An epoch measures the validation rows, too."""


def rehearse(spec: JobSpec, schema: DatasetSchema, beside: int) -> float | None:
    """Seconds of one core that a trial takes, `beside` of them trained together.

    None for what cannot be rehearsed here: large networks, other devices, targets in groups.
    """
    shape = input_shape(spec, schema)
    if spec.device != "cpu" or spec.network.size(shape) > MOST_WEIGHTS:
        return None
    rows = max(1, round(schema.rows * spec.data.split.shares["train"]))
    size = rows if spec.batch_size == "full" else min(spec.batch_size, rows)
    few = min(rows, max(size, _MOST_ROWS))
    try:
        x = np.random.default_rng(0).standard_normal((few, *shape)).astype(spec.precision)
        targets = _targets(spec, few, math.prod(spec.network.output(shape)))
        if targets is None:
            return None
        problem = Problem(Part(x, targets))
        trainer = Trainer([spec] * beside, problem, stacked_axis=beside > 1)
        # As in a worker; and threads beside this one would not be counted.
        with threadpool_limits(1):
            step = _timed(trainer)
    except (ChainruleError, ValueError, IndexError):
        # Made-up rows do not suit every layer.
        return None
    return step / beside * math.ceil(rows / size) * spec.epochs * _MEASURED_PARTS


def _timed(trainer: Trainer) -> float:
    """Seconds a batch takes."""
    for _ in range(_WARM_STEPS):
        _step(trainer)
    begun, steps = time.thread_time(), 0
    give_up_at = time.monotonic() + _SECONDS
    while steps == 0 or time.monotonic() < give_up_at:
        _step(trainer)
        steps += 1
    return (time.thread_time() - begun) / steps


def _step(trainer: Trainer) -> None:
    if trainer.batch == trainer.batches:
        trainer.end_epoch()
    trainer.advance()


def _targets(spec: JobSpec, rows: int, outputs: int) -> Array | None:
    rng = np.random.default_rng(1)
    kind = spec.loss.target
    if kind == "class":
        return rng.integers(0, outputs, rows)
    if kind == "distribution":
        return np.eye(outputs, dtype=spec.precision)[rng.integers(0, outputs, rows)]
    if kind in ("binary", "number"):
        return rng.integers(0, 2, (rows, outputs)).astype(spec.precision)
    return None
