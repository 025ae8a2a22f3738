"""Reaping: silent attempts lose their jobs, those that only could not be heard do not."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.engine import make_engine
from core.db.session import reading
from core.errors import UnavailableError
from migrations import runner
from tests.support.databases import PostgresServer
from tests.support.job_cases import LEASE, claimed, do, pass_time, queued


def test_a_silent_attempt_loses_its_job(engine: Engine) -> None:
    claim = claimed(engine)
    silent = claimed(engine)
    pass_time(engine, LEASE + 1)
    do(engine, jobs.renew, claim.owned, LEASE)
    (reaped,) = do(engine, jobs.reap)
    assert (reaped.id, reaped.status, reaped.attempt) == (silent.job_id, JobStatus.QUEUED, 1)
    with reading(engine) as session:
        (attempt,) = jobs.attempts(session, silent.job_id)
        event = jobs.events(session, silent.job_id)[-1]
    assert attempt.status is AttemptStatus.LOST
    assert attempt.cause is not None
    assert attempt.cause["kind"] == jobs.LOST_WORKER
    assert (event.kind, event.actor) == ("lost", "scheduler")


def test_two_reapers_at_once_charge_once(engine: Engine) -> None:
    made = [claimed(engine).job_id for _ in range(10)]
    pass_time(engine, LEASE + 1)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: do(engine, jobs.reap), range(8)))
    reaped = [job.id for part in parts for job in part]
    assert sorted(reaped) == sorted(made)
    with reading(engine) as session:
        assert {jobs.get(session, job_id).infra_failures for job_id in made} == {1}


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def watch(reaper: jobs.Reaper, clock: Clock, seconds: float) -> list[str]:
    """Look each second for some seconds; all that was reaped."""
    reaped: list[str] = []
    for _ in range(round(seconds)):
        clock.seconds += 1
        reaped += reaper.look()
    return reaped


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_reaper_waits_a_lease_before_its_first_reap(engine: Engine, clock: Clock) -> None:
    claim = claimed(engine)
    pass_time(engine, 10 * LEASE)
    reaper = jobs.Reaper(engine, LEASE, monotonic=clock)
    assert watch(reaper, clock, LEASE) == []
    assert watch(reaper, clock, 1) == [claim.job_id]


def test_a_reaper_that_was_frozen_waits_anew(engine: Engine, clock: Clock) -> None:
    reaper = jobs.Reaper(engine, LEASE, monotonic=clock)
    watch(reaper, clock, 2 * LEASE)
    claim = claimed(engine)
    pass_time(engine, 3 * LEASE)
    clock.seconds += 3 * LEASE
    assert watch(reaper, clock, LEASE - 2) == []
    do(engine, jobs.renew, claim.owned, 10 * LEASE)
    assert watch(reaper, clock, LEASE) == []


def test_a_database_that_answers_late_counts_as_away(sqlite_url: str, clock: Clock) -> None:
    engine = make_engine(sqlite_url)
    reaper = jobs.Reaper(engine, LEASE, monotonic=clock)
    watch(reaper, clock, 2 * LEASE)
    claimed(engine)
    pass_time(engine, LEASE + 1)

    readings = iter([clock.seconds + 1, clock.seconds + 12, clock.seconds + 12])
    reaper._monotonic = lambda: next(readings)
    assert reaper.look() == []
    reaper._monotonic = clock
    clock.seconds += 13
    assert watch(reaper, clock, LEASE - 1) == []
    engine.dispose()


def test_after_an_outage_of_the_database_healthy_attempts_get_time_to_renew(clock: Clock) -> None:
    server = PostgresServer()
    try:
        server.execute("CREATE DATABASE chainrule")
        outage(server, clock)
    finally:
        server.remove()


def outage(server: PostgresServer, clock: Clock) -> None:
    runner.upgrade(server.url("chainrule"))
    engine = make_engine(server.url("chainrule"))
    reaper = jobs.Reaper(engine, LEASE, monotonic=clock)
    watch(reaper, clock, 2 * LEASE)
    claims = [claimed(engine) for _ in range(3)]
    server.stop()
    clock.seconds += 1
    with pytest.raises(UnavailableError):
        reaper.look()
    server.start()
    pass_time(engine, 40)
    clock.seconds += 1
    assert reaper.look() == []
    for claim in claims[1:]:
        do(engine, jobs.renew, claim.owned, 2 * LEASE)
    assert watch(reaper, clock, LEASE + 1) == [claims[0].job_id]
    engine.dispose()


def test_a_job_to_be_tried_once_fails_when_its_worker_is_lost(engine: Engine) -> None:
    claimed(engine, queued(engine, max_attempts=1).id)
    pass_time(engine, LEASE + 1)
    (reaped,) = do(engine, jobs.reap)
    assert reaped.status is JobStatus.FAILED
    assert reaped.cause is not None
    assert reaped.cause["kind"] == jobs.LOST_WORKER
