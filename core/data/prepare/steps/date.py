"""The parts of a date."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Field

from core.data.prepare.preparation import (
    CellError,
    Cells,
    ColumnName,
    Feature,
    Learned,
    Preparation,
)
from core.data.table.dates import DateFormat, read_date
from core.family import member

Part: TypeAlias = Literal["year", "month", "day", "weekday", "hour", "elapsed"]
PERIODS: dict[Part, float] = {"month": 12, "day": 31, "weekday": 7, "hour": 24}
"""Parts that begin again, and how many values they have."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400


@member
class Date(Preparation):
    """The year, month, day of the month, weekday, hour and days since the first training row.

    A month, day, weekday (from Monday) or hour becomes the sine and cosine of its share of the
    period with `cyclic`, so that December is next to January; otherwise a number. The hour has
    fractions. Parts are those of the time as it is written; `elapsed` respects time zones.
    """

    since: ClassVar[int] = 2
    numbers: ClassVar[bool] = False
    text: ClassVar[bool] = True

    kind: Literal["date"] = "date"
    columns: Annotated[
        tuple[ColumnName, ...], Field(min_length=1, description="columns of dates, as text")
    ]
    format: Annotated[
        DateFormat,
        Field(description="`2026-01-31 12:30`, `31.1.2026` or `1/31/2026`; times are optional"),
    ] = "iso"
    parts: Annotated[tuple[Part, ...], Field(min_length=1, max_length=6)] = (
        "year",
        "month",
        "weekday",
        "hour",
        "elapsed",
    )
    cyclic: bool = True

    def __post_init__(self) -> None:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part is listed twice")

    def after(self, feature: Feature) -> Feature:
        width = sum(2 if self._circular(part) else 1 for part in self.parts)
        return replace(feature, shape=(width,), text=False, classes=None)

    def learn(self, cells: Cells) -> Learned:
        return self.learn_blocks([cells])

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        cells = enumerate(cell for block in blocks for cell in block.tolist())
        first = min(_days(self._moment(row, cell)) for row, cell in cells)
        return Learned({"first": np.array(first)})

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        first = float(learned.arrays["first"])
        known: dict[str, list[float]] = {}
        for row, cell in enumerate(cells.tolist()):
            if cell not in known:
                moment = self._moment(row, cell)
                known[cell] = [n for part in self.parts for n in self._numbers(part, moment, first)]
        width = sum(2 if self._circular(part) else 1 for part in self.parts)
        rows = [known[cell] for cell in cells.tolist()]
        return np.array(rows, np.float64).reshape(len(cells), width)

    def _circular(self, part: Part) -> bool:
        return self.cyclic and part in PERIODS

    def _numbers(self, part: Part, moment: datetime, first: float) -> Iterator[float]:
        value = _value(part, moment, first)
        if self._circular(part):
            angle = 2 * math.pi * value / PERIODS[part]
            yield from (math.sin(angle), math.cos(angle))
        else:
            yield value

    def _moment(self, row: int, cell: str | None) -> datetime:
        if cell is None:
            raise CellError(row, "the cell is empty: put an impute step before this one")
        moment = read_date(cell, self.format)
        if moment is None:
            raise CellError(row, f"{cell!r:.60} is no date of the format {self.format}")
        return moment

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        dates = ["2026-01-31", "2025-12-01 18:30", "2026-03-01T00:00:00+01:00"]
        yield cls(columns=("x",)), np.array(dates, object)
        days = np.array(["31.1.2026", "01/02/2026 7:15"], object)
        yield cls(columns=("x",), format="day_first", parts=("day", "hour"), cyclic=False), days


def _days(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds() / _DAY_SECONDS


def _value(part: Part, moment: datetime, first: float) -> float:
    """A part of a moment as a number."""
    if part == "elapsed":
        return _days(moment) - first
    if part == "weekday":
        return moment.weekday()
    if part == "hour":
        return moment.hour + moment.minute / 60 + moment.second / 3600
    value: int = getattr(moment, part)
    return value
