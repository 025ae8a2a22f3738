"""What a job shows while it trains and afterwards: progress, attempts, metrics, runs in MLflow."""

import math
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from sqlalchemy import update

from api.app import create_app
from chainrule.contract.status import JobStatus
from core import jobs
from core.data.ingest.parser import ParsedDataset
from core.db.session import transaction
from core.db.tables import Experiment, Job
from core.settings import Settings
from tests.support import single
from tests.support.api_cases import Http, assert_problem, close


def points(*steps: int, key: str = "train/loss") -> list[jobs.Point]:
    return [jobs.Point(key, step, 1, 1_700_000_000_000 + step, 1 / step) for step in steps]


def record(
    http: Http,
    claim: jobs.Claim,
    sequence: int,
    given: list[jobs.Point],
    progress: dict[str, Any] | None = None,
) -> None:
    with transaction(http.app.state.context.engine) as session:
        single.record_metrics(
            session, claim.job_id, claim.attempt, sequence, given, progress=progress
        )


def test_a_running_job_shows_how_far_it_is_and_where(everywhere: Http) -> None:
    claim = everywhere.claimed(everywhere.submitted()["id"])
    progress = {
        "step": 12, "epoch": 1, "steps_total": 24, "epochs_total": 2, "weights": 22,
        "last": {"train/loss": 0.5, "valid/accuracy": math.nan}, "best": {"train/loss": 0.4},
        "best_epoch": 1, "best_metric": "train/loss",
    }  # fmt: skip
    record(everywhere, claim, 1, points(12), progress)
    job = everywhere.get(f"/v1/jobs/{claim.job_id}").json()
    assert job["status"] == "running"
    assert (job["epochs"], job["epochs_total"], job["step"]) == (1, 2, 12)
    assert job["last_metrics"] == {"train/loss": 0.5, "valid/accuracy": "NaN"}
    assert job["best_metrics"] == {"train/loss": 0.4}
    assert (job["best_epoch"], job["best_metric"]) == (1, "train/loss")
    [attempt] = job["attempts"]
    assert (attempt["number"], attempt["node"], attempt["status"]) == (1, "n1", "running")


def test_a_finished_job_shows_the_digest_of_its_weights(everywhere: Http, pets_model: Path) -> None:
    job = everywhere.get(f"/v1/jobs/{everywhere.finished(pets_model)}").json()
    assert (job["status"], job["weights_digest"], job["reason"]) == ("finished", "f" * 64, "epochs")
    assert job["last_metrics"] == {"test/accuracy": 1.0}
    assert job["attempts"][0]["status"] == "finished"
    assert job["finished_at"] >= job["started_at"] >= job["created_at"]


def test_a_model_that_learned_nothing_is_warned_about(everywhere: Http) -> None:
    def finished(**changes: Any) -> dict[str, Any]:
        claim = everywhere.claimed(everywhere.submitted()["id"])
        baseline = {
            "metric": "test/accuracy", "rows": 40, "value": 0.5, "baseline_value": 0.75,
            "prediction": "majority class", "better": False, **changes,
        }  # fmt: skip
        result = {"baseline": baseline}
        with transaction(everywhere.app.state.context.engine) as session:
            single.finish(session, claim.job_id, 1, JobStatus.FINISHED, result=result)
        job: dict[str, Any] = everywhere.get(f"/v1/jobs/{claim.job_id}").json()
        return job

    job = finished()
    assert job["baseline"]["baseline_value"] == 0.75
    assert job["warnings"] == [
        "the model is no better than predicting the majority class of the training rows for every "
        "row: test/accuracy 0.5, against 0.75 (40 rows)"
    ]
    assert finished(value=0.9, better=True)["warnings"] == []
    assert "test/loss nan" in finished(value=math.nan, metric="test/loss")["warnings"][0]
    listed = everywhere.get("/v1/jobs").json()["items"]
    assert [len(item["warnings"]) for item in listed] == [1, 0, 1]


def test_metrics_are_points_and_a_cursor_goes_on(everywhere: Http) -> None:
    claim = everywhere.claimed(everywhere.submitted()["id"])
    path = f"/v1/jobs/{claim.job_id}/metrics"
    assert everywhere.get(path).json()["items"] == []
    record(everywhere, claim, 1, points(1, 2) + points(2, key="valid/loss"))
    first = everywhere.get(path).json()
    assert [(item["key"], item["step"]) for item in first["items"]] == [
        ("train/loss", 1), ("train/loss", 2), ("valid/loss", 2),
    ]  # fmt: skip
    assert first["items"][1]["value"] == 0.5
    assert first["items"][0]["at"] == "2023-11-14T22:13:20.001000Z"
    record(everywhere, claim, 2, points(3))
    rest = everywhere.get(path, params={"cursor": first["next"]}).json()
    assert [item["step"] for item in rest["items"]] == [3]
    only = everywhere.get(path, params={"key": ["valid/loss", "none"]}).json()
    assert [item["key"] for item in only["items"]] == ["valid/loss"]


def test_values_that_are_not_finite_are_words(everywhere: Http) -> None:
    claim = everywhere.claimed(everywhere.submitted()["id"])
    values = (math.nan, math.inf, -math.inf)
    given = [jobs.Point("loss", step, 1, 1, value) for step, value in enumerate(values)]
    record(everywhere, claim, 1, given)
    items = everywhere.get(f"/v1/jobs/{claim.job_id}/metrics").json()["items"]
    assert [item["value"] for item in items] == ["NaN", "Infinity", "-Infinity"]


def test_after_the_end_there_is_no_next(everywhere: Http, pets_model: Path) -> None:
    job_id = everywhere.finished(pets_model)
    assert everywhere.get(f"/v1/jobs/{job_id}/metrics").json() == {"items": [], "next": None}


def test_metrics_come_in_pages_also_after_the_end(http: Http) -> None:
    claim = http.claimed(http.submitted()["id"])
    for epoch in range(1, 8):
        record(http, claim, epoch, [*chain(*(points(epoch, key=f"train/{k}") for k in "abc"))])
    with transaction(http.app.state.context.engine) as session:
        single.finish(session, claim.job_id, claim.attempt, JobStatus.FAILED, cause={"kind": "x"})
    path = f"/v1/jobs/{claim.job_id}/metrics"
    pages: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        page = http.get(path, params={"limit": 6} | ({"cursor": cursor} if cursor else {})).json()
        pages.append(page["items"])
        cursor = page["next"]
    assert [len(page) for page in pages] == [6, 6, 6, 3]
    seen = sorted((item["key"], item["step"]) for page in pages for item in page)
    assert seen == [(f"train/{name}", step) for name in "abc" for step in range(1, 8)]
    whole = http.get(path).json()
    assert (len(whole["items"]), whole["next"]) == (21, None)
    assert_problem(http.get(path, params={"limit": 100_001}), 422, "query.limit")


@pytest.mark.parametrize(
    "params", [{"cursor": "x"}, {"cursor": -1}, {"cursor": 10**30}, {"keys": "a"}]
)
def test_wrong_requests_for_metrics_are_refused(http: Http, params: dict[str, Any]) -> None:
    job_id = http.submitted()["id"]
    assert_problem(
        http.get(f"/v1/jobs/{job_id}/metrics", params=params), 422, f"query.{next(iter(params))}"
    )


def test_a_job_links_to_its_run_in_mlflow(
    settings: Settings, portal: BlockingPortal, pets: ParsedDataset
) -> None:
    urls = {"mlflow_url": "http://mlflow:5000", "mlflow_public_url": "https://ml.example/"}
    app = create_app(settings.model_copy(update=urls))
    http = Http(app, portal)
    http.register(pets)
    job_id = http.submitted()["id"]
    assert http.get(f"/v1/jobs/{job_id}").json()["mlflow_url"] is None
    with transaction(app.state.context.engine) as session:
        session.execute(update(Job).values(mlflow_run_id="run1"))
        session.execute(update(Experiment).values(mlflow_experiment_id="7"))
    job = http.get(f"/v1/jobs/{job_id}").json()
    assert job["mlflow_run_id"] == "run1"
    root, training = "https://ml.example/#/experiments/7", "?workflowType=machine_learning"
    assert job["mlflow_url"] == f"{root}/runs/run1{training}"
    [experiment] = http.get("/v1/experiments").json()["items"]
    assert (experiment["name"], experiment["mlflow_experiment_id"]) == ("pets", "7")
    assert experiment["mlflow_url"] == f"{root}{training}"
    close(app)


def test_experiments_come_in_pages(everywhere: Http) -> None:
    for name in ("b", "a", "c"):
        everywhere.submitted(experiment=name)
    first = everywhere.get("/v1/experiments", params={"limit": 2}).json()
    rest = everywhere.get("/v1/experiments", params={"cursor": first["next"]}).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["next"] is None
