"""A whole model in ONNX answers raw columns as we do."""

import numpy as np
import onnxruntime
import pytest

from core.export import to_onnx
from tests.core.export.models import model, rows_of


def score(exported, rows):
    """What onnxruntime says for rows, by output."""
    kinds = {"double": np.float64, "long": np.int64, "boolean": np.bool_}
    session = onnxruntime.InferenceSession(
        exported.serialized(), providers=["CPUExecutionProvider"]
    )
    feed = {
        one.name: np.array([row[one.name] for row in rows], kinds[one.kind])
        for one in exported.inputs
    }
    names = [one.name for one in exported.outputs]
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize(
    "labels", [("cat", "dog", "owl"), (3, 5, 8), (0.5, 1.5, 2.5)], ids=["text", "whole", "real"]
)
@pytest.mark.parametrize("count", [1, 8])
def test_classes_come_back_as_labels_with_a_probability_each(labels, count):
    features = {"a": (), "b": (), "c": ()}
    made = model(features, loss="cross_entropy", outputs=3, classes=(labels,))
    rows = rows_of(features, count)

    found = score(to_onnx(made), rows)

    assert found["prediction"].tolist() == made.predict(rows)
    for label in labels:
        expected = [row[str(label)] for row in made.predict_proba(rows)]
        np.testing.assert_allclose(found[f"probability_{label}"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_numbers_come_back_as_numbers(precision):
    features = {"a": (), "b": ()}
    made = model(features, loss="huber", outputs=1, precision=precision)
    rows = rows_of(features)

    found = score(to_onnx(made), rows)

    np.testing.assert_allclose(found["prediction"], made.predict(rows), rtol=1e-5, atol=1e-5)


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
def test_several_targets_are_outputs_of_their_names(loss, outputs, classes):
    features = {"a": (), "b": ()}
    made = model(
        features,
        loss=loss,
        outputs=outputs,
        targets=tuple(classes),
        classes=tuple(classes.values()),
    )
    rows = rows_of(features)

    found = score(to_onnx(made), rows)

    answers, chances = made.predict(rows), made.predict_proba(rows)
    for target, labels in classes.items():
        assert found[target].tolist() == [row[target] for row in answers]
        for label in labels:
            expected = [row[target][str(label)] for row in chances]
            given = found[f"probability_{target}_{label}"]
            np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


def test_an_image_of_booleans_comes_back_as_zeros_and_ones():
    features = {"a": (), "b": ()}
    made = model(features, loss="binary_cross_entropy", outputs=6, targets=("mask",), cell=(2, 3))
    rows = rows_of(features)

    found = score(to_onnx(made), rows)

    assert found["prediction"].tolist() == made.predict(rows)
    expected = made.predict_proba(rows)
    np.testing.assert_allclose(found["probability"], expected, rtol=1e-5, atol=1e-6)


def test_pictures_go_in_as_arrays():
    features = {"image": (6, 5, 2)}
    layers = [
        {"kind": "conv2d", "filters": 3, "kernel": 3, "padding": "same"},
        {"kind": "max_pool2d"},
        {"kind": "flatten"},
    ]
    made = model(
        features, loss="cross_entropy", outputs=2, classes=((0, 1),), layers=layers, shape=(6, 5, 2)
    )
    rows = rows_of(features)

    found = score(to_onnx(made), rows)

    assert found["prediction"].tolist() == made.predict(rows)
    expected = [list(row.values()) for row in made.predict_proba(rows)]
    np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-5, atol=1e-6)


def test_arrays_and_single_values_lie_side_by_side():
    features = {"a": (), "curve": (4,), "b": ()}
    made = model(features, loss="mean_squared_error", outputs=1)
    rows = rows_of(features)

    found = score(to_onnx(made), rows)

    np.testing.assert_allclose(found["prediction"], made.predict(rows), rtol=1e-5, atol=1e-5)


def test_columns_keep_the_types_of_the_data_and_names_that_collide():
    features = {"prediction": (), "old": (), "b": ()}
    made = model(features, loss="mean_squared_error", outputs=1, booleans=("old",))
    rows = [{"prediction": 3, "old": bool(n % 2), "b": 0.5 * n} for n in range(4)]

    exported = to_onnx(made, {"prediction": "long", "old": "boolean"})

    assert [one.kind for one in exported.inputs] == ["long", "boolean", "double"]
    (output,) = exported.outputs
    assert output.name == "prediction_2"
    found = score(exported, rows)["prediction_2"]
    np.testing.assert_allclose(found, made.predict(rows), rtol=1e-5, atol=1e-5)
