"""Parameters that several routes take."""

import re
from typing import Annotated

from fastapi import Depends, Header, Path
from pydantic import BaseModel, ConfigDict, Field

from core.data.table.query import MAX_CHARACTERS
from core.errors import FieldError, InvalidError, NotFoundError
from core.spec.names import ALIAS, MAX_VERSION, NAME, parse_reference

_ID = re.compile(r"[0-9a-f]{32}")


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


def _webhook_id(
    webhook_id: Annotated[str, Path(description="as the answer that made it said")],
) -> str:
    if not _ID.fullmatch(webhook_id):
        raise NotFoundError(f"there is no webhook {webhook_id}")
    return webhook_id


WebhookId = Annotated[str, Depends(_webhook_id)]
"""Parameter of an endpoint: the id of a webhook, perhaps of one that is not there."""

SweepId = Annotated[str, Depends(_sweep_id)]
"""Parameter of an endpoint: the id of a sweep, perhaps of one that is not there."""

JobId = Annotated[str, Depends(_job_id)]
"""Parameter of an endpoint: the id of a job, perhaps of one that is not there."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="any text of your own; sent again with the same body nothing is begun twice",
    ),
]
"""Parameter of an endpoint that queues a job or begins a sweep."""


Name = Annotated[str, Path(max_length=128, pattern=f"^{NAME.pattern}$", examples=["pets"])]
"""Parameter of an endpoint: the name of a dataset or a model."""

Version = Annotated[int, Path(ge=1, le=MAX_VERSION, examples=[1])]
"""Parameter of an endpoint: the number of a version."""

Alias = Annotated[str, Path(max_length=128, pattern=f"^{ALIAS.pattern}$", examples=["champion"])]
"""Parameter of an endpoint: a name of one's own for a version."""


def _model_reference(
    reference: Annotated[str, Path(max_length=257, examples=["pets@champion"])],
) -> str:
    try:
        parse_reference(reference)
    except InvalidError:
        raise NotFoundError(
            f"there is no model {reference!r}: name@3, name@alias or name"
        ) from None
    return reference


ModelReference = Annotated[str, Depends(_model_reference)]
"""Parameter of an endpoint: `name@3`, `name@alias` or `name`, perhaps of what is not there."""


class VersionNumber(BaseModel):
    """Body of a request: the version that an alias is to point at."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(strict=True, ge=1, le=MAX_VERSION, examples=[1])]


QueryText = Annotated[
    str,
    Field(
        max_length=MAX_CHARACTERS,
        description="as in a JobSpec's `data.query`; empty: all rows",
        examples=["height:[1.4 TO 1.6] @limit:100"],
    ),
]
"""Field of a body: which rows of a dataset version are meant."""

Tags = Annotated[
    list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-/]+:")]],
    Field(
        default_factory=list,
        max_length=16,
        description="`key:value`; may be given several times",
    ),
]
"""Filter of a list: tags that all have to match."""


def pairs(tags: list[str]) -> dict[str, str]:
    """`team:a` and so on as a dictionary."""
    return dict(one.split(":", 1) for one in tags)


class Paging(BaseModel):
    """Which part of a list; base of the filters of each list."""

    # A mistyped filter must not quietly list everything.
    model_config = ConfigDict(extra="forbid")

    cursor: (
        Annotated[str, Field(max_length=250, description="`next` of the page before")] | None
    ) = None
    limit: Annotated[int, Field(ge=1, le=500, description="items a page")] = 50

    def number(self, most: int = MAX_VERSION) -> int | None:
        """What the cursor of a numbered list stands for, `most` for any beyond; None without one.

        A number that its column cannot hold must not be compared with it. Raises InvalidError.
        """
        if self.cursor is None:
            return None
        if not (self.cursor.isascii() and self.cursor.isdigit() and len(self.cursor) < 19):
            message = "not a cursor of this list; leave it out to begin at the first page"
            raise InvalidError("the cursor is wrong", [FieldError("query.cursor", message)])
        return min(int(self.cursor), most)
