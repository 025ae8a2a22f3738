"""A child process: its command, its output by line, and its end with all descendants."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

_PR_SET_DUMPABLE = 4
_TETHER = Path(__file__).with_name("parent_death.py")
_LINE_BYTES = 64 * 2**10
_UMASK = 0o077
"""Files of the stack are for its user alone."""

Say = Callable[[str, str], None]
"""Receives the name of a process and one line of its output."""


@dataclass(frozen=True)
class Command:
    """A command with its name and the time that it may take to stop.

    `last`: it stops after all others, which need it until they have stopped. `once`: it is not
    started again when it ends. Lines that match the pattern `noise` are not shown.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 5.0
    last: bool = False
    once: bool = False
    noise: str = ""


class Process:
    """A running command in a session of its own, so that Ctrl-C does not reach it directly.

    Start it on a thread that lives as long as the process should: the kernel ends both together.
    """

    def __init__(self, command: Command, say: Say) -> None:
        self.command = command
        tether = (sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()))
        self._popen = subprocess.Popen(
            [*tether, *command.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(command.env),
            start_new_session=True,
            umask=_UMASK,
        )
        assert self._popen.stdout is not None
        self._reader = threading.Thread(
            target=_pump, args=(self._popen.stdout, command, say), daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its session and group."""
        return self._popen.pid

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        return self._popen.poll()

    def wait(self, seconds: float) -> int | None:
        """Wait for the end and return the exit code, or None after `seconds`."""
        with suppress(subprocess.TimeoutExpired):
            return self._popen.wait(seconds)
        return None

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._popen.terminate()

    def descendants(self) -> list[psutil.Process]:
        """Return its child processes and theirs, as far as the tree is intact."""
        with suppress(psutil.NoSuchProcess):
            children: list[psutil.Process] = psutil.Process(self.pid).children(recursive=True)
            return children
        return []

    def destroy(self) -> None:
        """Kill it with its group, and read its last output."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.kill()
        self._popen.wait()
        # With a limit: a descendant may hold the pipe open.
        self._reader.join(timeout=0.5)


def _pump(stream: IO[bytes], command: Command, say: Say) -> None:
    with stream:
        while line := stream.readline(_LINE_BYTES):
            text = line.decode("utf-8", "replace").rstrip()
            if not (command.noise and re.search(command.noise, text)):
                say(command.name, text)


def hide_memory() -> None:
    """Let no process of the same user read the memory or environment of this one (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
