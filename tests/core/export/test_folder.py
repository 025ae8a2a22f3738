"""MLflow loads the folder and scores raw rows with none of our code."""

from pathlib import Path

import numpy as np

from core.export import model_folder
from tests.core.export.models import model, rows_of
from tests.support import isolated_mlflow


def test_a_stranger_cannot_import_us(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import core.errors")
    done = isolated_mlflow.alone([script], tmp_path, {})
    assert done.returncode != 0
    assert "core must not be needed" in done.stderr


def scored(folder: Path, files: dict[str, bytes], rows: list) -> dict:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return isolated_mlflow.scored(folder, rows, folder)


def test_a_table_is_scored_by_mlflow_as_by_us(tmp_path):
    features = {"width": (), "height": ()}
    made = model(features, loss="cross_entropy", outputs=2, classes=(("cat", "dog"),))
    rows = [{**row, "height": round(row["height"])} for row in rows_of(features)]

    files = model_folder(made, kinds={"height": "long"}, example={"width": 2.5, "height": 3.2})
    found = scored(tmp_path, files, rows)

    assert "'width': double" in found["inputs"]
    assert "'height': long" in found["inputs"]
    assert found["example"] == ["prediction", "probability_cat", "probability_dog"]
    assert found["answers"]["prediction"] == made.predict(rows)
    expected = [row["dog"] for row in made.predict_proba(rows)]
    np.testing.assert_allclose(found["answers"]["probability_dog"], expected, rtol=1e-5, atol=1e-6)


def test_pictures_are_scored_by_mlflow_as_by_us(tmp_path):
    features = {"image": (4, 3, 1)}
    layers = [{"kind": "conv2d", "filters": 2, "kernel": 2}, {"kind": "flatten"}]
    made = model(features, loss="mean_squared_error", outputs=1, layers=layers, shape=(4, 3, 1))
    rows = rows_of(features)

    found = scored(tmp_path, model_folder(made), [row["image"] for row in rows])

    assert found["example"] == ["prediction"]
    np.testing.assert_allclose(
        found["answers"]["prediction"], made.predict(rows), rtol=1e-5, atol=1e-5
    )
