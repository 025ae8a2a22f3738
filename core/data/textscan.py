"""One cheap pass over the bytes of a text upload that finds what parsers report badly or never."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from core.data.inflate import plain
from core.data.limits import Limits
from core.errors import InvalidError, TooLargeError

BLOCK_BYTES = 2**20
MAX_LINE_BYTES = 4 * 2**20
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class TextScan:
    """What the pass saw: the first bytes, all bytes, and whether the double quotes pair up."""

    head: bytes
    size: int
    quotes_pair: bool


def scan(source: Path, limits: Limits) -> TextScan:
    """Read `source` once, inflated if it is compressed.

    Raises InvalidError naming the line of bytes that are not UTF-8 text, TooLargeError for a line
    or an inflated whole beyond its limit.
    """
    compressed_size = source.stat().st_size
    decoder = codecs.getincrementaldecoder("utf-8")()
    head, size, line, quotes, since_newline = b"", 0, 1, 0, 0
    with plain(source) as stream:
        while block := stream.read(BLOCK_BYTES):
            if not head:
                head = block
                if head.startswith(WIDE):
                    raise InvalidError("the text is UTF-16: save it as UTF-8")
            size += len(block)
            limits.check_grown(size, compressed_size)
            _check_block(block, line, decoder)
            since_newline = _check_lines(block, line, since_newline)
            line += _lines(block)
            quotes += block.count(b'"')
    if decoder.getstate()[0]:
        raise InvalidError(f"line {line} ends within a UTF-8 character: the file was cut")
    return TextScan(head, size, quotes % 2 == 0)


def _lines(block: bytes) -> int:
    """Line ends in `block`: of Unix and Windows, or else of old Macs."""
    return block.count(b"\n") or block.count(b"\r")


def _check_block(block: bytes, line: int, decoder: codecs.IncrementalDecoder) -> None:
    """Refuse nul bytes and what is not UTF-8, naming the line."""
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


def _check_lines(block: bytes, line: int, since_newline: int) -> int:
    """Refuse an endless line; the bytes since the last line end, for the next block."""
    last = max(block.rfind(b"\n"), block.rfind(b"\r"))
    open_bytes = len(block) - 1 - last if last >= 0 else since_newline + len(block)
    if open_bytes > MAX_LINE_BYTES:
        raise TooLargeError(f"line {line} is longer than {MAX_LINE_BYTES:,} bytes")
    return open_bytes
