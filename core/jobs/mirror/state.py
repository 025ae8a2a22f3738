"""What MLflow has yet to be told about jobs; the rows say it, a mirror does it.

MLflow keeps two points of one step of a metric if they differ in value or moment, and takes none
back. So the point of a step is always the first that any attempt wrote, whether or not MLflow is
known to have it: sending it again, after whatever was cut short, adds nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.tables import Experiment, Fold, Job, MetricChunk, Trial
from core.events import MACHINE
from core.jobs.curves.metrics import last_steps, surviving
from core.jobs.curves.simplification import thinned
from core.jobs.points import Point, points, unpack
from core.status import TERMINAL, JobStatus

BEGUN = "begun"
"""The `mirrored_status` of a job of which MLflow may have a run that its row does not name.

Somebody makes it, or was making it when he broke off, or it was forgotten: it is to be looked for.
"""

Place: TypeAlias = tuple[str, int] | tuple[str, int, int]
"""What MLflow shows one point for: a step of a metric."""


@dataclass(frozen=True)
class Unmirrored:
    """Chunks that MLflow does not have, and the points to send for them (perhaps none)."""

    chunk_ids: list[int]
    points: list[Point]


def behind(session: Session, *, trials: bool, limit: int = 20) -> list[str]:
    """The ids of jobs that no worker holds and of which MLflow knows too little, oldest first.

    Those that ended, or wait again after a run began, forgotten or not; not those in backoff after
    a failure. Jobs of sweeps' trials, or all others.
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


def begin_runs(session: Session, job_ids: Sequence[str], seconds: float) -> list[str]:
    """Have the mirrors of ended jobs to oneself for `seconds`, to make their runs; whose one has.

    Only jobs that nobody began to make a run of, and that have none: so nobody need look for one.
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


def unbegin_runs(session: Session, job_ids: Collection[str]) -> None:
    """Note that nobody makes the runs of these jobs after all, and that none was made."""
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.mirrored_status == BEGUN, Job.mlflow_run_id.is_(None))
        .values(mirrored_status=None, mirror_not_before=now())
        .execution_options(synchronize_session=False)
    )


def unmirrored(session: Session, job_id: str, *, limit: int = 20) -> Unmirrored:
    """The next `limit` chunks of a job that MLflow does not have.

    Superseded points are left out, and what is told too fast is thinned. Asking again gives equal
    points for the same steps, also after later attempts have repeated them.
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
    # A checkpoint at the last step of an epoch comes before the epoch's points: who resumes from it
    # tells them again at that step, where those of the attempt before survive as well.
    fresh: dict[Place, Point] = {}
    for chunk in chunks:
        for point in points(chunk.keys, surviving(chunk, last)):
            place = _place(point)
            fresh.setdefault(place, first.get(place, point))
    return Unmirrored([chunk.id for chunk in chunks], thinned(list(fresh.values())))


def mark_mirrored(session: Session, chunk_ids: list[int]) -> None:
    """Note that MLflow has these chunks."""
    session.execute(
        update(MetricChunk).where(MetricChunk.id.in_(chunk_ids)).values(mirrored_at=now())
    )


def record_experiment(session: Session, name: str, experiment_id: str) -> None:
    """Note which experiment of MLflow has the runs of the experiment called `name`."""
    session.execute(
        update(Experiment)
        .where(Experiment.name == name)
        .values(mlflow_experiment_id=experiment_id)
        .execution_options(synchronize_session=False)
    )


def record_run(session: Session, job_id: str, run_id: str) -> str:
    """Let the job's run be `run_id` unless it has one; the run it has."""
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.mlflow_run_id.is_(None))
        .values(mlflow_run_id=run_id)
        .execution_options(synchronize_session=False)
    )
    return session.execute(select(Job.mlflow_run_id).where(Job.id == job_id)).scalar_one() or run_id


def record_mirrored(
    session: Session, job_id: str, status: JobStatus, run_id: str | None = None
) -> bool:
    """Note that MLflow confirmed `status`; False when there is more to mirror by now.

    A job that ended counts as mirrored only when all its chunks are; with `run_id` also only while
    that is its run.
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
    return session.scalar(statement) is not None


def forget_run(session: Session, job_id: str) -> None:
    """Forget what MLflow was told of a job: its run is gone there, all is to be told anew."""
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(mlflow_run_id=None, mirrored_status=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(MetricChunk).where(MetricChunk.job_id == job_id).values(mirrored_at=None)
    )


def forget_runs(session: Session, *, after: str = "", limit: int = 100) -> list[str]:
    """Forget the runs of the next `limit` jobs with ids beyond `after`; which jobs these are.

    All of their runs is to be told anew: into the run that MLflow still has of a job, if it does.
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
    """Forget which experiments of MLflow have the runs of ours; the next run told says it."""
    session.execute(
        update(Experiment)
        .where(Experiment.mlflow_experiment_id.is_not(None))
        .values(mlflow_experiment_id=None)
        .execution_options(synchronize_session=False)
    )


def mirror_lag(session: Session) -> tuple[int, float]:
    """How many chunks MLflow does not have, and the age of the oldest in seconds."""
    moment = now()
    row = session.execute(
        select(func.count(), func.min(MetricChunk.created_at), moment).where(
            MetricChunk.mirrored_at.is_(None)
        )
    ).one()
    return row[0], (row[2] - row[1]).total_seconds() if row[1] else 0.0


def _place(point: Point) -> Place:
    """The step of a metric that a point stands for.

    What a machine measures of itself is never repeated: its moment belongs to it, and a step that
    takes long has several.
    """
    if point.key.startswith(MACHINE):
        return point.key, point.step, point.at_ms
    return point.key, point.step


def _first_written(session: Session, job_id: str, chunks: list[MetricChunk]) -> dict[Place, Point]:
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
    first: dict[Place, Point] = {}
    for chunk in session.scalars(statement):
        packed = unpack(chunk.points)
        repeated = packed[(packed["step"] >= low) & (packed["step"] <= high)]
        for point in points(chunk.keys, repeated):
            first.setdefault(_place(point), point)
    return first
