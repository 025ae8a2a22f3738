"""Submitting: one job for one request, however often it comes."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.idempotency import KeyedRequest, once
from core.db.session import reading, transaction
from core.db.tables import DatasetVersion, Experiment, Job
from core.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from tests.support import single
from tests.support.job_cases import claimed, dataset_version, do, pass_time, queued, spec


def count(engine: Engine, table: type) -> int:
    with reading(engine) as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_job_is_queued_with_all_that_a_reader_needs(engine: Engine) -> None:
    given = spec(tags={"team": "b"}, name="first", device="gpu", priority=4, max_attempts=7)
    with transaction(engine) as session:
        made = jobs.submit(session, given, dataset_version(session), owner="ada")
    with reading(engine) as session:
        job = jobs.get(session, made.id)
    assert job.status is JobStatus.QUEUED
    assert JobStatus(job.status) == made.status
    assert (job.queue, job.priority, job.max_attempts, job.attempt) == ("gpu", 4, 7, 0)
    assert (job.experiment.name, job.name, job.tags) == ("digits", "first", {"team": "b"})
    assert job.dataset_version.dataset.name == "digits"
    assert type(given).model_validate(job.spec) == given
    assert job.created_at.tzinfo is not None
    assert job.created_at == made.created_at


def test_jobs_of_one_experiment_share_its_row(engine: Engine) -> None:
    queued(engine)
    queued(engine)
    queued(engine, experiment="other")
    assert count(engine, Experiment) == 2


def keyed(
    engine: Engine, version: DatasetVersion, owner: str, request_hash: str, **options: Any
) -> tuple[Job, bool]:
    """The job of a submission with the key `k`, and whether it existed."""
    with transaction(engine) as session:
        return once(
            session,
            KeyedRequest(owner, "k", request_hash),
            lambda: jobs.submit(session, spec(), version, owner=owner, **options),
            partial(jobs.get, session),
        )


def test_many_retries_at_once_make_one_job(engine: Engine) -> None:
    with transaction(engine) as session:
        version = dataset_version(session)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: keyed(engine, version, "ada", "h"), range(50)))
    assert len({job.id for job, _ in answers}) == 1
    assert [replayed for _, replayed in answers].count(False) == 1
    assert count(engine, Job) == 1


def test_a_key_belongs_to_one_request_of_one_owner(engine: Engine) -> None:
    with transaction(engine) as session:
        version = dataset_version(session)
    first, _ = keyed(engine, version, "ada", "h")
    other, replayed = keyed(engine, version, "bob", "h")
    assert (first.id != other.id, replayed) == (True, False)
    with pytest.raises(InvalidError) as caught:
        keyed(engine, version, "ada", "changed")
    assert caught.value.errors[0].path == "Idempotency-Key"


def test_a_submission_that_fails_leaves_its_key_free(engine: Engine) -> None:
    with transaction(engine) as session:
        version = dataset_version(session)
    with pytest.raises(UnavailableError, match="0 jobs"):
        keyed(engine, version, "ada", "h", max_queued=0)
    _, replayed = keyed(engine, version, "ada", "h", max_queued=1)
    assert not replayed
    with pytest.raises(UnavailableError, match="1 jobs"):
        do(engine, jobs.submit, spec(), version, owner="ada", max_queued=1)


def test_a_retry_is_a_new_job_that_names_the_old_one(engine: Engine) -> None:
    claim = claimed(engine)
    cause = {"kind": "user_error", "message": "NaN"}
    do(engine, single.finish, claim.job_id, claim.attempt, JobStatus.FAILED, cause=cause)
    new = do(engine, jobs.retry, claim.job_id, owner="ada")
    with reading(engine) as session:
        old = jobs.get(session, claim.job_id)
        assert old.status is JobStatus.FAILED
        assert new.retry_of == old.id
        assert new.spec == old.spec
        assert (new.status, new.attempt, new.owner) == (JobStatus.QUEUED, 0, "ada")
        assert jobs.events(session, old.id)[-1].reason == {"job": new.id}


def test_retrying_a_job_that_waits_after_a_loss_ends_the_wait(engine: Engine) -> None:
    job = queued(engine)
    for _ in range(2):
        claim = claimed(engine, job.id)
        do(engine, single.lose, job.id, claim.attempt, cause={"kind": "signal"})
    again = {"node": "n", "worker": "w", "lease_seconds": 5}
    assert do(engine, jobs.claim, job.id, **again) is None
    do(engine, jobs.retry, job.id, owner="ada")
    assert do(engine, jobs.claim, job.id, **again) is not None


def test_what_cannot_be_retried(engine: Engine) -> None:
    claim = claimed(engine)
    with pytest.raises(ConflictError, match="running"):
        do(engine, jobs.retry, claim.job_id, owner="ada")
    do(engine, single.finish, claim.job_id, claim.attempt, JobStatus.FINISHED)
    with pytest.raises(ConflictError, match="finished"):
        do(engine, jobs.retry, claim.job_id, owner="ada")
    with pytest.raises(NotFoundError):
        do(engine, jobs.retry, "0" * 32, owner="ada")


def test_the_hash_of_a_spec_does_not_know_the_order_of_keys() -> None:
    assert jobs.spec_hash({"a": 1, "b": 2}) == jobs.spec_hash({"b": 2, "a": 1})
    assert jobs.spec_hash({"a": 1}) != jobs.spec_hash({"a": 2})


def test_time_helper_moves_leases(engine: Engine) -> None:
    claim = claimed(engine)
    assert do(engine, jobs.reap) == []
    pass_time(engine, 31)
    assert [job.id for job in do(engine, jobs.reap)] == [claim.job_id]
