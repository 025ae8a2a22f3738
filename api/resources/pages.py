"""Pages of lists."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pydantic import Field

from api.resources.base import Read

Row = TypeVar("Row")
Item = TypeVar("Item")
ReadItem = TypeVar("ReadItem", bound=Read)


class Page(Read, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(
        None, description="send it as `cursor` to get the next page; null: this is the last page"
    )


def page(
    rows: Sequence[Row],
    limit: int,
    view: Callable[[Row], ReadItem],
    cursor: Callable[[Row], object],
) -> Page[ReadItem]:
    """Show the first `limit` of `rows`, each converted by `view`.

    Pass one row more than `limit` if there is one: the page then has a `next` cursor, which is
    `cursor` of the last row shown.
    """
    shown = rows[:limit]
    following = str(cursor(shown[-1])) if len(rows) > limit else None
    return Page(items=[view(row) for row in shown], next=following)
