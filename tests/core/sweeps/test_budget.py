"""A sweep ends when its time or its epochs are used up, and trains little beyond them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus, SweepStatus
from core import jobs, sweeps
from core.db.session import reading, transaction
from core.db.tables import Sweep
from core.errors import ConflictError
from core.spec.job import DIGITS
from core.spec.sweep import SweepChanges
from tests.support import single
from tests.support.job_cases import claimed, do
from tests.support.sweep_cases import finish, rounds, started, table

assert isinstance(DIGITS["epochs"], int)
EPOCHS = DIGITS["epochs"]


def pass_time(engine: Engine, sweep_id: str, seconds: float) -> None:
    """Set the clock of a sweep back, as if it had run so much longer."""
    with transaction(engine) as session:
        sweep = session.get_one(Sweep, sweep_id)
        assert sweep.running_since is not None
        sweep.running_since -= timedelta(seconds=seconds)


def spent(engine: Engine, sweep_id: str) -> sweeps.Spent:
    with reading(engine) as session:
        return sweeps.spent(session, session.get_one(Sweep, sweep_id))


def row(engine: Engine, sweep_id: str) -> Sweep:
    return do(engine, sweeps.get, sweep_id)


def train(engine: Engine, job_id: str, epochs: int) -> int:
    """Claim a job and record progress up to an epoch; return the attempt number."""
    claim = claimed(engine, job_id)
    progress: dict[str, Any] = {"step": 10 * epochs, "epoch": epochs}
    do(engine, single.record_metrics, job_id, claim.attempt, 0, [], progress=progress)
    return claim.attempt


def test_queued_and_running_jobs_end_when_the_time_is_used_up(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=50, max_parallel=3, budget={"seconds": 600})
    sweeps.advance(engine, sweep_id)
    first, second, waiting = (job.id for _, job in table(engine, sweep_id))
    finish(engine, sweep_id, only=[first])
    attempt = train(engine, second, 1)
    pass_time(engine, sweep_id, 300)
    assert sweeps.advance(engine, sweep_id).started == 1
    pass_time(engine, sweep_id, 300)
    assert sweeps.advance(engine, sweep_id).started == 0
    assert row(engine, sweep_id).stopped_by == "seconds"
    assert row(engine, sweep_id).status is SweepStatus.RUNNING
    stopped = do(engine, jobs.get, waiting)
    assert stopped.cause is not None
    assert (stopped.status, stopped.cause["kind"]) == (JobStatus.CANCELLED, "budget")
    assert do(engine, jobs.get, second).cancel_requested_at is not None
    do(engine, single.finish, second, attempt, JobStatus.CANCELLED)
    sweeps.advance(engine, sweep_id)
    assert row(engine, sweep_id).status is SweepStatus.FINISHED
    assert do(engine, sweeps.counts, sweep_id) == {"cancelled": 3, "finished": 1}
    assert 600 <= spent(engine, sweep_id).seconds < 900


def test_pauses_are_not_counted(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=5, budget={"seconds": 600})
    pass_time(engine, sweep_id, 200)
    do(engine, sweeps.pause, sweep_id)
    do(engine, sweeps.pause, sweep_id)
    assert row(engine, sweep_id).running_since is None
    assert 200 <= spent(engine, sweep_id).seconds < 400
    do(engine, sweeps.resume, sweep_id)
    pass_time(engine, sweep_id, 200)
    assert 400 <= spent(engine, sweep_id).seconds < 600
    assert sweeps.advance(engine, sweep_id).started == 4


def test_no_more_trials_start_than_the_epochs_allow(engine: Engine) -> None:
    most = 3 * EPOCHS - 5
    sweep_id = started(engine, n_trials=50, max_parallel=8, budget={"epochs": most})
    assert sweeps.advance(engine, sweep_id).started == 3
    *whole, last = (job.id for _, job in table(engine, sweep_id))
    for job_id in whole:
        train(engine, job_id, EPOCHS)
    finish(engine, sweep_id, only=whole)
    attempt = train(engine, last, EPOCHS - 6)
    assert sweeps.advance(engine, sweep_id) == sweeps.Advance(ended=2)
    assert row(engine, sweep_id).stopped_by is None
    progress = {"step": 999, "epoch": EPOCHS - 5}
    do(engine, single.record_metrics, last, attempt, 0, [], progress=progress)
    sweeps.advance(engine, sweep_id)
    assert row(engine, sweep_id).stopped_by == "epochs"
    assert do(engine, jobs.get, last).cancel_requested_at is not None
    do(engine, single.finish, last, attempt, JobStatus.CANCELLED)
    sweeps.advance(engine, sweep_id)
    assert row(engine, sweep_id).status is SweepStatus.FINISHED
    assert spent(engine, sweep_id).epochs == most


def test_epochs_that_a_trial_saves_are_used_by_others(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=50, max_parallel=8, budget={"epochs": 2 * EPOCHS})
    assert sweeps.advance(engine, sweep_id).started == 2
    early = table(engine, sweep_id)[0][1].id
    train(engine, early, EPOCHS // 2)
    finish(engine, sweep_id, only=[early])
    assert sweeps.advance(engine, sweep_id) == sweeps.Advance(ended=1, started=1)


def test_a_larger_budget_reopens_the_sweep(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=4, max_parallel=2, budget={"seconds": 60})
    pass_time(engine, sweep_id, 60)
    assert sweeps.advance(engine, sweep_id).started == 0
    assert row(engine, sweep_id).status is SweepStatus.FINISHED
    with pytest.raises(ConflictError, match="larger budget"):
        do(engine, sweeps.add_points, sweep_id, [{}])
    with pytest.raises(ConflictError, match="larger budget"):
        do(engine, sweeps.retry_failed, sweep_id)
    for budget in ({"seconds": 3600}, {}):
        changes = SweepChanges.model_validate({"budget": budget})
        do(engine, sweeps.edit, sweep_id, changes, max_weights_bytes=2**30)
    rounds(engine, sweep_id)
    assert do(engine, sweeps.counts, sweep_id) == {"finished": 4}
    assert row(engine, sweep_id).stopped_by is None
