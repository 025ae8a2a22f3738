"""Column types with the same behaviour on SQLite and PostgreSQL."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """Convert an aware datetime to milliseconds since 1970. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return (moment - _EPOCH) // _MILLISECOND


def from_milliseconds(count: int) -> datetime:
    """Convert milliseconds since 1970 to an aware datetime in UTC."""
    return _EPOCH + count * _MILLISECOND


class Timestamp(TypeDecorator[datetime]):
    """A time: milliseconds since 1970 in the database, an aware datetime in Python.

    Integers can be compared, subtracted and indexed alike on both databases.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        """Convert a Python value to a stored value."""
        return None if value is None else to_milliseconds(value)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> datetime | None:
        """Convert a stored value to a Python value."""
        return None if value is None else from_milliseconds(int(value))


def storable(value: Any) -> Any:
    """Convert `value` to JSON that both databases accept.

    Numbers that are not finite become the strings `NaN`, `Infinity` and `-Infinity`, which float()
    converts back. Characters that PostgreSQL refuses become U+FFFD.
    """
    if isinstance(value, dict):
        return {storable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return _storable_text(value)
    return value


def _storable_text(text: str) -> str:
    clean = text.replace("\x00", "\ufffd")
    return clean if clean.isascii() else clean.encode("utf-8", "replace").decode("utf-8")


class Document(TypeDecorator[Any]):
    """A JSON document, in which NaN and infinities are stored as strings."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Use jsonb on PostgreSQL and JSON text elsewhere."""
        kind = JSONB(none_as_null=True) if dialect.name == "postgresql" else JSON(none_as_null=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any | None, _dialect: Dialect) -> Any:
        """Convert a Python value to a stored value."""
        return None if value is None else storable(value)
