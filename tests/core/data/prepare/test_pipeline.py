"""The standardizer learns mean and deviation, exactly and for every shape, and survives storage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from core.data.prepare import pipeline
from core.data.prepare.pipeline import Standardizer
from core.data.prepare.steps.standardize import Standardize
from core.errors import InvalidError


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(2, 50), st.integers(1, 5)), elements=st.floats(-1e6, 1e6)
    )
)
def test_training_rows_get_mean_zero_and_deviation_one_or_zero(x: NDArray[np.float64]) -> None:
    y = Standardizer.fit(x).apply(x)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-6)
    deviation = y.std(axis=0)
    varies = np.ptp(x, axis=0) > 1e-6
    np.testing.assert_allclose(deviation[varies], 1, atol=1e-6)
    assert (deviation[np.ptp(x, axis=0) == 0] < 1e-6).all()


def test_agrees_with_numpy_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(5, 3, (101, 7)).astype(np.float32)
    monkeypatch.setattr(pipeline, "BLOCK_NUMBERS", 50)
    learned = Standardizer.fit(x)
    np.testing.assert_allclose(learned.mean, x.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(learned.scale, x.std(axis=0, dtype=np.float64))
    y = learned.apply(x)
    assert y.dtype == np.float32
    monkeypatch.setattr(pipeline, "BLOCK_NUMBERS", 1 << 18)
    np.testing.assert_array_equal(learned.apply(x), y)


def test_images_with_channels_are_scaled_by_channel() -> None:
    x = np.random.default_rng(0).normal([1, 10, 100], [1, 2, 3], (20, 4, 4, 3))
    learned = Standardizer.fit(x)
    assert learned.mean.shape == (3,)
    np.testing.assert_allclose(learned.scale, x.std(axis=(0, 1, 2)))


def test_a_constant_feature_is_only_shifted() -> None:
    x = np.full((10, 1), 0.1)
    assert Standardizer.fit(x).scale.tolist() == [1.0]
    np.testing.assert_allclose(Standardizer.fit(x).apply(x + 2), 2)


@pytest.mark.parametrize("rows", [1000, 100_000, 1_000_000])
@pytest.mark.parametrize("value", [3.7, 0.1, -1e-5, 1.7e9 + 0.3])
def test_a_constant_feature_is_only_shifted_however_many_rows_there_are(
    rows: int, value: float
) -> None:
    x = np.full((rows, 3), value)
    assert Standardizer.fit(x).scale.tolist() == [1.0] * 3
    assert Standardizer.fit_blocks(np.array_split(x, 10)).scale.tolist() == [1.0] * 3
    learned = Standardize().learn(x[:, 0])
    assert learned.arrays["scale"] == 1.0
    assert Standardize().learn_blocks(np.array_split(x[:, 0], 10)).arrays["scale"] == 1.0


def test_a_feature_that_varies_little_around_a_large_mean_keeps_its_deviation() -> None:
    x = 1.7e9 + np.random.default_rng(0).uniform(0, 60, (100_000, 1))
    np.testing.assert_allclose(Standardizer.fit(x).scale, x.std(axis=0))


def test_arrays_round_trip() -> None:
    learned = Standardizer.fit(np.array([[1.0, 5.0], [2.0, 9.0]]))
    again = Standardizer.from_arrays({**learned.arrays(), "weights": np.zeros(3)})
    assert again is not None
    np.testing.assert_array_equal(again.mean, learned.mean)
    np.testing.assert_array_equal(again.scale, learned.scale)
    assert Standardizer.from_arrays({"weights": np.zeros(3)}) is None


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidError, match="no rows"):
        Standardizer.fit(np.zeros((0, 3)))
