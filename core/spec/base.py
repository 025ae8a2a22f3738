"""What all specs share: immutable, closed to unknown fields, finite numbers only."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\- ]*$")
]
"""A name people give: letters, digits, and `_ . -` or spaces between them."""


class Spec(BaseModel):
    """Validated input. An unknown field is an error, not a typo that trains something else."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
