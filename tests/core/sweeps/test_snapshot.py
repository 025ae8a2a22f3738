"""Advancing with a cached snapshot does the same as reading the sweep in full."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from chainrule.contract.status import JobStatus
from core import jobs, sweeps
from core.db.tables import Trial
from tests.support import single
from tests.support.job_cases import claimed, do, pass_time
from tests.support.sweep_cases import finish, rounds, started, table

PRUNER = {"kind": "successive_halving", "reduction": 2}


def report(engine: Engine, job_id: str, attempt: int, epochs: range, level: float) -> None:
    """Log some epochs of an attempt."""
    reported = [jobs.Point("valid/accuracy", 10 * e, e, e, level + e / 100) for e in epochs]
    progress = {"step": 10 * epochs[-1], "epoch": epochs[-1]}
    do(engine, single.record_metrics, job_id, attempt, epochs[0], reported, progress=progress)


def course(engine: Engine, cache: sweeps.SnapshotCache | None, **given: Any) -> list[Any]:
    """All trials of a sweep whose jobs log metrics, are lost once, and end at different times."""
    sweep_id = started(engine, n_trials=12, max_parallel=3, **given)
    attempts: dict[str, int] = {}
    for step in range(40):
        sweeps.advance(engine, sweep_id, cache)
        waiting = [(t, j) for t, j in table(engine, sweep_id) if not j.status.terminal]
        if not waiting:
            break
        for trial, job in waiting:
            level = (trial.number * 5 % 12) / 12
            if job.status is JobStatus.QUEUED:
                pass_time(engine, 120)
                attempts[job.id] = claimed(engine, job.id).attempt
                report(engine, job.id, attempts[job.id], range(1, 3), level)
            elif job.cancel_requested_at is not None:
                do(engine, single.finish, job.id, attempts[job.id], JobStatus.CANCELLED)
            elif trial.number == 4 and attempts[job.id] == 1:
                do(engine, single.lose, job.id, 1, cause={"kind": "signal"})
            elif (step + trial.number) % 2:
                report(engine, job.id, attempts[job.id], range(3, 6), level)
                finish(engine, sweep_id, only=[job.id], value=level)
    sweeps.advance(engine, sweep_id, cache)
    return [
        (t.number, t.point, t.status, t.objectives, t.attributes, t.judged_epoch)
        for t, _ in table(engine, sweep_id)
    ]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_trials_are_the_same_with_and_without_a_cache(engine: Engine, sampler: str) -> None:
    given = {"sampler": {"kind": sampler, "seed": 5}, "pruner": PRUNER}
    uncached = course(engine, None, **given)
    assert course(engine, sweeps.SnapshotCache(), **given) == uncached
    assert {row[2] for row in uncached} == {"finished", "pruned"}
    assert len(uncached) == 12


@contextmanager
def trials_read() -> Iterator[list[int]]:
    """Collect the numbers of trials whose rows are loaded inside the context."""
    numbers: list[int] = []

    def note(trial: Trial, _: Any) -> None:
        numbers.append(trial.number)

    event.listen(Trial, "load", note)
    try:
        yield numbers
    finally:
        event.remove(Trial, "load", note)


def test_only_changed_trials_are_read_again(engine: Engine) -> None:
    cache = sweeps.SnapshotCache()
    sweep_id = started(engine, n_trials=12, max_parallel=3, sampler={"kind": "tpe"})
    for first in (0, 3):
        sweeps.advance(engine, sweep_id, cache)
        finish(engine, sweep_id)
        assert len(table(engine, sweep_id)) == first + 3
    with trials_read() as read:
        sweeps.advance(engine, sweep_id, cache)
    assert set(read) == {3, 4, 5}
    with trials_read() as read:
        sweeps.advance(engine, sweep_id, cache)
    assert read == []
    # Another process advanced the sweep: anything may have changed.
    finish(engine, sweep_id)
    assert sweeps.advance(engine, sweep_id).ended == 3
    finish(engine, sweep_id)
    with trials_read() as read:
        sweeps.advance(engine, sweep_id, cache)
    assert set(read) == set(range(12))
    rounds(engine, sweep_id)
    assert do(engine, sweeps.counts, sweep_id) == {"finished": 12}
