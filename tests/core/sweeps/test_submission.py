"""Start of a sweep: what is refused, and warm starts from earlier sweeps."""

from typing import Any

import pytest
from sqlalchemy import Engine

from core import sweeps
from core.db.session import reading
from core.db.tables import Job, Sweep, Trial
from core.errors import InvalidError
from core.spec.sweep import SweepChanges
from tests.support.job_cases import do
from tests.support.sweep_cases import finish, points, rounds, started, table

RATE = "optimizer.learning_rate"
TPE = {"kind": "tpe", "seed": 1, "startup_trials": 4}


def earlier_sweep(engine: Engine) -> str:
    """A sweep in which small rates were good and large ones bad."""
    space = {RATE: {"kind": "float", "low": 0.001, "high": 1.0}}
    sweep_id = started(
        engine, n_trials=12, max_parallel=12, search_space=space, sampler={"kind": "random"}
    )
    sweeps.advance(engine, sweep_id)
    for trial, job in table(engine, sweep_id):
        finish(engine, sweep_id, only=[job.id], value=1.0 - trial.point[RATE])
    sweeps.advance(engine, sweep_id)
    return sweep_id


def warm_started(engine: Engine, *earlier: str, **changes: Any) -> str:
    space = {RATE: {"kind": "float", "low": 0.001, "high": 1.0}}
    given = {"n_trials": 6, "max_parallel": 3, "search_space": space, "sampler": TPE}
    return started(engine, **(given | changes), warm_start=list(earlier))


def rates(engine: Engine, sweep_id: str) -> list[float]:
    return [point[RATE] for _, point, _ in points(engine, sweep_id)]


def test_the_first_suggestion_uses_earlier_trials(engine: Engine) -> None:
    earlier = earlier_sweep(engine)
    cold, warm = warm_started(engine), warm_started(engine, earlier)
    for sweep_id in (cold, warm):
        sweeps.advance(engine, sweep_id)
    assert [number for number, _, _ in points(engine, warm)] == [0, 1, 2]
    assert max(rates(engine, warm)) < 0.5 < max(rates(engine, cold))
    rounds(engine, warm)
    assert do(engine, sweeps.counts, warm) == {"finished": 6}


def test_later_trials_of_earlier_sweeps_change_nothing(engine: Engine) -> None:
    earlier = earlier_sweep(engine)
    first, second = warm_started(engine, earlier), warm_started(engine, earlier)
    cache = sweeps.SnapshotCache()
    for _ in range(4):
        sweeps.advance(engine, first, cache)
        finish(engine, first)
    more = SweepChanges(n_trials=20)
    do(engine, sweeps.edit, earlier, more, max_weights_bytes=2**30)
    rounds(engine, earlier)
    for _ in range(4):
        sweeps.advance(engine, second)
        finish(engine, second)
    assert points(engine, first) == points(engine, second)


def test_fields_of_another_space_are_left_out(engine: Engine) -> None:
    earlier = earlier_sweep(engine)
    units = {"network[0].units": {"kind": "int", "low": 4, "high": 9}}
    sweep_id = warm_started(engine, earlier, search_space=units, pruner={"kind": "median"})
    rounds(engine, sweep_id)
    assert do(engine, sweeps.counts, sweep_id) == {"finished": 6}


def test_an_unsuitable_warm_start_is_refused(engine: Engine) -> None:
    def refused(*earlier: str, **changes: Any) -> str:
        with pytest.raises(InvalidError) as caught:
            warm_started(engine, *earlier, **changes)
        return caught.value.errors[0].path

    earlier = earlier_sweep(engine)
    assert refused("0" * 32) == "warm_start[0]"
    assert refused(earlier, sampler={"kind": "random"}) == "warm_start"
    loss = {"metric": "valid/loss", "direction": "minimize"}
    assert refused(earlier, objective=loss) == "warm_start[0]"
    warm = warm_started(engine, earlier)
    changes = SweepChanges.model_validate({"sampler": {"kind": "cma_es"}})
    with pytest.raises(InvalidError, match="learns nothing"):
        do(engine, sweeps.edit, warm, changes, max_weights_bytes=2**30)


def test_a_space_that_does_not_fit_the_data_is_refused(engine: Engine) -> None:
    space = {"network[2].units": {"kind": "int", "low": 9, "high": 10}}
    with pytest.raises(InvalidError) as caught:
        started(engine, search_space=space)
    assert [e.path for e in caught.value.errors] == ["search_space.network[2].units"]
    with reading(engine) as session:
        assert session.query(Sweep).count() == 0
        assert session.query(Trial).count() == session.query(Job).count() == 0
