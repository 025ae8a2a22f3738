"""Real worker and scheduler processes for tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


class Process:
    """A child process that logs to a file; what it starts is killed with it."""

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        log: Path,
        *arguments: str,
        inside: Sequence[str] = (),
    ) -> None:
        """`inside` are words in front of the command, such as `ip netns exec NAME`."""
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*inside, sys.executable, "-m", module, *arguments],
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._seen: dict[int, psutil.Process] = {}

    @property
    def pid(self) -> int:
        """The process id of the main process."""
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        """All living processes that it started."""
        if self.process.poll() is None:
            for child in psutil.Process(self.pid).children(recursive=True):
                self._seen[child.pid] = child
        return [child for child in self._seen.values() if lives(child)]

    def signal(self, number: int) -> None:
        """Send a signal to the main process only."""
        self.process.send_signal(number)

    def stop(self, seconds: float = 60.0) -> int:
        """Send SIGTERM and wait for the end; the exit code."""
        self.family()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Kill it and all that it started."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        for child in family:
            if lives(child):
                child.kill()

    def output(self) -> str:
        """Its log so far."""
        return self.log.read_text()


def lives(process: psutil.Process) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
