"""What all read schemas share: their base, and numbers as JSON can write them."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""A metric's value. JSON has no literal for the three values that are not finite."""

Metrics = Annotated[
    dict[str, Number], Field(examples=[{"train/loss": 0.08, "valid/accuracy": 0.98}])
]


class Read(BaseModel):
    """Base of all read schemas."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    @classmethod
    def from_row(cls, row: Any, **fields: Any) -> Self:
        """The schema of a row: `fields`, and for all others its attributes of the same name.

        Raises AttributeError if the row lacks one.
        """
        names = cls.model_fields.keys() - fields.keys()
        return cls(**{name: getattr(row, name) for name in names}, **fields)


def json_numbers(value: Any) -> Any:
    """Replace the numbers in `value` that are not finite by the strings of `Number`."""
    if isinstance(value, dict):
        return {key: json_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_numbers(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def metrics_in(document: Any) -> dict[str, Any]:
    """The metrics of a stored document, without values that are not numbers."""
    items = document.items() if isinstance(document, dict) else ()
    return {key: value for key, value in items if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")
