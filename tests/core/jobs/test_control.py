"""Control: what an owner asks of a job, in every state it can be in."""

import threading

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.engine import make_engine
from core.db.session import reading
from core.errors import ConflictError, NotFoundError
from tests.support import single
from tests.support.job_cases import claimed, do, queued


def test_cancelling_a_job_that_waits_ends_it(engine: Engine) -> None:
    job = queued(engine)
    done = do(engine, jobs.cancel, job.id, owner="ada")
    assert done.status is JobStatus.CANCELLED
    assert done.finished_at is not None
    assert do(engine, jobs.cancel, job.id).finished_at == done.finished_at
    with reading(engine) as session:
        events = jobs.events(session, job.id)
    assert [(event.kind, event.actor) for event in events] == [
        ("submitted", "client:local"),
        ("cancelled", "client:ada"),
    ]


def test_cancelling_a_job_that_runs_asks_its_attempt(engine: Engine) -> None:
    claim = claimed(engine)
    assert do(engine, jobs.cancel, claim.job_id).status is JobStatus.RUNNING
    first = do(engine, jobs.cancel, claim.job_id)
    assert first.cancel_requested_at is not None
    assert do(engine, jobs.signals, claim.owned)[claim.job_id].cancel_requested
    done = do(engine, single.finish, claim.job_id, 1, JobStatus.CANCELLED)
    assert done.status is JobStatus.CANCELLED
    with reading(engine) as session:
        kinds = [event.kind for event in jobs.events(session, claim.job_id)]
    assert kinds == ["submitted", "claimed", "cancel_requested", "cancelled"]


def test_an_ended_job_takes_no_orders(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, single.finish, claim.job_id, 1, JobStatus.FINISHED)
    for order in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(ConflictError, match="is finished and cannot"):
            do(engine, order, claim.job_id)
    with pytest.raises(ConflictError, match="is finished and cannot be moved"):
        do(engine, jobs.set_priority, claim.job_id, 3)


def test_an_unknown_job_takes_none_either(engine: Engine) -> None:
    for order in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(NotFoundError, match="there is no job"):
            do(engine, order, "0" * 32)


def test_pause_and_resume_of_a_job_that_waits(engine: Engine) -> None:
    job = queued(engine)
    assert do(engine, jobs.pause, job.id).status is JobStatus.PAUSED
    assert do(engine, jobs.pause, job.id).status is JobStatus.PAUSED
    assert do(engine, jobs.due, "cpu", 9) == []
    assert do(engine, jobs.resume, job.id).status is JobStatus.QUEUED
    assert do(engine, jobs.resume, job.id).status is JobStatus.QUEUED
    assert do(engine, jobs.due, "cpu", 9) == [job.id]


def test_a_pause_that_was_only_asked_for_can_be_taken_back(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, jobs.pause, claim.job_id)
    assert do(engine, jobs.signals, claim.owned)[claim.job_id].pause_requested
    do(engine, jobs.resume, claim.job_id)
    assert not do(engine, jobs.signals, claim.owned)[claim.job_id].pause_requested


def test_a_paused_job_can_be_cancelled(engine: Engine) -> None:
    job = queued(engine)
    do(engine, jobs.pause, job.id)
    assert do(engine, jobs.cancel, job.id).status is JobStatus.CANCELLED


def test_priority_moves_a_job_ahead(engine: Engine) -> None:
    first, second = queued(engine), queued(engine)
    assert do(engine, jobs.due, "cpu", 9) == [first.id, second.id]
    do(engine, jobs.set_priority, second.id, 5, owner="ada")
    assert do(engine, jobs.due, "cpu", 9) == [second.id, first.id]
    with reading(engine) as session:
        event = jobs.events(session, second.id)[-1]
    assert (event.kind, event.reason) == ("moved", {"from": 0, "to": 5})


def test_postgresql_tells_listeners_what_is_asked_of_a_job(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    claim = claimed(engine)
    address = make_url(postgres_url).set(drivername="postgresql").render_as_string(False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"LISTEN {jobs.CHANNEL}".encode())
        thread = threading.Thread(target=do, args=(engine, jobs.cancel, claim.job_id))
        thread.start()
        notification = next(connection.notifies(timeout=20))
        thread.join()
    assert notification.payload == claim.job_id
    engine.dispose()
