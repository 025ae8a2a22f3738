"""Empty cells and their indicator, as scikit-learn computes them."""

from typing import Literal

import numpy as np
import pytest
from sklearn.impute import SimpleImputer

from core.data.prepare.pipeline import Pipeline
from core.data.prepare.plan import plan
from core.data.prepare.preparation import Feature
from core.data.prepare.steps.impute import Impute
from core.errors import InvalidError


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_an_indicator_is_that_of_scikit_learn(
    strategy: Literal["mean", "median", "most_frequent"],
) -> None:
    rng = np.random.default_rng(4)
    cells = np.where(rng.random(100) < 0.3, np.nan, rng.integers(0, 9, 100).astype(float))
    step = Impute(columns=("x",), strategy=strategy, indicator=True)
    theirs = SimpleImputer(strategy=strategy, add_indicator=True)
    expected = theirs.fit_transform(cells[:, None])
    np.testing.assert_allclose(step.apply(cells, step.learn(cells)), expected)
    feature = step.after(Feature("x", gaps=True))
    assert (feature.shape, feature.gaps) == ((2,), False)


def test_an_indicator_needs_named_columns_of_numbers() -> None:
    with pytest.raises(ValueError, match="name those with empty cells"):
        Impute(indicator=True)
    step = Impute(columns=("t",), strategy="most_frequent", indicator=True)
    with pytest.raises(InvalidError, match="holds text"):
        plan([step], [Feature("t", text=True, gaps=True)])


def test_a_model_without_indicators_is_written_as_before() -> None:
    read = {"x": [np.array([1.0, np.nan, 3.0])]}
    before = {"kind", "columns", "strategy", "value"}
    for step, fields in (
        (Impute(columns=("x",)), before),
        (Impute(columns=("x",), indicator=True), before | {"indicator"}),
    ):
        pipeline = Pipeline.fit([step], [Feature("x", gaps=True)], read.__getitem__, whole=True)
        again = Pipeline.loads(pipeline.dumps(), pipeline.arrays())
        assert [entry.preparation for entry in again.steps] == [step]
        for name in ("kind", "columns", "strategy", "value", "indicator"):
            assert (f'"{name}"' in pipeline.dumps()) == (name in fields)
