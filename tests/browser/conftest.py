"""Finished jobs and a finished sweep, and a browser to look at MLflow's pages of them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import SPEC, Up, until

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
RATES = (0.0003, 0.003, 0.03)
SWEEP: dict[str, Any] = {
    "name": "rates",
    "job": {**SPEC, "experiment": "sweeps", "epochs": 4},
    "search_space": {
        "optimizer.learning_rate": {"kind": "float", "low": 1e-4, "high": 1e-1, "log": True}
    },
    "objective": {"metric": "valid/accuracy", "direction": "maximize"},
    "sampler": {"kind": "random", "seed": 1},
    "n_trials": 4,
}


@dataclass(frozen=True)
class Shown:
    """What is to be seen: MLflow's home, the page of the jobs' experiment, the jobs, a sweep's."""

    home: str
    experiment: str
    jobs: list[dict[str, Any]]
    trials: list[dict[str, Any]]


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Three jobs and a sweep that MLflow has whole."""
    up = Up(tmp_path_factory.mktemp("browser") / "data")
    try:
        up.upload()
        ids = [
            up.submit(
                {
                    **SPEC,
                    "epochs": 20,
                    "name": f"rate {rate}",
                    "description": "seen in a browser",
                    "optimizer": {"kind": "adam", "learning_rate": rate},
                }
            )
            for rate in RATES
        ]
        jobs = [up.reach(job_id, "finished") for job_id in ids]
        until(
            lambda: all(_ended(up, up.job(job_id)) for job_id in ids), "all runs end", show=up.said
        )
        jobs = [up.job(job_id) for job_id in ids]
        sweep = up.http.post("/v1/sweeps", json=SWEEP).raise_for_status().json()
        path = f"/v1/sweeps/{sweep['id']}"
        until(lambda: up.http.get(path).json()["status"] == "finished", "the sweep ends")
        tried = [one["job_id"] for one in up.http.get(f"{path}/trials").json()["items"]]
        until(lambda: all(_ended(up, up.job(job_id)) for job_id in tried), "its runs end")
        trials = [up.job(job_id) for job_id in tried]
        [experiment] = [
            item["mlflow_url"]
            for item in up.http.get("/v1/experiments").json()["items"]
            if item["name"] == SPEC["experiment"]
        ]
        yield Shown(str(up.mlflow.base_url), experiment, jobs, trials)
    finally:
        up.end()


def _ended(up: Up, job: dict[str, Any]) -> bool:
    if not job["mlflow_run_id"]:
        return False
    run = up.mlflow.get("/api/2.0/mlflow/runs/get", params={"run_id": job["mlflow_run_id"]})
    return run.is_success and run.json()["run"]["info"]["status"] == "FINISHED"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A page that waits patiently."""
    made = browser.new_page(viewport={"width": 1400, "height": 860})
    made.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    yield made
    made.close()
