"""Jobs of cross-validated trials: one for each fold, combined into one outcome."""

import statistics
from typing import Any

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus, SweepStatus
from core import jobs, sweeps
from core.db.session import reading, transaction
from core.db.tables import Job, Trial
from core.errors import ConflictError, InvalidError
from core.spec.job import DIGITS
from tests.support import single
from tests.support.job_cases import claimed, do, points
from tests.support.sweep_cases import started, table

FOLDS = {"folds": 3, "stratified": True}


def start(engine: Engine, **changes: Any) -> str:
    given = {"n_trials": 2, "max_parallel": 2, "cross_validation": FOLDS}
    sweep_id = started(engine, **given | changes)
    sweeps.advance(engine, sweep_id)
    return sweep_id


def folds(engine: Engine, sweep_id: str, number: int = 0) -> list[Job]:
    with reading(engine) as session:
        return sweeps.folds(session, sweeps.get(session, sweep_id), [number])[number]


def trial(engine: Engine, sweep_id: str, number: int = 0) -> Trial:
    return table(engine, sweep_id)[number][0]


def finish(engine: Engine, job: Job, value: float, attempt: int = 1) -> None:
    if job.status is JobStatus.QUEUED:
        claimed(engine, job.id)
    result = {"metrics": {"valid/accuracy": value}}
    do(engine, single.finish, job.id, attempt, JobStatus.FINISHED, result=result)


def fail(engine: Engine, job: Job) -> None:
    claimed(engine, job.id)
    cause = {"kind": "user_error", "message": "the loss became NaN"}
    do(engine, single.finish, job.id, 1, JobStatus.FAILED, cause=cause)


def test_each_fold_is_a_job_and_the_objective_is_their_mean(engine: Engine) -> None:
    sweep_id = start(engine)
    fold_jobs = folds(engine, sweep_id)
    assert [job.spec["data"]["split"]["fold"] for job in fold_jobs] == [
        {"number": number, "of": 3} for number in range(3)
    ]
    assert len({str(job.spec["optimizer"]) + str(job.spec["network"]) for job in fold_jobs}) == 1
    assert [job.tags["chainrule.fold"] for job in fold_jobs] == ["0", "1", "2"]
    assert {job.tags["chainrule.trial"] for job in fold_jobs} == {"0"}
    values = [0.5, 0.75, 0.85]
    for job, value in zip(fold_jobs, values, strict=True):
        assert sweeps.advance(engine, sweep_id).ended == 0
        finish(engine, job, value)
    assert sweeps.advance(engine, sweep_id).ended == 1
    outcome = trial(engine, sweep_id)
    assert (outcome.status, outcome.job_id) == ("finished", None)
    assert outcome.objectives == pytest.approx([sum(values) / 3])
    assert outcome.deviations == pytest.approx([statistics.pstdev(values)])
    for job in folds(engine, sweep_id, 1):
        finish(engine, job, 0.9)
    sweeps.advance(engine, sweep_id)
    sweep = do(engine, sweeps.get, sweep_id)
    assert sweep.status is SweepStatus.FINISHED
    assert [best.number for best in do(engine, sweeps.best, sweep)] == [1]
    best, document = do(engine, sweeps.best_job, sweep_id)
    assert (best.number, document["data"]["split"]["fold"]) == (1, None)
    with pytest.raises(ConflictError, match="none of all rows"):
        do(engine, sweeps.register_best, sweep_id, "m", owner="local")


def test_folds_of_one_number_stack_and_others_do_not(engine: Engine) -> None:
    sweep_id = start(engine, search_space={"optimizer.learning_rate":
                     {"kind": "float", "low": 0.001, "high": 0.1}})  # fmt: skip
    keys = [[job.stack_key for job in folds(engine, sweep_id, number)] for number in (0, 1)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 3
    assert None not in keys[0]


def test_a_fold_that_fails_ends_the_trial_and_the_other_folds(engine: Engine) -> None:
    sweep_id = start(engine, n_trials=1)
    first, second, third = folds(engine, sweep_id)
    finish(engine, first, 0.5)
    claimed(engine, third.id)
    fail(engine, second)
    assert sweeps.advance(engine, sweep_id).ended == 0
    assert do(engine, sweeps.counts, sweep_id) == {"running": 1}
    assert do(engine, jobs.get, third.id).cancel_requested_at is not None
    do(engine, single.finish, third.id, 1, JobStatus.CANCELLED)
    assert sweeps.advance(engine, sweep_id).ended == 1
    outcome = trial(engine, sweep_id)
    assert (outcome.status, outcome.objectives) == ("failed", None)
    assert outcome.cause == {
        "kind": "user_error", "fold": 1, "message": "fold 1: the loss became NaN"
    }  # fmt: skip
    # A retry keeps the number of the trial and its finished folds.
    assert do(engine, sweeps.retry_failed, sweep_id) == 1
    again = folds(engine, sweep_id)
    assert again[0].id == first.id
    assert [job.status for job in again] == [JobStatus.FINISHED, *[JobStatus.QUEUED] * 2]
    assert [job.retry_of for job in again] == [None, second.id, third.id]
    for job in again[1:]:
        finish(engine, job, 0.8)
    sweeps.advance(engine, sweep_id)
    assert trial(engine, sweep_id).objectives == pytest.approx([0.7])


def test_a_fold_without_a_number_fails_the_trial(engine: Engine) -> None:
    sweep_id = start(engine, n_trials=1)
    first, *others = folds(engine, sweep_id)
    finish(engine, first, float("nan"))
    sweeps.advance(engine, sweep_id)
    # The queued folds are cancelled.
    assert {do(engine, jobs.get, job.id).status for job in others} == {JobStatus.CANCELLED}
    sweeps.advance(engine, sweep_id)
    outcome = trial(engine, sweep_id)
    assert outcome.cause is not None
    assert (outcome.status, outcome.cause["kind"], outcome.cause["fold"]) == (
        "failed",
        "no_objective",
        0,
    )
    assert do(engine, sweeps.retry_failed, sweep_id) == 0


@pytest.mark.parametrize("cached", [True, False])
def test_a_pruner_sees_the_mean_of_all_folds(engine: Engine, cached: bool) -> None:
    cache = sweeps.SnapshotCache() if cached else None
    pruner = {"kind": "threshold", "lower": 0.3}
    sweep_id = started(
        engine, n_trials=1, max_parallel=1, pruner=pruner, cross_validation={"folds": 2}
    )
    sweeps.advance(engine, sweep_id, cache)
    first, second = folds(engine, sweep_id)
    for job in (first, second):
        claimed(engine, job.id)

    def report(job: Job, epochs: range, level: float) -> None:
        logged = [jobs.Point("valid/accuracy", 10 * e, e, e, level) for e in epochs]
        do(engine, single.record_metrics, job.id, 1, epochs[0], logged,
           progress={"epoch": epochs[-1], "step": 10 * epochs[-1]})  # fmt: skip

    # The worse fold alone would be pruned. Epochs that a fold has not reached do not count.
    report(first, range(1, 4), 0.1)
    assert sweeps.advance(engine, sweep_id, cache).pruned == 0
    report(second, range(1, 3), 0.7)
    assert sweeps.advance(engine, sweep_id, cache).pruned == 0
    assert trial(engine, sweep_id).judged_epoch == 2
    report(second, range(3, 4), 0.4)
    assert sweeps.advance(engine, sweep_id, cache).pruned == 1
    for job in (first, second):
        do(engine, single.finish, job.id, 1, JobStatus.CANCELLED)
    sweeps.advance(engine, sweep_id, cache)
    assert trial(engine, sweep_id).status == "pruned"
    assert {job.status for job in folds(engine, sweep_id)} == {JobStatus.PRUNED}


def test_budgets_count_every_fold(engine: Engine) -> None:
    sweep_id = start(engine, n_trials=9, max_parallel=9, budget={"epochs": 3 * 30 * 2})
    assert len(table(engine, sweep_id)) == 2
    for job in folds(engine, sweep_id):
        claimed(engine, job.id)
        do(engine, single.record_metrics, job.id, 1, 1, points(1), progress={"epoch": 4, "step": 9})
    with reading(engine) as session:
        spent = sweeps.spent(session, sweeps.get(session, sweep_id))
    assert (spent.epochs, spent.promised) == (12, 168)


def test_cancelling_ends_every_fold(engine: Engine) -> None:
    sweep_id = start(engine)
    claimed(engine, folds(engine, sweep_id)[0].id)
    do(engine, sweeps.cancel, sweep_id)
    states = [job.status for number in (0, 1) for job in folds(engine, sweep_id, number)]
    assert states == [JobStatus.RUNNING, *[JobStatus.CANCELLED] * 5]
    do(engine, single.finish, folds(engine, sweep_id)[0].id, 1, JobStatus.CANCELLED)
    sweeps.advance(engine, sweep_id)
    assert do(engine, sweeps.counts, sweep_id) == {"cancelled": 2}


def test_runs_of_folds_are_nested_below_the_run_of_the_sweep(engine: Engine) -> None:
    sweep_id = start(engine, n_trials=1, mlflow="best:1")
    with transaction(engine) as session:
        sweeps.record_sweep_run(session, sweep_id, "run")
        for job in folds(engine, sweep_id):
            placement = jobs.run_placement(session, session.get_one(Job, job.id))
            assert (placement.shown, placement.parent, placement.siblings) == (False, "run", 3)
    for job in folds(engine, sweep_id):
        finish(engine, job, 0.5)
    sweeps.advance(engine, sweep_id)
    with transaction(engine) as session:
        assert sweeps.show_best(session, sweeps.get(session, sweep_id)) == 1
        for job in folds(engine, sweep_id):
            assert jobs.run_placement(session, session.get_one(Job, job.id)).shown
            trial = jobs.trial_of(session, job.id)
            assert trial is not None
            assert trial.number == 0


def test_folds_that_do_not_fit_the_data_are_refused(engine: Engine) -> None:
    with pytest.raises(InvalidError) as caught:
        start(engine, cross_validation={"folds": 2, "group_by": "writer"})
    assert [error.path for error in caught.value.errors] == ["cross_validation.group_by"]
    small = {**DIGITS, "batch_size": 1400}
    start(engine, cross_validation={"folds": 10}, job=small)
    with pytest.raises(InvalidError, match="1400 is more than the 1078 training rows"):
        start(engine, cross_validation={"folds": 3}, job=small)
