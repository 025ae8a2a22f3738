"""The MLflow client against a real server."""

import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chainrule.contract.status import JobStatus
from core.errors import InvalidError, NotFoundError, UnavailableError
from core.tracking import (
    Artifact,
    DatasetInput,
    MetricPoint,
    MlflowServer,
    ModelDescription,
    RunDescription,
    end_run,
    ensure_run,
    find_model,
    is_deleted,
)
from core.tracking.mlflow import UnsupportedError
from tests.support.brokers import free_port
from tests.support.trackers import Tracker


@pytest.fixture
def server(tracker: Tracker) -> Iterator[MlflowServer]:
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        yield server


def description(**fields: Any) -> RunDescription:
    given: dict[str, Any] = {
        "subject_id": uuid.uuid4().hex,
        "experiment": "digits",
        "name": "first",
        "started_at_ms": 1_700_000_000_000,
        "params": {"optimizer.kind": "adam", "epochs": "3"},
        "tags": {"team": "a"},
        "dataset": DatasetInput("digits", 1, "d" * 64, "{}", "digits@1"),
    }
    return RunDescription(**(given | fields))


def test_a_run_is_created_once(server: MlflowServer, tracker: Tracker) -> None:
    expected = description()
    run = ensure_run(server, expected)
    assert ensure_run(server, expected) == run
    shown = tracker.run(run.run_id)
    assert shown["info"]["run_name"] == "first"
    assert shown["info"]["start_time"] == 1_700_000_000_000
    params = {p["key"]: p["value"] for p in shown["data"]["params"]}
    assert params == {"optimizer.kind": "adam", "epochs": "3"}
    tags = {t["key"]: t["value"] for t in shown["data"]["tags"]}
    assert tags["team"] == "a"
    assert tags["chainrule.job_id"] == expected.subject_id
    (dataset,) = shown["inputs"]["dataset_inputs"]
    assert dataset["dataset"]["name"] == "digits@1"


def test_more_params_than_fit_into_a_batch(server: MlflowServer, tracker: Tracker) -> None:
    run = ensure_run(server, description(params={f"p{i}": str(i) for i in range(150)}))
    assert len(tracker.run(run.run_id)["data"]["params"]) == 150


def test_a_deleted_experiment_is_restored(server: MlflowServer, tracker: Tracker) -> None:
    name = uuid.uuid4().hex
    first = server.experiment_id(name)
    httpx.post(
        f"{tracker.url}/api/2.0/mlflow/experiments/delete", json={"experiment_id": first}
    ).raise_for_status()
    assert server.experiment_id(name) == first
    ensure_run(server, description(experiment=name))


def test_points_keep_their_timestamps_and_repeating_them_adds_none(
    server: MlflowServer, tracker: Tracker
) -> None:
    run = ensure_run(server, description())
    points = [MetricPoint("train/loss", 1 / (1 + i), 1_700_000_000_000 + i, i) for i in range(2500)]
    server.log_points(run.run_id, points)
    server.log_points(run.run_id, points)
    history = tracker.history(run.run_id, "train/loss")
    assert history == [(p.step, p.value, p.at_ms) for p in points]


def test_nan_and_infinity_do_not_invalidate_the_other_points(
    server: MlflowServer, tracker: Tracker
) -> None:
    run = ensure_run(server, description())
    values = [1.0, math.nan, math.inf, -math.inf, 2.0]
    server.log_points(
        run.run_id, [MetricPoint("x", value, 1000 + i, i) for i, value in enumerate(values)]
    )
    values_shown = [value for _, value, _ in tracker.history(run.run_id, "x")]
    assert [values_shown[0], values_shown[4]] == [1.0, 2.0]
    assert math.isnan(float(values_shown[1]))
    assert values_shown[2] > 1e308
    assert values_shown[3] < -1e308


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (JobStatus.FINISHED, "FINISHED"),
        (JobStatus.FAILED, "FAILED"),
        (JobStatus.CANCELLED, "KILLED"),
        (JobStatus.QUEUED, "SCHEDULED"),
    ],
)
def test_the_status_is_shown(
    server: MlflowServer, tracker: Tracker, status: JobStatus, shown: str
) -> None:
    run = ensure_run(server, description())
    ended_at = 1_700_000_001_000 if status.terminal else None
    assert end_run(server, run.run_id, status, ended_at_ms=ended_at, tags={"a": "b", "empty": ""})
    info = tracker.run(run.run_id)["info"]
    assert info["status"] == shown
    assert info.get("end_time") == ended_at


@pytest.mark.parametrize(
    ("present", "shown"), [("first", "first 0.9"), ("a person's", "a person's")]
)
def test_a_run_is_renamed_at_its_end_unless_somebody_renamed_it(
    server: MlflowServer, tracker: Tracker, present: str, shown: str
) -> None:
    run = ensure_run(server, description())
    server.update_run(run.run_id, "RUNNING", name=present)
    renamed = ("first", "first 0.9")
    end_run(server, run.run_id, JobStatus.FINISHED, ended_at_ms=1, tags={}, renamed=renamed)
    assert tracker.run(run.run_id)["info"]["run_name"] == shown


def test_a_new_experiment_is_for_training_and_has_a_main_metric(
    server: MlflowServer, tracker: Tracker
) -> None:
    name = uuid.uuid4().hex
    ids = {server.experiment_id(name, metric) for metric in ("valid/f1", "valid/loss", "")}
    (experiment_id,) = ids
    experiment = tracker.get("experiments/get", experiment_id=experiment_id)["experiment"]
    assert {tag["key"]: tag["value"] for tag in experiment["tags"]} == {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": "valid/f1",
    }


def test_artifacts_come_back_as_they_were(
    server: MlflowServer, tracker: Tracker, tmp_path: Path
) -> None:
    run = ensure_run(server, description())
    path = tmp_path / "model"
    path.write_bytes(bytes(range(256)) * 1000)
    artifacts = [Artifact("model/spec.json", b"{}"), Artifact("model/model.safetensors", path)]
    end_run(server, run.run_id, JobStatus.FINISHED, ended_at_ms=1, tags={}, artifacts=artifacts)
    assert server.artifacts(run.run_id, "model") == {
        "model/spec.json": 2,
        "model/model.safetensors": 256_000,
    }
    folder = run.artifact_uri.removeprefix("mlflow-artifacts:")
    answer = httpx.get(
        f"{tracker.url}/api/2.0/mlflow-artifacts/artifacts{folder}/model/model.safetensors"
    )
    assert answer.content == path.read_bytes()


def test_a_run_that_somebody_deleted_stays_deleted(server: MlflowServer, tracker: Tracker) -> None:
    run = ensure_run(server, description())
    assert not is_deleted(server, run.run_id)
    server.delete_run(run.run_id)
    assert is_deleted(server, run.run_id)
    assert end_run(server, run.run_id, JobStatus.FINISHED, ended_at_ms=1, tags={})
    assert tracker.run(run.run_id)["info"]["status"] == "RUNNING"


def test_errors_of_mlflow_are_errors_of_ours(server: MlflowServer) -> None:
    with pytest.raises(NotFoundError):
        server.get_run("0" * 32)
    run = ensure_run(server, description())
    with pytest.raises(InvalidError):
        server.log_params(run.run_id, {"epochs": "4"})


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with MlflowServer(f"http://127.0.0.1:{free_port()}", timeout_seconds=1) as server:
        assert not server.healthy()
        with pytest.raises(UnavailableError):
            server.get_run("x")


def test_a_server_without_logged_models_gets_the_rest(
    server: MlflowServer, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An MLflow before 3 answers 404 without a code, as this one does for a wrong path."""
    with pytest.raises(UnsupportedError):
        server.request("POST", "no-such-models/search", {})
    real = server.request

    def older(method: str, endpoint: str, *given: Any, **named: Any) -> dict[str, Any]:
        return real(method, endpoint.replace("logged-models", "no-such-models"), *given, **named)

    monkeypatch.setattr(server, "request", older)
    run = ensure_run(server, description())
    model = ModelDescription("m", {}, {}, {})
    files = [Artifact("model/MLmodel", b"{}", "MLmodel"), Artifact("model/a", b"a", "a")]
    assert end_run(
        server, run.run_id, JobStatus.FINISHED, ended_at_ms=1, tags={}, artifacts=files, model=model
    )
    assert set(server.artifacts(run.run_id, "model")) == {"model/MLmodel", "model/a"}
    assert find_model(server, run.experiment_id, run.run_id) is None
    assert "model_outputs" not in tracker.run(run.run_id).get("outputs", {})
