"""Advancing a sweep: exactly its trials, each recorded once, whatever interrupts it."""

import threading
from typing import Any

import pytest
from sqlalchemy import Engine, text

from chainrule.contract.status import JobStatus, SweepStatus
from core import jobs, sweeps
from core.db.session import reading, transaction
from core.db.tables import Sweep
from core.errors import ConflictError, SupersededError
from core.search.study import Study
from core.spec.sweep import SweepChanges
from core.sweeps import trial_scheduler
from tests.support import single
from tests.support.job_cases import claimed, do, queued
from tests.support.sweep_cases import finish, points, rounds, started, table


def test_exactly_n_trials_and_never_more_than_max_parallel_at_once(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=10, max_parallel=3)
    first = sweeps.advance(engine, sweep_id)
    assert (first.ended, first.started) == (0, 3)
    assert sweeps.advance(engine, sweep_id).started == 0
    finish(engine, sweep_id)
    second = sweeps.advance(engine, sweep_id)
    assert (second.ended, second.started) == (3, 3)
    rounds(engine, sweep_id)
    sweep = do(engine, sweeps.get, sweep_id)
    assert sweep.status is SweepStatus.FINISHED
    assert do(engine, sweeps.counts, sweep_id) == {"finished": 10}
    assert [trial.number for trial, _ in table(engine, sweep_id)] == list(range(10))


def test_the_lock_is_not_taken_without_pending_work(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=3, max_parallel=2)
    assert sweeps.advance(engine, sweep_id).started == 2
    turn = do(engine, sweeps.get, sweep_id).turn
    assert sweeps.advance(engine, sweep_id) == sweeps.Advance()
    assert do(engine, sweeps.get, sweep_id).turn == turn
    with transaction(engine) as session:
        sweeps.edit(session, sweep_id, SweepChanges(max_parallel=3), max_weights_bytes=2**30)
    assert sweeps.advance(engine, sweep_id).started == 1
    finish(engine, sweep_id)
    assert sweeps.advance(engine, sweep_id).ended == 3
    assert do(engine, sweeps.get, sweep_id).status is SweepStatus.FINISHED


def test_a_trial_is_its_job_at_the_point(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=2)
    sweeps.advance(engine, sweep_id)
    for trial, job in table(engine, sweep_id):
        assert job is not None
        rate = trial.point["optimizer.learning_rate"]
        assert job.spec["optimizer"]["learning_rate"] == rate
        assert job.spec["network"][0]["units"] == trial.point["network[0].units"]
        assert job.tags["chainrule.sweep"] == sweep_id
        of_job = do(engine, jobs.trial_of, job.id)
        assert of_job is not None
        assert of_job.number == trial.number


@pytest.mark.parametrize("sampler", ["random", "grid", "quasi_random"])
def test_the_trial_table_is_the_same_with_one_worker_and_with_eight(
    engine: Engine, sampler: str
) -> None:
    tables = []
    for at_once in (1, 8):
        sweep_id = started(
            engine,
            n_trials=12,
            max_parallel=at_once,
            sampler={"kind": sampler, "seed": 3},
            search_space={"network[0].units": {"kind": "int", "low": 8, "high": 80, "step": 8},
                          "seed": {"kind": "int", "low": 0, "high": 7}},
        )  # fmt: skip
        rounds(engine, sweep_id)
        tables.append([(t.number, t.point, t.objectives) for t, _ in table(engine, sweep_id)])
    assert tables[0] == tables[1]
    assert len(tables[0]) == 12


def test_an_advance_that_dies_before_it_writes_changes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, disturbed = (started(engine, n_trials=6, max_parallel=2) for _ in range(2))
    rounds(engine, undisturbed)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trial_scheduler, "_start_trials", die)
        with pytest.raises(KeyboardInterrupt):
            sweeps.advance(engine, disturbed)
    assert sweeps.advance(engine, disturbed) == sweeps.Advance()  # the lock still holds
    lapse(engine)
    rounds(engine, disturbed)
    assert points(engine, disturbed) == points(engine, undisturbed)


def lapse(engine: Engine) -> None:
    with transaction(engine) as session:
        session.execute(text("UPDATE sweeps SET turn_until = 0"))


def test_an_advance_that_loses_its_lock_writes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_id = started(engine, n_trials=4, max_parallel=4)
    think = Study.ask

    def slowly(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(Study, "ask", think)
        lapse(engine)
        assert sweeps.advance(engine, sweep_id).started == 4
        return think(*given, **named)

    monkeypatch.setattr(Study, "ask", slowly)
    with pytest.raises(SupersededError):
        sweeps.advance(engine, sweep_id)
    assert len(table(engine, sweep_id)) == 4
    assert do(engine, sweeps.get, sweep_id).issued == 4


def test_concurrent_advances_start_each_trial_once(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=20, max_parallel=5)

    def work() -> None:
        for _ in range(5):
            sweeps.advance(engine, sweep_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [t.number for t, _ in table(engine, sweep_id)] == list(range(5))


def test_a_trial_ends_as_its_job(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=4, max_parallel=4)
    sweeps.advance(engine, sweep_id)
    job_ids = [job.id for _, job in table(engine, sweep_id)]
    claim = claimed(engine, job_ids[0])
    cause = {"kind": "user_error", "message": "the loss became NaN"}
    do(engine, single.finish, claim.job_id, 1, JobStatus.FAILED, cause=cause)
    finish(engine, sweep_id, only=job_ids[1:2], value=float("nan"))
    do(engine, jobs.cancel, job_ids[2])
    finish(engine, sweep_id, only=job_ids[3:])
    assert sweeps.advance(engine, sweep_id).ended == 4
    outcomes = [(t.status, (t.cause or {}).get("kind")) for t, _ in table(engine, sweep_id)]
    assert outcomes == [
        ("failed", "user_error"),
        ("failed", "no_objective"),
        ("cancelled", None),
        ("finished", None),
    ]
    assert do(engine, sweeps.get, sweep_id).status is SweepStatus.FINISHED


def test_a_lost_job_keeps_its_trial(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=1, max_parallel=1)
    sweeps.advance(engine, sweep_id)
    ((_, job),) = table(engine, sweep_id)
    claimed(engine, job.id)
    do(engine, single.lose, job.id, 1, cause={"kind": "signal"})
    assert sweeps.advance(engine, sweep_id) == sweeps.Advance()
    rounds(engine, sweep_id)
    ((trial, job),) = table(engine, sweep_id)
    assert (trial.number, trial.status, job.attempt) == (0, "finished", 2)


def test_the_best_trial(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=6, max_parallel=6)
    with reading(engine) as session:
        assert sweeps.best(session, session.get_one(Sweep, sweep_id)) == []
    sweeps.advance(engine, sweep_id)
    for number, value in enumerate([0.1, 0.9, 0.4, 0.9, 0.2, 0.3]):
        job = table(engine, sweep_id)[number][1]
        finish(engine, sweep_id, only=[job.id], value=value)
    sweeps.advance(engine, sweep_id)
    with reading(engine) as session:
        best = sweeps.best(session, session.get_one(Sweep, sweep_id))
        assert [trial.number for trial in best] == [1]


def test_cancelling_ends_queued_jobs_and_starts_none(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=9, max_parallel=3)
    sweeps.advance(engine, sweep_id)
    running = table(engine, sweep_id)[0][1].id
    claimed(engine, running)
    do(engine, sweeps.cancel, sweep_id)
    do(engine, sweeps.cancel, sweep_id)
    assert sweeps.advance(engine, sweep_id).ended == 2
    assert do(engine, sweeps.unfinished) == [sweep_id]
    do(engine, single.finish, running, 1, JobStatus.CANCELLED)
    assert sweeps.advance(engine, sweep_id).ended == 1
    assert do(engine, sweeps.unfinished) == []
    assert do(engine, sweeps.counts, sweep_id) == {"cancelled": 3}
    with pytest.raises(ConflictError):
        do(engine, sweeps.pause, sweep_id)


def test_a_paused_sweep_starts_nothing_until_it_is_resumed(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=4, max_parallel=2)
    sweeps.advance(engine, sweep_id)
    do(engine, sweeps.pause, sweep_id)
    finish(engine, sweep_id)
    assert sweeps.advance(engine, sweep_id) == sweeps.Advance(ended=2)
    do(engine, sweeps.resume, sweep_id)
    assert sweeps.advance(engine, sweep_id).started == 2


def test_a_trial_far_worse_than_the_others_is_pruned(engine: Engine) -> None:
    pruner = {"kind": "median", "startup_trials": 2}
    sweep_id = started(engine, n_trials=3, max_parallel=3, pruner=pruner)
    sweeps.advance(engine, sweep_id)
    job_ids = [job.id for _, job in table(engine, sweep_id)]
    for job_id, level in zip(job_ids, (0.9, 0.8, 0.1), strict=True):
        claimed(engine, job_id)
        reported = [jobs.Point("valid/accuracy", 10 * e, e, e, level) for e in (1, 2)]
        do(engine, single.record_metrics, job_id, 1, 1, reported,
           progress={"step": 20, "epoch": 2, "last": {"valid/accuracy": level}})  # fmt: skip
    finish(engine, sweep_id, only=job_ids[:2])
    assert sweeps.advance(engine, sweep_id) == sweeps.Advance(ended=2, pruned=1)
    with reading(engine) as session:
        assert jobs.get(session, job_ids[2]).cancel_requested_at is not None
    # The worker ends it as it ends a cancelled one.
    do(engine, single.finish, job_ids[2], 1, JobStatus.CANCELLED, cause={"kind": "cancelled"})
    do(engine, single.finish, job_ids[2], 1, JobStatus.CANCELLED, cause={"kind": "cancelled"})
    sweeps.advance(engine, sweep_id)
    trial, job = table(engine, sweep_id)[2]
    assert (trial.status, job.status, trial.objectives) == ("pruned", JobStatus.PRUNED, [0.1])
    assert do(engine, sweeps.get, sweep_id).status is SweepStatus.FINISHED


def test_a_queued_job_is_pruned_immediately(engine: Engine) -> None:
    job = queued(engine)
    assert do(engine, jobs.prune, job.id, reason={}).status is JobStatus.PRUNED
    assert do(engine, jobs.prune, job.id, reason={}).status is JobStatus.PRUNED


def test_values_that_fit_alone_but_not_together_fail_their_trial(engine: Engine) -> None:
    space = {
        "optimizer.nesterov": {"kind": "categorical", "choices": [False, True]},
        "optimizer.momentum": {"kind": "categorical", "choices": [0.0, 0.9]},
    }
    sweep_id = started(
        engine, n_trials=4, max_parallel=4, sampler={"kind": "grid"}, search_space=space,
        optimizer={"kind": "sgd", "momentum": 0.5},
    )  # fmt: skip
    rounds(engine, sweep_id)
    failed = [t for t, _ in table(engine, sweep_id) if t.status == "failed"]
    assert [t.point for t in failed] == [{"optimizer.nesterov": True, "optimizer.momentum": 0.0}]
    assert "momentum" in (failed[0].cause or {})["message"]
    assert do(engine, sweeps.get, sweep_id).status is SweepStatus.FINISHED


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_trials_have_conditional_fields_only_where_the_condition_is_met(
    engine: Engine, sampler: str
) -> None:
    space = {
        "optimizer": {"kind": "categorical", "choices": ["sgd", "adam"]},
        "optimizer.momentum": {
            "kind": "float",
            "low": 0.5,
            "high": 0.9,
            "when": {"optimizer.kind": "sgd"},
        },
    }
    sweep_id = started(
        engine,
        n_trials=16,
        max_parallel=4,
        search_space=space,
        sampler={"kind": sampler, "seed": 3},
    )
    rounds(engine, sweep_id)
    kinds = set()
    for trial, job in table(engine, sweep_id):
        optimizer = job.spec["optimizer"]
        kinds.add(optimizer["kind"])
        assert optimizer["kind"] == trial.point["optimizer"]
        if optimizer["kind"] == "sgd":
            assert 0.5 <= optimizer["momentum"] <= 0.9
            assert trial.point["optimizer.momentum"] == optimizer["momentum"]
        else:
            assert set(trial.point) == {"optimizer"}
    assert kinds == {"sgd", "adam"}
    with reading(engine) as session:
        assert sweeps.get(session, sweep_id).status is SweepStatus.FINISHED
