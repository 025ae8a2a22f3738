"""A job is left to a free worker that holds its data, for some seconds and no longer."""

from typing import Any

import pytest
from sqlalchemy import Engine, update

from core import jobs, nodes
from core.db.clock import later
from core.db.session import reading, transaction
from core.db.tables import DatasetVersion, Job, Worker
from core.jobs.locality import LEAST_BYTES
from tests.support.job_cases import do, pass_time, queued


@pytest.fixture
def large(engine: Engine) -> Job:
    """A job that waits, whose data is worth a move."""
    job = queued(engine)
    with transaction(engine) as session:
        session.execute(update(DatasetVersion).values(bytes=LEAST_BYTES))
    return job


def beat(engine: Engine, job: Job, worker: str = "holder", **changes: Any) -> None:
    with reading(engine) as session:
        digest = jobs.get(session, job.id).dataset_version.digest
    given = {
        "node": worker, "host": "h", "pid": 7, "slots": 1, "queues": ["cpu"], "versions": {},
        "datasets": ["0" * 64, digest],
    }  # fmt: skip
    do(engine, nodes.heartbeat, worker=worker, **(given | changes))


def left(engine: Engine, job: Job, *, holds: bool = False) -> bool:
    with reading(engine) as session:
        return jobs.left_to_others(
            session, job.id, worker="w1", holds=lambda _: holds, alive_seconds=30
        )


def test_a_job_is_left_to_who_holds_its_data(engine: Engine, large: Job) -> None:
    assert not left(engine, large)
    beat(engine, large)
    assert left(engine, large)
    assert not left(engine, large, holds=True)
    pass_time(engine, 6)
    assert not left(engine, large)


@pytest.mark.parametrize(
    "changes",
    [{"datasets": ["1" * 64]}, {"datasets": []}, {"queues": ["gpu"]}, {"slots": 0}],
    ids=str,
)
def test_nobody_waits_for_who_cannot_take_it(
    engine: Engine, large: Job, changes: dict[str, Any]
) -> None:
    beat(engine, large, **changes)
    assert not left(engine, large)


def test_nobody_waits_for_who_is_busy_gone_or_drained(engine: Engine, large: Job) -> None:
    beat(engine, large)
    other = queued(engine)
    do(engine, jobs.claim, other.id, node="holder", worker="holder", lease_seconds=30)
    assert not left(engine, large)
    beat(engine, large, slots=2)
    assert left(engine, large)
    do(engine, nodes.drain, "holder")
    assert not left(engine, large)
    do(engine, nodes.drain, "holder", on=False)
    do(engine, nodes.stopped, "holder")
    assert not left(engine, large)
    beat(engine, large, slots=2)
    with transaction(engine) as session:
        session.execute(update(Worker).values(heartbeat_at=later(-60)))
    assert not left(engine, large)


def test_small_sets_are_not_worth_it(engine: Engine, large: Job) -> None:
    beat(engine, large)
    with transaction(engine) as session:
        session.execute(update(DatasetVersion).values(bytes=LEAST_BYTES - 1))
    assert not left(engine, large)
