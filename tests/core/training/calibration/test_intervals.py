"""Intervals hold the truth as often as they say, against direct simulation and exact ranks."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidError
from core.events import TrainingEnded
from core.spec import JobSpec
from core.training.calibration import intervals
from core.training.calibration.intervals import Calibration
from core.training.loop import train
from core.training.model import TrainedModel
from tests.core.training.conftest import write


def noisy(rows: int, seed: int) -> pa.Table:
    """`y` is `2 x + noise`, `z` is `-x` and ten times as much noise."""
    rng = np.random.default_rng(seed)
    x, noise = rng.normal(size=(2, rows))
    return pa.table({"x": x, "y": 2 * x + noise, "z": 10 * noise - x})


def trained(folder: Path, **changes: object) -> TrainedModel:
    spec = {
        "experiment": "line",
        "dataset": "line@1",
        "data": {
            "target": ["y", "z"],
            "features": ["x"],
            "split": {"train": 0.5, "valid": 0.5, "test": 0},
        },
        "network": [{"kind": "dense", "units": 2}],
        "loss": {"kind": "mean_squared_error"},
        "optimizer": {"kind": "adam", "learning_rate": 0.05},
        "epochs": 30,
        **changes,
    }
    path = write(noisy(1000, 0), folder / "line.arrow")
    *_, end = train(JobSpec.model_validate(spec), path, folder)
    assert isinstance(end, TrainingEnded)
    return TrainedModel.load(Path(end.path))


def test_the_truth_of_new_rows_is_inside_as_often_as_said(tmp_path: Path) -> None:
    model, fresh = trained(tmp_path), noisy(5000, 1)
    assert model.calibration is not None
    assert model.calibration.rows == 500
    outputs = model.outputs(model.table_to_array(fresh))
    for level, name in itertools.product((0.5, 0.9, 0.99), ("y", "z")):
        found = model.intervals(outputs, level)
        low = np.array([one["low"][name] for one in found])
        high = np.array([one["high"][name] for one in found])
        truth = fresh[name].to_numpy()
        share = np.mean((low <= truth) & (truth <= high))
        # Five deviations of a share that 500 held out rows have set.
        assert abs(share - level) < 5 * np.sqrt(level * (1 - level) / 500)


@given(
    rows=st.integers(1, 300),
    level=st.floats(0.01, 0.99),
    most=st.integers(1, 300),
    seed=st.integers(0, 99),
)
def test_the_radius_is_the_error_of_the_right_rank_or_the_next_one_kept(
    rows: int, level: float, most: int, seed: int
) -> None:
    errors = np.random.default_rng(seed).random((rows, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "MOST_KEPT", most)
        found = Calibration.of(errors)
    assert len(found.errors) == min(rows, most)
    rank = int(np.ceil(round((rows + 1) * level, 9)))
    if rank > rows:
        with pytest.raises(InvalidError, match="interval"):
            found.radius(level)
        return
    ordered = np.sort(errors, axis=0)
    radius = found.radius(level)
    assert (radius >= ordered[rank - 1]).all()
    if rows <= most:
        assert (radius == ordered[rank - 1]).all()
    else:
        assert (radius <= ordered[min(rows, rank + rows // most) - 1]).all()


def test_a_level_that_ends_on_a_rank_takes_that_rank() -> None:
    found = Calibration.of(np.arange(1.0, 10.0))
    assert found.radius(0.9) == 9
    assert found.radius(0.8) == 8
    with pytest.raises(InvalidError, match=r"the 9 rows.*0\.9 at most"):
        found.radius(0.91)


def test_many_outputs_keep_fewer_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MOST_NUMBERS", 12)
    assert Calibration.of(np.ones((50, 4, 3))).errors.shape == (1, 4, 3)


def test_without_rows_that_were_held_out_there_is_no_interval(tmp_path: Path) -> None:
    data = {"target": "y", "features": ["x"], "split": {"train": 1, "valid": 0, "test": 0}}
    model = trained(tmp_path, data=data, network=[{"kind": "dense", "units": 1}])
    with pytest.raises(InvalidError, match=r"data\.split\.valid"):
        model.intervals(model.outputs(np.zeros((1, 1))), 0.9)


def test_rows_that_test_are_taken_before_those_that_validate(tmp_path: Path) -> None:
    data = {
        "target": ["y", "z"],
        "features": ["x"],
        "split": {"train": 0.6, "valid": 0.3, "test": 0.1},
    }
    model = trained(tmp_path, data=data)
    assert model.calibration is not None
    assert model.calibration.rows == 100
