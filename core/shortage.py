"""Recognize errors that mean that the machine lacks disk space, file handles or memory.

Libraries report the same errno in many ways: as an OSError, as an exception of their own with the
number in its text (safetensors, zstd), as a short write (numpy), as a MemoryError (pyarrow). The
spec of a job causes none of these.
"""

import errno
import re
from collections.abc import Iterator
from enum import StrEnum

from core.errors import ChainruleError


class Shortage(StrEnum):
    """What the machine lacks; the `kind` of an attempt's cause."""

    DISK_FULL = "disk_full"
    NO_FILE_HANDLES = "no_file_handles"
    OUT_OF_MEMORY = "out_of_memory"
    NO_PROCESSES = "no_processes"
    DISK_ERROR = "disk_error"


_NUMBERS = {
    errno.ENOSPC: Shortage.DISK_FULL,
    errno.EDQUOT: Shortage.DISK_FULL,
    errno.EMFILE: Shortage.NO_FILE_HANDLES,
    errno.ENFILE: Shortage.NO_FILE_HANDLES,
    errno.ENOMEM: Shortage.OUT_OF_MEMORY,
    errno.EAGAIN: Shortage.NO_PROCESSES,
    errno.EIO: Shortage.DISK_ERROR,
    errno.EROFS: Shortage.DISK_ERROR,
    errno.ESTALE: Shortage.DISK_ERROR,
    errno.ENODEV: Shortage.DISK_ERROR,
    errno.ENXIO: Shortage.DISK_ERROR,
    errno.ENOTCONN: Shortage.DISK_ERROR,
    errno.ETIMEDOUT: Shortage.DISK_ERROR,
}

_PHRASES = (
    (re.compile(r"no space left on device|disk quota exceeded|database or disk is full", re.I),
     Shortage.DISK_FULL),
    (re.compile(r"\d+ requested and \d+ written", re.I), Shortage.DISK_FULL),
    (re.compile(r"too many open files", re.I), Shortage.NO_FILE_HANDLES),
    (re.compile(r"cannot allocate memory|not enough memory|std::bad_alloc"
                r"|malloc of size \d+ failed|out of memory", re.I), Shortage.OUT_OF_MEMORY),
    (re.compile(r"can't start new thread", re.I), Shortage.NO_PROCESSES),
    (re.compile(r"input/output error|read-only file system|disk i/o error", re.I),
     Shortage.DISK_ERROR),
)  # fmt: skip
_NUMBER = re.compile(r"(?:os error|errno:?) (\d+)", re.I)


def shortage(error: BaseException) -> Shortage | None:
    """What the machine lacks according to `error` or an error that caused it, or None.

    The texts of ChainruleErrors are ignored, because they may quote user input.
    """
    for link in _chain(error):
        if isinstance(link, MemoryError):
            return Shortage.OUT_OF_MEMORY
        if isinstance(link, OSError) and link.errno in _NUMBERS:
            return _NUMBERS[link.errno]
        if not isinstance(link, ChainruleError) and (named := _named_in(str(link))) is not None:
            return named
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes and the errors during whose handling it was raised, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        context = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or context


def _named_in(text: str) -> Shortage | None:
    """The shortage that the text of a library's exception names."""
    for match in _NUMBER.finditer(text):
        if (named := _NUMBERS.get(int(match[1]))) is not None:
            return named
    return next((named for phrase, named in _PHRASES if phrase.search(text)), None)
