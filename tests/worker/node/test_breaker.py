"""The circuit breaker: it opens by what the machine does, and closes when a probe passes."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import UnavailableError
from tests.support.worker_cases import Bench
from worker.node.breaker import MAX_JOBS_IN_A_ROW, MAX_PAUSE_SECONDS, CircuitBreaker
from worker.node.probe import Probe, check

FULL = {"kind": "disk_full", "message": "no space left on the disk of the cache"}
SIGNAL = {"kind": "signal", "message": "the runner was ended by SIGKILL"}


class Clock:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(monotonic=clock)


def test_a_loss_by_the_machine_opens_it_at_once_and_it_is_to_be_probed(
    breaker: CircuitBreaker,
) -> None:
    assert (breaker.open, breaker.reason, breaker.due) == (False, None, False)
    breaker.lost("job", FULL)
    assert (breaker.open, breaker.reason, breaker.due) == (True, FULL["message"], True)
    breaker.close()
    assert (breaker.open, breaker.reason, breaker.due) == (False, None, False)


def test_each_failure_in_a_row_lengthens_the_pause_until_an_attempt_succeeds(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    def pause() -> float:
        breaker.lost("job", FULL)
        began = clock.at
        while not breaker.due:
            clock.at += 0.5
        breaker.close()
        return clock.at - began

    assert [pause() for _ in range(9)] == [0, 1, 3, 7, 15, 31, 60, 60, 60]
    assert MAX_PAUSE_SECONDS == 60
    breaker.succeeded()
    assert pause() == 0


def test_a_failed_probe_keeps_it_open_for_longer(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.lost("job", FULL)
    breaker.trip("the store does not answer")
    assert (breaker.open, breaker.due) == (True, False)
    assert breaker.reason == "the store does not answer"
    clock.at += 1
    assert breaker.due


def test_several_jobs_lost_in_a_row_open_it_whatever_the_cause(breaker: CircuitBreaker) -> None:
    for number in range(MAX_JOBS_IN_A_ROW):
        assert not breaker.open
        for _ in range(5):
            breaker.lost(f"job {number}", SIGNAL)
    assert breaker.reason is not None
    assert "3 jobs in a row" in breaker.reason


def test_one_job_that_is_lost_again_and_again_does_not_open_it(breaker: CircuitBreaker) -> None:
    for _ in range(9):
        breaker.lost("poison", SIGNAL)
    breaker.lost("other", SIGNAL)
    breaker.succeeded()
    for _ in range(9):
        breaker.lost("another", SIGNAL)
    assert not breaker.open


def test_processes_that_were_forked_share_it(breaker: CircuitBreaker) -> None:
    child = os.fork()
    if child == 0:
        breaker.lost("job", FULL)
        os._exit(0)
    os.waitpid(child, 0)
    assert breaker.reason == FULL["message"]


# The probe


def test_a_probe_of_a_sound_machine_closes_it_and_leaves_nothing(bench: Bench) -> None:
    before = sorted(bench.settings.data_dir.rglob("*"))
    bench.equipment.breaker.lost("job", FULL)
    Probe(bench.equipment).look()
    assert not bench.equipment.breaker.open
    after = {path for path in bench.settings.data_dir.rglob("*") if path.is_file()}
    assert after - set(before) <= {bench.settings.data_dir / "cache" / "locks" / "room"}


def test_without_its_store_it_stays_open(bench: Bench, tmp_path: Path) -> None:
    folder = Path(bench.store.url.removeprefix("file://"))
    folder.rename(tmp_path / "away")
    bench.equipment.breaker.lost("job", FULL)
    Probe(bench.equipment).look()
    assert bench.equipment.breaker.open
    folder.mkdir()  # a disk that is not mounted
    with pytest.raises(UnavailableError, match="empty"):
        check(bench.equipment)
    folder.rmdir()
    (tmp_path / "away").rename(folder)
    check(bench.equipment)


def _no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _no_room(_: object) -> Any:
    return shutil._ntuple_diskusage(10, 10, 0)


@pytest.mark.parametrize(
    ("module", "name", "fake"), [(os, "fsync", _no_space), (shutil, "disk_usage", _no_room)]
)
def test_on_a_full_disk_it_stays_open_and_says_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fake: Callable[..., Any]
) -> None:
    bench.equipment.breaker.lost("job", SIGNAL | {"kind": "disk_error"})
    monkeypatch.setattr(module, name, fake)
    Probe(bench.equipment).look()
    assert bench.equipment.breaker.open
    assert "space" in str(bench.equipment.breaker.reason) or "room" in str(
        bench.equipment.breaker.reason
    )
