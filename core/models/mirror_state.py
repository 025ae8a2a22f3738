"""What MLflow's model registry lacks of registered models. The rows say it; a mirror sends it."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Job, ModelAlias, ModelVersion, RegisteredModel


@dataclass(frozen=True)
class VersionState:
    """A version of a model and the job that trained it; `mirrored`: MLflow has all of the job.

    `run_id` is the job's run in MLflow, None while it has none.
    """

    version: int
    job_id: str
    owner: str
    description: str
    run_id: str | None
    mirrored: bool


@dataclass(frozen=True)
class ModelState:
    """A registered model at one `revision`: versions in order, version numbers by alias."""

    name: str
    revision: int
    versions: tuple[VersionState, ...]
    aliases: dict[str, int]


def behind(session: Session, *, limit: int = 20) -> list[int]:
    """Ids of models that changed since they were mirrored; those that back off are left out."""
    statement = (
        select(RegisteredModel.id)
        .where(
            RegisteredModel.mirrored_revision != RegisteredModel.revision,
            RegisteredModel.mirror_not_before <= now(),
        )
        .order_by(RegisteredModel.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def mirrored_models(session: Session, *, after: int = 0, limit: int = 20) -> list[int]:
    """Ids greater than `after` of models of which MLflow has everything."""
    statement = (
        select(RegisteredModel.id)
        .where(
            RegisteredModel.mirrored_revision == RegisteredModel.revision,
            RegisteredModel.id > after,
        )
        .order_by(RegisteredModel.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def model_state(session: Session, model_id: int) -> ModelState:
    """The model as MLflow's registry is to show it."""
    model = session.get_one(RegisteredModel, model_id)
    statement = (
        select(ModelVersion, Job.mlflow_run_id, Job.mirrored_status, Job.status)
        .join(Job, Job.id == ModelVersion.job_id)
        .where(ModelVersion.model_id == model_id)
        .order_by(ModelVersion.version)
    )
    versions = tuple(
        VersionState(
            row.version, row.job_id, row.owner, row.description, run_id, mirrored == status.value
        )
        for row, run_id, mirrored, status in session.execute(statement)
    )
    pointing = select(ModelAlias).where(ModelAlias.model_id == model_id)
    aliases = {alias.name: alias.version for alias in session.scalars(pointing)}
    return ModelState(model.name, model.revision, versions, aliases)


def record_mirrored(session: Session, model_id: int, revision: int) -> None:
    """Record that MLflow's registry shows the model as it was at `revision`."""
    session.execute(
        update(RegisteredModel)
        .where(RegisteredModel.id == model_id)
        .values(mirrored_revision=revision)
        .execution_options(synchronize_session=False)
    )


def forget_models(session: Session) -> int:
    """Have all registered models compared with MLflow's registry again; how many there are."""
    statement = (
        update(RegisteredModel)
        .values(mirrored_revision=0, mirror_failures=0)
        .execution_options(synchronize_session=False)
        .returning(RegisteredModel.id)
    )
    return len(session.scalars(statement).all())


def is_registered(session: Session, job_id: str) -> bool:
    """Whether the model of a job is a version of a registered model."""
    statement = select(ModelVersion.version).where(ModelVersion.job_id == job_id).limit(1)
    return session.scalar(statement) is not None
