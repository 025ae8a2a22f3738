"""The messages to a runner: a thread receives them, so that training never waits for them."""

import os
import threading
import time
from queue import SimpleQueue

from worker.runner.channel import Channel, ChannelClosedError, Message

LEASE_RAN_OUT = 75
"""The exit code of a runner whose lease was not extended in time."""

_IDLE_SECONDS = 3600.0


class Inbox:
    """Receives the messages of the parent.

    `stop` and `checkpoint` are flags that training checks, `leaving` has the networks that must
    leave a stack. The process exits at once when the parent is gone, or when the lease has run out
    and was not extended: nobody would accept its results.
    """

    def __init__(self, channel: Channel) -> None:
        self.stop = threading.Event()
        self.checkpoint = threading.Event()
        self.leaving: SimpleQueue[int] = SimpleQueue()
        self._channel = channel
        self._work: SimpleQueue[Message] = SimpleQueue()
        self._alive_until: float | None = None
        threading.Thread(target=self._receive, name="inbox", daemon=True).start()

    def next_work(self) -> Message:
        """Wait for the next `work` message, which resets the flags."""
        return self._work.get()

    def done(self) -> None:
        """The work ended: the process no longer depends on a lease."""
        self._alive_until = None

    def _receive(self) -> None:
        try:
            while True:
                message = self._channel.receive(self._patience())
                if message is not None:
                    self._handle(message)
                elif self._alive_until is not None and time.monotonic() >= self._alive_until:
                    os._exit(LEASE_RAN_OUT)
        except ChannelClosedError:
            os._exit(0)

    def _patience(self) -> float:
        until = self._alive_until
        return _IDLE_SECONDS if until is None else max(0.0, until - time.monotonic())

    def _handle(self, message: Message) -> None:
        match message["do"]:
            case "work":
                self.stop.clear()
                self.checkpoint.clear()
                self.leaving = SimpleQueue()
                self._alive_until = message["alive_until"]
                self._work.put(message)
            case "alive":
                # A late extension must not set a deadline again after the work has ended.
                if self._alive_until is not None:
                    self._alive_until = message["until"]
            case "leave":
                self.leaving.put(message["network"])
            case "stop":
                if message["checkpoint"]:
                    self.checkpoint.set()
                self.stop.set()
                self._channel.send({"say": "heard"})
