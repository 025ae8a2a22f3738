"""Storage: what takes the space, for how long it is kept, and what is deleted next."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from api.auth import Owner
from api.context import Context, Here
from api.http.openapi import ALWAYS, problems
from api.resources.base import Read
from api.retention import chosen, file_sizes
from core.db.session import reading
from core.retention import Freed, Usage, database_bytes, table_usage

router = APIRouter(prefix="/v1/storage", tags=["retention"], responses=problems(*ALWAYS))


class StoredKind(Read):
    """Rows or files of one kind."""

    kind: str
    place: Annotated[
        Literal["database", "store", "disk"],
        Field(description="disk: the data folder of this server"),
    ]
    count: Annotated[int | None, Field(description="rows or files; null: part of other kinds")]
    bytes: Annotated[int | None, Field(description="of rows an estimate; null: of other kinds")]
    days: Annotated[float | None, Field(description="for how many days it is kept; null: for ever")]
    overdue_rows: Annotated[int, Field(description="rows that retention deletes next")]
    overdue_files: Annotated[int, Field(description="files that retention deletes next")]
    overdue_bytes: Annotated[int, Field(description="their size; of rows an estimate")]


class Stored(Read):
    """What takes the space."""

    database_bytes: Annotated[int, Field(description="size of the database")]
    reusable_bytes: Annotated[
        int, Field(description="of these, free for new rows; 0 if the database does not say")
    ]
    kinds: list[StoredKind]


@router.get("", responses=problems(503))
def read_storage(here: Here, _: Owner) -> Stored:
    """Return what takes the space by kind, for how long it is kept, and what is deleted next.

    Files are counted every ten minutes at most.
    """
    files = file_sizes(here)
    overdue = {
        policy.kind: policy.overdue(here.storage)
        for policy in chosen(here, here.kept_days)
        if policy.kind not in files.overdue
    }
    with reading(here.engine) as session:
        usages = [*table_usage(session), *files.usages]
        total, reusable = database_bytes(session)
    return Stored(
        database_bytes=total,
        reusable_bytes=reusable,
        kinds=list(_kinds(here, usages, overdue | files.overdue)),
    )


def _kinds(here: Context, usages: list[Usage], overdue: dict[str, Freed]) -> Iterator[StoredKind]:
    """The kinds, and last the files that no row names, which the other kinds contain."""
    places = [(usage.kind, usage.place, usage.count, usage.bytes) for usage in usages]
    for kind, place, count, size in [*places, ("orphans", "store", None, None)]:
        freed = overdue.get(kind, Freed())
        yield StoredKind(
            kind=kind,
            place=place,
            count=count,
            bytes=size,
            days=here.kept_days.get(kind),
            overdue_rows=freed.rows,
            overdue_files=freed.files,
            overdue_bytes=freed.bytes,
        )
