"""Registry of models: `digits@3`, `digits@champion`, or `digits` for the latest version."""

from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core import notices
from core.db.tables import Job, ModelAlias, ModelVersion, RegisteredModel
from core.db.upsert import upsert
from core.errors import NotFoundError, existing
from core.models.loader import locate
from core.spec.names import Reference, check_name, parse_reference


@dataclass(frozen=True)
class Registered:
    """A model with the number of its latest version, and versions by alias."""

    model: RegisteredModel
    latest: int
    aliases: dict[str, int]


def register(
    session: Session, name: str, job_id: str, *, owner: str, description: str = ""
) -> ModelVersion:
    """Register a job's model as the next version of `name`; return its version if it has one.

    Raises NotFoundError for an unknown job, ConflictError for a job without a model, InvalidError
    for an invalid name.
    """
    check_name(name)
    locate(session, job_id)
    # Locked so that the deletion of models without a version sees this version or waits.
    session.scalars(select(Job.id).where(Job.id == job_id).with_for_update()).one()
    statement = upsert(session, RegisteredModel).values(name=name)
    session.execute(statement.on_conflict_do_nothing())
    # Locked until the transaction ends, so that versions are numbered without gaps.
    same = select(RegisteredModel).where(RegisteredModel.name == name)
    model = session.scalars(same.with_for_update()).one()
    own = select(ModelVersion).where(ModelVersion.model_id == model.id)
    present = session.scalar(own.where(ModelVersion.job_id == job_id))
    if present is not None:
        return present
    added = ModelVersion(
        model_id=model.id,
        version=_latest(session, model) + 1,
        job_id=job_id,
        owner=owner,
        description=description,
    )
    session.add(added)
    model.revision = RegisteredModel.revision + 1
    session.flush()
    session.refresh(added)
    content = {"name": name, "version": added.version, "job_id": job_id, "owner": owner}
    notices.announce(session, "model.registered", lambda: content)
    return added


def get_model(session: Session, name: str) -> RegisteredModel:
    """Return the model called `name`. Raises NotFoundError."""
    model = session.scalar(select(RegisteredModel).where(RegisteredModel.name == name))
    return existing(model, f"there is no model {name[:140]!r}")


def get_version(session: Session, name: str, version: int) -> ModelVersion:
    """Return version `version` of model `name`. Raises NotFoundError."""
    model = get_model(session, name)
    row = session.get(ModelVersion, (model.id, version))
    return existing(row, f"model {name!r} has no version {version}")


def resolve(session: Session, reference: str) -> ModelVersion:
    """Return the version that `digits@3`, `digits@champion` or `digits` (latest) refers to.

    Raises InvalidError for an invalid reference, NotFoundError for an unknown one.
    """
    parsed = parse_reference(reference, "reference")
    version = session.scalar(_select_version(parsed))
    if version is None:
        raise _not_found(session, parsed)
    return version


def job_of(session: Session, reference: str) -> str:
    """Return the id of the job that trained the version of a reference. Raises as `resolve`."""
    parsed = parse_reference(reference, "reference")
    statement = _select_version(parsed).with_only_columns(ModelVersion.job_id)
    job_id: str | None = session.scalar(statement)
    if job_id is None:
        raise _not_found(session, parsed)
    return job_id


def _select_version(reference: Reference) -> Select[ModelVersion]:
    """Select the version that a reference refers to; at most one row."""
    statement = (
        select(ModelVersion)
        .join(RegisteredModel, RegisteredModel.id == ModelVersion.model_id)
        .where(RegisteredModel.name == reference.name)
    )
    if reference.alias is not None:
        same = ModelAlias.model_id == ModelVersion.model_id
        pointed = same & (ModelAlias.version == ModelVersion.version)
        return statement.join(ModelAlias, pointed).where(ModelAlias.name == reference.alias)
    if reference.version is not None:
        return statement.where(ModelVersion.version == reference.version)
    return statement.order_by(ModelVersion.version.desc()).limit(1)


def _not_found(session: Session, reference: Reference) -> NotFoundError:
    """Return the error that names the missing part of a reference."""
    get_model(session, reference.name)
    if reference.alias is not None:
        return NotFoundError(f"model {reference.name!r} has no alias {reference.alias!r}")
    return NotFoundError(f"model {reference.name!r} has no version {reference.version or 0}")


def summary(session: Session, model: RegisteredModel) -> Registered:
    """Return a model with its latest version and its aliases."""
    return _summaries(session, [model])[0]


def list_models(session: Session, *, after: str | None = None, limit: int = 50) -> list[Registered]:
    """Return models in the order of names, those after `after`."""
    statement = select(RegisteredModel).order_by(RegisteredModel.name).limit(limit)
    if after is not None:
        statement = statement.where(RegisteredModel.name > after)
    return _summaries(session, list(session.scalars(statement)))


def list_versions(
    session: Session, name: str, *, before: int | None = None, limit: int = 50
) -> list[ModelVersion]:
    """Return versions of a model below `before`, newest first. Raises NotFoundError."""
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
    """Return models with their latest versions and aliases, in two statements for all."""
    ids = [model.id for model in models]
    latest = (
        select(ModelVersion.model_id, func.max(ModelVersion.version))
        .where(ModelVersion.model_id.in_(ids))
        .group_by(ModelVersion.model_id)
    )
    numbers = {row[0]: row[1] for row in session.execute(latest)}
    aliases: dict[int, dict[str, int]] = {}
    pointing = select(ModelAlias).where(ModelAlias.model_id.in_(ids)).order_by(ModelAlias.name)
    for alias in session.scalars(pointing):
        aliases.setdefault(alias.model_id, {})[alias.name] = alias.version
    return [
        Registered(model, numbers.get(model.id, 0), aliases.get(model.id, {})) for model in models
    ]


def _latest(session: Session, model: RegisteredModel) -> int:
    numbers = select(func.max(ModelVersion.version)).where(ModelVersion.model_id == model.id)
    return session.scalar(numbers) or 0
