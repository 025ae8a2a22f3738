"""A fast pass over a text upload that finds errors which parsers report badly or not at all."""

import codecs
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.ingest.inflate import plain
from core.data.ingest.limits import Limits
from core.errors import InvalidError, TooLargeError

BLOCK_BYTES = 2**20
MAX_LINE_BYTES = 4 * 2**20
NEWLINE, OLD_MAC = b"\n", b"\r"
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class TextScan:
    """The result of the pass: the first bytes, the size, the longest line in bytes, and whether
    double quotes are balanced.
    """

    head: bytes
    size: int
    longest: int
    quotes_pair: bool


def scan(source: Path, limits: Limits) -> TextScan:
    """Read `source` once, decompressed if it is compressed.

    Raises InvalidError naming the line of bytes that are not UTF-8 text, TooLargeError for a line
    or an inflated whole beyond its limit.
    """
    compressed_size = source.stat().st_size
    decoder = codecs.getincrementaldecoder("utf-8")()
    head, size, line, quotes, longest, since_newline = b"", 0, 1, 0, 0, 0
    with plain(source) as stream:
        while block := stream.read(BLOCK_BYTES):
            if not head:
                head = block
                if head.startswith(WIDE):
                    raise InvalidError("the text is UTF-16: save it as UTF-8")
            size += len(block)
            limits.check_grown(size, compressed_size)
            _check_block(block, line, decoder)
            longest_here, since_newline = _line_lengths(block, since_newline)
            longest = max(longest, longest_here)
            if longest > MAX_LINE_BYTES:
                raise TooLargeError(
                    f"a line from {line} on is longer than {MAX_LINE_BYTES:,} bytes"
                )
            line += _lines(block)
            quotes += block.count(b'"')
    if decoder.getstate()[0]:
        raise InvalidError(f"line {line} ends within a UTF-8 character: the file was cut")
    return TextScan(head, size, longest, quotes % 2 == 0)


def _lines(block: bytes) -> int:
    """The number of line ends in `block`: `\\n`, or without any `\\r`."""
    return block.count(b"\n") or block.count(b"\r")


def _check_block(block: bytes, line: int, decoder: codecs.IncrementalDecoder) -> None:
    """Raise InvalidError naming the line of a nul byte or of bytes that are not UTF-8."""
    nul = block.find(b"\0")
    if nul >= 0:
        raise InvalidError(
            f"line {line + _lines(block[:nul])} holds a nul byte: this is no text file"
        )
    held = len(decoder.getstate()[0])
    try:
        decoder.decode(block)
    except UnicodeDecodeError as error:
        place = line + _lines(block[: max(0, error.start - held)])
        raise InvalidError(f"line {place} holds bytes that are not UTF-8 text") from error


def _line_lengths(block: bytes, since_newline: int) -> tuple[int, int]:
    """The length of the longest line in `block`, and of the last one, which may continue.

    `since_newline` bytes of the first line came before the block.
    """
    newline = NEWLINE if NEWLINE in block else OLD_MAC
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == newline[0])
    if not len(ends):
        return since_newline + len(block), since_newline + len(block)
    open_bytes = len(block) - 1 - int(ends[-1])
    longest = max(since_newline + int(ends[0]), open_bytes, int(np.diff(ends).max(initial=0)))
    return longest, open_bytes
