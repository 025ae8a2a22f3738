"""Description and tags of a dataset."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from core.datasets.queries import get_dataset
from core.db.tables import Dataset
from core.errors import InvalidError

MOST_TAGS = 64


def describe(
    session: Session,
    name: str,
    *,
    description: str | None = None,
    tags: Mapping[str, str | None] | None = None,
) -> Dataset:
    """Change the description of a dataset, if given, and the given tags.

    A tag of None is removed; tags that are not named stay. Raises NotFoundError, and InvalidError
    for more than 64 tags.
    """
    row = get_dataset(session, name)
    session.refresh(row, with_for_update=True)
    if description is not None:
        row.description = description
    changed = {**row.tags, **(tags or {})}
    kept = {key: value for key, value in changed.items() if value is not None}
    if len(kept) > MOST_TAGS:
        raise InvalidError(f"a dataset has {MOST_TAGS} tags at most")
    row.tags = kept
    session.flush()
    return row
