"""Forecasts of sweeps: from an earlier one, else from a benchmark; nothing is started."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from core import sweeps
from core.db.session import reading, transaction
from core.db.tables import Job, Sweep
from core.errors import InvalidError
from core.spec.job import DIGITS
from core.spec.sweep import EXAMPLE, SweepSpec
from tests.support.job_cases import dataset_version
from tests.support.sweep_cases import rounds, started

assert isinstance(DIGITS["epochs"], int)
EPOCHS = DIGITS["epochs"]
SEEDS = {"seed": {"kind": "int", "low": 0, "high": 99}}


def spec(**changes: Any) -> SweepSpec:
    job = {**DIGITS, **changes.pop("job", {})}
    given = {"job": job, "pruner": {"kind": "none"}, "sampler": {"kind": "random"}}
    return SweepSpec.model_validate({**EXAMPLE, **given, "search_space": SEEDS, **changes})


def forecast(engine: Engine, spec: SweepSpec) -> sweeps.Forecast:
    with transaction(engine) as session:
        version = dataset_version(session)
    with reading(engine) as session:
        return sweeps.forecast(session, spec, version, max_weights_bytes=2**30)


@pytest.fixture
def earlier(engine: Engine) -> str:
    """A sweep of 20 trials that ran for ten minutes."""
    sweep_id = started(engine, n_trials=20, max_parallel=20, search_space=SEEDS)
    rounds(engine, sweep_id)
    with transaction(engine) as session:
        session.get_one(Sweep, sweep_id).spent_ms = 600_000
    return sweep_id


def test_an_earlier_sweep_with_the_same_shape_is_used(engine: Engine, earlier: str) -> None:
    twice = spec(n_trials=60, max_parallel=20, job={"epochs": 2 * EPOCHS})
    result = forecast(engine, twice)
    assert (result.basis, result.sweep_id, result.trials) == ("history", earlier, 60)
    assert result.trials_a_minute == pytest.approx(1.0)
    assert result.seconds == pytest.approx(3600)
    assert result.cpu_seconds == pytest.approx(3600)
    assert forecast(engine, spec(n_trials=60, max_parallel=10)).trials_a_minute == pytest.approx(
        1.0
    )
    with reading(engine) as session:
        assert session.query(Job).count() == 20
        assert session.query(Sweep).count() == 1


@pytest.mark.usefixtures("earlier")
def test_a_benchmark_is_used_without_an_earlier_sweep(engine: Engine) -> None:
    wider = [{"kind": "dense", "units": 40}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
    result = forecast(engine, spec(job={"network": wider}, n_trials=10))
    assert (result.basis, result.sweep_id, result.slots) == ("measured", None, 0)
    assert result.trials_a_minute is not None
    assert result.trials_a_minute > 0
    assert result.seconds is not None
    assert result.cpu_seconds is not None
    longer = forecast(engine, spec(job={"network": wider, "epochs": 3000}, n_trials=10))
    assert longer.seconds is not None
    assert longer.seconds > result.seconds


def test_budgets_shorten_the_forecast(engine: Engine, earlier: str) -> None:
    epochs = forecast(engine, spec(n_trials=60, budget={"epochs": 7 * EPOCHS}))
    assert epochs.trials == 7
    seconds = forecast(engine, spec(n_trials=60, budget={"seconds": 5}))
    assert seconds.seconds == 5
    with reading(engine) as session:
        created_at = session.get_one(Sweep, earlier).created_at
    assert seconds.finish_at is not None
    assert seconds.finish_at >= created_at + timedelta(seconds=5)


def test_a_sweep_that_cannot_start_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidError) as caught:
        forecast(engine, spec(n_trials=1, baseline=[{"seed": 1}, {"seed": 2}]))
    assert [error.path for error in caught.value.errors] == ["baseline"]
