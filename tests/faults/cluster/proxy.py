"""A TCP proxy that breaks the connections through it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

Mode = Literal["open", "refuse", "blackhole", "drop_requests", "drop_responses", "slow", "cut"]

_SLOW_SECONDS = 0.1


class Proxy:
    """Forwards a new port of `host` to the loopback port `target` in one of several modes.

    open: forward all. refuse: close new connections at once. blackhole: drop everything.
    drop_requests, drop_responses: drop what clients or servers send. slow: delay each piece.
    cut: close a connection when the server answers, so that the outcome is unknown.
    `disrupted` counts closed connections and dropped or delayed pieces, `passed` all other pieces.
    """

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self.mode: Mode = "open"
        self.disrupted = self.passed = 0
        self.port = 0
        self.target = target
        self._host = host
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._listen)

    def _run(self, make: Callable[[], object]) -> object:
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, self._host, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def reset(self) -> None:
        """Close every open connection."""

        async def abort() -> None:
            for writer in list(self._writers):
                self.disrupted += 1
                writer.transport.abort()

        self._run(abort)

    def repair(self) -> None:
        """Forward again. Streams of which something was dropped are closed."""
        broken = self.mode not in ("open", "slow")
        self.mode = "open"
        if broken:
            self.reset()

    def close(self) -> None:
        """Close the port and all connections."""

        async def end() -> None:
            self._server.close()  # type: ignore[attr-defined]
            for writer in list(self._writers):
                writer.transport.abort()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._run(end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            self.disrupted += 1
            writer.transport.abort()
            return
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.disrupted += 1
            writer.transport.abort()
            return
        ends = (writer, server)
        self._writers.update(ends)
        for source, sink, from_server in ((reader, server, False), (answers, writer, True)):
            task = asyncio.ensure_future(self._pump(source, sink, ends, from_server))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        from_server: bool,
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(65536):
                if self.mode == "cut" and from_server:
                    self.disrupted += 1
                    break
                if self.mode == "slow":
                    self.disrupted += 1
                    await asyncio.sleep(_SLOW_SECONDS)
                dropped = "drop_responses" if from_server else "drop_requests"
                if self.mode in ("blackhole", dropped):
                    self.disrupted += 1
                    continue
                self.passed += 1
                sink.write(piece)
                await sink.drain()
        for writer in ends:
            writer.transport.abort()
            self._writers.discard(writer)
