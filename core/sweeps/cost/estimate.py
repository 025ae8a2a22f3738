"""What a sweep would take, before anything starts: by a sweep like it, or by some batches timed."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import nodes
from core.data.table.schema import DatasetSchema
from core.db.clock import now
from core.db.tables import DatasetVersion, Sweep, Trial
from core.spec.stack import stack_key
from core.spec.sweep import SweepSpec
from core.sweeps.budget import spent
from core.sweeps.cost.benchmark import rehearse
from core.sweeps.queries import spec_of
from core.sweeps.submission import check_new

_LEAST_TRIALS = 10
_LOOKED_AT = 50
_MOST_BESIDE = 16
_OVERHEAD_SECONDS = 0.01
"""What a trial in a stack costs beside its training: its rows, its model, MLflow."""
_ALONE_SECONDS = 0.15
"""The same of one that has a runner to itself."""
_WAVE_SECONDS = 0.6
"""From the end of trials to the beginning of the next: two turns, a message, a claim."""


@dataclass(frozen=True)
class Forecast:
    """What a sweep would take if nothing pruned or stopped its trials early.

    `basis` says how it is known: a sweep like it (`sweep_id`), some batches timed, or not at all.
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
    """Say what `spec` would take on the workers there are; nothing is started.

    Without workers the numbers are those of one slot. Raises InvalidError as `start` does.
    """
    check_new(session, spec, version, max_weights_bytes)
    slots = nodes.slots(session).get(spec.job.device, 0)
    trials = spec.trials
    if spec.budget.epochs is not None:
        trials = min(trials, -(-spec.budget.epochs // (spec.job.epochs * spec.folds)))
    unknown = Forecast("unknown", trials, slots)
    found = _by_history(session, spec, version, unknown) or _measured(spec, version, unknown)
    if found.trials_a_minute is None:
        return found
    seconds = 60 * trials / found.trials_a_minute
    if spec.budget.seconds is not None:
        seconds = min(seconds, spec.budget.seconds)
    moment: datetime = session.execute(select(now())).scalar_one()
    return replace(found, seconds=seconds, finish_at=moment + timedelta(seconds=seconds))


def _by_history(
    session: Session, spec: SweepSpec, version: DatasetVersion, unknown: Forecast
) -> Forecast | None:
    """By the newest sweep over networks of this shape on this dataset version."""
    schema = DatasetSchema.model_validate(version.schema)
    wanted = _shape(spec, schema)
    statement = (
        select(Sweep)
        .where(Sweep.dataset_version_id == version.id)
        .order_by(Sweep.created_at.desc())
        .limit(_LOOKED_AT)
    )
    for row in session.scalars(statement) if wanted is not None else ():
        earlier = spec_of(row)
        finished = session.execute(
            select(func.count()).where(Trial.sweep_id == row.id, Trial.status == "finished")
        ).scalar_one()
        so_far = spent(session, row)
        like = finished >= _LEAST_TRIALS and so_far.seconds > 0
        if not like or _shape(earlier, schema) != wanted:
            continue
        fewer = min(1.0, spec.max_parallel / earlier.max_parallel)
        rate = 60 * finished / so_far.seconds * earlier.job.epochs / spec.job.epochs * fewer
        cpu = 60 * unknown.trials / rate * max(1, min(unknown.slots, spec.max_parallel))
        return replace(
            unknown, basis="history", trials_a_minute=rate, cpu_seconds=cpu, sweep_id=row.id
        )
    return None


def _measured(spec: SweepSpec, version: DatasetVersion, unknown: Forecast) -> Forecast:
    """By some batches of the job as it is, trained here."""
    schema = DatasetSchema.model_validate(version.schema)
    at_once = max(1, min(unknown.slots, spec.max_parallel))
    stacks = stack_key(spec.job, schema, "") is not None
    beside = min(_MOST_BESIDE, -(-spec.max_parallel // at_once)) if stacks else 1
    training = rehearse(spec.jobs(spec.job)[0], schema, beside)
    if training is None:
        return unknown
    each = spec.folds * (training + (_OVERHEAD_SECONDS if beside > 1 else _ALONE_SECONDS))
    wave = min(spec.max_parallel, unknown.trials)
    seconds = _WAVE_SECONDS + each * -(-wave // at_once)
    return replace(
        unknown,
        basis="measured",
        trials_a_minute=60 * wave / seconds,
        cpu_seconds=each * unknown.trials,
    )


def _shape(spec: SweepSpec, schema: DatasetSchema) -> str | None:
    """Equal for sweeps whose trials cost the same: as many jobs, which could be stacked."""
    job = spec.jobs(spec.job)[0]
    return stack_key(job.model_copy(update={"epochs": 1, "experiment": ""}), schema, "")
