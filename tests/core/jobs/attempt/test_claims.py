"""Claims: one of many succeeds; an attempt that lost its claim can do nothing more."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.db.session import reading
from core.errors import SupersededError
from tests.support import single
from tests.support.job_cases import LEASE, claimed, do, pass_time, points, queued


def test_a_claim_tells_all_that_training_needs(engine: Engine) -> None:
    job = queued(engine, name="mine", tags={"a": "b"})
    claim = do(
        engine, jobs.claim, job.id, node="n1", worker="w1", lease_seconds=LEASE, pid=7,
        versions={"numpy": "2"},
    )  # fmt: skip
    assert claim is not None
    assert (claim.job_id, claim.attempt, claim.owner) == (job.id, 1, "local")
    assert (claim.dataset, claim.dataset_version) == ("digits", 1)
    assert claim.dataset_digest == job.dataset_version.digest
    assert claim.spec == job.spec
    assert (claim.experiment, claim.name, claim.tags) == ("digits", "mine", {"a": "b"})
    assert claim.checkpoint is None
    assert claim.claimed_at >= job.created_at
    with reading(engine) as session:
        row = jobs.get(session, job.id)
        (attempt,) = jobs.attempts(session, job.id)
    assert row.status is JobStatus.RUNNING
    assert row.started_at is not None
    assert row.lease_until is not None
    assert row.lease_until > row.started_at
    assert (attempt.node, attempt.worker, attempt.pid) == ("n1", "w1", 7)
    assert attempt.versions == {"numpy": "2"}
    assert attempt.status is AttemptStatus.RUNNING


def test_of_many_claims_at_once_one_is_given(engine: Engine) -> None:
    job = queued(engine)

    def claim(number: int) -> jobs.Claim | None:
        return do(engine, jobs.claim, job.id, node="n", worker=str(number), lease_seconds=LEASE)

    with ThreadPoolExecutor(8) as pool:
        given = [claim for claim in pool.map(claim, range(40)) if claim is not None]
    assert len(given) == 1
    with reading(engine) as session:
        assert jobs.get(session, job.id).attempt == 1
        assert len(jobs.attempts(session, job.id)) == 1
        assert jobs.get(session, job.id).worker == given[0].worker


def test_what_does_not_wait_is_not_claimed(engine: Engine) -> None:
    again = {"node": "n", "worker": "w", "lease_seconds": LEASE}
    assert do(engine, jobs.claim, "0" * 32, **again) is None
    assert do(engine, jobs.claim, "not an id at all \U0001f600", **again) is None
    paused = queued(engine)
    do(engine, jobs.pause, paused.id)
    assert do(engine, jobs.claim, paused.id, **again) is None
    ended = queued(engine)
    do(engine, jobs.cancel, ended.id)
    assert do(engine, jobs.claim, ended.id, **again) is None


def test_renewing_moves_the_lease_and_tells_what_is_wanted(engine: Engine) -> None:
    claim = claimed(engine)
    pass_time(engine, LEASE - 1)
    assert do(engine, jobs.renew, claim.owned, LEASE) == {claim.job_id: jobs.Signals(False, False)}
    pass_time(engine, LEASE - 1)
    assert do(engine, jobs.reap) == []
    do(engine, jobs.pause, claim.job_id)
    assert do(engine, jobs.renew, claim.owned, LEASE) == {claim.job_id: jobs.Signals(False, True)}
    do(engine, jobs.cancel, claim.job_id)
    assert do(engine, jobs.signals, claim.owned) == {claim.job_id: jobs.Signals(True, True)}


def test_a_lease_that_ran_out_unnoticed_is_renewed(engine: Engine) -> None:
    claim = claimed(engine)
    pass_time(engine, 10 * LEASE)
    do(engine, jobs.renew, claim.owned, LEASE)
    assert do(engine, jobs.reap) == []


def superseded(engine: Engine) -> jobs.Claim:
    """A claim whose job was taken back and runs elsewhere."""
    claim = claimed(engine)
    pass_time(engine, LEASE + 1)
    do(engine, jobs.reap)
    assert claimed(engine, claim.job_id, worker="w2").attempt == 2
    return claim


def test_a_superseded_attempt_can_do_nothing(engine: Engine) -> None:
    old = superseded(engine)
    given = (old.job_id, old.attempt)
    checkpoint = {"step": 1, "epoch": 0, "key": "k", "size_bytes": 1, "digest": "d"}
    assert do(engine, jobs.renew, old.owned, LEASE) == {}
    assert do(engine, jobs.signals, old.owned) == {}
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.record_metrics, *given, 0, points(1))
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.record_metrics, *given, 0, [], progress={"step": 3})
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, jobs.record_checkpoint, *given, **checkpoint)
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, jobs.resumed, *given, 0)
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.finish, *given, JobStatus.FINISHED)
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.release, *given)
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.lose, *given, cause={"kind": "signal"})
    with reading(engine) as session:
        job = jobs.get(session, old.job_id)
        assert (job.status, job.attempt, job.worker) == (JobStatus.RUNNING, 2, "w2")
        assert jobs.metrics(session, old.job_id).series == {}


def test_nor_can_one_whose_job_waits_again(engine: Engine) -> None:
    claim = claimed(engine)
    do(engine, single.release, claim.job_id, claim.attempt)
    assert do(engine, jobs.renew, claim.owned, LEASE) == {}
    with pytest.raises(SupersededError, match="no longer owns job"):
        do(engine, single.record_metrics, claim.job_id, claim.attempt, 0, points(1))


def test_a_number_from_the_future_owns_nothing(engine: Engine) -> None:
    claim = replace(claimed(engine), attempt=2)
    assert do(engine, jobs.renew, claim.owned, LEASE) == {}


def test_the_next_attempt_gets_the_checkpoint(engine: Engine) -> None:
    claim = claimed(engine)
    for step in (10, 20):
        do(
            engine, jobs.record_checkpoint, claim.job_id, 1, step=step, epoch=1,
            key=f"k{step}", size_bytes=5, digest="d",
        )  # fmt: skip
    progress = {"step": 25, "epoch": 2, "best": {"loss": 0.5}}
    do(engine, single.record_metrics, claim.job_id, 1, 0, [], progress=progress)
    do(engine, single.lose, claim.job_id, 1, cause={"kind": "signal"})
    again = claimed(engine, claim.job_id)
    assert again.checkpoint is not None
    assert (again.checkpoint.key, again.checkpoint.step, again.checkpoint.bytes) == ("k20", 20, 5)
    assert again.progress == {"step": 20, "epoch": 1, "best": {"loss": 0.5}}
    with reading(engine) as session:
        assert [row.resumed_from_step for row in jobs.attempts(session, claim.job_id)] == [0, 20]
        assert jobs.get(session, claim.job_id).progress_step == 20
