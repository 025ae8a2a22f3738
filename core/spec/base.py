"""What all specs share: immutable, closed to unknown fields, finite numbers only."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.family import FIRST

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\- ]*$")
]
"""A name people give: letters, digits, and `_ . -` or spaces between them."""

TagKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-/]{1,250}$")]
Tags = Annotated[
    dict[TagKey, Annotated[str, StringConstraints(max_length=4096)]],
    Field(default_factory=dict, max_length=64),
]
"""What people note of a job."""

Priority = Annotated[int, Field(ge=-100, le=100, description="higher goes first")]
MostAttempts = Annotated[
    int | None, Field(ge=1, le=100, description="lost attempts before the job counts as failed")
]


class Spec(BaseModel):
    """Validated input. An unknown field is an error, not a typo that trains something else.

    A kind of spec says with `since` with which spec version it came.
    """

    since: ClassVar[int] = FIRST

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
