"""Fixtures for tests of sweeps: a sweep on digits, and results of its trials."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Engine

from chainrule.contract.status import JobStatus
from core import sweeps
from core.data.table.schema import ColumnSchema, DatasetSchema
from core.db.session import reading, transaction
from core.db.tables import Job, Trial
from core.spec.job import DIGITS
from core.spec.sweep import EXAMPLE, SweepSpec
from tests.support import single
from tests.support.job_cases import claimed, dataset_version, do


def schema() -> DatasetSchema:
    """What a version of digits looks like: two features and ten classes."""
    columns = [
        ColumnSchema.model_validate({"name": name, "dtype": "float64", "shape": [], "nulls": 0})
        for name in ("p00", "p01")
    ]
    label = ColumnSchema.model_validate(
        {"name": "label", "dtype": "int64", "shape": [], "nulls": 0, "classes": list(range(10))}
    )
    return DatasetSchema(rows=1797, columns=(*columns, label))


def started(engine: Engine, **changes: Any) -> str:
    """The id of a new sweep over the digits. `changes` are of the spec; `optimizer` of its job."""
    job = {**DIGITS, "optimizer": changes.pop("optimizer", DIGITS["optimizer"])}
    defaults = {"sampler": {"kind": "random", "seed": 7}, "pruner": {"kind": "none"}, "job": job}
    spec = SweepSpec.model_validate({**EXAMPLE, **defaults, **changes})
    with transaction(engine) as session:
        version = dataset_version(session)
        version.schema = schema().model_dump(mode="json")
        session.flush()
        return sweeps.start(session, spec, version, owner="local", max_weights_bytes=2**30).id


def table(engine: Engine, sweep_id: str) -> list[tuple[Trial, Job]]:
    """The trials of a sweep with their jobs; a trial of several folds has None for its job."""
    with reading(engine) as session:
        return cast("list[tuple[Trial, Job]]", sweeps.trials(session, sweep_id))


def points(engine: Engine, sweep_id: str) -> list[tuple[int, Any, Any]]:
    """Number, point and objectives of each trial."""
    return [(t.number, t.point, t.objectives) for t, _ in table(engine, sweep_id)]


def finish(
    engine: Engine, sweep_id: str, *, only: Sequence[str] | None = None, value: float | None = None
) -> int:
    """Let workers finish the jobs of a sweep; how many.

    A result follows from the point, unless `value` is given.
    """
    done = 0
    for trial, job in table(engine, sweep_id):
        if trial.job_id is None or job.status.terminal:
            continue
        if only is not None and job.id not in only:
            continue
        attempt = job.attempt
        if job.status is JobStatus.QUEUED:
            attempt = claimed(engine, job.id).attempt
        result = sum(hash(v) % 97 for v in trial.point.values()) / 100 if value is None else value
        metrics = {"valid/accuracy": result}
        do(engine, single.finish, job.id, attempt, JobStatus.FINISHED, result={"metrics": metrics})
        done += 1
    return done


def rounds(engine: Engine, sweep_id: str, most: int = 50) -> None:
    """Advance and finish in turn until nothing is left to do."""
    for _ in range(most):
        sweeps.advance(engine, sweep_id)
        if not finish(engine, sweep_id):
            break
    sweeps.advance(engine, sweep_id)
