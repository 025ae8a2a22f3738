"""What a runner hears while it trains: a thread that listens, so that training need not."""

import os
import threading
import time
from queue import SimpleQueue

from worker.runner.channel import Channel, ChannelClosedError, Message

_IDLE_SECONDS = 3600.0


class Inbox:
    """Listens to the parent's end of a channel.

    `stop` and `checkpoint` are flags that training looks at, `leaving` the networks that are to
    leave a stack. When the parent is gone, or has not
    said that the lease still holds until the moment it named, the process ends at once: nobody
    would take what it computes.
    """

    def __init__(self, channel: Channel) -> None:
        self.stop = threading.Event()
        self.checkpoint = threading.Event()
        self.leaving: SimpleQueue[int] = SimpleQueue()
        self._channel = channel
        self._work: SimpleQueue[Message] = SimpleQueue()
        self._alive_until: float | None = None
        threading.Thread(target=self._listen, name="inbox", daemon=True).start()

    def next_work(self) -> Message:
        """Wait for the next `work` message; the flags of earlier ones are forgotten."""
        return self._work.get()

    def done(self) -> None:
        """Training ended: no lease needs to hold any more."""
        self._alive_until = None

    def _listen(self) -> None:
        try:
            while True:
                message = self._channel.receive(self._patience())
                if message is not None:
                    self._hear(message)
                elif self._alive_until is not None and time.monotonic() >= self._alive_until:
                    os._exit(1)
        except ChannelClosedError:
            os._exit(0)

    def _patience(self) -> float:
        until = self._alive_until
        return _IDLE_SECONDS if until is None else max(0.0, until - time.monotonic())

    def _hear(self, message: Message) -> None:
        match message["do"]:
            case "work":
                self.stop.clear()
                self.checkpoint.clear()
                self.leaving = SimpleQueue()
                self._alive_until = message["alive_until"]
                self._work.put(message)
            case "alive":
                # One that was under way when training ended must not wake the watch again.
                if self._alive_until is not None:
                    self._alive_until = message["until"]
            case "leave":
                self.leaving.put(message["network"])
            case "stop":
                if message["checkpoint"]:
                    self.checkpoint.set()
                self.stop.set()
                self._channel.send({"say": "heard"})
