"""How a machine that lacks space, file handles or memory shows it: one classifier for all callers.

Libraries report the same errno in many ways: as OSError, as an exception of their own whose text
holds the number (safetensors, zstd), as a short write (numpy), as a MemoryError (pyarrow). None of
these is the fault of the spec that is trained.
"""

import errno
import re
from collections.abc import Iterator
from enum import StrEnum

from core.errors import ChainruleError


class Shortage(StrEnum):
    """What a machine lacks; the `kind` of the cause of an attempt."""

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
    """What the machine lacks if `error`, or an error that caused it, shows a shortage.

    The texts of ChainruleErrors are not read: they may quote what a person wrote.
    """
    for one in _chain(error):
        if isinstance(one, MemoryError):
            return Shortage.OUT_OF_MEMORY
        if isinstance(one, OSError) and one.errno in _NUMBERS:
            return _NUMBERS[one.errno]
        if not isinstance(one, ChainruleError) and (read := _read(str(one))) is not None:
            return read
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from or while handling, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


def _read(text: str) -> Shortage | None:
    """The shortage that the text of a library's exception names."""
    for found in _NUMBER.finditer(text):
        if (named := _NUMBERS.get(int(found[1]))) is not None:
            return named
    return next((named for phrase, named in _PHRASES if phrase.search(text)), None)
