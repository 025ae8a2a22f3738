"""Parameters that several routes share."""

import re
from typing import Annotated

from fastapi import Depends, Header, Path
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from core.data.table.query import MAX_CHARACTERS
from core.errors import FieldError, InvalidError, NotFoundError
from core.spec.names import ALIAS, MAX_VERSION, NAME, parse_reference

_ID = re.compile(r"[0-9a-f]{32}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _job_id(
    job_id: Annotated[str, Path(description="`id` of the job, as returned by its submission")],
) -> str:
    if not _ID.fullmatch(job_id):
        raise NotFoundError(f"there is no job {job_id}")
    return job_id


def _sweep_id(
    sweep_id: Annotated[str, Path(description="`id` of the sweep, as returned by its submission")],
) -> str:
    if not _ID.fullmatch(sweep_id):
        raise NotFoundError(f"there is no sweep {sweep_id}")
    return sweep_id


def _webhook_id(
    webhook_id: Annotated[
        str, Path(description="`id` of the webhook, as returned by its creation")
    ],
) -> str:
    if not _ID.fullmatch(webhook_id):
        raise NotFoundError(f"there is no webhook {webhook_id}")
    return webhook_id


WebhookId = Annotated[str, Depends(_webhook_id)]
"""Parameter of an endpoint: a well-formed webhook id."""

SweepId = Annotated[str, Depends(_sweep_id)]
"""Parameter of an endpoint: a well-formed sweep id."""

JobId = Annotated[str, Depends(_job_id)]
"""Parameter of an endpoint: a well-formed job id."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="a unique text of your choice; a repeated request with the same key and body "
        "returns the first result",
    ),
]
"""Parameter of an endpoint that creates a job or a sweep."""


Name = Annotated[str, Path(max_length=128, pattern=f"^{NAME.pattern}$", examples=["pets"])]
"""Parameter of an endpoint: the name of a dataset or a model."""

Version = Annotated[int, Path(ge=1, le=MAX_VERSION, examples=[1])]
"""Parameter of an endpoint: the number of a version."""

Alias = Annotated[str, Path(max_length=128, pattern=f"^{ALIAS.pattern}$", examples=["champion"])]
"""Parameter of an endpoint: the alias of a version."""


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
"""Parameter of an endpoint: a well-formed `name@3`, `name@alias` or `name`."""


class VersionNumber(BaseModel):
    """The version that an alias should point at."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 1}]})

    version: Annotated[int, Field(strict=True, ge=1, le=MAX_VERSION, examples=[1])]


QueryText = Annotated[
    str,
    Field(
        max_length=MAX_CHARACTERS,
        description="as in a JobSpec's `data.query`; empty: all rows",
        examples=["height:[1.4 TO 1.6] @limit:100"],
    ),
]
"""Field of a body: a query that selects rows of a dataset version."""

Tags = Annotated[
    list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-/]+:")]],
    Field(
        default_factory=list,
        max_length=16,
        description="`key:value`; repeat the parameter to require several tags",
    ),
]
"""Filter of a list: tags that must all match."""


def _written_out(value: object) -> object:
    """Refuse numbers, which pydantic takes for seconds since 1970. Raises ValueError."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("expected a time with its zone, like 2026-01-31T12:00:00Z")
    return value


CreatedAfter = Annotated[
    AwareDatetime | None,
    BeforeValidator(_written_out),
    Field(description="created at this time or later", examples=["2026-01-31T00:00:00Z"]),
]
"""Filter of a list: the first time of creation."""

CreatedBefore = Annotated[
    AwareDatetime | None,
    BeforeValidator(_written_out),
    Field(description="created before this time", examples=["2026-02-01T00:00:00Z"]),
]
"""Filter of a list: the time before which things were created."""

Text = Annotated[str, StringConstraints(max_length=4096)]
"""Field of a body: a text of a few paragraphs."""


def pairs(tags: list[str]) -> dict[str, str]:
    """Convert tags such as `team:a` to a dictionary."""
    return dict(tag.split(":", 1) for tag in tags)


class Paging(BaseModel):
    """The page of a list to return."""

    # A mistyped filter must not return the unfiltered list.
    model_config = ConfigDict(extra="forbid")

    cursor: (
        Annotated[str, Field(max_length=250, description="`next` of the previous page")] | None
    ) = None
    limit: Annotated[int, Field(ge=1, le=500, description="maximum number of items")] = 50

    def number(self, most: int = MAX_VERSION) -> int | None:
        """The cursor of a list that is ordered by number, at most `most`; None for the first page.

        A number that the column cannot hold must not be compared with it. Raises InvalidError.
        """
        if self.cursor is None:
            return None
        if not (self.cursor.isascii() and self.cursor.isdigit() and len(self.cursor) < 19):
            message = "this is not a cursor of this list; omit it to get the first page"
            raise InvalidError("the cursor is wrong", [FieldError("query.cursor", message)])
        return min(int(self.cursor), most)
