"""Decompress an upload that may be compressed as a whole."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from core.data.ingest.limits import Limits
from core.errors import InvalidError

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
MAX_WINDOW_BYTES = 128 * 2**20


@contextmanager
def plain(source: Path) -> Iterator[BinaryIO]:
    """A stream of the bytes of `source`, decompressed if it is gzip or Zstandard.

    Reading raises InvalidError for a broken or truncated compressed stream.
    """
    with source.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        try:
            if head.startswith(GZIP):
                with gzip.open(file) as inflated:
                    yield cast("BinaryIO", inflated)
            elif head == ZSTD:
                reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
                with reader.stream_reader(file, read_across_frames=True) as inflated:
                    yield cast("BinaryIO", inflated)
            else:
                yield file
        except (gzip.BadGzipFile, zlib.error, EOFError, zstandard.ZstdError) as error:
            raise InvalidError(f"the compressed file is broken or cut: {error}") from error


def inflated_size(source: Path, limits: Limits) -> int:
    """The decompressed size of `source` in bytes. Raises TooLargeError beyond the limit."""
    size, compressed_size = 0, source.stat().st_size
    with plain(source) as stream:
        while block := stream.read(2**20):
            size += len(block)
            limits.check_grown(size, compressed_size)
    return size
