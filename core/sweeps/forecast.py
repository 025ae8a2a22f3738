"""Forecast of what a sweep takes: from an earlier sweep like it, or from a timed benchmark."""

import math
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from threadpoolctl import threadpool_limits

from core import nodes
from core.data.table.schema import DatasetSchema
from core.db.clock import now
from core.db.tables import DatasetVersion, Sweep, Trial
from core.errors import ChainruleError
from core.nn.array import Array
from core.spec import JobSpec
from core.spec.admission import input_shape
from core.spec.stack import stack_key
from core.spec.sweep import SweepSpec
from core.sweeps.budget import spent
from core.sweeps.queries import spec_of
from core.sweeps.submission import check_new, with_defaults
from core.training.dataset_types import Dataset, Part
from core.training.trainer import Trainer

_LEAST_TRIALS = 10
"""Finished trials that an earlier sweep needs to serve as a basis."""
_MOST_SWEEPS = 50
"""Earlier sweeps that are compared, the newest ones."""
_MOST_STACKED = 16
_STACKED_OVERHEAD_SECONDS = 0.01
"""Cost of a stacked trial in addition to its training: rows, model, MLflow."""
_SINGLE_OVERHEAD_SECONDS = 0.15
"""The same cost of a trial that has a runner to itself."""
_GAP_SECONDS = 0.6
"""Time from the end of trials to the start of the next: two advances, a message, a claim."""

MOST_WEIGHTS = 20_000_000
"""Weights of the largest network that is benchmarked."""
_BENCHMARK_SECONDS = 0.4
_WARM_UP_STEPS = 3
_MOST_ROWS = 4096
_VALIDATION_FACTOR = 1.15
"""An epoch also evaluates the validation rows."""


@dataclass(frozen=True)
class Forecast:
    """What a sweep takes if no trial is pruned or stopped early.

    `basis` is an earlier sweep (`sweep_id`), a benchmark (`measured`), or unknown.
    """

    basis: Literal["history", "measured", "unknown"]
    trials: int
    slots: int
    trials_a_minute: float | None = None
    seconds: float | None = None
    finish_at: datetime | None = None
    cpu_seconds: float | None = None
    sweep_id: str | None = None


def forecast(
    session: Session, spec: SweepSpec, version: DatasetVersion, *, max_weights_bytes: int
) -> Forecast:
    """Return what `spec` would take on the present workers; nothing is started.

    Without workers the forecast is for one slot. Raises InvalidError as `start` does.
    """
    spec = with_defaults(spec, version)
    check_new(session, spec, version, max_weights_bytes)
    slots = nodes.slots(session).get(spec.job.device, 0)
    trials = spec.trials
    if spec.budget.epochs is not None:
        trials = min(trials, -(-spec.budget.epochs // (spec.job.epochs * spec.folds)))
    unknown = Forecast("unknown", trials, slots)
    schema = DatasetSchema.model_validate(version.schema)
    result = _from_history(session, spec, version, schema, unknown) or _from_benchmark(
        spec, schema, unknown
    )
    if result.trials_a_minute is None:
        return result
    seconds = 60 * trials / result.trials_a_minute
    if spec.budget.seconds is not None:
        seconds = min(seconds, spec.budget.seconds)
    moment: datetime = session.execute(select(now())).scalar_one()
    return replace(result, seconds=seconds, finish_at=moment + timedelta(seconds=seconds))


def _from_history(
    session: Session,
    spec: SweepSpec,
    version: DatasetVersion,
    schema: DatasetSchema,
    unknown: Forecast,
) -> Forecast | None:
    """Forecast from the newest sweep with jobs of the same shape on this dataset version."""
    shape = _shape(spec, schema)
    if shape is None:
        return None
    statement = (
        select(Sweep)
        .where(Sweep.dataset_version_id == version.id)
        .order_by(Sweep.created_at.desc())
        .limit(_MOST_SWEEPS)
    )
    for row in session.scalars(statement):
        earlier = spec_of(row)
        finished = session.execute(
            select(func.count()).where(Trial.sweep_id == row.id, Trial.status == "finished")
        ).scalar_one()
        so_far = spent(session, row)
        sufficient = finished >= _LEAST_TRIALS and so_far.seconds > 0
        if not sufficient or _shape(earlier, schema) != shape:
            continue
        fewer = min(1.0, spec.max_parallel / earlier.max_parallel)
        rate = 60 * finished / so_far.seconds * earlier.job.epochs / spec.job.epochs * fewer
        cpu = 60 * unknown.trials / rate * max(1, min(unknown.slots, spec.max_parallel))
        return replace(
            unknown, basis="history", trials_a_minute=rate, cpu_seconds=cpu, sweep_id=row.id
        )
    return None


def _from_benchmark(spec: SweepSpec, schema: DatasetSchema, unknown: Forecast) -> Forecast:
    """Forecast from a benchmark of the job as it is, in this process."""
    slots = max(1, min(unknown.slots, spec.max_parallel))
    stackable = stack_key(spec.job, schema, "") is not None
    stacked = min(_MOST_STACKED, -(-spec.max_parallel // slots)) if stackable else 1
    training = benchmark(spec.jobs(spec.job)[0], schema, stacked)
    if training is None:
        return unknown
    overhead = _STACKED_OVERHEAD_SECONDS if stacked > 1 else _SINGLE_OVERHEAD_SECONDS
    trial_seconds = spec.folds * (training + overhead)
    parallel = min(spec.max_parallel, unknown.trials)
    seconds = _GAP_SECONDS + trial_seconds * -(-parallel // slots)
    return replace(
        unknown,
        basis="measured",
        trials_a_minute=60 * parallel / seconds,
        cpu_seconds=trial_seconds * unknown.trials,
    )


def _shape(spec: SweepSpec, schema: DatasetSchema) -> str | None:
    """Return a key that is equal for sweeps whose jobs cost the same; None if not stackable."""
    job = spec.jobs(spec.job)[0]
    return stack_key(job.model_copy(update={"epochs": 1, "experiment": ""}), schema, "")


def benchmark(spec: JobSpec, schema: DatasetSchema, stacked: int) -> float | None:
    """Return the core seconds that a job trains, with `stacked` of them trained together.

    A few batches of random rows are timed. None if that is impossible: for a large network, a
    device other than the CPU, or targets that random rows do not have.
    """
    shape = input_shape(spec, schema)
    if spec.device != "cpu" or spec.network.size(shape) > MOST_WEIGHTS:
        return None
    rows = max(1, round(schema.rows * spec.data.split.shares["train"]))
    batch_rows = rows if spec.batch_size == "full" else min(spec.batch_size, rows)
    sample_rows = min(rows, max(batch_rows, _MOST_ROWS))
    try:
        x = np.random.default_rng(0).standard_normal((sample_rows, *shape)).astype(spec.precision)
        targets = _random_targets(spec, sample_rows, math.prod(spec.network.output(shape)))
        if targets is None:
            return None
        trainer = Trainer([spec] * stacked, Dataset(Part(x, targets)), stacked_axis=stacked > 1)
        # One thread, as in a worker; the time of other threads would not be counted.
        with threadpool_limits(1):
            step_seconds = _time_step(trainer)
    except (ChainruleError, ValueError, IndexError):
        # Not every layer takes random rows.
        return None
    steps = math.ceil(rows / batch_rows) * spec.epochs
    return step_seconds / stacked * steps * _VALIDATION_FACTOR


def _time_step(trainer: Trainer) -> float:
    """Return the seconds that a step takes."""
    for _ in range(_WARM_UP_STEPS):
        _step(trainer)
    start, steps = time.thread_time(), 0
    deadline = time.monotonic() + _BENCHMARK_SECONDS
    while steps == 0 or time.monotonic() < deadline:
        _step(trainer)
        steps += 1
    return (time.thread_time() - start) / steps


def _step(trainer: Trainer) -> None:
    if trainer.batch == trainer.batches:
        trainer.end_epoch()
    trainer.advance()


def _random_targets(spec: JobSpec, rows: int, outputs: int) -> Array | None:
    """Return random targets of the kind that the loss takes; None for other kinds."""
    rng = np.random.default_rng(1)
    kind = spec.loss.target
    if kind == "class":
        return rng.integers(0, outputs, rows)
    if kind == "distribution":
        return np.eye(outputs, dtype=spec.precision)[rng.integers(0, outputs, rows)]
    if kind in ("binary", "number"):
        return rng.integers(0, 2, (rows, outputs)).astype(spec.precision)
    return None
