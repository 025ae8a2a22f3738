"""CSV: the delimiter is sniffed, and column types are inferred from every row."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from annotated_types import Len

from core.data.ingest.format import Format, check_names
from core.data.ingest.inflate import plain
from core.data.ingest.limits import Limits
from core.data.ingest.notation import NOTATIONS, Notation
from core.data.ingest.textscan import TextScan, scan
from core.data.ingest.type_inference import FALSE, TOKENS, TRUE, ColumnGuess, refuse_mistakes
from core.errors import InvalidError, TooLargeError
from core.family import member

DELIMITERS = ",;\t|"
BLOCK_BYTES = 8 * 2**20
# PyArrow reserves a whole block for every column of text.
RESERVED_BYTES = 512 * 2**20
SNIFFED_LINES = 100
FEWEST_FRACTIONS = 5
BAD_ROW = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


@member
class Csv(Format):
    """Text in rows and columns, the first row naming the columns; plain, gzip or Zstandard.

    `text` lists columns (by comma) whose values are text even if they look like numbers. `nulls`
    lists further values (by comma) that mean a missing value, in columns of text too. A header that
    looks like data, and numbers that only look like text, are refused: not with `checks` off.
    """

    kind: Literal["csv"] = "csv"
    delimiter: Annotated[str, Len(0, 1)] = ""
    header: Literal["auto", "present", "absent"] = "auto"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    nulls: str = ""
    checks: Literal["on", "off"] = "on"
    charset: Literal["utf-8", "UTF-8", "utf8", "us-ascii"] = "utf-8"
    text: str = ""
    title: ClassVar[str] = "CSV"
    content_types: ClassVar[tuple[str, ...]] = (
        "text/csv",
        "application/csv",
        "text/plain",
        "text/tab-separated-values",
    )
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".txt")

    def __post_init__(self) -> None:
        if self.thousands == self.decimal:
            raise ValueError("decimal and thousands are the same mark: give the other one too")

    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """See Format.read. Three passes: bytes, types, values; memory stays bounded."""
        seen = scan(source, limits)
        if not seen.head.strip(b"\xef\xbb\xbf \t\r\n"):
            raise InvalidError("the file is empty")
        delimiter = self.delimiter or sniff(seen.head)
        _check_delimiter(delimiter, seen.head)
        try:
            names = self._header(seen.head, delimiter, limits)
            guesses = self._guess(source, delimiter, names, seen, limits)
            types = {guess.name: guess.arrow_type() for guess in guesses}
            yield from self._converted(source, delimiter, names, seen, types)
        except pa.ArrowInvalid as error:
            raise self._explained(error) from error

    def _header(self, head: bytes, delimiter: str, limits: Limits) -> dict[str, str]:
        """The column names of PyArrow, and ours: stripped and checked."""
        text = head.decode("utf-8-sig", errors="ignore").lstrip("\r\n")
        try:
            first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise InvalidError(f"the first row cannot be read: {error}") from error
        if self.header == "absent":
            return {f"f{place}": f"column_{place + 1}" for place in range(len(first))}
        names = [name.strip() for name in first]
        try:
            check_names(names, limits)
        except InvalidError as error:
            if any(map(_is_number, names)):
                raise InvalidError(f"{error.detail}. {_header_remedy(names)}") from None
            raise
        return dict(zip(first, names, strict=True))

    def _refuse_mistakes(self, guesses: list[ColumnGuess], delimiter: str) -> None:
        """Raise InvalidError for what is most likely a mistake."""
        if self.checks == "off":
            return
        refuse_mistakes(guesses)
        names = [guess.name for guess in guesses]
        if self.header == "auto" and _looks_like_data(guesses):
            raise InvalidError(
                f"the first row looks like data, not column names: {', '.join(names[:4])}. "
                f"{_header_remedy(names)}"
            )
        if len(guesses) == 1 and guesses[0].text and not self.text:
            raise InvalidError(
                f"the file has one column of text: no line is divided by {delimiter!r}. If it is "
                f"CSV, name its delimiter; to keep it so, parse it with text={names[0][:60]}"
            )

    def _guess(
        self, source: Path, delimiter: str, names: dict[str, str], seen: TextScan, limits: Limits
    ) -> list[ColumnGuess]:
        """The type of every column, from all its rows."""
        declared = {name.strip() for name in self.text.split(",")} - {""}
        if unknown := sorted(declared - set(names.values())):
            raise InvalidError(f"there is no column {unknown[0]!r}, which is to be read as text")
        guesses = [
            ColumnGuess(
                name,
                text=name in declared,
                notation=self._notation,
                tokens=[*TOKENS, *self._null_marks],
            )
            for name in names.values()
        ]
        row, last = 0, None
        texts = dict.fromkeys(names.values(), pa.string())
        for batch in self._batches(source, delimiter, names, seen, texts):
            if batch.num_rows:
                last = batch
            for guess, column in zip(guesses, batch.columns, strict=True):
                guess.look(column, row, limits)
            row += batch.num_rows
        if row > limits.max_rows:
            raise TooLargeError(f"{row:,} rows; at most {limits.max_rows:,} are allowed")
        if not seen.quotes_pair and last is not None:
            end = last.column(last.num_columns - 1)[-1].as_py() or ""
            if "\n" in end or "\r" in end:
                raise InvalidError(f"row {row}: a double quote is opened and never closed")
        self._refuse_mistakes(guesses, delimiter)
        return guesses

    @property
    def _notation(self) -> Notation:
        return Notation(self.decimal, self.thousands)

    @property
    def _null_marks(self) -> list[str]:
        return [mark.strip() for mark in self.nulls.split(",") if mark.strip()]

    def _converted(
        self,
        source: Path,
        delimiter: str,
        names: dict[str, str],
        seen: TextScan,
        types: dict[str, pa.DataType],
    ) -> Iterator[pa.RecordBatch]:
        """The rows in their types, missing values being null."""
        read = dict(types)
        if self.thousands:
            read = {name: _text_of_numbers(kind) for name, kind in types.items()}
        empty = pa.array(["", *self._null_marks])
        numbers = pa.array([*TOKENS, *self._null_marks])
        for batch in self._batches(source, delimiter, names, seen, read):
            columns = []
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if types[name] != read[name]:
                    present = _without(column, numbers)
                    columns.append(self._notation.plain(present).cast(types[name]))
                else:
                    columns.append(_without(column, empty) if _is_text(column) else column)
            yield pa.record_batch(columns, names=batch.schema.names)

    def _batches(
        self,
        source: Path,
        delimiter: str,
        names: dict[str, str],
        seen: TextScan,
        types: dict[str, pa.DataType],
    ) -> Iterator[pa.RecordBatch]:
        """The rows converted to `types`, with our column names."""
        with plain(source) as stream:
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    use_threads=False,
                    block_size=_block_bytes(len(names), seen.longest),
                    autogenerate_column_names=self.header == "absent",
                ),
                parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    column_types={raw: types[name] for raw, name in names.items()},
                    null_values=[*TOKENS, *self._null_marks],
                    true_values=TRUE,
                    false_values=FALSE,
                    strings_can_be_null=False,
                    decimal_point=self.decimal,
                ),
            )
            if reader.schema.names != list(names):
                raise InvalidError(f"the first row cannot be read as names: {list(names)[:6]}")
            for batch in reader:
                yield batch.rename_columns(list(names.values()))

    def _explained(self, error: pa.ArrowInvalid) -> InvalidError:
        """An error of PyArrow as ours: rows count from 1 below the header."""
        text = str(error)
        if match := BAD_ROW.search(text):
            row, expected, got = map(int, match.groups())
            row -= self.header != "absent"
            return InvalidError(
                f"row {row} has {got} values where the header has {expected}"
                if self.header != "absent"
                else f"row {row} has {got} values where the first row has {expected}"
            )
        if "straddl" in text:
            return InvalidError("a value runs over very many lines: is a double quote left open?")
        return InvalidError(f"the file is not CSV: {text.splitlines()[0][:300]}")

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """Comma and semicolon, quotes, missing values, no header, a decimal comma."""
        yield cls(), b'x,y,label\n1,2.5,cat\n2,,dog\n3,4.5,"a, ""b"""\n'
        yield cls(), b"\xef\xbb\xbfx;flag;label\r\n1;true;a\r\n2;false;b\r\n"
        yield cls(header="absent"), b"1,2\n3,4\n"
        yield cls(delimiter=";", decimal=","), b"x;y\n1,5;2\n2,5;3\n"
        yield cls(thousands=",", nulls="."), b'x,y\n"1,234.5",a\n.,.\n3,b\n'
        yield cls(text="code"), b"code\tx\n001\t1\n002\t2\n"


def sniff(head: bytes) -> str:
    """The delimiter that splits the header and most of the first lines into the most values."""
    lines = head.decode("utf-8-sig", errors="ignore").splitlines(keepends=True)
    if len(lines) > 1 and not head.endswith((b"\n", b"\r")):
        lines = lines[:-1]
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines[:SNIFFED_LINES], delimiter=delimiter) if row]
        except csv.Error:
            continue
        widths = Counter(map(len, rows))
        if not widths:
            continue
        width, often = widths.most_common(1)[0]
        if width > most and len(rows[0]) == width and often >= 0.8 * len(rows):
            best, most = delimiter, width
    return best


def _check_delimiter(delimiter: str, head: bytes) -> None:
    """Raise InvalidError for a declared delimiter that the header lacks while another fits."""
    header = head.decode("utf-8-sig", errors="ignore").lstrip().partition("\n")[0].strip()
    better = sniff(head)
    if delimiter not in header and better in header:
        raise InvalidError(
            f"the delimiter {delimiter!r} is not in the first row, {header[:60]!r}: "
            f"the delimiter {better!r} fits"
        )


def _block_bytes(columns: int, longest: int) -> int:
    """The bytes to parse at once: few for very many columns, but several whole lines."""
    return min(BLOCK_BYTES, max(4 * longest, RESERVED_BYTES // columns, 2**16))


def _is_number(name: str) -> bool:
    """Whether the name of a column is a number in some notation."""
    return any(re.match(notation.pattern, name) for notation in NOTATIONS)


def _counted(names: list[str]) -> bool:
    """Whether the names are 0, 1, 2 ... or 1, 2, 3 ..., as pandas names unnamed columns."""
    return any(
        names == [str(place) for place in range(first, first + len(names))] for first in (0, 1)
    )


def _ascending(names: list[str]) -> bool:
    """Whether the names are numbers in ascending order: years, pixels or wavelengths.

    Fractions must be many, because a few of a row of data may ascend.
    """
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return False
    whole = all(name.isascii() and name.isdigit() for name in names)
    ascending = all(before < after for before, after in pairwise(numbers))
    return ascending and (whole or len(names) >= FEWEST_FRACTIONS)


def _looks_like_data(guesses: list[ColumnGuess]) -> bool:
    """Whether the first row is data: numbers over numbers, or words that the rows repeat."""
    names = [guess.name for guess in guesses]
    if len(names) > 1 and all(map(_is_number, names)):
        return not _counted(names)
    numeric = [guess for guess in guesses if guess.numeric]
    if not numeric:
        return 2 * sum(guess.repeats_name for guess in guesses) > len(guesses)
    named = [guess.name for guess in numeric if _is_number(guess.name)]
    if len(named) < len(numeric):
        return False
    return not _ascending(named) or (len(named) == 1 and numeric[0].repeats_name)


def _header_remedy(names: list[str]) -> str:
    """What to do about a first row that may be data."""
    return (
        f"If the file has no header, parse it with header=absent: its columns become column_1 to "
        f"column_{len(names)}. If the first row is the header, with header=present"
    )


def _text_of_numbers(kind: pa.DataType) -> pa.DataType:
    """Text for a type of numbers, any other type as it is."""
    return pa.string() if pa.types.is_integer(kind) or pa.types.is_floating(kind) else kind


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type))


def _without(column: pa.Array, marks: pa.Array) -> pa.Array:
    """The text with each value among `marks` as a missing one."""
    return pc.if_else(pc.is_in(column, marks), pa.scalar(None, pa.string()), column)
