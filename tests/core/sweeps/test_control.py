"""Changes of a sweep that runs: trials are kept, budgets hold, invalid changes are refused."""

from typing import Any

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus, SweepStatus
from core import jobs, sweeps
from core.errors import ConflictError, InvalidError
from core.search.study import Study
from core.spec.sweep import SweepChanges
from tests.support import single
from tests.support.job_cases import claimed, do
from tests.support.sweep_cases import finish, points, rounds, started, table

RATE, UNITS = "optimizer.learning_rate", "network[0].units"


def edit(engine: Engine, sweep_id: str, **changes: Any) -> Any:
    edits = SweepChanges.model_validate(changes)
    return do(engine, sweeps.edit, sweep_id, edits, max_weights_bytes=2**30)


def refused(engine: Engine, sweep_id: str, **changes: Any) -> str:
    with pytest.raises(InvalidError) as caught:
        edit(engine, sweep_id, **changes)
    return caught.value.errors[0].path


def fail(engine: Engine, sweep_id: str, number: int) -> None:
    job = table(engine, sweep_id)[number][1]
    claim = claimed(engine, job.id)
    cause = {"kind": "user_error", "message": "no"}
    do(engine, single.finish, job.id, claim.attempt, JobStatus.FAILED, cause=cause)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_finished_sweep_goes_on_as_if_it_had_been_longer(engine: Engine, sampler: str) -> None:
    given = {"sampler": {"kind": sampler, "seed": 3}, "max_parallel": 1}
    short, whole = (started(engine, n_trials=n, **given) for n in (4, 9))
    rounds(engine, short)
    rounds(engine, whole)
    kept = points(engine, short)
    assert do(engine, sweeps.get, short).status is SweepStatus.FINISHED
    assert edit(engine, short, n_trials=9).status is SweepStatus.RUNNING
    rounds(engine, short)
    assert points(engine, short)[:4] == kept
    assert points(engine, short) == points(engine, whole)
    assert do(engine, sweeps.get, short).status is SweepStatus.FINISHED


def test_a_space_may_be_narrowed_and_widened(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=6, max_parallel=3, sampler={"kind": "tpe", "seed": 1})
    sweeps.advance(engine, sweep_id)
    finish(engine, sweep_id)
    narrow = {RATE: {"kind": "float", "low": 0.2, "high": 0.3}}
    edit(engine, sweep_id, search_space=narrow)
    rounds(engine, sweep_id)
    later = [trial.point for trial, _ in table(engine, sweep_id)][3:]
    assert len(later) == 3
    assert all(set(point) == {RATE} and 0.2 <= point[RATE] <= 0.3 for point in later)
    wide = {RATE: {"kind": "float", "low": 1e-5, "high": 0.5, "log": True},
            UNITS: {"kind": "int", "low": 1, "high": 9}}  # fmt: skip
    edit(engine, sweep_id, search_space=wide, n_trials=8, sampler={"kind": "cma_es"})
    rounds(engine, sweep_id)
    assert all(1 <= point[UNITS] <= 9 for _, point, _ in points(engine, sweep_id)[6:])


def test_added_points_come_next(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=3, max_parallel=2, baseline=[{UNITS: 16}])
    sweeps.advance(engine, sweep_id)
    added = [{RATE: 0.05, UNITS: 32}, {UNITS: 64}]
    sweep = do(engine, sweeps.add_points, sweep_id, added)
    assert (sweep.n_trials, sweep.spec["n_trials"]) == (5, 5)
    rounds(engine, sweep_id)
    do(engine, sweeps.add_points, sweep_id, [{RATE: 0.01}])
    rounds(engine, sweep_id)
    values = [point for _, point, _ in points(engine, sweep_id)]
    assert len(values) == 6
    assert (values[0][UNITS], values[2], values[3][UNITS]) == (16, added[0], 64)
    assert values[5][RATE] == 0.01
    with pytest.raises(InvalidError) as caught:
        do(engine, sweeps.add_points, sweep_id, [{UNITS: 16}, {UNITS: 17}])
    assert [error.path for error in caught.value.errors] == [f"points[1].{UNITS}"]


def test_failed_trials_are_retried_under_their_number(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=4, max_parallel=4)
    sweeps.advance(engine, sweep_id)
    fail(engine, sweep_id, 1)
    finish(engine, sweep_id)
    sweeps.advance(engine, sweep_id)
    before = points(engine, sweep_id)
    failed = table(engine, sweep_id)[1][1].id
    assert do(engine, sweeps.retry_failed, sweep_id) == 1
    again = table(engine, sweep_id)[1][1]
    assert (again.retry_of, again.status) == (failed, JobStatus.QUEUED)
    rounds(engine, sweep_id)
    after = points(engine, sweep_id)
    assert [row for row in after if row[0] != 1] == [row for row in before if row[0] != 1]
    assert after[1][:2] == before[1][:2]
    assert after[1][2] is not None
    assert do(engine, sweeps.counts, sweep_id) == {"finished": 4}
    assert do(engine, sweeps.retry_failed, sweep_id) == 0
    assert do(engine, sweeps.get, sweep_id).status is SweepStatus.FINISHED


def test_a_retried_trial_is_judged_from_its_first_epoch(engine: Engine) -> None:
    pruner = {"kind": "successive_halving", "reduction": 2}
    sweep_id = started(engine, n_trials=2, max_parallel=2, pruner=pruner,
                       sampler={"kind": "cma_es", "population": 2})  # fmt: skip
    sweeps.advance(engine, sweep_id)
    claims = [claimed(engine, job.id) for _, job in table(engine, sweep_id)]
    for claim, level in zip(claims, (0.9, 0.1), strict=True):
        reported = [jobs.Point("valid/accuracy", 10 * e, e, e, level) for e in (1, 2, 3)]
        do(engine, single.record_metrics, claim.job_id, 1, 1, reported)
    sweeps.advance(engine, sweep_id)
    attributes = dict(table(engine, sweep_id)[0][0].attributes or {})
    rungs = {key for key in attributes if key.startswith("completed_rung_")}
    assert rungs
    do(engine, single.finish, claims[0].job_id, 1, JobStatus.FAILED, cause={"kind": "user_error"})
    sweeps.advance(engine, sweep_id)
    assert do(engine, sweeps.retry_failed, sweep_id) == 1
    trial = table(engine, sweep_id)[0][0]
    assert trial.attributes == {key: attributes[key] for key in attributes if key not in rungs}
    assert trial.judged_epoch == 0


def test_a_finished_job_is_not_retried(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=2, max_parallel=2)
    sweeps.advance(engine, sweep_id)
    finish(engine, sweep_id, value=float("nan"))
    sweeps.advance(engine, sweep_id)
    before = [job.id for _, job in table(engine, sweep_id)]
    assert do(engine, sweeps.counts, sweep_id) == {"failed": 2}
    assert do(engine, sweeps.retry_failed, sweep_id) == 0
    assert [job.id for _, job in table(engine, sweep_id)] == before
    assert do(engine, sweeps.get, sweep_id).status is SweepStatus.FINISHED


def test_pending_points_are_never_dropped(engine: Engine) -> None:
    with pytest.raises(InvalidError) as caught:
        started(engine, n_trials=1, baseline=[{UNITS: 16}, {UNITS: 64}])
    assert [error.path for error in caught.value.errors] == ["baseline"]
    grid = {"search_space": {UNITS: {"kind": "categorical", "choices": [16, 32]}},
            "sampler": {"kind": "grid"}}  # fmt: skip
    with pytest.raises(InvalidError, match="visits each point"):
        started(engine, n_trials=2, baseline=[{UNITS: 16}], **grid)
    visited = started(engine, n_trials=2, baseline=[{}], **grid)
    rounds(engine, visited)
    assert {point[UNITS] for _, point, _ in points(engine, visited)} == {16, 32}
    sweep_id = started(engine, n_trials=3, max_parallel=2)
    sweeps.advance(engine, sweep_id)
    do(engine, sweeps.add_points, sweep_id, [{UNITS: 32}, {UNITS: 64}])
    assert refused(engine, sweep_id, n_trials=3) == "n_trials"
    assert edit(engine, sweep_id, n_trials=4).n_trials == 4
    assert do(engine, sweeps.add_points, sweep_id, [{UNITS: 16}]).n_trials == 5
    rounds(engine, sweep_id)
    units = [point[UNITS] for _, point, _ in points(engine, sweep_id)]
    assert units[2:] == [32, 64, 16]


def test_changes_are_logged_with_their_owner(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=3, max_parallel=1)
    assert do(engine, sweeps.get, sweep_id).changes is None
    edit(engine, sweep_id, n_trials=5)
    do(engine, sweeps.add_points, sweep_id, [{UNITS: 16}], owner="ada")
    do(engine, sweeps.pause, sweep_id, owner="ada")
    do(engine, sweeps.pause, sweep_id, owner="bob")
    do(engine, sweeps.resume, sweep_id)
    do(engine, sweeps.retry_failed, sweep_id)
    do(engine, sweeps.cancel, sweep_id, owner="bob")
    changes = do(engine, sweeps.get, sweep_id).changes or []
    assert [(change["by"], change["kind"]) for change in changes] == [
        ("local", "edited"),
        ("ada", "points_added"),
        ("ada", "paused"),
        ("local", "resumed"),
        ("local", "retried"),
        ("bob", "cancelled"),
    ]
    assert changes[0]["what"] == {"to": {"n_trials": 5}, "was": {"n_trials": 3}}
    assert changes[1]["what"] == {"first": 0, "points": [{UNITS: 16}]}
    assert [change["at"] for change in changes] == sorted(change["at"] for change in changes)


def test_an_invalid_edit_names_its_field(engine: Engine) -> None:
    sweep_id = started(engine, n_trials=5, max_parallel=3, baseline=[{}, {}, {}, {UNITS: 64}])
    sweeps.advance(engine, sweep_id)
    assert refused(engine, sweep_id, n_trials=2) == "n_trials"
    nowhere = {"nothing.here": {"kind": "float", "low": 0, "high": 1}}
    assert refused(engine, sweep_id, search_space=nowhere).startswith("search_space")
    small = {UNITS: {"kind": "categorical", "choices": [16, 32]}}
    assert refused(engine, sweep_id, search_space=small).startswith("baseline.3")
    assert (
        refused(engine, sweep_id, sampler={"kind": "grid"})
        == "search_space.optimizer.learning_rate"
    )
    do(engine, sweeps.cancel, sweep_id)
    with pytest.raises(ConflictError, match="cancelled"):
        edit(engine, sweep_id, n_trials=50)


def test_an_edit_during_an_advance_keeps_it_from_starting_trials(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_id = started(engine, n_trials=4, max_parallel=2)
    asked = Study.ask

    def edit_meanwhile(*given: Any, **named: Any) -> Any:
        do(engine, sweeps.add_points, sweep_id, [{RATE: 0.02}])
        return asked(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Study, "ask", edit_meanwhile)
        with pytest.raises(Exception, match="edited by another process"):
            sweeps.advance(engine, sweep_id)
    assert table(engine, sweep_id) == []
    assert sweeps.advance(engine, sweep_id).started == 2
