"""Names for what jobs learned: `digits@3`, `digits@champion`, `digits`: the latest."""

from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core import notices
from core.db.tables import Job, ModelAlias, ModelVersion, RegisteredModel
from core.db.upsert import upsert
from core.errors import NotFoundError
from core.models.loader import locate
from core.spec.names import Reference, check_name, parse_reference


@dataclass(frozen=True)
class Registered:
    """A model with the number of its latest version and its aliases by name."""

    model: RegisteredModel
    latest: int
    aliases: dict[str, int]


def register(
    session: Session, name: str, job_id: str, *, owner: str, description: str = ""
) -> ModelVersion:
    """The version of model `name` that the job is: the one it has, or a new one after the latest.

    Raises NotFoundError for a job that is not there, ConflictError for one without a model,
    InvalidError for a name that is no plain word.
    """
    check_name(name)
    locate(session, job_id)
    # Locked as well: whoever erases models of jobs without a name must see this one or wait.
    session.scalars(select(Job.id).where(Job.id == job_id).with_for_update()).one()
    statement = upsert(session, RegisteredModel).values(name=name)
    session.execute(statement.on_conflict_do_nothing())
    # Locked until the transaction ends: versions are numbered in turn.
    same = select(RegisteredModel).where(RegisteredModel.name == name)
    model = session.scalars(same.with_for_update()).one()
    own = select(ModelVersion).where(ModelVersion.model_id == model.id)
    present = session.scalar(own.where(ModelVersion.job_id == job_id))
    if present is not None:
        return present
    made = ModelVersion(
        model_id=model.id,
        version=_latest(session, model) + 1,
        job_id=job_id,
        owner=owner,
        description=description,
    )
    session.add(made)
    session.flush()
    session.refresh(made)
    told = {"name": name, "version": made.version, "job_id": job_id, "owner": owner}
    notices.announce(session, "model.registered", lambda: told)
    return made


def get_model(session: Session, name: str) -> RegisteredModel:
    """The model called `name`. Raises NotFoundError."""
    found = session.scalar(select(RegisteredModel).where(RegisteredModel.name == name))
    if found is None:
        raise NotFoundError(f"there is no model {name[:140]!r}")
    return found


def get_version(session: Session, name: str, version: int) -> ModelVersion:
    """Version `version` of model `name`. Raises NotFoundError."""
    model = get_model(session, name)
    found = session.get(ModelVersion, (model.id, version))
    if found is None:
        raise NotFoundError(f"model {name!r} has no version {version}")
    return found


def resolve(session: Session, reference: str) -> ModelVersion:
    """The version that `digits@3`, `digits@champion` or `digits` (the latest) refers to.

    Raises InvalidError for what is no reference, NotFoundError for what it does not find.
    """
    wanted = parse_reference(reference, "reference")
    found = session.scalar(_meant(wanted))
    if found is None:
        raise _lacking(session, wanted)
    return found


def job_of(session: Session, reference: str) -> str:
    """The id of the job that trained what a reference refers to. Raises as `resolve`."""
    wanted = parse_reference(reference, "reference")
    found: str | None = session.scalar(_meant(wanted).with_only_columns(ModelVersion.job_id))
    if found is None:
        raise _lacking(session, wanted)
    return found


def _meant(wanted: Reference) -> Select[ModelVersion]:
    """The version that a reference refers to, if it is there."""
    statement = (
        select(ModelVersion)
        .join(RegisteredModel, RegisteredModel.id == ModelVersion.model_id)
        .where(RegisteredModel.name == wanted.name)
    )
    if wanted.alias is not None:
        same = ModelAlias.model_id == ModelVersion.model_id
        pointed = same & (ModelAlias.version == ModelVersion.version)
        return statement.join(ModelAlias, pointed).where(ModelAlias.name == wanted.alias)
    if wanted.version is not None:
        return statement.where(ModelVersion.version == wanted.version)
    return statement.order_by(ModelVersion.version.desc()).limit(1)


def _lacking(session: Session, wanted: Reference) -> NotFoundError:
    """What is not there of a reference."""
    get_model(session, wanted.name)
    if wanted.alias is not None:
        return NotFoundError(f"model {wanted.name!r} has no alias {wanted.alias!r}")
    return NotFoundError(f"model {wanted.name!r} has no version {wanted.version or 0}")


def summary(session: Session, model: RegisteredModel) -> Registered:
    """A model with its latest version and its aliases."""
    return _summaries(session, [model])[0]


def list_models(session: Session, *, after: str | None = None, limit: int = 50) -> list[Registered]:
    """Models by name, those whose name comes after `after`."""
    statement = select(RegisteredModel).order_by(RegisteredModel.name).limit(limit)
    if after is not None:
        statement = statement.where(RegisteredModel.name > after)
    return _summaries(session, list(session.scalars(statement)))


def list_versions(
    session: Session, name: str, *, before: int | None = None, limit: int = 50
) -> list[ModelVersion]:
    """Versions of a model older than `before`, the newest first. Raises NotFoundError."""
    statement = (
        select(ModelVersion)
        .where(ModelVersion.model_id == get_model(session, name).id)
        .order_by(ModelVersion.version.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(ModelVersion.version < before)
    return list(session.scalars(statement))


def _summaries(session: Session, models: list[RegisteredModel]) -> list[Registered]:
    """The models with what is known of them, in two statements whatever their number."""
    wanted = [model.id for model in models]
    latest = (
        select(ModelVersion.model_id, func.max(ModelVersion.version))
        .where(ModelVersion.model_id.in_(wanted))
        .group_by(ModelVersion.model_id)
    )
    numbers = {row[0]: row[1] for row in session.execute(latest)}
    aliases: dict[int, dict[str, int]] = {}
    pointing = select(ModelAlias).where(ModelAlias.model_id.in_(wanted)).order_by(ModelAlias.name)
    for alias in session.scalars(pointing):
        aliases.setdefault(alias.model_id, {})[alias.name] = alias.version
    return [Registered(one, numbers.get(one.id, 0), aliases.get(one.id, {})) for one in models]


def _latest(session: Session, model: RegisteredModel) -> int:
    numbers = select(func.max(ModelVersion.version)).where(ModelVersion.model_id == model.id)
    return session.scalar(numbers) or 0
