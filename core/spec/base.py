"""The base class and shared fields of specs."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.family import FIRST

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\- ]*$")
]
"""A display name: letters, digits, and `_`, `.`, `-` or spaces between them."""

TagKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-/]{1,250}$")]
Tags = Annotated[
    dict[TagKey, Annotated[str, StringConstraints(max_length=4096)]],
    Field(max_length=64),
]
"""Free-form labels of a job."""

Priority = Annotated[int, Field(ge=-100, le=100, description="higher goes first")]
MostAttempts = Annotated[
    int | None, Field(ge=1, le=100, description="lost attempts after which the job fails")
]


class Spec(BaseModel):
    """Base of validated input: immutable, without unknown fields, with finite numbers only.

    `since` is the spec version that introduced this spec.
    """

    since: ClassVar[int] = FIRST

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
