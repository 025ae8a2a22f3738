"""What MLflow lacks of sweeps follows from their rows."""

from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus, SweepStatus
from core import jobs, sweeps
from core.db.mirrored import acquire_lock, back_off
from core.db.session import reading, transaction
from core.db.tables import Sweep
from core.spec.sweep import SweepChanges
from tests.support import single
from tests.support.job_cases import claimed, do
from tests.support.present import present
from tests.support.sweep_cases import finish, rounds, started, table


def points(engine: Engine, sweep_id: str) -> list[tuple[str, float, int]]:
    with reading(engine) as session:
        values = sweeps.sweep_points(session, session.get_one(Sweep, sweep_id))
    return [(point.key, point.value, point.step) for point in values]


def end_trials(engine: Engine, sweep_id: str, values: list[float]) -> None:
    """End the trials one after the other, each with its value."""
    sweeps.advance(engine, sweep_id)
    for (_, job), value in zip(table(engine, sweep_id), values, strict=True):
        finish(engine, sweep_id, only=[job.id], value=value)
        sweeps.advance(engine, sweep_id)


def waits(session: Session, job_id: str) -> bool:
    return jobs.run_placement(session, jobs.get(session, job_id)).waits


def test_a_sweep_has_a_point_for_each_new_best_value(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=5, max_parallel=5)
    assert points(engine, sweep_id) == []
    end_trials(engine, sweep_id, [0.2, 0.1, float("nan"), 0.7, 0.7])
    assert points(engine, sweep_id) == [
        ("best/valid/accuracy", 0.2, 1),
        ("best/trial", 0.0, 1),
        ("best/valid/accuracy", 0.7, 4),
        ("best/trial", 3.0, 4),
        ("trials/failed", 1.0, 5),
        ("trials/finished", 4.0, 5),
    ]


def test_a_sweep_is_behind_after_each_change_of_its_status(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=2)
    assert do(engine, sweeps.behind) == [sweep_id]
    do(engine, sweeps.record_sweep_run, sweep_id, "a")
    do(engine, sweeps.record_sweep_mirrored, sweep_id, SweepStatus.RUNNING, "a")
    assert do(engine, sweeps.behind) == [sweep_id]
    rounds(engine, sweep_id)
    assert not do(engine, sweeps.record_sweep_mirrored, sweep_id, SweepStatus.RUNNING, "a")
    assert not do(engine, sweeps.record_sweep_mirrored, sweep_id, SweepStatus.FINISHED, "b")
    assert do(engine, sweeps.record_sweep_mirrored, sweep_id, SweepStatus.FINISHED, "a")
    assert do(engine, sweeps.behind) == []
    more = SweepChanges(n_trials=3)
    do(engine, sweeps.edit, sweep_id, more, max_weights_bytes=2**30)
    rounds(engine, sweep_id)
    assert do(engine, sweeps.behind) == [sweep_id]
    assert do(engine, acquire_lock, Sweep, sweep_id, 60.0)
    assert not do(engine, acquire_lock, Sweep, sweep_id, 60.0)
    assert do(engine, sweeps.behind) == []


def test_trials_without_a_run_are_not_behind_until_they_are_among_the_best(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=3, max_parallel=3, mlflow="best:2")
    sweeps.advance(engine, sweep_id)
    for (_, job), value in zip(table(engine, sweep_id), (0.5, 0.9, 0.7), strict=True):
        claimed(engine, job.id)
        reported = [jobs.Point("valid/accuracy", 10, 1, 1, value)]
        do(engine, single.record_metrics, job.id, 1, 1, reported)
        finish(engine, sweep_id, only=[job.id], value=value)
    with transaction(engine) as session:
        for job_id in jobs.behind(session, trials=True):
            assert not jobs.run_placement(session, jobs.get(session, job_id)).shown
            assert jobs.skip_run(session, job_id, JobStatus.FINISHED)
    with reading(engine) as session:
        assert jobs.behind(session, trials=True) == []
    assert do(engine, jobs.mirror_lag)[0] == 0
    sweeps.advance(engine, sweep_id)
    with transaction(engine) as session:
        sweep = session.get_one(Sweep, sweep_id)
        assert sweeps.complete(session, sweep)
        assert sweeps.show_best(session, sweep) == 2
        assert sweeps.show_best(session, sweep) == 0
    with transaction(engine) as session:
        assert jobs.behind(session, trials=False) == []
        behind = set(jobs.behind(session, trials=True))
        assert behind == {job.id for _, job in table(engine, sweep_id)[1:]}
        assert not any(jobs.skip_run(session, job_id, JobStatus.FINISHED) for job_id in behind)
        assert all(waits(session, job_id) for job_id in behind)
    assert do(engine, jobs.mirror_lag)[0] == 2
    for _ in range(5):
        do(engine, back_off, Sweep, sweep_id)
    with reading(engine) as session:
        assert not any(waits(session, job_id) for job_id in behind)


def test_no_step_of_a_sweep_has_two_values_after_trials_are_retried(engine: Engine) -> None:
    """MLflow keeps each point that it ever got: a metric has one value and time at a step."""
    sweep_id = started(engine, n_trials=4, max_parallel=4)
    sweeps.advance(engine, sweep_id)
    sent: dict[tuple[str, int], set[tuple[float, datetime]]] = {}

    def end(number: int, value: float | None) -> None:
        """End a trial, with a failed job unless it has a value; MLflow gets the points."""
        job = table(engine, sweep_id)[number][1]
        if value is None:
            do(engine, single.finish, job.id, claimed(engine, job.id).attempt, JobStatus.FAILED)
        else:
            finish(engine, sweep_id, only=[job.id], value=value)
        sweeps.advance(engine, sweep_id)
        send()

    def send() -> None:
        with reading(engine) as session:
            for point in sweeps.sweep_points(session, session.get_one(Sweep, sweep_id)):
                sent.setdefault((point.key, point.step), set()).add((point.value, point.at))

    for number, value in enumerate((None, 0.5, 0.7, None)):
        end(number, value)
    assert do(engine, sweeps.retry_failed, sweep_id) == 2
    send()
    end(3, 0.9)
    end(0, None)
    assert do(engine, sweeps.retry_failed, sweep_id) == 1
    send()
    end(0, 0.6)
    assert {place: values for place, values in sent.items() if len(values) > 1} == {}
    assert [step for key, step in sorted(sent) if key == "best/valid/accuracy"] == [2, 3, 6]
    assert sent["trials/finished", 9] == {(4.0, ended_at(engine, sweep_id, 0))}


def ended_at(engine: Engine, sweep_id: str, number: int) -> datetime:
    return present(table(engine, sweep_id)[number][0].told_at)
