"""Preparation declared in a job: learned on the training rows, kept, done again to raw rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.ingest.profile import describe
from core.data.prepare.pipeline import Standardizer
from core.data.split.split import split
from core.errors import InvalidError
from core.events import TrainingEnded
from core.spec import JobSpec, admission
from core.training.dataset import from_table
from core.training.loop import train
from core.training.model import TrainedModel
from tests.core.training.conftest import write

STEPS: list[dict[str, Any]] = [
    {"kind": "impute", "columns": ["age"], "strategy": "median"},
    {"kind": "impute", "columns": ["city"], "strategy": "constant", "value": "?"},
    {"kind": "log", "columns": ["pay"]},
    {"kind": "one_hot", "columns": ["city"]},
    {"kind": "hashing", "columns": ["street"], "buckets": 4},
]


def people(rows: int = 300) -> pa.Table:
    rng = np.random.default_rng(1)
    age = rng.integers(18, 90, rows).astype(float)
    age[5] = np.nan
    city = rng.choice(["Rome", "Oslo", "Lima"], rows).astype(object)
    pay = rng.lognormal(8, 1, rows)
    label = np.where((city == "Oslo") | (pay > 4000), "yes", "no")
    city[7::20] = None
    return pa.table(
        {
            "age": pa.array(age, from_pandas=True),
            "city": pa.array(city, pa.string()),
            "street": [f"s{n}" for n in rng.integers(0, 2000, rows)],
            "pay": pay,
            "label": label,
        }
    )


def spec(steps: list[dict[str, Any]] = STEPS, **data: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "experiment": "people",
            "dataset": "people@1",
            "data": {"target": "label", "prepare": steps, **data},
            "network": [
                {"kind": "dense", "units": 16},
                {"kind": "relu"},
                {"kind": "dense", "units": 2},
            ],
            "loss": {"kind": "cross_entropy"},
            "optimizer": {"kind": "adam", "learning_rate": 0.02},
            "epochs": 25,
            "metrics": [{"kind": "accuracy"}],
        }
    )  # fmt: skip


def test_text_gaps_and_amounts_train_and_raw_rows_are_answered(tmp_path: Path) -> None:
    path = write(people(), tmp_path / "people.arrow")
    admission.check(spec(), describe(path), 2**30)
    ended = next(e for e in train(spec(), path, tmp_path) if isinstance(e, TrainingEnded))
    assert ended.metrics["test/accuracy"] > 0.85
    model = TrainedModel.load(tmp_path / "model.safetensors")
    rows: list[dict[str, Any]] = [
        {"age": 40, "city": "Oslo", "street": "new", "pay": 100.0},
        {"age": None, "city": "Rome", "street": "s1", "pay": 100.0},
        {"age": 20, "city": None, "street": "s1", "pay": 90000.0},
        {"age": 20, "city": "Bonn", "street": "s1", "pay": 90000.0},
    ]
    assert model.predict(rows) == ["yes", "no", "yes", "yes"]
    table = people()
    dataset, _ = from_table(spec(split={"train": 1, "valid": 0, "test": 0}), table)
    raw = model.encoding.pipeline
    assert [step.column for step in raw.steps] == ["age", "city", "pay", "city", "street"]
    assert dataset.shape == (1 + 4 + 4 + 1,)


def test_predictions_prepare_exactly_what_training_prepared() -> None:
    table = people()
    whole = spec(split={"train": 1, "valid": 0, "test": 0})
    dataset, encoding = from_table(whole, table)
    weights = whole.network.size(dataset.shape)
    model = TrainedModel(whole, encoding, dataset.shape, np.zeros(weights), np.zeros(()))
    rows = table.drop_columns(["label"]).to_pylist()
    assert encoding.standardizer is not None
    x = encoding.standardizer.apply(model.rows_to_array(rows))
    np.testing.assert_array_equal(x, dataset.train.x)


def test_only_training_rows_teach_and_encoded_columns_are_not_standardized() -> None:
    table = people()
    dataset, encoding = from_table(spec(), table)
    x = dataset.train.x
    np.testing.assert_allclose(x[:, 0].mean(), 0, atol=1e-5)
    assert set(np.unique(x[:, 1:9])) == {0, 1}
    training = split(300, {"train": 0.8, "valid": 0.1, "test": 0.1}, 0, table["label"].to_numpy())
    cells = table["age"].to_numpy().copy()
    cells[np.setdiff1d(np.arange(300), training["train"])] = 1e6
    changed = table.set_column(0, "age", pa.array(cells, from_pandas=True))
    again, other = from_table(spec(), changed)
    np.testing.assert_array_equal(again.train.x, x)
    assert again.test is not None
    assert again.test.x[:, 0].min() > 1000
    learned = encoding.pipeline.steps[0].learned.arrays["value"]
    assert other.pipeline.steps[0].learned.arrays["value"] == learned


@pytest.mark.parametrize(
    ("row", "path", "message"),
    [
        ({"age": None, "city": "Oslo", "street": None, "pay": 1}, "street", "empty"),
        ({"age": 3, "city": 5, "street": "s", "pay": 1}, "city", "text is needed"),
        ({"age": "x", "city": "Oslo", "street": "s", "pay": 1}, "age", "number is needed"),
        ({"age": 3, "city": "Oslo", "street": "s", "pay": -7}, "pay", "logarithm"),
        ({"age": 3, "city": "Oslo", "street": "s", "pay": None}, "pay", "missing"),
    ],
)
def test_a_raw_cell_that_cannot_be_prepared_is_named(
    row: dict[str, Any], path: str, message: str
) -> None:
    dataset, encoding = from_table(spec(), people())
    weights = spec().network.size(dataset.shape)
    model = TrainedModel(spec(), encoding, dataset.shape, np.zeros(weights), np.zeros(()))
    good = {"age": 3, "city": "Oslo", "street": "s", "pay": 1}
    with pytest.raises(InvalidError, match=message) as caught:
        model.predict([good, row])
    assert caught.value.errors[0].path == f"rows[1].{path}"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (STEPS[:4], "column 'street' holds text: encode it"),
        (STEPS[1:], "'age' has 1 empty cell: fill empty cells with"),
        ([{"kind": "log", "columns": ["town"]}], "'town' is not a feature"),
        ([{"kind": "log", "columns": ["city"]}], "log does not take column 'city'"),
        ([{"kind": "one_hot", "columns": ["pay"]}], "'pay' has over 1000 distinct values"),
    ],
)
def test_what_cannot_work_is_said_at_submission(
    steps: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    schema = describe(write(people(), tmp_path / "people.arrow"))
    with pytest.raises(InvalidError, match=message):
        admission.check(spec(steps), schema, 2**30)


def test_a_query_chooses_the_rows_before_the_split() -> None:
    table = people()
    asked = spec(query="city:(Rome Oslo) AND pay:>1000 @sample:0.5 @seed:3")
    dataset, encoding = from_table(asked, table)
    matching = [r for r in table.to_pylist() if r["city"] in ("Rome", "Oslo") and r["pay"] > 1000]
    parts = (dataset.train, dataset.valid, dataset.test)
    assert sum(len(part) for part in parts if part is not None) == round(len(matching) / 2)
    city = next(s for s in encoding.pipeline.steps if s.preparation.kind == "one_hot")
    assert city.learned.words == ("Oslo", "Rome")


def test_a_query_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    schema = describe(write(people(), tmp_path / "people.arrow"))
    with pytest.raises(InvalidError, match="no column 'town'") as caught:
        admission.check(spec(query="town:Rome"), schema, 2**30)
    assert caught.value.errors[0].path == "data.query"
    with pytest.raises(ValueError, match="a value is missing"):
        spec(query="city:")
    with pytest.raises(InvalidError, match="no row"):
        from_table(spec(query="city:Paris"), people())
    with pytest.raises(InvalidError, match=r"ends with 2 outputs; .* have 1 classes"):
        from_table(spec(query="label:yes"), people())


def moments(**columns: Any) -> pa.Table:
    """Times within ten minutes, in seconds since 1970, and what depends on them."""
    late = np.random.default_rng(4).uniform(0, 600, 400)
    return pa.table({"time": 1.7e9 + late, "label": np.where(late > 300, "yes", "no"), **columns})


GAPLESS = {"kind": "impute", "columns": ["time"], "strategy": "median"}


@pytest.mark.parametrize("steps", [[], [GAPLESS]])
def test_a_column_keeps_the_digits_that_float32_has_not(steps: list[dict[str, Any]]) -> None:
    table = moments(plain=np.random.default_rng(5).normal(5, 2, 400))
    whole = spec(steps, split={"train": 1, "valid": 0, "test": 0})
    dataset, encoding = from_table(whole, table)
    time = table["time"].to_numpy()
    expected = (time - time.mean()) / time.std()
    np.testing.assert_allclose(dataset.train.x[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(dataset.train.x[:, 1].std(), 1, atol=1e-6)
    weights = whole.network.size(dataset.shape)
    model = TrainedModel(whole, encoding, dataset.shape, np.zeros(weights), np.zeros(()))
    rows = table.drop_columns(["label"])
    assert encoding.standardizer is not None
    for x in (model.rows_to_array(rows.to_pylist()), model.table_to_array(rows)):
        np.testing.assert_array_equal(encoding.standardizer.apply(x), dataset.train.x)


def test_a_column_that_float32_holds_is_standardized_as_ever() -> None:
    table = moments(plain=np.random.default_rng(5).normal(5, 2, 400))
    time = 16_000_000 + np.arange(400.0)
    plain, encoding = from_table(spec([]), table.set_column(0, "time", pa.array(time)))
    assert encoding.pipeline.steps == ()
    x = np.stack([time, table["plain"].to_numpy()], axis=1).astype(np.float32)
    learned = Standardizer.fit(x[plain.train.numbers])
    np.testing.assert_array_equal(plain.train.x, learned.apply(x[plain.train.numbers]))
    alone, _ = from_table(spec([]), table)
    np.testing.assert_array_equal(alone.train.x[:, 1], plain.train.x[:, 1])


def test_short_texts_are_learned_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    neutral = ["screen", "battery", "phone", "price", "box"]
    labels = [("good", "bad")[n] for n in rng.integers(0, 2, 200)]
    opinions = {"good": ["great", "fine"], "bad": ["poor", "broken"]}
    texts = [
        " ".join([*rng.choice(neutral, 3), str(rng.choice(opinions[label]))]) for label in labels
    ]
    path = write(pa.table({"text": texts, "label": labels}), tmp_path / "texts.arrow")
    job = spec([{"kind": "bag_of_words", "columns": ["text"], "words": 20}])
    admission.check(job, describe(path), 2**30)
    ended = next(e for e in train(job, path, tmp_path) if isinstance(e, TrainingEnded))
    assert ended.metrics["test/accuracy"] == 1.0
    model = TrainedModel.load(tmp_path / "model.safetensors")
    rows = [{"text": "a BROKEN box"}, {"text": "great, really"}]
    assert model.predict(rows) == ["bad", "good"]
