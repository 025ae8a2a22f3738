"""MLflow shows all of a job, once, with its status."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chainrule.contract.status import JobStatus
from core import jobs, models
from core.db.mirrored import back_off
from core.db.session import reading, transaction
from core.db.tables import Job
from core.spec.inference import EvaluationSpec
from core.spec.source import SourceSpec
from core.training.model import TrainedModel
from tests.support.isolated.process import scored
from tests.support.present import present
from tests.support.trackers import Tracker
from tests.support.worker_cases import CONSTANT_NETWORK, DIGITS_CSV, LONG, Bench, until
from worker.mlflow.jobs import JobMirror
from worker.mlflow.run_labels import run_name


@pytest.fixture
def site(tracker: Tracker, make_bench: Callable[..., Bench], database_url: str) -> Bench:
    """A bench that mirrors to a real MLflow."""
    address = "https://chainrule.example/"
    return make_bench(database_url, mlflow_url=tracker.url, public_url=address)


@pytest.fixture
def mirror(site: Bench) -> Iterator[JobMirror]:
    """A mirror in addition to that of the slot."""
    mirror = JobMirror(site.engine, site.store, site.settings)
    yield mirror
    mirror.close()


def mirrored(bench: Bench, job_id: str) -> bool:
    job = bench.job(job_id)
    return job.mirrored_status == job.status.value


def run_of(bench: Bench, job_id: str) -> str:
    return present(bench.job(job_id).mlflow_run_id)


def shown(tracker: Tracker, bench: Bench, job_id: str, key: str) -> list[tuple[int, float]]:
    history = tracker.history(run_of(bench, job_id), key)
    return [(step, value) for step, value, _ in history]


def source_artifacts(tracker: Tracker, run_id: str) -> set[str]:
    """The paths of the files of source code that MLflow has."""
    files = tracker.get("artifacts/list", run_id=run_id, path="source").get("files", [])
    return {file["path"] for file in files}


@pytest.mark.parametrize("copied", [False, True])
def test_mlflow_has_the_commit_of_a_job_and_its_code_only_when_asked(
    make_bench: Callable[..., Bench], sqlite_url: str, tracker: Tracker, copied: bool
) -> None:
    site = make_bench(sqlite_url, mlflow_url=tracker.url, mlflow_source=copied)
    source = SourceSpec(
        repository="https://example.com/net.git",
        commit="a" * 40,
        branch="work",
        command="submit.py",
        diff="diff --git a/t.py b/t.py\n",
        files={"lib/new.py": "units = 4\n"},
    )
    with transaction(site.engine) as session:
        digest = jobs.keep_source(session, source, owner="local").digest
    job_id = site.submit(epochs=1, source=digest)
    site.slot.work(job_id)
    until(lambda: mirrored(site, job_id))
    run_id = run_of(site, job_id)
    data = tracker.run(run_id)["data"]
    tags = {t["key"]: t["value"] for t in data["tags"]}
    assert tags["mlflow.source.git.commit"] == "a" * 40
    assert tags["mlflow.source.name"] == "submit.py"
    assert tags["chainrule.source_dirty"] == "true"
    assert "source" not in {p["key"] for p in data["params"]}
    paths = {"source/changes.diff.txt", "source/new", "source/source.json"}
    assert source_artifacts(tracker, run_id) == (paths if copied else set())


def test_mlflow_shows_all_of_a_finished_job(site: Bench, tracker: Tracker) -> None:
    job_id = site.submit(epochs=3, experiment="shown", tags={"team": "b"})
    site.slot.work(job_id)
    until(lambda: mirrored(site, job_id))
    job = site.job(job_id)
    run = tracker.run(run_of(site, job_id))
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["experiment_id"] == job.experiment.mlflow_experiment_id
    assert {p["key"] for p in run["data"]["params"]} >= {"optimizer.learning_rate", "seed"}
    tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
    assert tags["team"] == "b"
    best = present(job.progress)
    assert (tags["chainrule.best_epoch"], tags["chainrule.best_metric"]) == (
        str(best["best_epoch"]), "valid/loss"
    )  # fmt: skip
    label = f"**best:** epoch {best['best_epoch']} by valid/loss"
    shown_name = run["info"]["run_name"]
    assert shown_name == run_name(job.spec, "digits@1", best)
    assert shown_name.startswith("digits@1 ")
    assert "valid/" in shown_name
    assert label in tags["mlflow.note.content"]
    assert tags["chainrule.weights_digest"] == present(job.result)["weights_digest"]
    for key, series in site.history(job_id).items():
        assert shown(tracker, site, job_id, key) == series, key
    files = tracker.get("artifacts/list", run_id=run_of(site, job_id), path="model")["files"]
    expected = {
        "MLmodel",
        "conda.yaml",
        "input_example.json",
        "model.onnx",
        "model.safetensors",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
        "spec.json",
    }
    assert {file["path"] for file in files} == {f"model/{name}" for name in expected}
    top = tracker.get("artifacts/list", run_id=run_of(site, job_id))["files"]
    names = {file["path"] for file in top if not file.get("is_dir")}
    assert names == {"spec.json", "environment.json", "curves.svg", "model-summary.txt",
                    "log.txt", "preparation.json", "weights.svg", "confusion.svg", "hardest.csv",
                    "activations.svg", "gradients.svg"}  # fmt: skip
    with reading(site.engine) as session:
        assert _log(tracker, run) == "".join(jobs.log_text(session, job_id))
    dataset = run["inputs"]["dataset_inputs"][0]["dataset"]
    columns = json.loads(dataset["schema"])["mlflow_colspec"]
    assert (columns[-1]["name"], columns[-1]["type"], len(columns)) == ("label", "long", 65)
    assert json.loads(dataset["profile"]) == {"num_rows": 1797, "num_elements": 1797 * 65}
    _evaluation_is_shown(site, tracker, job)


def _log(tracker: Tracker, run: dict[str, Any]) -> str:
    """The log among the files of a run."""
    folder = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:")
    path = f"/api/2.0/mlflow-artifacts/artifacts{folder}/log.txt"
    return httpx.get(f"{tracker.url}{path}").raise_for_status().text


def _evaluation_is_shown(site: Bench, tracker: Tracker, trained: Job) -> None:
    """The evaluation has a run below that of the model's job, with its metrics."""
    job_id = site.infer(EvaluationSpec(dataset="digits", tags={}), trained.id)
    site.slot.work(job_id)
    until(lambda: mirrored(site, job_id))
    run_id = run_of(site, job_id)
    run = tracker.run(run_id)
    tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
    assert tags["mlflow.parentRunId"] == trained.mlflow_run_id
    assert (tags["chainrule.kind"], tags["chainrule.model_job_id"]) == ("evaluate", trained.id)
    assert run["info"]["run_name"] == "m@1 on digits@1"
    with reading(site.engine) as session:
        row = models.evaluation_by(session, job_id)
    assert shown(tracker, site, job_id, "eval/accuracy") == [(1, row.metrics["accuracy"])]
    (dataset_input,) = run["inputs"]["dataset_inputs"]
    assert dataset_input["tags"] == [{"key": "mlflow.data.context", "value": "evaluation"}]
    files = {file["path"] for file in tracker.get("artifacts/list", run_id=run_id)["files"]}
    assert {"spec.json", "evaluation.csv", "confusion.svg"} <= files
    assert "model" not in files


def test_a_model_that_learned_nothing_has_a_warning(site: Bench, tracker: Tracker) -> None:
    job_id = site.submit(epochs=1, experiment="constant", network=CONSTANT_NETWORK)
    site.slot.work(job_id)
    until(lambda: mirrored(site, job_id))
    tags = {t["key"]: t["value"] for t in tracker.run(run_of(site, job_id))["data"]["tags"]}
    assert "no better than predicting the majority class" in tags["chainrule.warning"]
    assert f"**warning:** {tags['chainrule.warning']}" in tags["mlflow.note.content"]


def test_a_failed_job_says_why_and_where_it_is(site: Bench, tracker: Tracker) -> None:
    job_id = site.submit(
        epochs=3,
        experiment="failed",
        description="too fast",
        optimizer={"kind": "sgd", "learning_rate": 1e30},
        network=[{"kind": "dense", "units": 8}, {"kind": "dense", "units": 10}],
    )
    site.slot.work(job_id)
    until(lambda: mirrored(site, job_id))
    job = site.job(job_id)
    run = tracker.run(run_of(site, job_id))
    assert run["info"]["status"] == "FAILED"
    note = {t["key"]: t["value"] for t in run["data"]["tags"]}["mlflow.note.content"]
    assert note.startswith("too fast\n\n**failed:** ")
    assert present(job.cause)["message"] in note
    assert f"](https://chainrule.example/v1/jobs/{job_id})" in note
    files = tracker.get("artifacts/list", run_id=run_of(site, job_id))["files"]
    assert {file["path"] for file in files} >= {"spec.json", "environment.json", "log.txt"}
    assert present(job.cause)["message"] in _log(tracker, run)


def test_the_model_of_a_run_is_loaded_by_mlflow_alone(
    site: Bench, tracker: Tracker, tmp_path: Path
) -> None:
    job_id = site.submit(epochs=2, experiment="loaded")
    site.slot.work(job_id)
    until(lambda: mirrored(site, job_id))
    job = site.job(job_id)
    lines = DIGITS_CSV.read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, map(int, line.split(",")), strict=True)) for line in lines[1:30]]
    rows = [{k: v for k, v in row.items() if k != job.spec["data"]["target"]} for row in rows]
    site.store.get_file(present(job.result)["model_key"], tmp_path / "model")

    address = f"runs:/{job.mlflow_run_id}/model"
    scores = scored(address, rows, tmp_path, MLFLOW_TRACKING_URI=tracker.url)

    assert scores["answers"]["prediction"] == TrainedModel.load(tmp_path / "model").predict(rows)


def test_a_cancelled_job_is_shown_as_killed(site: Bench, tracker: Tracker) -> None:
    job_id = site.submit(**LONG)
    with site.working(job_id) as thread:
        until(lambda: site.job(job_id).mlflow_run_id)
        with transaction(site.engine) as session:
            jobs.cancel(session, job_id)
        thread.join(20)
        until(lambda: mirrored(site, job_id))
    assert tracker.run(run_of(site, job_id))["info"]["status"] == "KILLED"


def test_a_job_that_never_ran_is_shown_too(
    site: Bench, mirror: JobMirror, tracker: Tracker
) -> None:
    job_id = site.submit()
    with transaction(site.engine) as session:
        jobs.cancel(session, job_id)
    assert mirror.sync(job_id)
    assert tracker.run(run_of(site, job_id))["info"]["status"] == "KILLED"


def test_a_run_that_is_gone_is_created_again(
    site: Bench, mirror: JobMirror, tracker: Tracker
) -> None:
    job_id = site.submit(epochs=2)
    site.slot.work(job_id)
    until(lambda: mirrored(site, job_id))
    with transaction(site.engine) as session:
        job = jobs.get(session, job_id)
        job.mlflow_run_id, job.mirrored_status = uuid.uuid4().hex, None
    until(lambda: mirror.sync(job_id))
    assert tracker.run(run_of(site, job_id))["info"]["status"] == "FINISHED"
    key = "valid/loss"
    assert shown(tracker, site, job_id, key) == site.history(job_id)[key]


def test_training_does_not_need_mlflow(make_bench: Callable[..., Bench], sqlite_url: str) -> None:
    bench = make_bench(sqlite_url, mlflow_url="http://127.0.0.1:1")
    job_id = bench.submit(epochs=2)
    bench.slot.work(job_id)
    job = bench.job(job_id)
    assert job.status is JobStatus.FINISHED
    with reading(bench.engine) as session:
        assert jobs.mirror_lag(session)[0] > 0


def test_only_one_mirrors_a_job_at_a_time(site: Bench, mirror: JobMirror) -> None:
    job_id = site.submit()
    with transaction(site.engine) as session:
        back_off(session, Job, job_id)
    assert not mirror.sync(job_id)
    assert site.job(job_id).mlflow_run_id is None
