"""The files of a run say what was trained, how wide its layers are, and how rows are prepared."""

import json
from pathlib import Path

from core.data.ingest.parser import parse
from core.events import TrainingEnded
from core.spec import JobSpec
from core.training.loop import train
from core.training.model import TrainedModel
from tests.support.api_cases import CSV, SPEC
from worker.mlflow.artifacts import learned_files


def test_the_files_describe_a_model(tmp_path: Path) -> None:
    (tmp_path / "pets.csv").write_text(CSV)
    parsed = parse(tmp_path / "pets.csv", "text/csv", tmp_path / "pets.arrow")
    *_, ended = train(JobSpec.model_validate(SPEC), parsed.path, tmp_path)
    assert isinstance(ended, TrainingEnded)
    files = {file.name: file.content for file in learned_files(TrainedModel.load(Path(ended.path)))}
    assert set(files) == {"model-summary.txt", "preparation.json", "weights.svg"}
    summary = bytes(files["model-summary.txt"]).decode().splitlines()
    assert summary[1].split() == ["network[0]", "dense", "(2,)", "(4,)", "12"]
    assert summary[-1] == "22 weights, float32"
    preparation = json.loads(bytes(files["preparation.json"]))
    assert [name for name, *_ in preparation["features"]] == ["p0", "p1"]
    assert preparation["classes"] == [["cat", "dog"]]
    assert b"network[0].weight: mean" in bytes(files["weights.svg"])
