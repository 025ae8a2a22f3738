"""Names of one's own for a version of a dataset."""

from sqlalchemy.orm import Session

from core.datasets.queries import get_dataset, get_version
from core.db.tables import Alias
from core.errors import NotFoundError
from core.spec.names import check_alias


def set_alias(session: Session, name: str, alias: str, version: int) -> Alias:
    """Let `name@alias` refer to a version from now on; jobs that run keep the one they have.

    Raises NotFoundError for a version that is not there or was erased, InvalidError for a name
    that cannot be an alias.
    """
    check_alias(alias)
    target = get_version(session, name, version)
    if target.erase_requested_at is not None:
        raise NotFoundError(f"{name}@{version} was erased, or is about to be")
    return session.merge(Alias(dataset_id=target.dataset_id, name=alias, version=version))


def remove_alias(session: Session, name: str, alias: str) -> None:
    """Let `name@alias` refer to nothing. Raises NotFoundError when it does not exist."""
    dataset = get_dataset(session, name)
    found = session.get(Alias, (dataset.id, alias))
    if found is None:
        raise NotFoundError(f"dataset {name!r} has no alias {alias!r}")
    session.delete(found)
