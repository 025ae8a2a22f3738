"""Thousands of jobs and hundreds of faults in a cluster that exists in one process."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.session import reading
from core.db.tables import Attempt, Job, JobEvent, MetricChunk
from core.jobs.points import unpack
from tests.core.jobs.mutants import FOUND_BY_THE_MACHINE
from tests.core.jobs.state_machine import simulation
from tests.core.jobs.state_machine.simulation import FAULTS, Simulation
from tests.support.clocks import StandingClock

JOBS = int(os.environ.get("CHAINRULE_TEST_JOBS", "300"))

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture
def clock(sqlite_url: str) -> Iterator[StandingClock]:
    """A fresh database whose clock stands still."""
    clock = StandingClock(sqlite_url)
    yield clock
    clock.engine.dispose()


def violations(cluster: Simulation) -> list[str]:
    """What the rows say that must not be."""
    wrong: list[str] = []
    with reading(cluster.engine) as session:
        attempts: dict[str, list[Attempt]] = {}
        for attempt in session.scalars(select(Attempt).order_by(Attempt.number)):
            attempts.setdefault(attempt.job_id, []).append(attempt)
        events: dict[str, list[JobEvent]] = {}
        for row in session.scalars(select(JobEvent).order_by(JobEvent.id)):
            events.setdefault(row.job_id, []).append(row)
        for job in session.scalars(select(Job)):
            wrong += _of_job(job, attempts.get(job.id, []), events[job.id])
            series = jobs.metrics(session, job.id).series.get("train/loss")
            steps = [] if series is None else series["step"].tolist()
            if steps != list(range(1, cluster.length[job.id] + 1)):
                wrong.append(f"{job.id} has the steps {steps}")
        written = Counter(
            (chunk.job_id, chunk.attempt, int(step))
            for chunk in session.scalars(select(MetricChunk))
            for step in unpack(chunk.points)["step"]
        )
        chunks = select(MetricChunk.job_id, MetricChunk.attempt).order_by(MetricChunk.id)
        newest: dict[str, int] = {}
        for job_id, number in session.execute(chunks):
            if number < newest.setdefault(job_id, number):
                wrong.append(f"{job_id} has points of attempt {number} written after a later one")
            newest[job_id] = max(newest[job_id], number)
    wrong += [f"{place} was written {count} times" for place, count in written.items() if count > 1]
    return wrong


def _of_job(job: Job, attempts: list[Attempt], events: list[JobEvent]) -> Iterator[str]:
    if job.status is not JobStatus.FINISHED:
        yield f"{job.id} is {job.status}: {job.cause}"
    if [one.number for one in attempts] != list(range(1, job.attempt + 1)):
        yield f"{job.id} has other attempts than it counts"
    ends = [one for one in events if JobStatus(one.status).terminal]
    finished = [one.number for one in attempts if one.status is AttemptStatus.FINISHED]
    if len(ends) != 1 or finished != [job.attempt]:
        yield f"{job.id} ended {len(ends)} times, in the attempts {finished} of {job.attempt}"
    if any(one.status is AttemptStatus.RUNNING for one in attempts):
        yield f"{job.id} has an attempt that still runs"
    order = [one.attempt for one in events]
    if order != sorted(order):
        yield f"{job.id} was changed by an older attempt after a newer one"


def test_every_job_ends_once_with_every_step_once(clock: StandingClock) -> None:
    cluster = Simulation(clock, 1, count=JOBS, faults=JOBS // 5)
    cluster.run()
    assert set(FAULTS) <= set(cluster.happened)
    assert cluster.reaped
    assert cluster.refused
    assert cluster.stacks
    assert violations(cluster) == []


def test_a_seed_gives_the_same_run_again(tmp_path: Path, sqlite_template: Path) -> None:
    runs = []
    for number in range(2):
        path = tmp_path / f"again-{number}.sqlite"
        path.write_bytes(sqlite_template.read_bytes())
        clock = StandingClock(f"sqlite:///{path}")
        cluster = Simulation(clock, 7, count=60, faults=20)
        runs.append((cluster.run(), cluster.happened, cluster.reaped, cluster.stacks))
        clock.engine.dispose()
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "mutant",
    ["metrics are not fenced", "a chunk reported twice is written twice"],
)
def test_it_finds_the_mutant(clock: StandingClock, mutant: str) -> None:
    cluster = Simulation(clock, 1, count=150, faults=60, workers=4)
    try:
        with FOUND_BY_THE_MACHINE[mutant].applied():
            cluster.run(most_ticks=1000)
    except IntegrityError:
        return  # the schema found it first
    assert violations(cluster)


def test_without_messages_sent_again_it_finds_jobs_that_never_run(
    clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "RING_AGAIN", 1e9)
    cluster = Simulation(clock, 1, count=300, faults=100)
    cluster.run(most_ticks=1000)
    assert len(cluster.ended) < 300
