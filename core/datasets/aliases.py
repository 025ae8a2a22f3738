"""Aliases of datasets."""

from sqlalchemy.orm import Session

from core.datasets.queries import get_dataset, get_version
from core.db.tables import Alias
from core.errors import NotFoundError, existing
from core.spec.names import check_alias


def set_alias(session: Session, name: str, alias: str, version: int) -> Alias:
    """Point `name@alias` at a version; submitted jobs keep their version.

    Raises NotFoundError for an unknown or erased version, InvalidError for an invalid alias.
    """
    check_alias(alias)
    target = get_version(session, name, version)
    if target.erase_requested_at is not None:
        raise NotFoundError(f"{name}@{version} was erased, or is about to be")
    return session.merge(Alias(dataset_id=target.dataset_id, name=alias, version=version))


def remove_alias(session: Session, name: str, alias: str) -> None:
    """Remove an alias. Raises NotFoundError if it does not exist."""
    dataset = get_dataset(session, name)
    row = session.get(Alias, (dataset.id, alias))
    session.delete(existing(row, f"dataset {name!r} has no alias {alias!r}"))
