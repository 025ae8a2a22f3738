"""A TCP proxy that breaks the connections which go through it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

Mode = Literal["open", "refuse", "blackhole", "deaf", "mute", "slow", "cut"]

_SLOW_SECONDS = 0.1


class Proxy:
    """Forwards a loopback port to another; `mode` says what becomes of the bytes.

    open: forwarded. refuse: new connections end at once. blackhole: nothing passes. deaf: what
    clients send is swallowed. mute: what servers answer is swallowed. slow: each piece is late.
    cut: a connection ends as soon as the server answers, so nobody knows what it did.
    `harmed` counts the connections ended and the pieces swallowed or late, `passed` the others.
    """

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self.mode: Mode = "open"
        self.harmed = self.passed = 0
        self.port = 0
        self.target = target
        self._host = host
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(self._listen)

    def _do(self, make: Callable[[], object]) -> object:
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, self._host, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def reset(self) -> None:
        """End every connection that is open now."""

        async def abort() -> None:
            for writer in list(self._writers):
                self.harmed += 1
                writer.transport.abort()

        self._do(abort)

    def heal(self) -> None:
        """Forward again; what was swallowed leaves broken streams, which end here."""
        broken = self.mode not in ("open", "slow")
        self.mode = "open"
        if broken:
            self.reset()

    def close(self) -> None:
        """End everything."""

        async def end() -> None:
            self._server.close()  # type: ignore[attr-defined]
            for writer in list(self._writers):
                writer.transport.abort()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._do(end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            self.harmed += 1
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.harmed += 1
            writer.transport.abort()
            return
        ends = (writer, back)
        self._writers.update(ends)
        for source, sink, answers in ((reader, back, False), (there, writer, True)):
            task = asyncio.ensure_future(self._pump(source, sink, ends, answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        answers: bool,
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(65536):
                if self.mode == "cut" and answers:
                    self.harmed += 1
                    break
                if self.mode == "slow":
                    self.harmed += 1
                    await asyncio.sleep(_SLOW_SECONDS)
                if self.mode == "blackhole" or self.mode == ("mute" if answers else "deaf"):
                    self.harmed += 1
                    continue
                self.passed += 1
                sink.write(piece)
                await sink.drain()
        for writer in ends:
            writer.transport.abort()
            self._writers.discard(writer)
