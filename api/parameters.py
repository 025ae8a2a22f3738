"""Parameters that several routes take."""

import re
from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from core.errors import FieldError, InvalidError, NotFoundError

_ID = re.compile(r"[0-9a-f]{32}")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,127}(@[A-Za-z0-9_][A-Za-z0-9._\-]{0,127})?")


def _job_id(
    job_id: Annotated[str, Path(description="as the answer to the submission said")],
) -> str:
    if not _ID.fullmatch(job_id):
        raise NotFoundError(f"there is no job {job_id}")
    return job_id


def _sweep_id(
    sweep_id: Annotated[str, Path(description="as the answer that began it said")],
) -> str:
    if not _ID.fullmatch(sweep_id):
        raise NotFoundError(f"there is no sweep {sweep_id}")
    return sweep_id


SweepId = Annotated[str, Depends(_sweep_id)]
"""Parameter of an endpoint: the id of a sweep, perhaps of one that is not there."""

JobId = Annotated[str, Depends(_job_id)]
"""Parameter of an endpoint: the id of a job, perhaps of one that is not there."""


def _model_reference(
    reference: Annotated[str, Path(max_length=257, examples=["pets@champion"])],
) -> str:
    if not _REFERENCE.fullmatch(reference):
        raise NotFoundError(f"there is no model {reference!r}: name@3, name@alias or name")
    return reference


ModelReference = Annotated[str, Depends(_model_reference)]
"""Parameter of an endpoint: `name@3`, `name@alias` or `name`, perhaps of what is not there."""


class Paging(BaseModel):
    """Which part of a list; base of the filters of each list."""

    # A mistyped filter must not quietly list everything.
    model_config = ConfigDict(extra="forbid")

    cursor: (
        Annotated[str, Field(max_length=250, description="`next` of the page before")] | None
    ) = None
    limit: Annotated[int, Field(ge=1, le=500, description="items a page")] = 50


def position(cursor: str) -> int:
    """The number that a cursor of a numbered list stands for. Raises InvalidError."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        message = "not a cursor of this list; leave it out to begin at the first page"
        raise InvalidError("the cursor is wrong", [FieldError("query.cursor", message)])
    return int(cursor)
