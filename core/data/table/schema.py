"""The schema of a dataset version: columns, types and statistics."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.errors import InvalidError

NUMBERS = frozenset(
    {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
    | {"float16", "float32", "float64", "bool"}
)
TEXT = "string"
PICTURE, PICTURE_FILE = "image", "file"
"""The columns of uploaded pictures: their pixels and the names of their files."""
MAX_CLASSES = 1000
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 20

# Left to right, first exact match: True stays a bool, 1 an int, 1.0 a float.
Label = Annotated[bool | int | float | str, Field(union_mode="smart")]


class Distribution(BaseModel):
    """Quantiles and a histogram of a column, of `sampled` numbers at a regular distance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampled: int = Field(ge=0, description="how many numbers were looked at")
    quantiles: tuple[float, ...] = Field(description=f"at {', '.join(map(str, QUANTILES))}")
    histogram: tuple[int, ...] = Field(
        description=f"counts in {BINS} equal bins from minimum to maximum; one when they are equal"
    )


class ColumnSchema(BaseModel):
    """One column: `dtype` of a value, `shape` of one cell (`()` a value, `(28, 28)` an image).

    The statistics cover all rows and all elements of a cell, without nulls and values that are not
    finite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dtype: str = Field(description="bool, int8 .. uint64, float16 .. float64 or string")
    shape: tuple[int, ...] = Field((), description="shape of one cell; empty: one value")
    nulls: int = Field(0, ge=0, description="cells without a value")
    not_finite: int = Field(0, ge=0, description="numbers that are NaN or infinite")
    classes: tuple[Label, ...] | None = Field(
        None, description="the distinct values in order, when there are at most 1000"
    )
    class_counts: tuple[int, ...] | None = Field(None, description="cells of each class")
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: float | None = Field(None, description="standard deviation over all values")
    distribution: Distribution | None = Field(None, description="quantiles and a histogram")

    @property
    def numeric(self) -> bool:
        """Whether the column can be a feature without being encoded first."""
        return self.dtype in NUMBERS

    @property
    def size(self) -> int:
        """The numbers in one cell."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size


class DatasetSchema(BaseModel):
    """The columns of a dataset version in order, and its number of rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=0)
    columns: tuple[ColumnSchema, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def descriptive(self) -> tuple[str, ...]:
        """The columns that describe rows and are not features by default: files of pictures."""
        by_name = {column.name: column for column in self.columns}
        picture, file = by_name.get(PICTURE), by_name.get(PICTURE_FILE)
        if picture is None or file is None:
            return ()
        return (PICTURE_FILE,) if len(picture.shape) == 3 and file.dtype == TEXT else ()

    def column(self, name: str) -> ColumnSchema:
        """The column called `name`. Raises InvalidError that lists the columns."""
        for column in self.columns:
            if column.name == name:
                return column
        raise InvalidError(f"there is no column {name!r}; the columns are {listed(self.names)}")


def listed(names: tuple[str, ...], most: int = 12) -> str:
    """The names for a sentence, shortened when there are many."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
