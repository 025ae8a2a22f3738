"""Old jobs go with all that they left, if a setting says so; what somebody needs stays."""

import uuid
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from chainrule.contract.status import JobKind
from core import models, sweeps
from core.db.session import reading, transaction
from core.db.tables import (
    Attempt,
    Checkpoint,
    Evaluation,
    Job,
    JobEvent,
    LogLine,
    MetricChunk,
)
from core.retention import Storage, jobs
from tests.core.retention.cases import DAY, applied, count, left
from tests.support import sweep_cases
from tests.support.clocks import StandingClock
from tests.support.job_cases import claimed, dataset_version, do

PARTS = (Attempt, Checkpoint, JobEvent, LogLine, MetricChunk)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH_JOBS", 2)
    monkeypatch.setattr(jobs, "EXAMINED_JOBS", 3)


def ids(storage: Storage) -> set[str]:
    with reading(storage.engine) as session:
        return set(session.scalars(select(Job.id)))


def test_old_jobs_go_with_rows_and_files(storage: Storage, clock: StandingClock) -> None:
    for _ in range(5):
        left(storage)
    running = claimed(storage.engine).job_id
    clock.advance(2 * DAY)
    newer = left(storage)
    assert not applied(replace(storage, mirrored_only=True), jobs.jobs(1))
    assert applied(storage, jobs.jobs(1)).rows == 5
    assert ids(storage) == {running, newer}
    with reading(storage.engine) as session:
        for table in PARTS:
            assert set(session.scalars(select(table.job_id))) <= {running, newer}
    keys = storage.store.keys()
    assert {key.split("/")[1] for key in keys} == {newer}


def test_jobs_stay_that_somebody_needs(storage: Storage, clock: StandingClock) -> None:
    named, trained, evaluating, lone = (left(storage) for _ in range(4))
    do(storage.engine, models.register, "digits", named, owner="local")
    with transaction(storage.engine) as session:
        using = {"kind": JobKind.EVALUATE, "model_job_id": trained}
        session.execute(update(Job).where(Job.id == evaluating).values(**using))
        session.add(
            Evaluation(
                job_id=trained, dataset_version_id=dataset_version(session).id, rows=1,
                metrics={}, slices=[], evaluated_by=evaluating, owner="local",
            )
        )  # fmt: skip
    sweep_id = sweep_cases.started(storage.engine)
    sweep_cases.rounds(storage.engine, sweep_id)
    trials = {job.id for _, job in sweep_cases.table(storage.engine, sweep_id)}
    assert trials
    clock.advance(2 * DAY)
    assert applied(storage, jobs.jobs(1)).rows == 1
    assert ids(storage) == {named, trained, evaluating, *trials}
    assert lone not in ids(storage)
    assert sweep_cases.points(storage.engine, sweep_id)
    do(storage.engine, sweeps.get, sweep_id)


def test_a_job_whose_model_is_registered_meanwhile_stays(
    storage: Storage, clock: StandingClock
) -> None:
    job_id = left(storage)
    clock.advance(2 * DAY)
    policy = jobs.JobPolicy("jobs", 1)
    (batch,) = policy._batches(storage)
    do(storage.engine, models.register, f"m{uuid.uuid4().hex}", job_id, owner="local")
    with transaction(storage.engine) as session:
        assert policy._delete(session, storage, batch) == 0
    assert ids(storage) == {job_id}
    assert count(storage, Checkpoint) == 1
    assert storage.store.keys("models")
