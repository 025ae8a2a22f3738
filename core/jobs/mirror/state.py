"""What MLflow lacks of jobs. The rows say it; a mirror sends it and marks it as sent.

MLflow keeps two points of one step of a metric if they differ in value or timestamp, and it deletes
none. Therefore the point sent for a step is always the first that any attempt wrote, whether or not
MLflow is known to have it: sending it again after an interruption changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from chainrule.contract.metric_names import MACHINE
from chainrule.contract.status import TERMINAL, JobStatus
from core.db import mirrored
from core.db.clock import later, now
from core.db.tables import DeletedRun, Experiment, Fold, Job, MetricChunk, Trial
from core.jobs.curves.metrics import last_steps, surviving
from core.jobs.curves.simplification import thinned
from core.jobs.points import Point, points, unpack

BEGUN = "begun"
"""The `mirrored_status` of a job that may have a run in MLflow which its row does not name.

A process is creating the run, was interrupted while it did, or the run was forgotten: a mirror has
to search MLflow for it before it creates one.
"""

PointKey: TypeAlias = tuple[str, int] | tuple[str, int, int]
"""What MLflow shows one point for: metric and step; for metrics of a machine also the timestamp."""


@dataclass(frozen=True)
class Unmirrored:
    """Chunks that MLflow lacks, and the points to send for them, possibly none."""

    chunk_ids: list[int]
    points: list[Point]


def behind(session: Session, *, trials: bool, limit: int = 20) -> list[str]:
    """Ids of jobs that no worker holds and whose runs are not up to date, oldest first.

    These are jobs that ended, and queued jobs that have or had a run. Jobs whose mirror backs off
    are left out. `trials` selects the jobs of sweeps, or else all other jobs.
    """
    tried = or_(exists().where(Trial.job_id == Job.id), exists().where(Fold.job_id == Job.id))
    statement = (
        select(Job.id)
        .where(
            or_(
                Job.mlflow_run_id.is_not(None),
                Job.finished_at.is_not(None),
                Job.mirrored_status.is_not(None),
            ),
            or_(Job.mirrored_status.is_(None), Job.mirrored_status != Job.status),
            Job.status != JobStatus.RUNNING,
            Job.mirror_not_before <= now(),
            tried if trials else ~tried,
        )
        .order_by(Job.created_at)
        .limit(limit)
    )
    return list(session.scalars(statement))


def reserve_runs(session: Session, job_ids: Sequence[str], seconds: float) -> list[str]:
    """Lock ended jobs for `seconds` to create their runs; the ids of those that were locked.

    Only jobs that certainly have no run in MLflow are locked, so the caller need not search it.
    """
    statement = (
        update(Job)
        .where(
            Job.id.in_(job_ids),
            Job.status.in_(list(TERMINAL)),
            Job.mlflow_run_id.is_(None),
            Job.mirrored_status.is_(None),
            Job.mirror_not_before <= now(),
        )
        .values(mirrored_status=BEGUN, mirror_not_before=later(seconds))
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return list(session.scalars(statement))


def unreserve_runs(session: Session, job_ids: Collection[str]) -> None:
    """Release jobs that `reserve_runs` locked and whose runs the caller did not create."""
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.mirrored_status == BEGUN, Job.mlflow_run_id.is_(None))
        .values(mirrored_status=None, mirror_not_before=now())
        .execution_options(synchronize_session=False)
    )


def unmirrored(session: Session, job_id: str, *, limit: int = 20) -> Unmirrored:
    """The next `limit` chunks of a job that MLflow lacks, and the points to send for them.

    Superseded points are left out; metrics with too many points a second are thinned. Repeated
    calls give equal points for the same steps, also after later attempts repeated the steps.
    """
    statement = (
        select(MetricChunk)
        .where(MetricChunk.job_id == job_id, MetricChunk.mirrored_at.is_(None))
        .order_by(MetricChunk.id)
        .limit(limit)
    )
    chunks = list(session.scalars(statement))
    last = last_steps(session, job_id)
    first = _first_written(session, job_id, chunks)
    # The checkpoint at the last step of an epoch is saved before the epoch's points are written. An
    # attempt that resumes from it writes them again at a step where the old points survive as well.
    by_key: dict[PointKey, Point] = {}
    for chunk in chunks:
        for point in points(chunk.keys, surviving(chunk, last)):
            key = _point_key(point)
            by_key.setdefault(key, first.get(key, point))
    return Unmirrored([chunk.id for chunk in chunks], thinned(list(by_key.values())))


def mark_mirrored(session: Session, chunk_ids: list[int]) -> None:
    """Record that MLflow has these chunks."""
    session.execute(
        update(MetricChunk).where(MetricChunk.id.in_(chunk_ids)).values(mirrored_at=now())
    )


def record_experiment(session: Session, name: str, experiment_id: str) -> None:
    """Record the id of MLflow's experiment for the experiment called `name`."""
    session.execute(
        update(Experiment)
        .where(Experiment.name == name)
        .values(mlflow_experiment_id=experiment_id)
        .execution_options(synchronize_session=False)
    )


def mirrored_experiments(session: Session) -> list[str]:
    """The ids of MLflow's experiments that hold runs of ours, as far as they are recorded."""
    recorded = Experiment.mlflow_experiment_id
    return [str(value) for value in session.scalars(select(recorded).where(recorded.is_not(None)))]


def record_mirrored(
    session: Session,
    job_id: str,
    status: JobStatus,
    run_id: str | None = None,
    *,
    edits: int | None = None,
) -> bool:
    """Record that MLflow confirmed `status`; False when the job changed in the meantime.

    A job that ended counts as mirrored only once all its chunks are; with `run_id` also only while
    that is its run, with `edits` only while its tags and note are those of this edit.
    """
    left = exists().where(MetricChunk.job_id == Job.id, MetricChunk.mirrored_at.is_(None))
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status == status)
        .values(mirrored_status=status.value, mirror_failures=0)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    if status in TERMINAL:
        statement = statement.where(~left)
    if run_id is not None:
        statement = statement.where(Job.mlflow_run_id == run_id)
    if edits is not None:
        statement = statement.where(Job.edits == edits)
    return session.scalar(statement) is not None


def forget_run(session: Session, job_id: str) -> None:
    """Forget the run of a job, which MLflow lost: all of the job is sent to a new one."""
    mirrored.forget_run(session, Job, job_id)
    session.execute(
        update(MetricChunk).where(MetricChunk.job_id == job_id).values(mirrored_at=None)
    )


def forget_runs(session: Session, *, after: str = "", limit: int = 100) -> list[str]:
    """Forget the runs of the next `limit` jobs with ids greater than `after`; the ids of the jobs.

    All of these jobs is sent again: to the run that MLflow still has, or else to a new one.
    """
    statement = (
        select(Job.id)
        .where(Job.mlflow_run_id.is_not(None), Job.id > after)
        .order_by(Job.id)
        .limit(limit)
    )
    job_ids = list(session.scalars(statement))
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids))
        .values(mlflow_run_id=None, mirrored_status=BEGUN, mirror_failures=0)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(MetricChunk)
        .where(MetricChunk.job_id.in_(job_ids), MetricChunk.mirrored_at.is_not(None))
        .values(mirrored_at=None)
        .execution_options(synchronize_session=False)
    )
    return job_ids


def forget_experiments(session: Session) -> None:
    """Forget the ids of MLflow's experiments; they are recorded again with the next run of each."""
    session.execute(
        update(Experiment)
        .where(Experiment.mlflow_experiment_id.is_not(None))
        .values(mlflow_experiment_id=None)
        .execution_options(synchronize_session=False)
    )


def mirror_lag(session: Session) -> tuple[int, float]:
    """How many chunks MLflow lacks, and the age of the oldest in seconds."""
    moment = now()
    row = session.execute(
        select(func.count(), func.min(MetricChunk.created_at), moment).where(
            MetricChunk.mirrored_at.is_(None)
        )
    ).one()
    return row[0], (row[2] - row[1]).total_seconds() if row[1] else 0.0


def _point_key(point: Point) -> PointKey:
    """What MLflow shows `point` for.

    A measurement of the machine is never repeated, and a long step has several of them.
    """
    if point.key.startswith(MACHINE):
        return point.key, point.step, point.at_ms
    return point.key, point.step


def _first_written(
    session: Session, job_id: str, chunks: list[MetricChunk]
) -> dict[PointKey, Point]:
    """The first points of the steps in `chunks` that earlier attempts wrote, superseded or not.

    Ids of a job's chunks grow in the order of commits, so what is first stays first.
    """
    newest = max((chunk.attempt for chunk in chunks), default=0)
    if newest <= 1:
        return {}
    low = min(chunk.first_step for chunk in chunks)
    high = max(chunk.last_step for chunk in chunks)
    statement = (
        select(MetricChunk)
        .where(
            MetricChunk.job_id == job_id,
            MetricChunk.attempt < newest,
            MetricChunk.last_step >= low,
            MetricChunk.first_step <= high,
        )
        .order_by(MetricChunk.id)
    )
    first: dict[PointKey, Point] = {}
    for chunk in session.scalars(statement):
        packed = unpack(chunk.points)
        repeated = packed[(packed["step"] >= low) & (packed["step"] <= high)]
        for point in points(chunk.keys, repeated):
            first.setdefault(_point_key(point), point)
    return first


def deletable_runs(session: Session, *, limit: int = 50) -> list[DeletedRun]:
    """Runs of deleted jobs and sweeps that MLflow may show and no mirror is at, oldest first."""
    due = select(DeletedRun).where(DeletedRun.not_before <= now())
    return list(session.scalars(due.order_by(DeletedRun.created_at).limit(limit)))


def forget_deleted_run(session: Session, row_id: str) -> None:
    """Record that MLflow no longer shows the run of a deleted job or sweep."""
    session.execute(delete(DeletedRun).where(DeletedRun.id == row_id))
