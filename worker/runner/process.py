"""Start, watch and end the runner of a slot."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from worker.runner.cgroup import MemoryWatch
from worker.runner.channel import Channel, ChannelClosedError, Message
from worker.runner.sandbox import environment


@dataclass(frozen=True)
class Exit:
    """How a process ended: its exit code (negative: a signal) and the most memory it held."""

    code: int
    peak_memory_bytes: int


class RunnerProcess:
    """A runner of ours: a process group of its own at the other end of a channel."""

    def __init__(self, given: Mapping[str, str], *, threads: int, memory_bytes: int = 0) -> None:
        self.channel, theirs = Channel.pair()
        self.heard_at = time.monotonic()
        self.busy = False
        self.fit = True
        self._exit: Exit | None = None
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "worker.runner",
                    str(theirs.fileno()),
                    f"--memory-bytes={memory_bytes}",
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(given, threads),
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.memory = MemoryWatch(self.pid)

    def begin(self, work: Message) -> None:
        """Have it work. One that is gone shows that at the next `receive`."""
        self.busy = True
        self.memory = MemoryWatch(self.pid)
        self.heard_at = time.monotonic()
        say(self, {"do": "work", **work})

    def receive(self, timeout_seconds: float) -> Message | None:
        """What it says next, None when nothing within the timeout.

        Raises ChannelClosedError when it is gone.
        """
        message = self.channel.receive(timeout_seconds)
        if message is not None:
            self.heard_at = time.monotonic()
            if message["say"] == "ended":
                self.busy, self.fit = False, message["fit"]
        return message

    def pause(self) -> None:
        """Have it and all it started stand still."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after `pause`."""
        self.heard_at = time.monotonic()
        self._signal(signal.SIGCONT)

    def exited(self) -> Exit | None:
        """How it ended, None while it lives."""
        if self._exit is None:
            self._wait(os.WNOHANG)
        return self._exit

    def kill(self) -> Exit:
        """End it and all it started, at once. Harmless when it has ended."""
        if self._exit is None:
            self._signal(signal.SIGKILL)
            self._wait(0)
        self.channel.close()
        assert self._exit is not None
        return self._exit

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _wait(self, options: int) -> None:
        # Popen would not tell how much memory this very process used.
        pid, status, usage = os.wait4(self.pid, options)
        if pid == 0:
            return
        unit = 1 if sys.platform == "darwin" else 1024
        code = os.waitstatus_to_exitcode(status)
        self._exit = Exit(code, usage.ru_maxrss * unit)
        self._process.returncode = code


def say(runner: RunnerProcess, message: Message) -> bool:
    """Tell the runner something; whether it was there to hear it."""
    try:
        runner.channel.send(message)
    except ChannelClosedError:
        return False
    return True
