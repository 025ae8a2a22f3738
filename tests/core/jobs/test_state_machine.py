"""Random lives of jobs agree with the model, and the model is sharp enough to find errors."""

import importlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import literal

from core.db import idempotency
from core.db.tables import Job
from core.db.types import Timestamp
from core.jobs import claiming, effects, ending, reading, reaping
from tests.clocks import StandingClock
from tests.core.jobs.machine import JobMachine

# The package offers a function of the module's name.
metrics = importlib.import_module("core.jobs.metrics")

ROUNDS = settings(
    max_examples=int(os.environ.get("CHAINRULE_TEST_ROUNDS", "12")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
# A mutant only has to be found, not to be made small.
HUNT = settings(
    ROUNDS, max_examples=400, database=None, phases=[Phase.generate], report_multiple_bugs=False
)


@pytest.fixture
def machine(database_url: str) -> Iterator[type[JobMachine]]:
    """The machine on a fresh database."""
    yield from _on(database_url)


@pytest.fixture
def quick_machine(sqlite_url: str) -> Iterator[type[JobMachine]]:
    """The machine on SQLite."""
    yield from _on(sqlite_url)


def _on(url: str) -> Iterator[type[JobMachine]]:
    JobMachine.clock = StandingClock(url)
    yield JobMachine
    JobMachine.clock.engine.dispose()


def test_database_and_model_agree(machine: type[JobMachine]) -> None:
    run_state_machine_as_test(machine, settings=ROUNDS)


def unfenced(session: Any, job_id: str, attempt: int) -> Job:
    return reading.get(session, job_id, lock=True)


def by_local_clock(seconds: float) -> Any:
    return literal(datetime.now(UTC) + timedelta(seconds=seconds), Timestamp())


def resetting(session: Any, job: Job, *given: Any, **named: Any) -> None:
    original(session, job, *given, **named)
    job.attempt = 0


def without_grace(self: reaping.Reaper) -> list[str]:
    self._up_since = self._monotonic() - 2 * self._lease_seconds
    self._looked_at = self._monotonic()
    return look(self)


def forgetful(*given: Any, **named: Any) -> None:
    return None


def uncharged(session: Any, job: Job) -> None:
    job.infra_failures = 0


def all_survive(session: Any, job_id: str) -> dict[int, int]:
    return {}


original, look = ending._wait_again, reaping.Reaper.look

MUTANTS = {
    "metrics are not fenced": (metrics, "own", unfenced),
    "checkpoints are not fenced": (effects, "own", unfenced),
    "ends are not fenced": (ending, "own", unfenced),
    "a release resets the attempt": (ending, "_wait_again", resetting),
    "leases follow a local clock": (claiming, "later", by_local_clock),
    "the reaper has no grace": (reaping.Reaper, "look", without_grace),
    "a key is forgotten": (idempotency, "reserve", forgetful),
    "finishing twice is refused": (ending, "_ended_by", forgetful),
    "losses are not charged": (ending, "_charge", uncharged),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_machine_finds_the_mutant(
    quick_machine: type[JobMachine], monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    with pytest.raises(Exception):  # noqa: B017, PT011 - any of model, schema or code may object
        run_state_machine_as_test(quick_machine, settings=HUNT)


def life_after_a_loss(machine: type[JobMachine]) -> None:
    """A job is lost after four points and measured anew: chance finds that too seldom."""
    life = machine()
    life.begin()
    life.submit(None, 3)
    life.claim(0)
    life.write(1, 4, False)
    life.give_back(1, True)
    life.tick(40)
    life.claim(0)
    life.write(1, 1, False)
    life.both_sides_agree()


def test_the_machine_finds_superseded_points_that_stay(
    machine: type[JobMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    life_after_a_loss(machine)
    monkeypatch.setattr(metrics, "last_steps", all_survive)
    with pytest.raises(AssertionError):
        life_after_a_loss(machine)
