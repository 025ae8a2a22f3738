"""Writes the body of a request to a file, with bounded memory."""

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from pathlib import Path, PurePath
from typing import IO

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from core.errors import TooLargeError, UnavailableError

IDLE_SECONDS = 30.0
BUFFER_BYTES = 2**20


@asynccontextmanager
async def received(request: Request, folder: Path, max_bytes: int) -> AsyncIterator[Path]:
    """Write the body of a request to a temporary file, which is deleted afterwards.

    Raises TooLargeError for a body of more than `max_bytes` (before reading it if the client sent
    its length), UnavailableError if the disk is full, and a 408 if the client stops sending.
    """
    _check(_declared(request), max_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="upload-", dir=folder) as temporary:
        path = Path(temporary) / "body"
        with path.open("wb") as file:
            await pour(request, file, max_bytes)
        yield path


def filename(request: Request) -> str:
    """The file name that the client sent, without folders; empty if there is none."""
    message = Message()
    message["content-disposition"] = request.headers.get("content-disposition", "")
    return PurePath(message.get_filename() or "").name


def _declared(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _check(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLargeError(f"an upload may have at most {max_bytes:,} bytes")


async def pour(request: Request, file: IO[bytes], max_bytes: int) -> None:
    """Write the request's body to `file`. Raises as `received` does."""
    buffer = bytearray()
    total = 0
    async for chunk in _chunks(request):
        total += len(chunk)
        _check(total, max_bytes)
        buffer += chunk
        if len(buffer) >= BUFFER_BYTES:
            await run_in_threadpool(_write, file, bytes(buffer))
            buffer.clear()
    await run_in_threadpool(_write, file, bytes(buffer))


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise HTTPException(408, f"no bytes received for {IDLE_SECONDS:.0f} seconds") from error
        yield chunk


def _write(file: IO[bytes], data: bytes) -> None:
    try:
        file.write(data)
        file.flush()
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UnavailableError("the disk of this server is full") from error
        raise
