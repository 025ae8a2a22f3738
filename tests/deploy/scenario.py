"""One job through a running cluster, over REST only.

`python -m tests.deploy.scenario` reads API_URL, API_TOKEN and MLFLOW_URL, uploads the digits,
trains, predicts, looks into MLflow and prints one JSON summary.
"""

import csv
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

DIGITS = Path(__file__).parents[2] / "examples" / "digits.csv"
TERMINAL = {"finished", "failed", "cancelled", "pruned"}
SPEC = {
    "experiment": "digits",
    "dataset": "digits@1",
    "data": {
        "target": "label",
        "split": {"train": 0.8, "valid": 0.1, "test": 0.1},
        "standardize": True,
    },
    "network": [{"kind": "dense", "units": 32}, {"kind": "relu"}, {"kind": "dense", "units": 10}],
    "loss": {"kind": "cross_entropy"},
    "optimizer": {"kind": "adam", "learning_rate": 0.003},
    "batch_size": 32,
    "epochs": 8,
    "seed": 7,
    "metrics": [{"kind": "accuracy"}],
    "device": "cpu",
    "tags": {"team": "deploy"},
}


def wait_for(ask: Callable[[], Any], good: Callable[[Any], bool], seconds: float) -> Any:
    """Ask until the answer is good; an answer may fail to come meanwhile.

    Raises TimeoutError with the last answer.
    """
    give_up_at = time.monotonic() + seconds
    answer: Any = None
    while time.monotonic() < give_up_at:
        try:
            answer = ask()
        except httpx.HTTPError as error:
            answer = repr(error)
        else:
            if good(answer):
                return answer
        time.sleep(0.5)
    raise TimeoutError(f"still {answer} after {seconds:.0f} s")


def train_one_job(api: httpx.Client) -> dict[str, Any]:
    """Upload, submit, wait for the end; the job as the api tells it then."""
    wait_for(lambda: api.get("/readyz").status_code, lambda status: status == 200, 180)
    uploaded = api.post(
        "/v1/datasets/digits/versions",
        content=DIGITS.read_bytes(),
        headers={"Content-Type": "text/csv"},
    )
    assert uploaded.status_code == 201, uploaded.text
    submitted = api.post("/v1/jobs", json=SPEC)
    assert submitted.status_code == 202, submitted.text
    address = f"/v1/jobs/{submitted.json()['id']}"
    ended = wait_for(
        lambda: api.get(address).raise_for_status().json(),
        lambda job: job["status"] in TERMINAL,
        300,
    )
    assert ended["status"] == "finished", ended
    return dict(ended)


def predict(api: httpx.Client, job: dict[str, Any], count: int) -> float:
    """Ask for the first rows of the data and return which share was right."""
    with DIGITS.open(newline="") as file:
        rows = [row for row, _number in zip(csv.DictReader(file), range(count), strict=False)]
    labels = [int(row.pop("label")) for row in rows]
    asked = [{name: float(value) for name, value in row.items()} for row in rows]
    answer = api.post(f"/v1/jobs/{job['id']}/predict", json={"rows": asked})
    assert answer.status_code == 200, answer.text
    right = [a == b for a, b in zip(answer.json()["predictions"], labels, strict=True)]
    share: float = sum(right) / count
    return share


def mirrored(mlflow: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job's run as MLflow tells it, once its status is final."""
    query = {"filter": f"tags.`chainrule.job_id` = '{job['id']}'"}

    def runs() -> list[dict[str, Any]]:
        found = mlflow.post("/api/2.0/mlflow/experiments/search", json={"max_results": 100})
        found.raise_for_status()
        numbers = [one["experiment_id"] for one in found.json()["experiments"]]
        answer = mlflow.post(
            "/api/2.0/mlflow/runs/search", json={**query, "experiment_ids": numbers}
        )
        return list(answer.raise_for_status().json().get("runs", []))

    found = wait_for(runs, lambda some: bool(some) and some[0]["info"]["status"] != "RUNNING", 300)
    assert len(found) == 1
    return dict(found[0])


def artifacts(mlflow: httpx.Client, run: dict[str, Any]) -> list[str]:
    """The paths of the files of a run's model."""
    inside = {"run_id": run["info"]["run_id"], "path": "model"}
    listed = mlflow.get("/api/2.0/mlflow/artifacts/list", params=inside)
    return [file["path"] for file in listed.raise_for_status().json()["files"]]


def main() -> None:
    """Drive the cluster and print what came of it."""
    headers = {"Authorization": f"Bearer {os.environ['API_TOKEN']}"}
    with (
        httpx.Client(base_url=os.environ["API_URL"], headers=headers, timeout=60) as api,
        httpx.Client(base_url=os.environ["MLFLOW_URL"], headers=headers, timeout=60) as mlflow,
    ):
        refused = httpx.get(f"{os.environ['API_URL']}/v1/jobs")
        job = train_one_job(api)
        run = mirrored(mlflow, job)
        summary = {
            "job": job,
            "right": predict(api, job, 200),
            "without_token": refused.status_code,
            "artifacts": artifacts(mlflow, run),
            "run_status": run["info"]["status"],
            "params": {one["key"]: one["value"] for one in run["data"]["params"]},
            "metrics": [one["key"] for one in run["data"]["metrics"]],
        }
    json.dump(summary, sys.stdout)


if __name__ == "__main__":
    main()
