"""Who lost a job leaves it to others that could take it, and only as long as there are any."""

from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from chainrule.contract.status import JobStatus
from core import jobs, nodes
from core.db.clock import now
from core.db.session import transaction
from tests.support import single
from tests.support.job_cases import LEASE, claimed, do, pass_time, queued

SIGNAL = {"kind": "signal", "message": "killed by SIGKILL"}
FULL = {"kind": "disk_full", "message": "no space"}
MISSING = {"kind": jobs.DATA_MISSING, "message": "dataset digits@1: nothing under chunks/ab"}


def present(engine: Engine, worker: str, node: str, **changes: Any) -> None:
    """Let `worker` on `node` be alive with one free slot."""
    given = {"host": "h", "pid": 7, "slots": 1, "queues": ["cpu"], "versions": {}} | changes
    do(engine, nodes.heartbeat, node=node, worker=worker, **given)


def take(engine: Engine, job_id: str, worker: str, node: str) -> jobs.Claim | None:
    return do(engine, jobs.claim, job_id, node=node, worker=worker, lease_seconds=LEASE)


def lose(engine: Engine, claim: jobs.Claim | None, cause: dict[str, Any], **more: Any) -> JobStatus:
    """Lose the attempt; how the job stands then. Its backoff is over at once."""
    assert claim is not None
    status = do(engine, single.lose, claim.job_id, claim.attempt, cause=cause, **more).status
    with transaction(engine) as session:
        session.execute(text("UPDATE jobs SET not_before = 0"))
    return status


def test_who_lost_a_job_leaves_it_to_a_free_worker_of_another_node(engine: Engine) -> None:
    present(engine, "sick", "n1")
    present(engine, "well", "n2")
    job = queued(engine)
    other = queued(engine)
    lose(engine, take(engine, job.id, "sick", "n1"), FULL, charged=False)
    assert take(engine, job.id, "sick", "n1") is None
    # Nor another worker of that machine, nor one that was started anew there.
    assert take(engine, job.id, "sick-2", "n1") is None
    assert do(engine, jobs.kept_off, job.id, node="n1", worker="sick")
    assert not do(engine, jobs.kept_off, job.id, node="n2", worker="well")
    assert do(engine, jobs.due, "cpu", 9, claimant=("n1", "sick")) == [other.id]
    assert set(do(engine, jobs.due, "cpu", 9, claimant=("n2", "well"))) == {job.id, other.id}
    assert take(engine, job.id, "well", "n2") is not None


def test_who_lost_a_job_leaves_it_to_another_worker_of_its_node(engine: Engine) -> None:
    present(engine, "a", "n1")
    present(engine, "b", "n1")
    job = queued(engine)
    lose(engine, take(engine, job.id, "a", "n1"), FULL, charged=False)
    assert take(engine, job.id, "a", "n1") is None
    lose(engine, take(engine, job.id, "b", "n1"), FULL, charged=False)
    # Both lost it: nobody is left to leave it to.
    assert take(engine, job.id, "a", "n1") is not None


@pytest.mark.parametrize("why", ["busy", "draining", "suspended", "gone", "other queue", "nobody"])
def test_who_lost_a_job_may_try_again_when_no_other_could(engine: Engine, why: str) -> None:
    present(engine, "sick", "n1")
    changes: dict[str, Any] = {"queues": ["gpu"]} if why == "other queue" else {}
    if why == "suspended":
        changes["suspended_for"] = "the disk is full"
    if why != "nobody":
        present(engine, "well", "n2", **changes)
    if why == "busy":
        assert take(engine, queued(engine).id, "well", "n2") is not None
    if why == "draining":
        do(engine, nodes.drain, "n2")
    if why == "gone":
        do(engine, nodes.stopped, "well")
    job = queued(engine)
    lose(engine, take(engine, job.id, "sick", "n1"), FULL, charged=False)
    assert take(engine, job.id, "sick", "n1") is not None


def test_a_stack_takes_no_job_that_this_worker_lost(engine: Engine) -> None:
    present(engine, "sick", "n1")
    present(engine, "well", "n2")
    first, lost, fresh = (queued(engine) for _ in range(3))
    with transaction(engine) as session:
        session.execute(text("UPDATE jobs SET stack_key = 'k'"))
    lose(engine, take(engine, lost.id, "sick", "n1"), FULL, charged=False)
    claim = take(engine, first.id, "sick", "n1")
    assert claim is not None
    stacked = do(engine, jobs.claim_stack, claim, 9, lease_seconds=LEASE)
    assert [one.job_id for one in stacked] == [fresh.id]


def test_what_a_machine_lost_is_never_charged_and_waits_longer_each_time(engine: Engine) -> None:
    job = queued(engine, max_attempts=1)
    waits = []
    for _ in range(12):
        claim = claimed(engine, job.id)
        row = do(engine, single.lose, job.id, claim.attempt, cause=FULL, charged=False)
        assert (row.status, row.infra_failures) == (JobStatus.QUEUED, 0)
        seconds = row.not_before - do(engine, lambda s: s.scalar(select(now())))
        waits.append(round(seconds.total_seconds()))
        pass_time(engine, 61)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0, 60)
    with transaction(engine) as session:
        assert not any(attempt.charged for attempt in jobs.attempts(session, job.id))
        assert jobs.events(session, job.id)[-1].reason == FULL


def test_poison_needs_attempts_lost_on_two_nodes_while_there_are_two(engine: Engine) -> None:
    present(engine, "a", "n1")
    present(engine, "b", "n2")
    assert take(engine, queued(engine).id, "b", "n2") is not None  # it is busy
    job = queued(engine, max_attempts=2)
    assert lose(engine, take(engine, job.id, "a", "n1"), SIGNAL) is JobStatus.QUEUED
    assert lose(engine, take(engine, job.id, "a", "n1"), SIGNAL) is JobStatus.QUEUED
    # This node used its tries up: the job waits for the other, however long that is busy.
    assert take(engine, job.id, "a", "n1") is None
    assert lose(engine, take(engine, job.id, "b", "n2"), SIGNAL) is JobStatus.FAILED
    cause = do(engine, jobs.get, job.id).cause
    assert cause is not None
    assert cause["kind"] == "poison"


def test_when_the_other_node_goes_away_the_only_one_decides(engine: Engine) -> None:
    present(engine, "a", "n1")
    present(engine, "b", "n2", slots=0)
    job = queued(engine, max_attempts=2)
    for _ in range(2):
        assert lose(engine, take(engine, job.id, "a", "n1"), SIGNAL) is JobStatus.QUEUED
    do(engine, nodes.stopped, "b")
    assert lose(engine, take(engine, job.id, "a", "n1"), SIGNAL) is JobStatus.FAILED


def test_two_losses_on_one_sick_node_and_none_elsewhere_fail_nothing(engine: Engine) -> None:
    present(engine, "sick", "n1")
    present(engine, "well", "n2")
    for _ in range(8):
        job = queued(engine, max_attempts=2)
        lose(engine, take(engine, job.id, "sick", "n1"), SIGNAL)
        claim = take(engine, job.id, "well", "n2")
        assert claim is not None
        ended = do(engine, single.finish, job.id, claim.attempt, JobStatus.FINISHED)
        assert ended.status is JobStatus.FINISHED


def test_data_that_two_nodes_find_missing_fails_the_job_by_name(engine: Engine) -> None:
    present(engine, "a", "n1")
    present(engine, "b", "n2")
    job = queued(engine, max_attempts=9)
    assert lose(engine, take(engine, job.id, "a", "n1"), MISSING) is JobStatus.QUEUED
    assert lose(engine, take(engine, job.id, "b", "n2"), MISSING) is JobStatus.FAILED
    assert do(engine, jobs.get, job.id).cause == MISSING


def test_data_that_the_only_node_finds_missing_twice_fails_the_job_by_name(engine: Engine) -> None:
    present(engine, "a", "n1")
    job = queued(engine, max_attempts=9)
    assert lose(engine, take(engine, job.id, "a", "n1"), MISSING) is JobStatus.QUEUED
    assert lose(engine, take(engine, job.id, "a", "n1"), MISSING) is JobStatus.FAILED
    assert do(engine, jobs.get, job.id).cause == MISSING


def test_members_of_a_stack_that_a_machine_lost_wait_again_uncharged(engine: Engine) -> None:
    claims = [claimed(engine) for _ in range(3)]
    owned = {claim.job_id: claim.attempt for claim in claims}
    assert do(engine, jobs.lose_all, {**owned, "gone": 1}, cause=FULL, charged=False) == set(owned)
    for job_id in owned:
        row = do(engine, jobs.get, job_id)
        assert (row.status, row.infra_failures) == (JobStatus.QUEUED, 0)
