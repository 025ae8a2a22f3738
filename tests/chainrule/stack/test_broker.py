"""The embedded broker is real, private, and takes Celery's messages."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chainrule.stack import broker
from chainrule.stack.broker import Broker
from chainrule.stack.supervisor import Supervisor
from core.queue import make_celery, notify, waiting
from core.settings import Settings


@contextmanager
def running(folder: Path) -> Iterator[Broker]:
    supervisor = Supervisor(lambda _name, _line: None)
    one = broker.embedded(folder, dict(os.environ))
    supervisor.add(one.command)
    supervisor.start()
    give_up_at = time.monotonic() + 20
    try:
        while not one.answers():
            assert time.monotonic() < give_up_at, "the broker did not start"
            time.sleep(0.05)
        yield one
    finally:
        supervisor.stop()


# The second path is longer than a unix socket's may be, the third would need quoting in a URL.
@pytest.mark.parametrize("name", ["b", "long" * 30, "with space"])
def test_it_takes_messages(tmp_path: Path, name: str) -> None:
    with running(tmp_path / name) as one:
        app = make_celery(Settings(broker_url=one.url), publish_seconds=3)
        notify(app, "some-job", "cpu")
        assert waiting(app, "cpu") == 1
        app.close()


def test_it_wants_the_password(tmp_path: Path) -> None:
    with running(tmp_path / "b") as one:
        assert not replace(one, password="guess").answers()


def test_nobody_else_reads_its_secrets(tmp_path: Path) -> None:
    with running(tmp_path / "b") as one:
        assert (tmp_path / "b").stat().st_mode & 0o077 == 0
        assert (tmp_path / "b" / "server.conf").stat().st_mode & 0o077 == 0
        assert one.password not in " ".join(one.command.argv)
