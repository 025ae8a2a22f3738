"""Names for what jobs learned: `digits@3`, `digits@champion`, `digits`: the latest."""

import re
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.tables import Job, ModelAlias, ModelVersion, RegisteredModel
from core.db.upsert import upsert
from core.errors import FieldError, InvalidError, NotFoundError
from core.models.loading import locate

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,127}")
ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9._\-]{0,127}")
LATEST = "latest"
MAX_VERSION = 2**31 - 1


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
    if not NAME.fullmatch(name):
        message = (
            "a model's name is up to 128 letters, digits, dots, dashes and underscores, the first "
            f"a letter or digit; {name[:140]!r} is not"
        )
        raise InvalidError(message, [FieldError("name", message)])
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

    Raises NotFoundError.
    """
    name, separator, which = reference.partition("@")
    model = get_model(session, name)
    if not separator or which == LATEST:
        return get_version(session, name, _latest(session, model))
    if which.isascii() and which.isdigit() and len(which) <= len(str(MAX_VERSION)):
        return get_version(session, name, min(int(which), MAX_VERSION))
    alias = session.get(ModelAlias, (model.id, which)) if ALIAS.fullmatch(which) else None
    if alias is None:
        raise NotFoundError(f"model {name!r} has no version or alias {which[:140]!r}")
    return get_version(session, name, alias.version)


def aliases(session: Session, model: RegisteredModel) -> dict[str, int]:
    """The versions that aliases of a model point at."""
    statement = select(ModelAlias).where(ModelAlias.model_id == model.id).order_by(ModelAlias.name)
    return {alias.name: alias.version for alias in session.scalars(statement)}


def summary(session: Session, model: RegisteredModel) -> Registered:
    """A model with its latest version and its aliases."""
    return Registered(model, _latest(session, model), aliases(session, model))


def list_models(session: Session, *, after: str | None = None, limit: int = 50) -> list[Registered]:
    """Models by name, those whose name comes after `after`."""
    statement = select(RegisteredModel).order_by(RegisteredModel.name).limit(limit)
    if after is not None:
        statement = statement.where(RegisteredModel.name > after)
    return [summary(session, model) for model in session.scalars(statement)]


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


def _latest(session: Session, model: RegisteredModel) -> int:
    numbers = select(func.max(ModelVersion.version)).where(ModelVersion.model_id == model.id)
    return session.scalar(numbers) or 0
