"""Column types that read the same on SQLite and PostgreSQL."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970 of an aware `moment`. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return (moment - _EPOCH) // _MILLISECOND


def from_milliseconds(count: int) -> datetime:
    """The aware UTC moment `count` milliseconds after 1970."""
    return _EPOCH + count * _MILLISECOND


class Timestamp(TypeDecorator[datetime]):
    """A moment: whole milliseconds UTC in the database, an aware datetime in Python.

    Integers compare, subtract and index alike on both databases; no time zone can slip in.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """What the database stores."""
        return None if value is None else to_milliseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """What Python sees."""
        return None if value is None else from_milliseconds(int(value))


def storable(value: Any) -> Any:
    """`value` as JSON that both databases accept.

    Numbers that JSON cannot write become the strings `NaN`, `Infinity` and `-Infinity` (float()
    reads them back); characters that PostgreSQL refuses become U+FFFD.
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
    """A JSON document; NaN and infinities inside are stored as strings."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """jsonb on PostgreSQL, text with JSON elsewhere."""
        kind = JSONB(none_as_null=True) if dialect.name == "postgresql" else JSON(none_as_null=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any:
        """What the database stores."""
        return None if value is None else storable(value)
