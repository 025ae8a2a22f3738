"""A loop repeats its work whatever it raises, and waits longer while there is nothing to do."""

import threading

import pytest

from core.errors import UnavailableError
from worker.scheduler.loop import Loop


@pytest.mark.parametrize(
    ("idle_seconds", "done", "seconds"),
    [(None, 0, 1.0), (None, 3, 1.0), (5.0, 0, 5.0), (5.0, 3, 1.0), (5.0, None, 1.0)],
)
def test_pause_is_longer_only_after_a_call_that_did_nothing(
    idle_seconds: float | None, done: object, seconds: float
) -> None:
    loop = Loop("l", 1.0, lambda: None, idle_seconds=idle_seconds)
    assert loop.pause_seconds(done) == seconds


def test_work_is_repeated_after_errors() -> None:
    errors = iter([UnavailableError("away"), ValueError("unexpected")])
    repeated = threading.Event()

    def work() -> None:
        for error in errors:
            raise error
        repeated.set()

    loop = Loop("l", 0.001, work)
    loop.start()
    assert repeated.wait(30)
    loop.end(30)


def test_a_loop_is_unhealthy_while_a_call_takes_longer_than_the_grace() -> None:
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(30)

    loop = Loop("l", 0.0, work)
    loop.start()
    assert begun.wait(30)
    assert loop.healthy(60)
    assert not loop.healthy(-1)
    release.set()
    loop.end(30)
