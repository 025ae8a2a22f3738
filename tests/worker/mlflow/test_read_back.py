"""MLflow's own Python client reads all of a job, without any code of ours."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core import jobs
from core.db.session import reading, transaction
from core.spec.source import SourceSpec
from tests.support.isolated.process import read
from tests.support.present import present
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until

SOURCE = SourceSpec(commit="b" * 40, branch="work", command="submit.py", diff="diff --git a b\n")


@pytest.mark.timeout(600)
def test_all_of_a_job_is_read_back(
    tracker: Tracker, make_bench: Callable[..., Bench], sqlite_url: str, tmp_path: Path
) -> None:
    bench = make_bench(
        sqlite_url, mlflow_url=tracker.url, system_metrics_seconds=0.05, mlflow_source=True
    )
    with transaction(bench.engine) as session:
        digest = jobs.keep_source(session, SOURCE, owner="local").digest
    job_id = bench.submit(epochs=40, experiment="read back", source=digest, tags={"team": "c"})
    bench.slot.work(job_id)
    until(lambda: bench.job(job_id).mirrored_status == "finished")
    (tmp_path / "read").mkdir()
    document = read(
        "read back", f"tags.`chainrule.job_id` = '{job_id}'", tracker.url, tmp_path / "read"
    )
    job = bench.job(job_id)
    assert document["status"] == "FINISHED"
    assert document["spec"] == jobs.completed_spec(job)
    assert document["params"]["optimizer.learning_rate"] == str(
        job.spec["optimizer"]["learning_rate"]
    )
    assert document["tags"]["team"] == "c"
    assert document["tags"]["mlflow.source.git.commit"] == "b" * 40
    series = bench.history(job_id)
    assert {"train/learning_rate", "train/gradient_norm", "train/update_ratio"} < set(series)
    for key, points in series.items():
        assert [tuple(point) for point in document["history"][key]] == points, key
    assert any(key.startswith("system/cpu") for key in document["history"])
    assert {"metrics.valid/loss", "params.seed", "tags.team"} <= set(document["columns"])
    name, digest, schema = document["dataset"]
    assert name == "digits@1"
    assert job.dataset_version.digest.startswith(digest)
    assert len(schema["mlflow_colspec"]) == 65
    with reading(bench.engine) as session:
        assert present(jobs.get(session, job_id).insights)["confusion"]
    assert all(document["files"].values())
    assert {
        "activations.svg", "confusion.svg", "curves.svg", "environment.json", "gradients.svg",
        "hardest.csv", "model-summary.txt", "model/MLmodel", "model/model.onnx",
        "model/model.safetensors", "preparation.json", "source/changes.diff.txt",
        "source/source.json", "spec.json", "weights.svg",
    } <= set(document["files"])  # fmt: skip
