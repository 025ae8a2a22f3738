"""How an attempt's end reaches the database: after its points, once, and only under its lease."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.session import transaction
from core.errors import SupersededError
from core.events import StepEnded
from tests.core.jobs.mutants import FOUND_BY_TESTS
from tests.support.worker_cases import Bench
from worker.attempt.lease import Lease
from worker.attempt.members import Members
from worker.attempt.outcome import Outcome
from worker.attempt.progress import Progress, Timeline
from worker.attempt.recorder import Recorder


class Ending:
    """An attempt at a new job that is about to end; its lease was renewed `age_seconds` ago."""

    def __init__(self, bench: Bench, *, age_seconds: float = 0.0) -> None:
        job_id = bench.submit()
        with transaction(bench.engine) as session:
            claim = jobs.claim(session, job_id, node="n", worker="w", lease_seconds=60)
        assert claim is not None
        self.job_id = job_id
        claimed_at = time.monotonic() - age_seconds
        members = Members([claim])
        lease = Lease(bench.engine, members, bench.settings, claimed_at=claimed_at)
        progress = Progress([claim], Timeline(claim.claimed_at, claimed_at))
        # So long that a chunk is written only when somebody waits for it.
        self.recorder = Recorder(bench.engine, members, progress, chunk_seconds=3600)
        self.outcome = Outcome(bench.equipment, members, lease, self.recorder)
        self.recorder.start()

    def finish(self) -> None:
        self.outcome.finish({self.job_id: jobs.End(JobStatus.FINISHED, {})})


def end_without_a_lease(bench: Bench) -> None:
    """A result comes when the lease has run out, nobody has taken over, and the worker ends."""
    ending = Ending(bench, age_seconds=3600)
    bench.drain.begin()
    with pytest.raises(SupersededError, match="the lease ran out"):
        ending.finish()
    assert bench.job(ending.job_id).status is JobStatus.RUNNING
    ending.recorder.end()


def end_with_points(bench: Bench) -> None:
    """A result comes while points wait to be written."""
    ending = Ending(bench)
    for step in (1, 2, 3):
        ending.recorder.add(StepEnded(step, 0, {"train/loss": 0.5}), time.monotonic())
    ending.finish()
    assert bench.job(ending.job_id).status is JobStatus.FINISHED
    assert [step for step, _ in bench.history(ending.job_id)["train/loss"]] == [1, 2, 3]
    ending.recorder.end()


def end_with_a_lost_answer(bench: Bench) -> None:
    """The job is given back, and the answer of the commit is lost."""
    ending = Ending(bench)
    answers = iter([OperationalError("COMMIT", None, ConnectionError("the answer was lost"))])

    def lose_answer(_session: Session) -> None:
        for error in answers:
            raise error

    event.listen(Session, "after_commit", lose_answer)
    try:
        ending.outcome.interrupt("drain")
    finally:
        event.remove(Session, "after_commit", lose_answer)
    assert next(answers, None) is None
    assert bench.job(ending.job_id).status is JobStatus.QUEUED
    assert [one.status for one in bench.attempts(ending.job_id)] == [AttemptStatus.RELEASED]
    assert bench.equipment.counts._counts.total("attempts_released") == 1
    ending.recorder.end()


FOUND = (pytest.fail.Exception, AssertionError, KeyError, SupersededError)
SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "the end is sent after the lease was lost": end_without_a_lease,
    "the end is sent before the points are written": end_with_points,
    "an end that was sent is taken for a lost lease": end_with_a_lost_answer,
}


@pytest.mark.parametrize("scenario", SCENARIOS.values())
def test_an_end_is_sent_after_its_points_once_and_under_the_lease(
    bench: Bench, scenario: Callable[[Bench], None]
) -> None:
    scenario(bench)


@pytest.mark.parametrize("name", FOUND_BY_TESTS)
def test_the_mutant_is_found(make_bench: Callable[..., Bench], sqlite_url: str, name: str) -> None:
    bench = make_bench(sqlite_url)
    with FOUND_BY_TESTS[name].applied(), pytest.raises(FOUND):
        SCENARIOS[name](bench)
