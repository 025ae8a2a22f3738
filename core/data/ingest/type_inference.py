"""Infer the type of a column of text from all its values."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from core.data.ingest.limits import Limits
from core.errors import InvalidError

# Written where a number is missing. In a column of text only the empty value is missing.
TOKENS = ["", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "?", "-"]
TRUE = ["true", "True", "TRUE"]
FALSE = ["false", "False", "FALSE"]
NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*")
_NUMBER_RE2 = rf"^{NUMBER.pattern}$"


class ColumnGuess:
    """The narrowest of boolean, int64, float64 and text that holds every value seen so far."""

    def __init__(self, name: str, text: bool, decimal: str) -> None:
        self.name = name
        self._declared = text
        self._decimal = decimal
        self._kind: str | None = "text" if text else None
        self._values = 0
        self._numbers = 0
        self._odd: tuple[int, str] | None = None

    def look(self, column: pa.Array, row: int, limits: Limits) -> None:
        """Add the values of `column`, the first of which is in row `row` (from 0).

        Raises InvalidError naming the row of a value that is too long.
        """
        self._refuse_long(column, row, limits)
        if self._declared:
            return
        if self._kind in {None, "int", "float"} and self._at_once(column):
            return
        missing = pc.is_in(column, pa.array(TOKENS))
        values = column.filter(pc.invert(missing)) if pc.any(missing).as_py() else column
        if not len(values):
            return
        self._values += len(values)
        kind = self._kind_of(values)
        if kind == "text":
            self._count_numbers(column, values, row)
        elif kind != "bool":
            self._numbers += len(values)
        self._kind = _wider(self._kind, kind)

    def settle(self) -> None:
        """Raise InvalidError when most values are numbers and some are not, which is a mistake."""
        if self._kind != "text" or self._declared or self._odd is None:
            return
        if 2 * self._numbers > self._values:
            row, value = self._odd
            raise InvalidError(
                f"column {self.name!r} mixes numbers and text: row {row + 1} holds {value!r}, "
                f"while {self._numbers:,} of {self._values:,} values are numbers. Correct it, or "
                f"declare the column as text: content type `text/csv; text={self.name}`"
            )

    def arrow_type(self) -> pa.DataType:
        """The type to read the column as; a column without any value counts as numbers."""
        types = {"bool": pa.bool_(), "int": pa.int64(), "text": pa.string()}
        return types.get(self._kind or "float", pa.float64())

    def _at_once(self, column: pa.Array) -> bool:
        """Add a column of plain numbers: the common, fast case."""
        kind = "int" if self._kind != "float" and _casts(column, pa.int64()) else "float"
        if kind == "float" and not _casts(column, pa.float64()):
            return False
        self._values += len(column)
        self._numbers += len(column)
        self._kind = _wider(self._kind, kind) if len(column) else self._kind
        return True

    def _kind_of(self, values: pa.Array) -> str:
        """The narrowest kind that holds all of `values`; earlier kinds are tried first."""
        if pc.all(pc.is_in(values, pa.array(TRUE + FALSE))).as_py():
            return "bool"
        trimmed = pc.utf8_trim_whitespace(values)
        if self._kind != "float" and _casts(trimmed, pa.int64()):
            return "int"
        if self._decimal == ",":
            trimmed = pc.replace_substring(trimmed, ",", ".", max_replacements=1)
        return "float" if _casts(trimmed, pa.float64()) else "text"

    def _count_numbers(self, column: pa.Array, values: pa.Array, row: int) -> None:
        """Count the numbers among text, and remember the first other value."""
        self._numbers += pc.sum(pc.match_substring_regex(values, _NUMBER_RE2)).as_py() or 0
        if self._odd is None:
            numbers = pc.match_substring_regex(column, _NUMBER_RE2)
            fine = pc.or_(numbers, pc.is_in(column, pa.array(TOKENS)))
            place = pc.index(fine, False).as_py()
            self._odd = (row + place, column[place].as_py()[:40]) if place >= 0 else None

    def _refuse_long(self, column: pa.Array, row: int, limits: Limits) -> None:
        """Raise InvalidError for a value beyond the limit of a cell."""
        lengths = pc.binary_length(column)
        longest = pc.max(lengths).as_py() or 0
        if longest > limits.max_cell_bytes:
            place = pc.index(lengths, longest).as_py()
            raise InvalidError(
                f"column {self.name!r}, row {row + place + 1}: a value of {longest:,} bytes; "
                f"at most {limits.max_cell_bytes:,} are allowed (is a double quote left open?)"
            )


def _casts(values: pa.Array, kind: pa.DataType) -> bool:
    """Whether every value can be read as `kind`."""
    try:
        pc.cast(values, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _wider(before: str | None, now: str) -> str:
    """The narrowest kind that holds both; for numbers and booleans it is text."""
    if before is None or before == now:
        return now
    if {before, now} == {"int", "float"}:
        return "float"
    return "text"
