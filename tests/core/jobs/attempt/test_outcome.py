"""Ends: finished once, given back without charge, lost with a bounded number of tries."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import TERMINAL, AttemptStatus, JobStatus
from core import jobs
from core.db.session import reading
from core.db.tables import Job
from core.errors import ChainruleError, SupersededError
from tests.support import single
from tests.support.job_cases import claimed, do, pass_time, points, queued

SIGNAL = {"kind": "signal", "message": "killed by SIGKILL"}


def seen(engine: Engine, job_id: str) -> Job:
    with reading(engine) as session:
        return jobs.get(session, job_id)


def checkpoint(engine: Engine, claim: jobs.Claim, step: int) -> None:
    do(
        engine, jobs.record_checkpoint, claim.job_id, claim.attempt, step=step, epoch=0,
        key=f"k{claim.attempt}-{step}", size_bytes=1, digest="d",
    )  # fmt: skip


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_end_is_written_on_job_and_attempt(engine: Engine, status: JobStatus) -> None:
    claim = claimed(engine)
    result = {"weights_digest": "abc", "metrics": {"test/loss": float("nan")}}
    made = do(
        engine, single.finish, claim.job_id, 1, status, result=result, cause={"kind": "why"},
        exit_code=3, peak_memory_bytes=2**40,
    )  # fmt: skip
    job = seen(engine, claim.job_id)
    assert (job.status, job.cause) == (status, {"kind": "why"})
    assert job.result == {"weights_digest": "abc", "metrics": {"test/loss": "NaN"}}
    assert job.finished_at == made.finished_at is not None
    assert job.lease_until is None
    with reading(engine) as session:
        (attempt,) = jobs.attempts(session, claim.job_id)
        assert jobs.events(session, claim.job_id)[-1].kind == status.value
    assert attempt.status.value == status.value
    assert (attempt.exit_code, attempt.peak_memory_bytes) == (3, 2**40)


def test_an_end_is_no_state_to_go_on_from(engine: Engine) -> None:
    claim = claimed(engine)
    with pytest.raises(ValueError, match="not an end"):
        do(engine, single.finish, claim.job_id, 1, JobStatus.QUEUED)


def test_finishing_twice_is_finishing_once(engine: Engine) -> None:
    claim = claimed(engine)
    first = do(engine, single.finish, claim.job_id, 1, JobStatus.FINISHED, result={"a": 1})
    again = do(engine, single.finish, claim.job_id, 1, JobStatus.FINISHED, result={"a": 2})
    assert again.finished_at == first.finished_at
    assert again.result == {"a": 1}
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.finish, claim.job_id, 1, JobStatus.FAILED)
    with reading(engine) as session:
        kinds = [event.kind for event in jobs.events(session, claim.job_id)]
    assert kinds == ["submitted", "claimed", "finished"]


def test_a_failure_that_was_not_ours_is_not_taken_for_ours(engine: Engine) -> None:
    claim = claimed(engine, queued(engine, max_attempts=1).id)
    pass_time(engine, 60)
    do(engine, jobs.reap)
    assert seen(engine, claim.job_id).status is JobStatus.FAILED
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.finish, claim.job_id, 1, JobStatus.FAILED)


def test_a_released_job_waits_again_uncharged(engine: Engine) -> None:
    claim = claimed(engine)
    for attempt in range(1, 6):
        job = do(engine, single.release, claim.job_id, attempt, cause={"kind": "drained"})
        assert (job.status, job.infra_failures, job.published_at) == (JobStatus.QUEUED, 0, None)
        assert claimed(engine, claim.job_id).attempt == attempt + 1
    with reading(engine) as session:
        ends = [row.status for row in jobs.attempts(session, claim.job_id)]
    assert ends == [AttemptStatus.RELEASED] * 5 + [AttemptStatus.RUNNING]


def test_the_first_loss_is_retried_at_once_the_next_after_a_pause(engine: Engine) -> None:
    claim = claimed(engine, queued(engine, max_attempts=5).id)
    do(engine, single.lose, claim.job_id, 1, cause=SIGNAL, exit_code=-9)
    claimed(engine, claim.job_id)
    do(engine, single.lose, claim.job_id, 2, cause=SIGNAL)
    given = {"node": "n", "worker": "w", "lease_seconds": 5}
    assert do(engine, jobs.claim, claim.job_id, **given) is None
    pass_time(engine, 2)
    assert do(engine, jobs.claim, claim.job_id, **given) is not None
    with reading(engine) as session:
        first = jobs.attempts(session, claim.job_id)[0]
    assert (first.status, first.cause, first.exit_code) == (AttemptStatus.LOST, SIGNAL, -9)


def lose_all(engine: Engine, job_id: str, most: int, cause: dict[str, str]) -> int:
    """Lose attempts until the job ends; how many there were."""
    for number in range(1, most + 1):
        pass_time(engine, 100)
        claim = claimed(engine, job_id)
        if do(engine, single.lose, job_id, claim.attempt, cause=cause).status.terminal:
            return number
    raise AssertionError(f"still alive after {most} losses")


def test_a_job_that_kills_each_worker_fails_as_poison(engine: Engine) -> None:
    job = queued(engine, max_attempts=3)
    assert lose_all(engine, job.id, 10, SIGNAL) == 3
    row = seen(engine, job.id)
    assert row.status is JobStatus.FAILED
    assert row.cause is not None
    assert (row.cause["kind"], row.cause["last"]) == ("poison", SIGNAL)
    assert row.cause["message"].endswith("the last: killed by SIGKILL")


def test_with_one_attempt_the_loss_itself_is_the_cause(engine: Engine) -> None:
    job = queued(engine, max_attempts=1)
    assert lose_all(engine, job.id, 2, SIGNAL) == 1
    assert seen(engine, job.id).cause == SIGNAL


def test_a_job_whose_checkpoint_advances_survives_many_losses(engine: Engine) -> None:
    job = queued(engine, max_attempts=2)
    for number in range(1, 12):
        pass_time(engine, 100)
        claim = claimed(engine, job.id)
        checkpoint(engine, claim, number * 10)
        do(engine, single.lose, job.id, claim.attempt, cause=SIGNAL)
    assert seen(engine, job.id).status is JobStatus.QUEUED
    assert lose_all(engine, job.id, 3, SIGNAL) == 1


def test_metrics_without_a_checkpoint_are_no_progress(engine: Engine) -> None:
    job = queued(engine, max_attempts=2)
    for number in (1, 2):
        claim = claimed(engine, job.id)
        do(
            engine, single.record_metrics, job.id, claim.attempt, 0, points(number * 100),
            progress={"step": number * 100},
        )  # fmt: skip
        do(engine, single.lose, job.id, claim.attempt, cause=SIGNAL)
    assert seen(engine, job.id).status is JobStatus.FAILED


def test_running_out_of_memory_is_tried_once_more(engine: Engine) -> None:
    cause = {"kind": jobs.OUT_OF_MEMORY, "message": "limit 1 GB"}
    job = queued(engine, max_attempts=9)
    assert lose_all(engine, job.id, 9, cause) == 2
    assert seen(engine, job.id).cause == cause


@pytest.mark.parametrize("end", ["lose", "release", "reap"])
def test_who_asked_for_an_end_gets_it_when_the_attempt_ends(engine: Engine, end: str) -> None:
    claim = claimed(engine, queued(engine, max_attempts=1).id)
    do(engine, jobs.cancel, claim.job_id)
    if end == "lose":
        do(engine, single.lose, claim.job_id, 1, cause=SIGNAL)
    elif end == "release":
        do(engine, single.release, claim.job_id, 1)
    else:
        pass_time(engine, 60)
        do(engine, jobs.reap)
    job = seen(engine, claim.job_id)
    assert job.status is JobStatus.CANCELLED
    assert job.finished_at is not None


def test_who_asked_for_a_pause_gets_it_when_the_attempt_ends(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, jobs.pause, claim.job_id)
    do(engine, single.release, claim.job_id, 1)
    job = seen(engine, claim.job_id)
    assert (job.status, job.pause_requested_at) == (JobStatus.PAUSED, None)
    do(engine, jobs.resume, claim.job_id)
    again = claimed(engine, claim.job_id)
    assert do(engine, jobs.signals, again.owned) == {again.job_id: jobs.Signals(False, False)}


def test_cancel_and_finish_race_to_one_end(engine: Engine) -> None:
    for _ in range(20):
        claim = claimed(engine)
        finish, cancel, _ = at_once(
            partial(do, engine, single.finish, claim.job_id, 1, JobStatus.FINISHED),
            partial(do, engine, jobs.cancel, claim.job_id),
            partial(do, engine, single.release, claim.job_id, 1),
        )
        job = seen(engine, claim.job_id)
        assert cancel in {"cancelled", "running", "ConflictError"}
        assert (job.status is JobStatus.FINISHED) is (finish == "finished")
        if finish != "finished":
            assert job.status is JobStatus.CANCELLED
        with reading(engine) as session:
            ends = [e.kind for e in jobs.events(session, job.id) if JobStatus(e.status).terminal]
        assert len(ends) == 1


def at_once(*actions: Callable[[], Job]) -> list[str]:
    """What each action said when all began at one moment: the job's status or the error."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], Job]) -> str:
        barrier.wait()
        try:
            return str(action().status)
        except ChainruleError as error:
            return type(error).__name__

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))
