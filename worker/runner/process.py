"""Start, supervise and end the runner of a slot."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from core.sandbox.policy import Policy, command
from worker.runner.cgroup import MemoryWatch
from worker.runner.channel import Channel, ChannelClosedError, Message
from worker.runner.sandbox import environment


@dataclass(frozen=True)
class Exit:
    """How a process ended: its exit code (negative: a signal) and its peak memory."""

    code: int
    peak_memory_bytes: int


class RunnerProcess:
    """A child process at the other end of a channel, in a process group of its own."""

    def __init__(
        self,
        variables: Mapping[str, str],
        policy: Policy,
        *,
        threads: int,
        memory_bytes: int = 0,
        module: str = "worker.runner",
    ) -> None:
        """Start `module` in a sandbox. `variables` are those of which a runner gets some."""
        self.channel, theirs = Channel.pair()
        self.heard_at = time.monotonic()
        self.busy = False
        self.fit = True
        self._exit: Exit | None = None
        with theirs:
            self._process = subprocess.Popen(
                command(policy, module, str(theirs.fileno()), f"--memory-bytes={memory_bytes}"),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(variables, threads, policy),
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.memory = MemoryWatch(self.pid)

    def begin(self, work: Message) -> None:
        """Start work. A runner that is gone shows at the next `receive`."""
        self.busy = True
        self.memory = MemoryWatch(self.pid)
        self.heard_at = time.monotonic()
        send(self, {"do": "work", **work})

    def receive(self, timeout_seconds: float) -> Message | None:
        """The next message, None when there is none within the timeout.

        Raises ChannelClosedError when the runner is gone.
        """
        message = self.channel.receive(timeout_seconds)
        if message is not None:
            self.heard_at = time.monotonic()
            if message["say"] == "ended":
                self.busy, self.fit = False, message["fit"]
        return message

    def pause(self) -> None:
        """Stop the runner and its children until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after `pause`."""
        self.heard_at = time.monotonic()
        self._signal(signal.SIGCONT)

    def exited(self) -> Exit | None:
        """How the runner ended, None while it runs."""
        if self._exit is None:
            self._wait(os.WNOHANG)
        return self._exit

    def kill(self) -> Exit:
        """Kill the runner and its children. Harmless when it has ended."""
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
        # Popen does not report the peak memory of the process.
        pid, status, usage = os.wait4(self.pid, options)
        if pid == 0:
            return
        unit = 1 if sys.platform == "darwin" else 1024
        code = os.waitstatus_to_exitcode(status)
        self._exit = Exit(code, usage.ru_maxrss * unit)
        self._process.returncode = code


def send(runner: RunnerProcess, message: Message) -> bool:
    """Send the runner a message; False when it is gone."""
    try:
        runner.channel.send(message)
    except ChannelClosedError:
        return False
    return True
