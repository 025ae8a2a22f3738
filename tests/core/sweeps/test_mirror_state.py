"""What MLflow has yet to be told of sweeps follows from their rows."""

from sqlalchemy import Engine

from core import jobs, sweeps
from core.db.locks import fail_turn, take_turn
from core.db.session import reading, transaction
from core.db.tables import Sweep
from core.spec.sweep import SweepChanges
from core.status import JobStatus, SweepStatus
from tests.support.job_cases import claimed, do
from tests.support.sweep_cases import finish, rounds, started, table


def marks(engine: Engine, sweep_id: str) -> list[tuple[str, float, int]]:
    with reading(engine) as session:
        found = sweeps.marks(session, session.get_one(Sweep, sweep_id))
    return [(mark.key, mark.value, mark.step) for mark in found]


def told(engine: Engine, sweep_id: str, values: list[float]) -> None:
    """Let each trial in turn end with its value."""
    sweeps.advance(engine, sweep_id)
    for (_, job), value in zip(table(engine, sweep_id), values, strict=True):
        finish(engine, sweep_id, only=[job.id], value=value)
        sweeps.advance(engine, sweep_id)


def test_the_course_of_a_sweep_is_each_time_that_something_was_better(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=5, max_parallel=5)
    assert marks(engine, sweep_id) == []
    told(engine, sweep_id, [0.2, 0.1, float("nan"), 0.7, 0.7])
    assert marks(engine, sweep_id) == [
        ("best/valid/accuracy", 0.2, 1),
        ("best/trial", 0.0, 1),
        ("best/valid/accuracy", 0.7, 4),
        ("best/trial", 3.0, 4),
        ("trials/failed", 1.0, 5),
        ("trials/finished", 4.0, 5),
    ]


def test_each_change_of_its_state_is_to_be_told(engine: Engine) -> None:
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
    assert do(engine, take_turn, Sweep, sweep_id, 60.0)
    assert not do(engine, take_turn, Sweep, sweep_id, 60.0)
    assert do(engine, sweeps.behind) == []


def test_trials_without_a_run_count_as_told_until_they_are_among_the_best(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=3, max_parallel=3, mlflow="best:2")
    sweeps.advance(engine, sweep_id)
    for (_, job), value in zip(table(engine, sweep_id), (0.5, 0.9, 0.7), strict=True):
        claimed(engine, job.id)
        reported = [jobs.Point("valid/accuracy", 10, 1, 1, value)]
        do(engine, jobs.record_metrics, job.id, 1, 1, reported)
        finish(engine, sweep_id, only=[job.id], value=value)
    with transaction(engine) as session:
        for one in jobs.behind(session, trials=True):
            assert not jobs.nesting(session, jobs.get(session, one)).shown
            assert jobs.pass_over(session, one, JobStatus.FINISHED)
    with reading(engine) as session:
        assert jobs.behind(session, trials=True) == []
    assert do(engine, jobs.mirror_lag)[0] == 0
    sweeps.advance(engine, sweep_id)
    with transaction(engine) as session:
        sweep = session.get_one(Sweep, sweep_id)
        assert sweeps.over(session, sweep)
        assert sweeps.show_best(session, sweep) == 2
        assert sweeps.show_best(session, sweep) == 0
    with transaction(engine) as session:
        assert jobs.behind(session, trials=False) == []
        behind = set(jobs.behind(session, trials=True))
        assert behind == {job.id for _, job in table(engine, sweep_id)[1:]}
        assert not any(jobs.pass_over(session, one, JobStatus.FINISHED) for one in behind)
        assert all(jobs.nesting(session, jobs.get(session, one)).waits for one in behind)
    assert do(engine, jobs.mirror_lag)[0] == 2
    for _ in range(5):
        do(engine, fail_turn, Sweep, sweep_id)
    with reading(engine) as session:
        assert not any(jobs.nesting(session, jobs.get(session, one)).waits for one in behind)
