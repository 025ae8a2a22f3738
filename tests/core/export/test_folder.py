"""MLflow loads the folder and scores raw rows without Chainrule."""

from pathlib import Path
from typing import Any

import numpy as np

from core.export import model_folder
from tests.core.export.models import Shapes, model, rows_of
from tests.support.isolated import process


def test_the_scoring_process_cannot_import_chainrule(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import core.errors")
    done = process.alone([script], tmp_path, {})
    assert done.returncode != 0
    assert "core must not be needed" in done.stderr


def scored(folder: Path, files: dict[str, bytes], rows: list[Any]) -> dict[str, Any]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return process.scored(folder, rows, folder)


def test_mlflow_scores_a_table_as_chainrule_does(tmp_path: Path) -> None:
    features: Shapes = {"width": (), "height": ()}
    trained = model(features, loss="cross_entropy", outputs=2, classes=(("cat", "dog"),))
    rows = [{**row, "height": round(row["height"])} for row in rows_of(features)]

    files = model_folder(trained, kinds={"height": "long"}, example={"width": 2.5, "height": 3.2})
    result = scored(tmp_path, files, rows)

    assert "'width': double" in result["inputs"]
    assert "'height': long" in result["inputs"]
    assert result["example"] == ["prediction", "probability_cat", "probability_dog"]
    assert result["answers"]["prediction"] == trained.predict(rows)
    expected = [row["dog"] for row in trained.predict_proba(rows)]
    np.testing.assert_allclose(result["answers"]["probability_dog"], expected, rtol=1e-5, atol=1e-6)


def test_mlflow_scores_images_as_chainrule_does(tmp_path: Path) -> None:
    features: Shapes = {"image": (4, 3, 1)}
    layers: list[dict[str, Any]] = [
        {"kind": "conv2d", "filters": 2, "kernel": 2},
        {"kind": "flatten"},
    ]
    trained = model(features, loss="mean_squared_error", outputs=1, layers=layers, shape=(4, 3, 1))
    rows = rows_of(features)

    result = scored(tmp_path, model_folder(trained), [row["image"] for row in rows])

    assert result["example"] == ["prediction"]
    np.testing.assert_allclose(
        result["answers"]["prediction"], trained.predict(rows), rtol=1e-5, atol=1e-5
    )
