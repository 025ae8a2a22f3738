"""Find columns of a dataset version that are likely no features as they are.

The checks read the schema, and text once. They are the same for all formats.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from core.data.ingest.notation import NOTATIONS, PLAIN, Counts, best, counts, likely
from core.data.ingest.type_inference import EXAMPLE_CHARACTERS, MOST_EXAMPLES, TOKENS
from core.data.table.column_warnings import CellExample, ColumnWarning
from core.data.table.dates import PATTERNS, DateFormat
from core.data.table.schema import MAX_CLASSES, TEXT, ColumnSchema, DatasetSchema

FEWEST_ROWS = 20
"""In a smaller table distinct values and row numbers say nothing."""

MANY_CATEGORIES = 100
LEAST_SHARE = 0.1
"""The share of numbers among the cells of a column of text that is no accident."""

DATES_SHARE = 0.95
"""The share of dates among the cells of a column of dates: others may be missing or wrong."""

_DATED = r"^\s*\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[T ,]|\s*$)"
"""A superset of the formats of dates, which most text fails at once."""

IDENTIFIER = re.compile(
    r"(?i:^(?:unnamed: ?\d+|index|row|id|key|uuid|guid)$|[_\-. ](?:id|key|uuid|guid)$)|[a-z]I[dD]$"
)
"""Names of columns that identify rows."""


@dataclass
class _Text:
    """The cells of a column of text that are numbers in each notation, and examples."""

    counts: Counts = field(default_factory=lambda: dict.fromkeys(NOTATIONS, 0))
    numbers: list[CellExample] = field(default_factory=list)
    words: list[CellExample] = field(default_factory=list)
    dates: dict[DateFormat, int] = field(default_factory=lambda: dict.fromkeys(PATTERNS, 0))
    first: list[CellExample] = field(default_factory=list)
    marks: list[CellExample] = field(default_factory=list)
    marked: int = 0


def check_columns(
    path: Path, schema: DatasetSchema, declared: Collection[str] = ()
) -> tuple[ColumnWarning, ...]:
    """Return the warnings about the columns of the canonical file at `path`, in their order.

    Columns that were `declared` as text are not checked for numbers and missing values.
    """
    texts = _read_texts(path, [c.name for c in schema.columns if c.dtype == TEXT])
    return tuple(
        warning
        for column in schema.columns
        if not column.shape
        for warning in _of_column(column, schema.rows, texts, declared)
    )


def _of_column(
    column: ColumnSchema, rows: int, texts: dict[str, _Text], declared: Collection[str]
) -> Iterator[ColumnWarning]:
    present = rows - column.nulls
    text = texts.get(column.name)
    if text is None:
        yield from _numbers(column, rows)
        return
    if column.classes is not None and len(column.classes) < 2:
        yield from _constant(column, column.classes[0] if column.classes else None, rows)
        return
    if any(count >= DATES_SHARE * present for count in text.dates.values()):
        yield _dates(column.name, text)
        return
    if column.name not in declared:
        yield from _numbers_as_text(column.name, text, present)
        yield from _null_marks(column.name, text)
    yield from _categories(column, present)


def _numbers(column: ColumnSchema, rows: int) -> Iterator[ColumnWarning]:
    """A column of numbers that never changes, or that numbers the rows."""
    if column.minimum is None or column.minimum == column.maximum:
        yield from _constant(column, column.minimum, rows)
        return
    if rows < FEWEST_ROWS or column.nulls or "int" not in column.dtype:
        return
    # If there are too many to be listed, they are at most the integers of the range.
    extent = (column.maximum or 0.0) - column.minimum + 1
    distinct = min(rows, extent) if column.classes is None else len(column.classes)
    named = IDENTIFIER.search(column.name) is not None
    if named and distinct == rows:
        message = "seems to identify rows: a model cannot learn from it; leave it out"
        yield ColumnWarning(column=column.name, kind="identifier", message=message, named_only=True)
    elif distinct == rows and _consecutive(column, rows):
        message = (
            f"numbers the rows from {column.minimum:.0f} to {column.maximum:.0f}: leave it out if "
            "it only identifies them"
        )
        yield ColumnWarning(column=column.name, kind="identifier", message=message)


def _consecutive(column: ColumnSchema, rows: int) -> bool:
    """Whether the range, mean and deviation are those of consecutive integers."""
    low, high = column.minimum or 0.0, column.maximum or 0.0
    if high - low != rows - 1 or column.mean is None or column.deviation is None:
        return False
    middle, variance = (low + high) / 2, (rows * rows - 1) / 12
    near = 1e-9 * rows
    return abs(column.mean - middle) < near and abs(column.deviation - variance**0.5) < near


def _constant(column: ColumnSchema, value: object, rows: int) -> Iterator[ColumnWarning]:
    if rows > 1:
        shown = f"{value:g}" if isinstance(value, float) else f"{value!r:.60}"
        content = "is empty" if value is None else f"holds only {shown}"
        message = f"{content}: a model cannot learn from it"
        yield ColumnWarning(column=column.name, kind="constant", message=message)


def _numbers_as_text(name: str, text: _Text, present: int) -> Iterator[ColumnWarning]:
    numbers = max(text.counts.values())
    if numbers < max(1.0, LEAST_SHARE * present):
        return
    notations = best(text.counts)
    notation = "" if PLAIN in notations else " in another notation"
    words = f", others are {text.words[0].value!r} and the like" if text.words else ""
    yield ColumnWarning(
        column=name,
        kind="numbers_as_text",
        message=(
            f"is text, but {numbers:,} of {present:,} cells are numbers{notation}, such as "
            f"{text.numbers[0].value!r}{words}: upload numbers, or CSV with the parse options "
            f"decimal, thousands or nulls that fit; to keep it as text, CSV with text={name}"
        ),
        examples=(*text.numbers, *text.words),
        named_only=True,
    )


def _dates(name: str, text: _Text) -> ColumnWarning:
    most = max(text.dates.values())
    forms = [form for form, count in text.dates.items() if count == most]
    return ColumnWarning(
        column=name,
        kind="dates",
        message=(
            f"holds dates, such as {text.first[0].value!r}: leave it out, or turn it into numbers "
            f"with a date step in data.prepare (format {' or '.join(forms)})"
        ),
        examples=tuple(text.first),
        named_only=True,
    )


def _null_marks(name: str, text: _Text) -> Iterator[ColumnWarning]:
    if not text.marked:
        return
    marks = ",".join(dict.fromkeys(example.value for example in text.marks))
    yield ColumnWarning(
        column=name,
        kind="null_marks",
        message=(
            f"holds {text.marks[0].value!r} in {text.marked:,} cells, which counts as a category: "
            "if it stands for a missing value, upload empty cells, or CSV with the parse option "
            f"nulls={marks}"
        ),
        examples=tuple(text.marks),
        named_only=True,
    )


def _categories(column: ColumnSchema, present: int) -> Iterator[ColumnWarning]:
    """A column of text with very many values."""
    distinct = None if column.classes is None else len(column.classes)
    if present >= FEWEST_ROWS and distinct == present:
        kind = "identifier"
        message = "has another value in every row: a model cannot learn from it; leave it out"
    elif distinct is None or distinct > MANY_CATEGORIES:
        kind = "many_categories"
        count = f"over {MAX_CLASSES:,} distinct or very long" if distinct is None else distinct
        message = f"has {count} values: leave it out, or encode it with a hashing step"
    else:
        return
    yield ColumnWarning(column=column.name, kind=kind, message=message, named_only=True)


def _read_texts(path: Path, names: list[str]) -> dict[str, _Text]:
    """Read the columns of text, a batch at a time."""
    texts = {name: _Text() for name in names}
    if not texts:
        return {}
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as reader:
        row = 0
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            for name, text in texts.items():
                _add(text, batch.column(name), row)
            row += batch.num_rows
    return texts


def _add(text: _Text, column: pa.Array, row: int) -> None:
    """Add the next cells of a column, the first of which is in row `row` (from 0)."""
    missing = pc.is_in(column, pa.array(TOKENS))
    numbers = pc.fill_null(likely(column), False)
    for notation, count in counts(column.filter(numbers), text.counts).items():
        text.counts[notation] += count
    marked = pc.and_(missing, pc.is_valid(column))
    text.marked += pc.sum(marked).as_py() or 0
    words = pc.and_(pc.is_valid(column), pc.invert(pc.or_(numbers, missing)))
    dated = pc.fill_null(pc.match_substring_regex(column, _DATED), False)
    candidates = column.filter(dated)
    for form, pattern in PATTERNS.items():
        matches = pc.match_substring_regex(candidates, pattern)
        text.dates[form] += pc.sum(matches).as_py() or 0
    for examples, chosen in (
        (text.numbers, numbers),
        (text.words, words),
        (text.marks, marked),
        (text.first, dated),
    ):
        for place in pc.indices_nonzero(chosen)[: MOST_EXAMPLES - len(examples)].to_pylist():
            value = column[place].as_py()[:EXAMPLE_CHARACTERS]
            examples.append(CellExample(row=row + place + 1, value=value))
