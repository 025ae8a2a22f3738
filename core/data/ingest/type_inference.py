"""Infer the type of a column of text from all its values."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from core.data.ingest.limits import Limits
from core.data.ingest.notation import NOTATIONS, PLAIN, Counts, Notation, best, counts, likely
from core.errors import FieldError, InvalidError

# Written where a number is missing. In a column of text only the empty value is missing.
TOKENS = ["", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "?", "-"]
TRUE = ["true", "True", "TRUE"]
FALSE = ["false", "False", "FALSE"]
MOST_EXAMPLES = 3
EXAMPLE_CHARACTERS = 40


class ColumnGuess:
    """The narrowest of boolean, int64, float64 and text that holds every value seen so far.

    Numbers are written in `notation`; a value in `tokens` is a missing number.
    """

    def __init__(
        self, name: str, *, text: bool, notation: Notation, tokens: Sequence[str] = TOKENS
    ) -> None:
        self.name = name
        self.repeats_name = False
        """Whether a value equals the name, as in a file whose first row is not a header."""
        self._declared = text
        self._notation = notation
        self._tokens = pa.array(tokens)
        self._kind: str | None = "text" if text else None
        self._values = 0
        self._numbers = 0
        self._counts: Counts = dict.fromkeys((*NOTATIONS, notation), 0)
        self._words: list[tuple[int, str]] = []
        self._foreign: list[tuple[int, str]] = []

    def look(self, column: pa.Array, row: int, limits: Limits) -> None:
        """Add the values of `column`, the first of which is in row `row` (from 0).

        Raises InvalidError naming the row of a value that is too long.
        """
        self._refuse_long(column, row, limits)
        self.repeats_name = self.repeats_name or bool(pc.any(pc.equal(column, self.name)).as_py())
        if self._declared:
            return
        if self._kind in {None, "int", "float"} and self._at_once(column):
            return
        missing = pc.is_in(column, self._tokens)
        values = column.filter(pc.invert(missing)) if pc.any(missing).as_py() else column
        if not len(values):
            return
        self._values += len(values)
        kind = self._kind_of(values)
        if kind in {"int", "float"}:
            self._numbers += len(values)
        else:
            self._count_numbers(column, missing, row)
        self._kind = _wider(self._kind, kind)

    @property
    def numeric(self) -> bool:
        """Whether the column holds numbers."""
        return self._kind in {"int", "float"}

    @property
    def text(self) -> bool:
        """Whether the column holds text."""
        return self._kind == "text"

    def objection(self) -> str | None:
        """Why a column of text is a mistake: most values are numbers. Else None.

        A column that was declared as text is none.
        """
        if self._kind != "text" or self._declared:
            return None
        counted = {notation: self._numbers + n for notation, n in self._counts.items()}
        most = max(counted.values())
        if 2 * most <= self._values:
            return None
        return self._in_notation(counted) or self._mixed(most)

    def _in_notation(self, counted: Counts) -> str | None:
        """The objection to numbers in another notation than the declared one, or None."""
        likeliest = best(counted)
        if not self._foreign or self._notation in likeliest:
            return None
        remedies = " or ".join(_option(other, self._notation) for other in likeliest[:2])
        return (
            f"column {self.name!r} holds numbers in another notation: {_listed(self._foreign)}. "
            f"Parse it with {remedies}; to keep it as text, with text={self.name}"
        )

    def _mixed(self, numbers: int) -> str:
        """The objection to numbers among other text."""
        words = self._words or self._foreign
        marks = ",".join(dict.fromkeys(value for _, value in words))
        return (
            f"column {self.name!r} mixes numbers and text: {_listed(words)}, while {numbers:,} of "
            f"{self._values:,} values are numbers. Correct it; if this stands for missing values, "
            f"parse with nulls={marks}; to keep it as text, with text={self.name}"
        )

    def arrow_type(self) -> pa.DataType:
        """The type to read the column as; a column without any value counts as numbers."""
        types = {"bool": pa.bool_(), "int": pa.int64(), "text": pa.string()}
        return types.get(self._kind or "float", pa.float64())

    def _at_once(self, column: pa.Array) -> bool:
        """Add a column of plain numbers: the common, fast case."""
        if self._notation != PLAIN:
            return False
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
        numbers = self._notation.plain(values)
        if self._kind != "float" and _casts(numbers, pa.int64()):
            return "int"
        return "float" if _casts(numbers, pa.float64()) else "text"

    def _count_numbers(self, column: pa.Array, missing: pa.Array, row: int) -> None:
        """Count the numbers in each notation, and keep the first values of the other kinds."""
        for notation, count in counts(column.filter(pc.invert(missing)), self._counts).items():
            self._counts[notation] += count
        if len(self._words) < MOST_EXAMPLES:
            self._words += _first(column, pc.invert(pc.or_(likely(column), missing)), row)
            del self._words[MOST_EXAMPLES:]
        if len(self._foreign) < MOST_EXAMPLES:
            own = pc.or_(self._notation.matches(column), missing)
            self._foreign += _first(column, pc.and_not(likely(column), own), row)
            del self._foreign[MOST_EXAMPLES:]

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


def refuse_mistakes(guesses: Sequence[ColumnGuess]) -> None:
    """Raise InvalidError naming each column whose text is most likely a mistake, and why."""
    errors = [
        FieldError(guess.name, objection)
        for guess in guesses
        if (objection := guess.objection()) is not None
    ]
    if errors:
        raise InvalidError("; ".join(error.message for error in errors), errors)


def _first(column: pa.Array, chosen: pa.Array, row: int) -> list[tuple[int, str]]:
    """The first chosen values with their rows, from 0."""
    places = pc.indices_nonzero(chosen)[:MOST_EXAMPLES].to_pylist()
    return [(row + place, column[place].as_py()[:EXAMPLE_CHARACTERS]) for place in places]


def _listed(examples: Sequence[tuple[int, str]]) -> str:
    """Values for a sentence; rows count from 1 below the header."""
    return ", ".join(f"row {row + 1} holds {value!r}" for row, value in examples)


def _option(notation: Notation, declared: Notation) -> str:
    """The parse options that a file in `notation` needs, where `declared` were given."""
    pairs = {
        "decimal": (notation.decimal, declared.decimal),
        "thousands": (notation.thousands, declared.thousands),
    }
    return " ".join(f"{name}={mark!r}" for name, (mark, before) in pairs.items() if mark != before)
