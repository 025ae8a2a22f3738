"""A model in ONNX returns the same predictions for raw columns as Chainrule."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from core.export import to_onnx
from core.export.model import Exported
from tests.core.export.models import Shapes, model, rows_of


def score(exported: Exported, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the outputs of onnxruntime for rows, by name."""
    kinds: dict[str, Any] = {"double": np.float64, "long": np.int64, "boolean": np.bool_}
    session = onnxruntime.InferenceSession(
        exported.serialized(), providers=["CPUExecutionProvider"]
    )
    feed = {
        value.name: np.array([row[value.name] for row in rows], kinds[value.kind])
        for value in exported.inputs
    }
    names = [value.name for value in exported.outputs]
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize(
    "labels", [("cat", "dog", "owl"), (3, 5, 8), (0.5, 1.5, 2.5)], ids=["text", "whole", "real"]
)
@pytest.mark.parametrize("count", [1, 8])
def test_classes_are_labels_with_a_probability_each(labels: tuple[Any, ...], count: int) -> None:
    features: Shapes = {"a": (), "b": (), "c": ()}
    trained = model(features, loss="cross_entropy", outputs=3, classes=(labels,))
    rows = rows_of(features, count)

    scored = score(to_onnx(trained), rows)

    assert scored["prediction"].tolist() == trained.predict(rows)
    for label in labels:
        expected = [row[str(label)] for row in trained.predict_proba(rows)]
        np.testing.assert_allclose(scored[f"probability_{label}"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_numbers_are_exported(precision: str) -> None:
    features: Shapes = {"a": (), "b": ()}
    trained = model(features, loss="huber", outputs=1, precision=precision)
    rows = rows_of(features)

    scored = score(to_onnx(trained), rows)

    np.testing.assert_allclose(scored["prediction"], trained.predict(rows), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "outputs", "classes"),
    [
        ("binary_cross_entropy", 2, {"ill": (False, True), "old": ("no", "yes")}),
        (
            {"kind": "grouped_cross_entropy", "groups": [3, 2]},
            5,
            {"size": ("l", "m", "s"), "number": (3, 7)},
        ),
    ],
)
def test_each_target_is_an_output(
    loss: str | dict[str, Any], outputs: int, classes: dict[str, tuple[Any, ...]]
) -> None:
    features: Shapes = {"a": (), "b": ()}
    trained = model(
        features,
        loss=loss,
        outputs=outputs,
        targets=tuple(classes),
        classes=tuple(classes.values()),
    )
    rows = rows_of(features)

    scored = score(to_onnx(trained), rows)

    predictions, probabilities = trained.predict(rows), trained.predict_proba(rows)
    for target, labels in classes.items():
        assert scored[target].tolist() == [row[target] for row in predictions]
        for label in labels:
            expected = [row[target][str(label)] for row in probabilities]
            given = scored[f"probability_{target}_{label}"]
            np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


def test_a_mask_is_an_array_of_zeros_and_ones() -> None:
    features: Shapes = {"a": (), "b": ()}
    trained = model(
        features, loss="binary_cross_entropy", outputs=6, targets=("mask",), cell=(2, 3)
    )
    rows = rows_of(features)

    scored = score(to_onnx(trained), rows)

    assert scored["prediction"].tolist() == trained.predict(rows)
    expected = trained.predict_proba(rows)
    np.testing.assert_allclose(scored["probability"], expected, rtol=1e-5, atol=1e-6)


def test_images_are_array_inputs() -> None:
    features: Shapes = {"image": (6, 5, 2)}
    layers: list[dict[str, Any]] = [
        {"kind": "conv2d", "filters": 3, "kernel": 3, "padding": "same"},
        {"kind": "max_pool2d"},
        {"kind": "flatten"},
    ]
    trained = model(
        features, loss="cross_entropy", outputs=2, classes=((0, 1),), layers=layers, shape=(6, 5, 2)
    )
    rows = rows_of(features)

    scored = score(to_onnx(trained), rows)

    assert scored["prediction"].tolist() == trained.predict(rows)
    expected = [list(row.values()) for row in trained.predict_proba(rows)]
    np.testing.assert_allclose(scored["probabilities"], expected, rtol=1e-5, atol=1e-6)


def test_array_and_scalar_inputs_are_concatenated() -> None:
    features: Shapes = {"a": (), "curve": (4,), "b": ()}
    trained = model(features, loss="mean_squared_error", outputs=1)
    rows = rows_of(features)

    scored = score(to_onnx(trained), rows)

    np.testing.assert_allclose(scored["prediction"], trained.predict(rows), rtol=1e-5, atol=1e-5)


def test_columns_keep_their_types_and_names_that_collide() -> None:
    features: Shapes = {"prediction": (), "old": (), "b": ()}
    trained = model(features, loss="mean_squared_error", outputs=1, booleans=("old",))
    rows = [{"prediction": 3, "old": bool(n % 2), "b": 0.5 * n} for n in range(4)]

    exported = to_onnx(trained, {"prediction": "long", "old": "boolean"})

    assert [value.kind for value in exported.inputs] == ["long", "boolean", "double"]
    (output,) = exported.outputs
    assert output.name == "prediction_2"
    scored = score(exported, rows)["prediction_2"]
    np.testing.assert_allclose(scored, trained.predict(rows), rtol=1e-5, atol=1e-5)
