"""The base of formats, which turn the bytes of an upload into Arrow record batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import pyarrow as pa

from core.data.ingest.limits import Limits
from core.errors import InvalidError, TooLargeError
from core.family import Family

MAX_NAME = 250


class Format(Family, ABC):
    """Base of all formats. A member's fields are its options, set by content type parameters.

    `title` is its name for people. `magic` are the first bytes of its files, decompressed. An
    archive has the format whose `suffixes` its files have. A format with neither is recognized by
    its content type, or by the `endings` of file names.
    """

    kind: Any
    title: ClassVar[str]
    content_types: ClassVar[tuple[str, ...]]
    endings: ClassVar[tuple[str, ...]] = ()
    magic: ClassVar[tuple[bytes, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """The rows of `source` as batches of one schema, in order, a bounded number at a time.

        Raises InvalidError naming row and column where known, TooLargeError beyond a limit.
        Called in the confined process only.
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """Small valid files of the format, for the tests that every format passes."""


def check_names(names: Sequence[str], limits: Limits) -> None:
    """Raise InvalidError for a column name that is empty, repeated, too long or unprintable."""
    if not names:
        raise InvalidError("there are no columns")
    if len(names) > limits.max_columns:
        raise TooLargeError(
            f"there are {len(names):,} columns; at most {limits.max_columns:,} are allowed"
        )
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if not name:
            raise InvalidError(
                f"column {place} has no name (pandas writes its index so: use index=False)"
            )
        if len(name) > MAX_NAME:
            raise InvalidError(f"the name of column {place} is longer than {MAX_NAME} characters")
        if not name.isprintable():
            raise InvalidError(f"the name of column {place} has unprintable characters: {name!r}")
        if name in seen:
            raise InvalidError(f"columns {seen[name]} and {place} have the same name {name!r}")
        seen[name] = place


def rows_at_once(row_bytes: int, batch_bytes: int = 8 * 2**20, most: int = 2**16) -> int:
    """The number of rows of `row_bytes` in a batch of about `batch_bytes`."""
    return max(1, min(most, batch_bytes // max(1, row_bytes)))
