"""Real worker and scheduler processes for tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


class Process:
    """A process of ours with its log in a file; whatever it starts is ended with it."""

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        log: Path,
        *arguments: str,
        inside: Sequence[str] = (),
    ) -> None:
        """`inside` is what the command begins with, to run it somewhere else than here."""
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
        """Of the main process."""
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        """All processes it started that live."""
        if self.process.poll() is None:
            for one in psutil.Process(self.pid).children(recursive=True):
                self._seen[one.pid] = one
        return [one for one in self._seen.values() if lives(one)]

    def signal(self, number: int) -> None:
        """Send a signal to the main process only."""
        self.process.send_signal(number)

    def stop(self, seconds: float = 60.0) -> int:
        """End it politely; its exit code."""
        self.family()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it and all it started, at once."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        for one in family:
            if lives(one):
                one.kill()

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text()


def lives(one: psutil.Process) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return bool(one.is_running() and one.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
