"""Aliases of models: let a name point at a version, remember why, go back."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import notices
from core.db.tables import AliasChange, ModelAlias, ModelVersion, RegisteredModel
from core.errors import ConflictError, NotFoundError
from core.models.registry import get_model, get_version
from core.spec.names import check_alias


def set_alias(
    session: Session, name: str, alias: str, version: int, *, owner: str, reason: str = "set"
) -> ModelVersion:
    """Let `name@alias` refer to a version from now on.

    Raises NotFoundError for a version that is not there, InvalidError for a name that cannot be an
    alias.
    """
    check_alias(alias)
    target = get_version(session, name, version)
    model = _locked(session, name)
    present = session.get(ModelAlias, (model.id, alias))
    before = present.version if present else None
    if before == version:
        return target
    session.merge(ModelAlias(model_id=model.id, name=alias, version=version))
    _remember(session, model, alias, version, before, reason, owner)
    return target


def remove_alias(session: Session, name: str, alias: str, *, owner: str) -> None:
    """Let `name@alias` refer to nothing. Raises NotFoundError when it does not exist."""
    model = _locked(session, name)
    present = session.get(ModelAlias, (model.id, alias))
    if present is None:
        raise NotFoundError(f"model {name!r} has no alias {alias[:140]!r}")
    _remember(session, model, alias, None, present.version, "removed", owner)
    session.delete(present)


def roll_back(session: Session, name: str, alias: str, *, owner: str) -> ModelVersion:
    """Let `name@alias` refer to the version before the present one; again: to the one before that.

    Raises NotFoundError for an alias that is not there, ConflictError when nothing came before.
    """
    model = _locked(session, name)
    present = session.get(ModelAlias, (model.id, alias))
    if present is None:
        raise NotFoundError(f"model {name!r} has no alias {alias[:140]!r}")
    path: list[int] = []
    for change in reversed(changes(session, name, alias)):
        if change.version is None:
            path.clear()
        elif change.version in path:
            # Going back to a version forgets what came after it.
            del path[path.index(change.version) + 1 :]
        else:
            path.append(change.version)
    if len(path) < 2 or path[-1] != present.version:
        raise ConflictError(f"{name}@{alias} pointed at no other version before")
    return set_alias(session, name, alias, path[-2], owner=owner, reason="rolled back")


def changes(
    session: Session, name: str, alias: str, *, before: int | None = None, limit: int | None = None
) -> list[AliasChange]:
    """How an alias was moved, newest first. Raises NotFoundError when there is no such model."""
    model = get_model(session, name)
    statement = (
        select(AliasChange)
        .where(AliasChange.model_id == model.id, AliasChange.alias == alias)
        .order_by(AliasChange.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(AliasChange.id < before)
    return list(session.scalars(statement))


def _locked(session: Session, name: str) -> RegisteredModel:
    """The model, its aliases not moved by others until the transaction ends."""
    model = get_model(session, name)
    statement = select(RegisteredModel).where(RegisteredModel.id == model.id).with_for_update()
    return session.scalars(statement).one()


def _remember(
    session: Session,
    model: RegisteredModel,
    alias: str,
    version: int | None,
    before: int | None,
    reason: str,
    owner: str,
) -> None:
    session.add(
        AliasChange(
            model_id=model.id,
            alias=alias,
            version=version,
            before=before,
            reason=reason[:4096],
            owner=owner,
        )
    )
    session.flush()
    told = {
        "name": model.name,
        "alias": alias,
        "version": version,
        "before": before,
        "reason": reason,
        "owner": owner,
    }
    notices.announce(session, "model.alias_moved", lambda: told)
