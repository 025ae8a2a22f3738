"""What every step of preparation keeps to, and what each makes of known cells."""

import math
import weakref
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

import core.data.prepare.steps  # noqa: F401  (the members register themselves)
from core.data.prepare.pipeline import ColumnCellError, Pipeline
from core.data.prepare.plan import objections, plan
from core.data.prepare.preparation import CellError, Cells, Feature, Preparation
from core.data.prepare.steps.clip import Clip
from core.data.prepare.steps.date import Date
from core.data.prepare.steps.hashing import Hashing
from core.data.prepare.steps.impute import Impute
from core.data.prepare.steps.log import Log
from core.data.prepare.steps.min_max import MinMax
from core.data.prepare.steps.one_hot import OneHot
from core.data.prepare.steps.ordinal import Ordinal
from core.data.prepare.steps.rescale import Rescale
from core.data.prepare.steps.standardize import Standardize
from core.errors import InvalidError
from core.family import members

EXAMPLES = [
    pytest.param(step, cells, id=f"{kind}-{number}")
    for kind, one in members(cast("Any", Preparation)).items()
    for number, (step, cells) in enumerate(one.examples())
]
ADAPTER = TypeAdapter(Preparation)


def words(*values: Any) -> Cells:
    return np.array(values, object)


def through(step: Preparation, cells: Cells) -> Cells:
    return step.apply(cells, step.learn(cells))


@pytest.mark.parametrize(("step", "cells"), EXAMPLES)
def test_a_step_leaves_its_input_alone_and_prepares_each_row_by_itself(
    step: Preparation, cells: Cells
) -> None:
    before = cells.copy()
    learned = step.learn(cells)
    whole = step.apply(cells, learned)
    one_by_one = [step.apply(cells[row : row + 1], learned) for row in range(len(cells))]
    np.testing.assert_array_equal(np.concatenate(one_by_one), whole)
    np.testing.assert_array_equal(cells.astype(str), before.astype(str))


@pytest.mark.parametrize(("step", "cells"), EXAMPLES)
def test_a_learned_step_survives_storage(step: Preparation, cells: Cells) -> None:
    feature = Feature("x", cells.shape[1:], text=cells.dtype == object, classes=3)
    pipeline = Pipeline.fit([step], [feature], lambda _: [cells])
    assert len(pipeline.steps) == 1
    prepared, again = {"x": cells}, {"x": cells}
    pipeline.apply(prepared)
    Pipeline.loads(pipeline.dumps(), pipeline.arrays()).apply(again)
    np.testing.assert_array_equal(again["x"], prepared["x"])
    assert ADAPTER.validate_json(ADAPTER.dump_json(step)) == step


@pytest.mark.parametrize(("step", "cells"), EXAMPLES)
def test_a_step_says_beforehand_what_shape_it_makes(step: Preparation, cells: Cells) -> None:
    text = cells.dtype == object
    distinct = len({cell for cell in cells.reshape(-1).tolist() if cell is not None})
    feature = Feature("x", cells.shape[1:], text=text, classes=distinct)
    after = plan([step], [feature]).features[0]
    out = through(step, cells)
    assert out.shape[1:] == after.shape
    assert (out.dtype == object) == after.text


def test_scalers_agree_with_scikit_learn() -> None:
    x = np.random.default_rng(0).normal(5, 3, 200)
    np.testing.assert_allclose(
        through(Standardize(), x), StandardScaler().fit_transform(x[:, None])[:, 0]
    )
    np.testing.assert_allclose(
        through(MinMax(low=-1, high=3), x),
        MinMaxScaler((-1, 3)).fit_transform(x[:, None])[:, 0],
    )


def test_one_hot_agrees_with_scikit_learn() -> None:
    x = np.random.default_rng(0).choice(["red", "green", "Blue", ""], 50).astype(object)
    wanted = OneHotEncoder(sparse_output=False).fit_transform(x[:, None])
    np.testing.assert_array_equal(through(OneHot(), x), wanted)


def test_unknown_values_are_zeros_or_one_beyond_or_refused() -> None:
    known, new = words("a", "b"), words("b", "z")
    assert OneHot().apply(new, OneHot().learn(known)).tolist() == [[0, 1], [0, 0]]
    assert Ordinal().apply(new, Ordinal().learn(known)).tolist() == [1, 2]
    for one in (OneHot, Ordinal):
        strict = one(unknown="error")
        with pytest.raises(CellError, match="no training row has the value 'z'") as caught:
            strict.apply(new, strict.learn(known))
        assert caught.value.row == 1


def test_hashing_is_the_same_everywhere() -> None:
    codes = through(Hashing(buckets=1000), words("a", "b", "a", "Zürich")).argmax(axis=1)
    assert codes.tolist() == [codes[0], codes[1], codes[0], codes[3]]
    assert codes.tolist() == HASHED
    whole = through(Hashing(columns=("x",)), np.array([3.0]))
    np.testing.assert_array_equal(whole, through(Hashing(), words("3")))


HASHED = [812, 962, 812, 328]


def test_impute_fills_with_what_the_training_rows_had() -> None:
    gaps = np.array([1.0, np.nan, 5.0, 5.0])
    assert through(Impute(strategy="median"), gaps)[1] == 5
    assert through(Impute(), gaps)[1] == pytest.approx(11 / 3)
    assert through(Impute(strategy="constant", value=-1), gaps)[1] == -1
    assert through(Impute(strategy="most_frequent"), words("x", None, "y", "y"))[1] == "y"
    with pytest.raises(InvalidError, match="all training rows are empty"):
        Impute().learn(np.array([np.nan]))


def test_log_clip_and_rescale() -> None:
    assert through(Log(), np.array([0.0, np.e - 1])).tolist() == [0, 1]
    with pytest.raises(CellError, match="needs more than -1, not -3") as caught:
        through(Log(), np.array([0.0, -3.0]))
    assert caught.value.row == 1
    x = np.arange(101.0)
    clipped = through(Clip(low_quantile=0.1, high=50), x)
    assert (clipped.min(), clipped.max()) == (10, 50)
    pixels = np.array([[0, 255]], np.float32)
    assert through(Rescale(), pixels).tolist() == [[0, 1]]
    assert through(Rescale(), pixels).dtype == np.float32


def test_dates_are_learned_without_keeping_all_blocks() -> None:
    kept: list[weakref.ref[Cells]] = []

    def blocks(*dates: str) -> Iterator[Cells]:
        for date in dates:
            cells = words(date)
            kept.append(weakref.ref(cells))
            assert sum(block() is not None for block in kept) <= 2
            yield cells
            del cells

    dates = ("2026-01-31", "2025-12-01", "2026-03-01", "2026-02-01")
    learned = Date(columns=("x",)).learn_blocks(blocks(*dates))
    assert learned.arrays == Date(columns=("x",)).learn(words(*dates)).arrays
    with pytest.raises(CellError) as caught:
        Date(columns=("x",)).learn_blocks(blocks("2026-01-31", "soon"))
    assert caught.value.row == 1


def test_parts_of_dates() -> None:
    dates = words("2026-01-31 06:30", "2026-02-01T00:00:00+02:00", "2026-12-31")
    step = Date(
        columns=("x",),
        parts=("year", "month", "day", "weekday", "hour", "elapsed"),
        cyclic=False,
    )
    np.testing.assert_allclose(
        through(step, dates),
        [
            [2026, 1, 31, 5, 6.5, 0],
            [2026, 2, 1, 6, 0, 15.5 / 24],
            [2026, 12, 31, 3, 0, 334 - 6.5 / 24],
        ],
    )
    later = step.apply(words("2026-01-30 06:30"), step.learn(dates))
    assert later[0].tolist() == [2026, 1, 30, 4, 6.5, -1]


def test_parts_that_begin_again_are_places_on_a_circle() -> None:
    step = Date(columns=("x",), parts=("month", "hour"))
    x = through(step, words("2026-12-01 23:59:59", "2026-01-01 00:00", "2026-07-01 12:00"))
    december, january, july = x
    np.testing.assert_allclose(np.hypot(x[:, ::2], x[:, 1::2]), 1)
    assert np.linalg.norm(december - january) < 0.6
    assert np.linalg.norm(july - january) > 2.5
    np.testing.assert_allclose(january, [math.sin(math.pi / 6), math.cos(math.pi / 6), 0, 1])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("iso", "2026-02-30"),
        ("iso", "31.1.2026"),
        ("iso", "2026-01-31 25:00"),
        ("day_first", "1/31/2026"),
        ("month_first", "31/1/2026"),
        ("iso", "soon"),
    ],
)
def test_what_is_no_date_is_named_by_its_row(form: Any, text: str) -> None:
    step = Date(columns=("x",), format=form)
    good = {"iso": "2026-01-31", "day_first": "31.1.2026", "month_first": "1/31/2026 7:00"}[form]
    with pytest.raises(CellError, match=f"'{text}' is no date of the format {form}") as caught:
        step.learn(words(good, text))
    assert caught.value.row == 1
    with pytest.raises(CellError, match="put an impute step before"):
        step.learn(words(None))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"kind": "date"}, "columns"),
        ({"kind": "date", "columns": []}, "columns"),
        ({"kind": "date", "columns": ["x"], "parts": ["hour", "hour"]}, "listed twice"),
        ({"kind": "min_max", "low": 1, "high": 1}, "low must be below high"),
        ({"kind": "clip", "low": 2, "high": 1}, "low must not be above high"),
        ({"kind": "impute", "strategy": "constant"}, "value goes with the strategy constant"),
        ({"kind": "impute", "value": 3}, "value goes with the strategy constant"),
        ({"kind": "hashing", "buckets": 1}, "greater than or equal to 2"),
        ({"kind": "whiten"}, "whiten"),
    ],
)
def test_steps_that_make_no_sense_are_refused(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ADAPTER.validate_python(step)


def test_without_columns_a_step_takes_what_fits_and_is_not_finished() -> None:
    features = [
        Feature("age"),
        Feature("pay", gaps=True),
        Feature("city", text=True, classes=4),
        Feature("image", (8, 8)),
    ]
    steps = [OneHot(), Rescale(columns=("image",)), Impute(), Standardize(columns=("pay",)), Log()]
    found = plan(steps, features)
    assert found.columns == (("city",), ("image",), ("age", "pay"), ("pay",), ("age",))
    assert [one.shape for one in found.features] == [(), (), (4,), (8, 8)]
    assert [one.done for one in found.features] == [False, True, True, True]


def test_steps_that_do_not_fit_are_named_by_their_path() -> None:
    features = [Feature("age"), Feature("city", text=True)]
    with pytest.raises(InvalidError, match="'town' is not a feature; the features are age, city"):
        plan([Log(columns=("town",))], features)
    with pytest.raises(InvalidError, match="log does not take column 'city'") as caught:
        plan([Log(columns=("age", "city"))], features)
    assert caught.value.errors[0].path == "data.prepare[0].columns[1]"
    found = objections([OneHot()], features)
    assert found[0].path == "data.prepare[0]"
    assert "'city' has over 1000 distinct values" in found[0].message


def test_a_bad_cell_is_named_by_column_and_row() -> None:
    pay = np.array([0.0, 1.0, 2.0, -5.0])
    pipeline = Pipeline.fit([Log()], [Feature("pay")], lambda _: [pay[:2]])
    with pytest.raises(ColumnCellError) as caught:
        pipeline.apply({"pay": pay})
    assert "column 'pay', row 13, log" in caught.value.in_row(12).detail
    with pytest.raises(ColumnCellError) as caught:
        Pipeline.fit([Log(), Standardize()], [Feature("pay")], lambda _: [pay[:2], pay[2:]])
    assert (caught.value.column, caught.value.kind, caught.value.row) == ("pay", "log", 3)
