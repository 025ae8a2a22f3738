"""Exported preparation steps return what they return in Chainrule."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from core.data.prepare.pipeline import Pipeline, Step
from core.data.prepare.preparation import Preparation
from core.errors import InvalidError
from core.events import TrainingEnded
from core.export import model_folder, to_onnx
from core.export.graph import Graph
from core.export.preparation import STEPS, Prepared, export_step
from core.family import members
from core.spec import JobSpec
from core.training.loop import train
from core.training.model import TrainedModel
from tests.support.isolated import process

NONE = {"bag_of_words", "date", "hashing"}
"""Kinds that cannot be exported: ONNX has no node for this hash, for dates, or for words."""


def test_each_kind_has_an_exporter_or_is_listed() -> None:
    assert set(STEPS) | NONE == set(members(Preparation))


def cases() -> Iterator[Any]:
    for kind, member in members(Preparation).items():
        if kind not in NONE:
            for number, (step, cells) in enumerate(member.examples()):
                yield pytest.param(step, cells, id=f"{kind}-{number}")


@pytest.mark.parametrize(("step", "cells"), list(cases()))
def test_onnxruntime_computes_a_step_as_chainrule_does(
    step: Preparation, cells: NDArray[Any]
) -> None:
    text = cells.dtype == object
    learned = step.learn(cells)
    texts = np.array(["" if cell is None else cell for cell in cells], object) if text else cells
    graph = Graph()
    kind = "string" if text else "double"
    name = graph.input("x", kind, cells.shape[1:])
    result = export_step(graph, Prepared(name, cells.shape[1:], text), Step("x", step, learned))
    graph.output("y", result.name, "string" if result.text else "double", result.shape)
    session = onnxruntime.InferenceSession(
        graph.build("step").SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(["y"], {"x": texts if text else cells.astype(np.float64)})
    expected = step.apply(cells, learned)
    assert y.shape == expected.shape
    if result.text:
        assert y.tolist() == expected.tolist()
    else:
        np.testing.assert_allclose(y, expected.astype(np.float64), rtol=1e-6, atol=1e-6)


PREPARE: list[dict[str, Any]] = [
    {"kind": "impute", "columns": ["age"], "strategy": "median", "indicator": True},
    {"kind": "impute", "columns": ["town"], "strategy": "most_frequent"},
    {"kind": "clip", "columns": ["pay"], "high_quantile": 0.9},
    {"kind": "log", "columns": ["pay"]},
    {"kind": "one_hot", "columns": ["town", "rooms"]},
    {"kind": "ordinal", "columns": ["size"]},
]


def fit(
    folder: Path, table: pa.Table, prepare: list[dict[str, Any]], **fields: Any
) -> TrainedModel:
    """Train a model that predicts the column `y` of a table."""
    path = folder / "table.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    data = {"target": "y", "prepare": prepare}
    spec = JobSpec.model_validate({"experiment": "x", "dataset": "x@1", "data": data, **fields})
    *_, ended = train(spec, path, folder)
    assert isinstance(ended, TrainingEnded)
    return TrainedModel.load(Path(ended.path))


@pytest.fixture
def trained(tmp_path: Path) -> TrainedModel:
    """A model trained on columns with empty cells, text, and numbers as categories."""
    rng = np.random.default_rng(3)
    rows = 200
    towns = np.array(["Ulm", "Bern", "Graz", None], object)
    table = pa.table(
        {
            "age": [None if i % 7 == 0 else float(rng.integers(20, 70)) for i in range(rows)],
            "town": [towns[i % 4] for i in range(rows)],
            "pay": rng.lognormal(3, 1, rows),
            "rooms": rng.integers(1, 5, rows),
            "size": [["s", "m", "l"][i % 3] for i in range(rows)],
            "y": ["yes" if rng.random() > 0.4 else "no" for _ in range(rows)],
        }
    )
    layers = [{"kind": "dense", "units": 6}, {"kind": "relu"}, {"kind": "dense", "units": 2}]
    return fit(tmp_path, table, PREPARE, network=layers, loss={"kind": "cross_entropy"}, epochs=3)


def test_a_prepared_model_scores_raw_rows(trained: TrainedModel) -> None:
    rows: list[dict[str, Any]] = [
        {"age": 31.0, "town": "Ulm", "pay": 20.0, "rooms": 3, "size": "m"},
        {"age": None, "town": "Bern", "pay": 1e6, "rooms": 1, "size": "l"},
        {"age": 55.0, "town": "Atlantis", "pay": 0.0, "rooms": 9, "size": "s"},
        {"age": 20.0, "town": None, "pay": 5.5, "rooms": 4, "size": "huge"},
    ]
    exported = to_onnx(trained, {"rooms": "long"})
    assert [(value.name, value.kind) for value in exported.inputs] == [
        ("age", "double"), ("town", "string"), ("pay", "double"), ("rooms", "long"),
        ("size", "string"),
    ]  # fmt: skip
    session = onnxruntime.InferenceSession(
        exported.serialized(), providers=["CPUExecutionProvider"]
    )
    feed = {
        "age": np.array([np.nan if row["age"] is None else row["age"] for row in rows]),
        "town": np.array([row["town"] or "" for row in rows], object),
        "pay": np.array([row["pay"] for row in rows]),
        "rooms": np.array([row["rooms"] for row in rows], np.int64),
        "size": np.array([row["size"] for row in rows], object),
    }
    names = [value.name for value in exported.outputs]
    scored = dict(zip(names, session.run(names, feed), strict=True))
    assert scored["prediction"].tolist() == trained.predict(rows)
    for label in ("no", "yes"):
        expected = [row[label] for row in trained.predict_proba(rows)]
        np.testing.assert_allclose(scored[f"probability_{label}"], expected, rtol=1e-5, atol=1e-6)


def test_a_step_without_an_exporter_is_named(trained: TrainedModel) -> None:
    adapter = TypeAdapter(Preparation)
    step = adapter.validate_python({"kind": "hashing", "columns": ["town"]})
    learned = step.learn(np.array(["a"], object))
    encoding = type(trained.encoding)(
        trained.encoding.features,
        trained.encoding.targets,
        trained.encoding.classes,
        None,
        Pipeline((Step("town", step, learned),)),
    )
    hashed = TrainedModel(trained.spec, encoding, trained.network.shape, np.zeros(()), np.zeros(()))
    with pytest.raises(InvalidError, match=r"'town': the step hashing cannot be exported"):
        to_onnx(hashed)


def test_mlflow_scores_text_and_numbers_without_chainrule(
    trained: TrainedModel, tmp_path: Path
) -> None:
    rows = [
        {"age": 31.0, "town": "Ulm", "pay": 20.0, "rooms": 3, "size": "m"},
        {"age": 40.5, "town": "Bern", "pay": 1e6, "rooms": 1, "size": "l"},
    ]
    folder = tmp_path / "mlflow"
    folder.mkdir()
    example = {"town": "Graz", "size": "s", "age": 40.0}
    for name, content in model_folder(trained, kinds={"rooms": "long"}, example=example).items():
        (folder / name).write_bytes(content)
    result = process.scored(folder, rows, folder)
    assert "'town': string" in result["inputs"]
    assert result["answers"]["prediction"] == trained.predict(rows)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("other", ["double", "long"])
@pytest.mark.parametrize("prepare", [[], [{"kind": "min_max", "columns": ["x"]}]])
def test_a_graph_keeps_digits_beyond_float32(
    tmp_path: Path, precision: str, other: str, prepare: list[dict[str, Any]]
) -> None:
    rng = np.random.default_rng(6)
    time = 1.7e9 + rng.uniform(0, 600, 300)
    x = rng.integers(0, 9, 300).astype(np.int64 if other == "long" else np.float64)
    table = pa.table({"time": time, "x": x, "y": np.sin((time - 1.7e9) / 100) + x})
    layers = [{"kind": "dense", "units": 6}, {"kind": "tanh"}, {"kind": "dense", "units": 1}]
    loss = {"kind": "mean_squared_error"}
    model = fit(tmp_path, table, prepare, network=layers, loss=loss, epochs=1, precision=precision)
    exported = to_onnx(model, {"x": other})
    session = onnxruntime.InferenceSession(
        exported.serialized(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"time": time, "x": x})
    own = model.outputs(model.table_to_array(table))[:, 0]
    np.testing.assert_allclose(y, own, atol=1e-5)
