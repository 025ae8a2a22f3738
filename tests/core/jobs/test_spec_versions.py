"""Specs of another release: left to workers that read them, and never failed for it."""

import pytest
from sqlalchemy import Engine, update

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.session import transaction
from core.db.tables import Job
from core.errors import SupersededError
from core.spec import JobSpec
from core.spec.inference import EvaluationSpec
from core.spec.version import SPEC_VERSION
from tests.support.job_cases import (
    LEASE,
    NewerSpec,
    UnmarkedSpec,
    claimed,
    dataset_version,
    do,
    queued,
    spec,
)

NEWER = SPEC_VERSION + 1


def waiting(engine: Engine, *, queue: str = "cpu", version: int | None = None) -> str:
    """The id of a job of a newer release, or of one that needs just this spec version."""
    job = queued(engine, kind=NewerSpec, warp=9, device=queue)
    if version is not None:
        with transaction(engine) as session:
            session.execute(update(Job).where(Job.id == job.id).values(spec_version=version))
    return job.id


def test_a_job_says_which_version_it_needs(engine: Engine) -> None:
    assert queued(engine).spec_version == 1
    job = queued(engine, kind=NewerSpec, warp=9)
    assert (job.spec_version, job.spec["warp"]) == (NEWER, 9)


def test_a_job_of_a_newer_release_that_uses_nothing_new_is_as_before(engine: Engine) -> None:
    job, same = queued(engine, kind=NewerSpec), queued(engine)
    assert (job.spec, job.spec_hash, job.spec_version) == (same.spec, same.spec_hash, 1)


def test_a_spec_of_a_newer_release_is_not_claimed(engine: Engine) -> None:
    newer, known = waiting(engine), waiting(engine, version=SPEC_VERSION)
    worker = {"node": "n", "worker": "w", "lease_seconds": LEASE}
    assert do(engine, jobs.claim, newer, **worker) is None
    assert do(engine, jobs.claim, known, **worker) is not None
    row = do(engine, jobs.get, newer)
    assert (row.status, row.attempt) == (JobStatus.QUEUED, 0)


def test_nor_is_it_claimed_for_a_stack(engine: Engine) -> None:
    def submit(job: JobSpec) -> Job:
        return do(engine, lambda session: jobs.submit(
            session, job, dataset_version(session), owner="local", stack_key="k"
        ))  # fmt: skip

    first, second = submit(spec()), submit(spec())
    submit(spec(NewerSpec, warp=9))
    claim = claimed(engine, first.id)
    assert do(engine, jobs.stackable, "k") == 1
    stacked = do(engine, jobs.claim_stack, claim, 9, lease_seconds=LEASE)
    assert [one.job_id for one in stacked] == [second.id]


def test_only_what_workers_read_is_due(engine: Engine) -> None:
    newer, known = waiting(engine), queued(engine).id
    assert do(engine, jobs.due, "cpu", 9) == [known]
    assert do(engine, jobs.due, "cpu", 9, spec_version=NEWER) == [newer, known]
    notified: list[str] = []

    def dispatch(**named: int) -> None:
        jobs.dispatch(
            engine, lambda job_id, _: notified.append(job_id), queue="cpu", window=9, **named
        )

    dispatch(spec_version=SPEC_VERSION)
    assert notified == [known]
    dispatch(spec_version=NEWER)
    assert notified == [known, newer]


def test_a_retry_needs_what_the_job_needed(engine: Engine) -> None:
    old = waiting(engine)
    do(engine, jobs.cancel, old)
    assert do(engine, jobs.retry, old, owner="local").spec_version == NEWER


def test_using_a_model_needs_what_training_it_needed(engine: Engine) -> None:
    trained = waiting(engine)
    row = do(engine, lambda session: jobs.infer(
        session, EvaluationSpec(dataset="digits@1"), jobs.get(session, trained),
        dataset_version(session), owner="local", model="m@1",
    ))  # fmt: skip
    assert row.spec_version == NEWER


def test_what_cannot_be_read_after_all_is_given_back_uncharged(engine: Engine) -> None:
    job = queued(engine, kind=UnmarkedSpec, max_attempts=1)
    claim = claimed(engine, job.id)
    with pytest.raises(jobs.UnknownSpecError, match="warp: Extra inputs") as raised:
        jobs.read(claim)
    do(engine, jobs.decline, job.id, claim.attempt, raised.value)
    row = do(engine, jobs.get, job.id)
    assert (row.status, row.infra_failures, row.cause) == (JobStatus.QUEUED, 0, None)
    assert row.spec_version == NEWER
    (attempt,) = do(engine, jobs.attempts, job.id)
    assert attempt.status is AttemptStatus.RELEASED
    assert (attempt.cause or {})["kind"] == jobs.UNKNOWN_SPEC
    assert do(engine, jobs.kept_off, job.id, node="n", worker="w")
    with pytest.raises(SupersededError):
        do(engine, jobs.decline, job.id, claim.attempt, raised.value)


def test_a_readable_spec_is_read(engine: Engine) -> None:
    claim = claimed(engine)
    assert jobs.read(claim) == spec()


def test_jobs_that_no_worker_reads_are_counted_by_queue(engine: Engine) -> None:
    assert do(engine, jobs.beyond, {}) == {}
    queued(engine)
    waiting(engine, version=7)
    waiting(engine, version=5)
    waiting(engine, queue="gpu", version=5)
    do(engine, jobs.pause, waiting(engine, version=4))
    assert do(engine, jobs.beyond, {"cpu": 1, "gpu": 5}) == {"cpu": (2, 5)}
    assert do(engine, jobs.beyond, {"cpu": 5, "gpu": 4}) == {"cpu": (1, 7), "gpu": (1, 5)}
    assert do(engine, jobs.beyond, {"gpu": 7}) == {}
