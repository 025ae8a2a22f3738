"""From a file to predictions, over REST, through every real part; MLflow agrees."""

import csv
import time

import pytest

from tests.e2e.conftest import DIGITS, ENDLESS, SPEC, Up, until

pytestmark = pytest.mark.e2e


def test_from_upload_to_predictions(three: Up) -> None:
    job_id = three.submit(SPEC)
    job = three.reach(job_id, "finished")
    assert job["epochs"] == SPEC["epochs"]
    assert len(job["weights_digest"]) == 64
    assert job["last_metrics"]["test/accuracy"] > 0.9
    attempt = job["attempts"][-1]
    assert attempt["status"] == "finished"
    assert attempt["node"] in {node["name"] for node in three.http.get("/v1/nodes").json()["items"]}
    assert attempt["versions"]["numpy"]

    with DIGITS.open() as lines:
        rows = list(csv.DictReader(lines))[:100]
    labels = [int(row.pop("label")) for row in rows]
    asked = {"rows": [{name: int(text) for name, text in row.items()} for row in rows]}
    answer = three.http.post(f"/v1/jobs/{job_id}/predict", json={**asked, "probabilities": True})
    predictions = answer.json()["predictions"]
    assert sum(a == b for a, b in zip(predictions, labels, strict=True)) > 90
    assert sum(answer.json()["probabilities"][0].values()) == pytest.approx(1)


def test_metrics_are_kept_by_step_and_epoch(three: Up) -> None:
    job_id = three.submit(SPEC)
    three.reach(job_id, "finished")
    answer = three.http.get(f"/v1/jobs/{job_id}/metrics", params={"key": "valid/accuracy"}).json()
    assert [point["epoch"] for point in answer["items"]] == list(range(1, SPEC["epochs"] + 1))
    assert answer["next"] is None


def test_mlflow_has_the_whole_run(three: Up) -> None:
    job_id = three.submit(SPEC)
    job = three.reach(job_id, "finished")
    run = three.run_in_mlflow(job_id, "FINISHED")
    assert job["experiment"] == "digits"
    params = {param["key"]: param["value"] for param in run["data"]["params"]}
    assert params["optimizer.kind"] == "adam"
    assert float(params["optimizer.learning_rate"]) == 0.001
    assert params["network.0.units"] == "64"
    assert params["batch_size"] == "32"
    last = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    for key in ("train/loss", "valid/loss", "valid/accuracy", "test/accuracy"):
        assert last[key] == pytest.approx(job["last_metrics"][key])
    history = three.mlflow.get(
        "/api/2.0/mlflow/metrics/get-history",
        params={
            "run_id": job["mlflow_run_id"] or run["info"]["run_id"],
            "metric_key": "valid/loss",
        },
    ).json()["metrics"]
    mine = three.http.get(f"/v1/jobs/{job_id}/metrics", params={"key": "valid/loss"}).json()
    assert [(point["step"], point["value"]) for point in history] == [
        (point["step"], pytest.approx(point["value"])) for point in mine["items"]
    ]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["team"] == "a"
    assert tags["chainrule.job_id"] == job_id
    inputs = run["inputs"]["dataset_inputs"]
    assert inputs[0]["dataset"]["name"] == "digits@1"
    files = three.mlflow.get(
        "/api/2.0/mlflow/artifacts/list",
        params={"run_id": run["info"]["run_id"], "path": "model"},
    ).json()["files"]
    assert "model/model.safetensors" in {file["path"] for file in files}


def test_equal_seeds_give_equal_networks(three: Up) -> None:
    first, second = three.submit(SPEC), three.submit(SPEC)
    digests = {three.reach(one, "finished")["weights_digest"] for one in (first, second)}
    other = three.reach(three.submit({**SPEC, "seed": 8}), "finished")
    assert len(digests) == 1
    assert other["weights_digest"] not in digests


def test_a_running_job_is_cancelled(three: Up) -> None:
    job_id = three.submit(ENDLESS)
    three.reach(job_id, "running")
    until(lambda: three.job(job_id)["epochs"], "the first epoch", show=three.said)
    assert three.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    job = three.reach(job_id, "cancelled")
    assert job["attempts"][-1]["status"] == "cancelled"
    three.run_in_mlflow(job_id, "KILLED")


def test_a_job_that_cannot_learn_fails_with_the_reason(three: Up) -> None:
    optimizer = {"kind": "sgd", "learning_rate": 1e30}
    job_id = three.submit({**SPEC, "optimizer": optimizer, "loss": {"kind": "cross_entropy"}})
    job = three.reach(job_id, "failed")
    assert job["cause"]
    assert len(job["attempts"]) == 1
    three.run_in_mlflow(job_id, "FAILED")


def test_a_wrong_spec_is_refused_with_the_field(three: Up) -> None:
    network = [{"kind": "dense", "units": 0}]
    answer = three.http.post("/v1/jobs", json={**SPEC, "network": network})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "network[0].units" in [error["path"] for error in answer.json()["errors"]]


def test_an_idempotency_key_makes_one_job(three: Up) -> None:
    headers = {"Idempotency-Key": f"e2e-{time.time_ns()}"}
    first = three.http.post("/v1/jobs", json=SPEC, headers=headers).json()["id"]
    second = three.http.post("/v1/jobs", json=SPEC, headers=headers).json()["id"]
    assert first == second
    three.reach(first, "finished")


def test_three_workers_share_the_queue(three: Up) -> None:
    ids = [three.submit(ENDLESS) for _ in range(4)]
    try:
        running = until(
            lambda: (
                [job for job in map(three.job, ids) if job["status"] == "running"][2:]
                and [job for job in map(three.job, ids) if job["status"] == "running"]
            ),
            "three jobs at once",
            show=three.said,
        )
        assert len({job["attempts"][-1]["worker"] for job in running}) == 3
        assert len([job for job in map(three.job, ids) if job["status"] == "queued"]) == 1
    finally:
        for job_id in ids:
            three.http.post(f"/v1/jobs/{job_id}/cancel")
    for job_id in ids:
        three.reach(job_id, "cancelled")


def test_everything_is_ready(three: Up) -> None:
    until(
        lambda: three.http.get("/readyz").json()["missing"] == [], "all is there", show=three.said
    )
