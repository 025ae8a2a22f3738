"""Aliases of models: set, remove and roll back, with a history of changes."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import notices
from core.db.tables import AliasChange, ModelAlias, ModelVersion, RegisteredModel
from core.errors import ConflictError, existing
from core.models.registry import get_model, get_version
from core.spec.names import check_alias


def set_alias(
    session: Session, name: str, alias: str, version: int, *, owner: str, reason: str = "set"
) -> ModelVersion:
    """Point `name@alias` at a version.

    Raises NotFoundError for an unknown version, InvalidError for an invalid alias.
    """
    check_alias(alias)
    target = get_version(session, name, version)
    model = _locked(session, name)
    present = session.get(ModelAlias, (model.id, alias))
    before = present.version if present else None
    if before == version:
        return target
    session.merge(ModelAlias(model_id=model.id, name=alias, version=version))
    _log_change(session, model, alias, version, before, reason, owner)
    return target


def remove_alias(session: Session, name: str, alias: str, *, owner: str) -> None:
    """Remove an alias. Raises NotFoundError if it does not exist."""
    model = _locked(session, name)
    present = _alias(session, model, alias)
    _log_change(session, model, alias, None, present.version, "removed", owner)
    session.delete(present)


def roll_back(session: Session, name: str, alias: str, *, owner: str) -> ModelVersion:
    """Point `name@alias` at its previous version; a second call at the one before that.

    Raises NotFoundError for an unknown alias, ConflictError if it has no previous version.
    """
    model = _locked(session, name)
    present = _alias(session, model, alias)
    path: list[int] = []
    for change in reversed(changes(session, name, alias)):
        if change.version is None:
            path.clear()
        elif change.version in path:
            # Returning to a version discards the versions after it.
            del path[path.index(change.version) + 1 :]
        else:
            path.append(change.version)
    if len(path) < 2 or path[-1] != present.version:
        raise ConflictError(f"{name}@{alias} pointed at no other version before")
    return set_alias(session, name, alias, path[-2], owner=owner, reason="rolled back")


def changes(
    session: Session, name: str, alias: str, *, before: int | None = None, limit: int | None = None
) -> list[AliasChange]:
    """Return the changes of an alias, newest first. Raises NotFoundError for an unknown model."""
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


def _alias(session: Session, model: RegisteredModel, alias: str) -> ModelAlias:
    """Return the row of an alias. Raises NotFoundError."""
    row = session.get(ModelAlias, (model.id, alias))
    return existing(row, f"model {model.name!r} has no alias {alias[:140]!r}")


def _locked(session: Session, name: str) -> RegisteredModel:
    """Return the model with its row locked until the transaction ends."""
    model = get_model(session, name)
    statement = select(RegisteredModel).where(RegisteredModel.id == model.id).with_for_update()
    return session.scalars(statement).one()


def _log_change(
    session: Session,
    model: RegisteredModel,
    alias: str,
    version: int | None,
    before: int | None,
    reason: str,
    owner: str,
) -> None:
    model.revision = RegisteredModel.revision + 1
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
    content = {
        "name": model.name,
        "alias": alias,
        "version": version,
        "before": before,
        "reason": reason,
        "owner": owner,
    }
    notices.announce(session, "model.alias_moved", lambda: content)
