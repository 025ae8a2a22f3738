"""Slow and silent clients of a real server: they are cut off, and keep nobody else out."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from typing import Any

import pytest
import uvicorn

from api.http import connections
from api.http.connections import Connections, protocol

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"

Message = MutableMapping[str, Any]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of tenths of a second."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(connections, "READ_SECONDS", 0.4)


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """Room for some thousand sockets in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def app(scope: Message, receive: Callable[[], Any], send: Callable[[Message], Any]) -> None:
    """Read the body, then answer with its size, or with 64 MB."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/refused":
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    content = b"x" * (64 * 2**20) if scope["path"] == "/large" else f"{len(body)}".encode()
    await send({"type": "http.response.body", "body": content})


class Site:
    """A server on a port, and the connections that a test opens to it."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server, self.port = server, port
        self.writers: list[asyncio.StreamWriter] = []

    async def opened(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which `sent` was sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(sent)
        return reader, writer

    async def answered(self) -> bytes:
        """The response to a whole request."""
        reader, _ = await self.opened(HEAD + b"Connection: close\r\n\r\n")
        return await received(reader)

    async def left(self, count: int) -> None:
        """Wait until the server has at most `count` connections."""
        while len(self.server.server_state.connections) > count:
            await asyncio.sleep(0.01)


async def received(reader: asyncio.StreamReader) -> bytes:
    """What a connection received until the server closed it."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@contextlib.asynccontextmanager
async def serving(total: int = 1000, per_address: int = 250) -> AsyncIterator[Site]:
    """A server with these limits."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        app,
        http=protocol(Connections(total, per_address)),
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    site = Site(uvicorn.Server(config), listener.getsockname()[1])
    task = asyncio.create_task(site.server._serve([listener]))
    try:
        yield site
    finally:
        for writer in site.writers:
            writer.transport.abort()
        site.server.should_exit = True
        await task
        listener.close()


@pytest.mark.parametrize("per_address", [250, 10_000])
def test_two_thousand_half_open_connections_keep_nobody_out(
    monkeypatch: pytest.MonkeyPatch, per_address: int
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 600.0)

    async def attack() -> None:
        async with serving(per_address=per_address) as site:
            for number in range(2000):
                await site.opened(HEAD if number % 2 else b"")
            for _ in range(20):
                assert (await site.answered()).startswith(b"HTTP/1.1 200")
            await site.left(min(per_address, 1000))

    asyncio.run(attack())


def test_silent_connections_are_closed() -> None:
    async def attack() -> None:
        async with serving() as site:
            readers = [(await site.opened(HEAD if n % 2 else b""))[0] for n in range(200)]
            assert [await received(reader) for reader in readers] == [b""] * 200
            await site.left(0)

    asyncio.run(attack())


@pytest.mark.parametrize("before", [b"", HEAD + b"\r\n"], ids=["first", "second"])
def test_the_deadline_of_a_head_is_not_extended_by_its_bytes(before: bytes) -> None:
    async def attack() -> None:
        async with serving() as site:
            reader, writer = await site.opened(before + HEAD)
            end = asyncio.create_task(received(reader))
            while not end.done():
                writer.write(b"X-A: b\r\n")
                await asyncio.sleep(0.02)
            await site.left(0)

    asyncio.run(attack())


def test_a_body_must_arrive() -> None:
    async def attack() -> None:
        async with serving() as site:
            slow = [await site.opened(POST) for _ in range(200)]
            assert (await site.answered()).startswith(b"HTTP/1.1 200")
            ends = asyncio.gather(*(received(reader) for reader, _ in slow))
            while not ends.done():
                for _, writer in slow:
                    writer.write(b"x")
                await asyncio.sleep(0.1)
            assert set(await ends) == {b""}

    asyncio.run(attack())


def test_a_body_must_arrive_after_another_request_too() -> None:
    async def attack() -> None:
        async with serving() as site:
            reader, writer = await site.opened(HEAD + b"\r\n" + POST)
            end = asyncio.create_task(received(reader))
            while not end.done():
                writer.write(b"x")
                await asyncio.sleep(0.1)
            await site.left(0)

    asyncio.run(attack())


def test_a_body_that_arrives_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MIN_BYTES", 100)
    monkeypatch.setattr(connections, "BODY_SECONDS", 2.0)

    async def upload() -> None:
        async with serving() as site:
            reader, writer = await site.opened(POST)
            for _ in range(10):
                writer.write(b"x" * 100)
                await asyncio.sleep(0.4)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

    asyncio.run(upload())


def test_a_body_that_nobody_reads_is_not_waited_for() -> None:
    async def attack() -> None:
        async with serving() as site:
            reader, writer = await site.opened(POST.replace(b"POST /", b"POST /refused"))
            end = asyncio.create_task(received(reader))
            while not end.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)
            assert (await end).count(b"401") <= 1
            await site.left(0)

    asyncio.run(attack())


def test_a_response_that_is_not_read_is_given_up() -> None:
    async def attack() -> None:
        async with serving() as site:
            with socket.create_connection(("127.0.0.1", site.port)) as lazy:
                lazy.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                while not site.server.server_state.connections:
                    await asyncio.sleep(0.01)
                await site.left(0)

    asyncio.run(attack())


def test_a_response_that_is_read_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 2.0)

    async def download() -> None:
        async with serving() as site:
            reader, _ = await site.opened(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            size = 0
            while size < 64 * 2**20:
                chunk = await reader.readexactly(2**21)
                size += len(chunk)
                await asyncio.sleep(0.1)

    asyncio.run(download())


def test_served_connections_are_not_replaced() -> None:
    async def attack() -> None:
        async with serving(total=3, per_address=3) as site:
            served = [await site.opened(POST) for _ in range(3)]
            while await site.answered():
                await asyncio.sleep(0.01)
            for reader, writer in served:
                writer.write(b"x" * 1000)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            while not (await site.answered()).startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.01)

    asyncio.run(attack())
