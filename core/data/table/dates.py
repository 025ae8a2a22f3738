"""Dates as text: how they are written, and the moment of each."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal, TypeAlias

DateFormat: TypeAlias = Literal["iso", "day_first", "month_first"]
"""`2026-01-31` with a time or without, `31.1.2026` or `31/01/2026`, `1/31/2026`."""

_TIME = (
    r"(?:[T ,]\s*(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:\.\d+)?)?\s*(?P<zone>Z|[-+]\d{2}:?\d{2})?)?\s*$"
)
_DAY, _MONTH = r"(?P<day>0?[1-9]|[12]\d|3[01])", r"(?P<month>0?[1-9]|1[0-2])"
PATTERNS: dict[DateFormat, str] = {
    "iso": rf"^\s*(?P<year>\d{{4}})-{_MONTH}-{_DAY}{_TIME}",
    "day_first": rf"^\s*{_DAY}[./-]{_MONTH}[./-](?P<year>\d{{4}}){_TIME}",
    "month_first": rf"^\s*{_MONTH}[./-]{_DAY}[./-](?P<year>\d{{4}}){_TIME}",
}
"""A regular expression for each format."""


@lru_cache(2**16)
def read_date(text: str, form: DateFormat) -> datetime | None:
    """Return the moment that `text` names, as it is written; None if it is no date.

    A moment has its time zone if the text names one, else UTC. Fractions of a second are dropped.
    """
    match = re.match(PATTERNS[form], text)
    if match is None:
        return None
    parts = match.groupdict()
    names = ("year", "month", "day", "hour", "minute", "second")
    year, month, day, hour, minute, second = (int(parts[name] or 0) for name in names)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=_zone(parts["zone"]))
    except ValueError:
        return None


def _zone(text: str | None) -> tzinfo:
    """The time zone of `Z` or of an offset such as `+01:30`."""
    if text is None or text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
