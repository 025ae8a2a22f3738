"""Pages of lists."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from api.resources.schemas import Page, Read

Row = TypeVar("Row")
Item = TypeVar("Item", bound=Read)


def page(
    found: Sequence[Row],
    limit: int,
    view: Callable[[Row], Item],
    cursor: Callable[[Row], object],
) -> Page[Item]:
    """The first `limit` of the rows that were found, as `view` shows them.

    Ask for one row more than `limit`: it says that there is a next page, which begins after what
    `cursor` tells of the last row shown.
    """
    shown = found[:limit]
    more = len(found) > limit
    return Page(items=[view(one) for one in shown], next=str(cursor(shown[-1])) if more else None)
