"""Sweeps over REST: begun, read, paused and cancelled; refused with the field that is wrong."""

from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from api.app import create_app
from chainrule.contract.status import JobStatus
from core import sweeps
from core.data.ingest.parser import ParsedDataset
from core.db.session import transaction
from core.settings import Settings
from tests.support import single
from tests.support.api_cases import SPEC, Http, assert_problem, close

SWEEP: dict[str, Any] = {
    "name": "pets",
    "job": SPEC,
    "search_space": {
        "optimizer.learning_rate": {"kind": "float", "low": 1e-3, "high": 0.1, "log": True},
        "network[0].units": {"kind": "categorical", "choices": [4, 8]},
    },
    "objective": {"metric": "valid/accuracy", "direction": "maximize"},
    "sampler": {"kind": "random", "seed": 7},
    "n_trials": 4,
    "max_parallel": 2,
}


def begun(http: Http, **changes: Any) -> str:
    answer = http.post("/v1/sweeps", {**SWEEP, **changes})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/sweeps/{answer.json()['id']}"
    return str(answer.json()["id"])


def train(http: Http, sweep_id: str) -> None:
    """Advance once and finish what waits, the later trials better."""
    engine = http.app.state.context.engine
    sweeps.advance(engine, sweep_id)
    for trial in http.get(f"/v1/sweeps/{sweep_id}/trials").json()["items"]:
        if trial["status"] == "queued":
            claim = http.claimed(trial["job_id"])
            result = {"metrics": {"valid/accuracy": trial["number"] / 10}}
            with transaction(engine) as session:
                single.finish(session, claim.job_id, 1, JobStatus.FINISHED, result=result)


@pytest.mark.parametrize("limits", [{"max_queued_jobs": 1}, {"max_running_sweeps": 1}])
def test_more_sweeps_than_may_run_are_refused_for_now(
    settings: Settings, portal: BlockingPortal, pets: ParsedDataset, limits: dict[str, int]
) -> None:
    app = create_app(settings.model_copy(update=limits))
    http = Http(app, portal)
    http.register(pets)
    if "max_queued_jobs" in limits:
        http.submitted()
    else:
        begun(http)
    answer = http.post("/v1/sweeps", SWEEP)
    assert_problem(answer, 503)
    assert answer.headers["retry-after"]
    close(app)


def test_the_folds_of_a_trial_are_shown(http: Http) -> None:
    sweep_id = begun(http, cross_validation={"folds": 2, "stratified": True})
    engine = http.app.state.context.engine
    sweeps.advance(engine, sweep_id)
    first = http.get(f"/v1/sweeps/{sweep_id}/trials").json()["items"][0]
    assert (first["status"], first["job_id"], first["deviations"]) == ("queued", None, None)
    for fold, value in zip(first["folds"], (0.5, 0.75), strict=True):
        claim = http.claimed(fold["job_id"])
        result = {"metrics": {"valid/accuracy": value}}
        with transaction(engine) as session:
            single.finish(session, claim.job_id, 1, JobStatus.FINISHED, result=result)
    assert http.get(f"/v1/sweeps/{sweep_id}").json()["trials"]["queued"] == 1
    sweeps.advance(engine, sweep_id)
    first, *_ = http.get(f"/v1/sweeps/{sweep_id}/trials").json()["items"]
    assert (first["status"], first["objectives"], first["deviations"]) == (
        "finished",
        [0.625],
        [0.125],
    )
    assert [fold["last_metrics"] for fold in first["folds"]] == [
        {"valid/accuracy": 0.5}, {"valid/accuracy": 0.75}
    ]  # fmt: skip
    job = http.get(f"/v1/jobs/{first['folds'][1]['job_id']}").json()
    assert job["spec"]["data"]["split"]["fold"] == {"number": 1, "of": 2}
    # A fold that a client wants to train again by itself is a job like any other.
    assert http.post("/v1/jobs", job["spec"]).status_code == 202


def test_a_sweep_from_begin_to_best(everywhere: Http) -> None:
    http = everywhere
    sweep_id = begun(http)
    assert_problem(http.get(f"/v1/sweeps/{sweep_id}/best"), 409)
    for _ in range(3):
        train(http, sweep_id)
    sweep = http.get(f"/v1/sweeps/{sweep_id}").json()
    assert sweep["status"] == "finished"
    assert sweep["trials"] == {"finished": 4}
    assert sweep["best"][0]["number"] == 3
    best = http.get(f"/v1/sweeps/{sweep_id}/best").json()
    assert best["trial"]["objectives"] == [0.3]
    rate = best["trial"]["point"]["optimizer.learning_rate"]
    assert best["job"]["optimizer"]["learning_rate"] == rate
    assert http.post("/v1/jobs", best["job"]).status_code == 202
    assert [s["id"] for s in http.get("/v1/sweeps").json()["items"]] == [sweep_id]


def test_trials_page_by_page(http: Http) -> None:
    sweep_id = begun(http)
    train(http, sweep_id)
    train(http, sweep_id)
    first = http.get(f"/v1/sweeps/{sweep_id}/trials?limit=3").json()
    second = http.get(f"/v1/sweeps/{sweep_id}/trials?limit=3&cursor={first['next']}").json()
    assert [t["number"] for t in first["items"] + second["items"]] == [0, 1, 2, 3]
    assert second["next"] is None


def test_pause_resume_cancel(http: Http) -> None:
    sweep_id = begun(http)
    train(http, sweep_id)
    assert http.post(f"/v1/sweeps/{sweep_id}/pause").json()["status"] == "paused"
    train(http, sweep_id)
    assert http.get(f"/v1/sweeps/{sweep_id}").json()["trials"] == {"finished": 2}
    assert http.post(f"/v1/sweeps/{sweep_id}/resume").json()["status"] == "running"
    sweeps.advance(http.app.state.context.engine, sweep_id)
    cancelled = http.post(f"/v1/sweeps/{sweep_id}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["trials"] == {"cancelled": 2, "finished": 2}
    assert_problem(http.post(f"/v1/sweeps/{sweep_id}/resume"), 409)


def test_a_sweep_is_edited_and_what_failed_tried_again(everywhere: Http) -> None:
    sweep_id = begun(everywhere)
    path = f"/v1/sweeps/{sweep_id}"
    train(everywhere, sweep_id)
    edited = everywhere.request("PATCH", path, json={"n_trials": 3, "max_parallel": 1}).json()
    assert (edited["n_trials"], edited["max_parallel"], edited["status"]) == (3, 1, "running")
    assert edited["spec"]["n_trials"] == 3
    added = everywhere.post(f"{path}/trials", {"points": [{"network[0].units": 8}]})
    assert (added.status_code, added.json()["n_trials"]) == (202, 4)
    assert everywhere.post(f"{path}/retry").json()["trials"] == {"finished": 2}
    wrong = everywhere.request("PATCH", path, json={"n_trials": 1})
    assert_problem(wrong, 422, "n_trials")
    unknown = everywhere.request("PATCH", path, json={"trials": 1})
    assert_problem(unknown, 422, "trials")
    point = {"points": [{"network[0].units": 5}]}
    assert_problem(everywhere.post(f"{path}/trials", point), 422, "points[0].network[0].units")
    changes = everywhere.get(f"{path}/changes").json()
    assert [one["kind"] for one in changes] == ["edited", "points_added", "retried"]
    assert changes[0]["what"]["to"] == {"n_trials": 3, "max_parallel": 1}
    everywhere.post(f"{path}/cancel")
    assert_problem(everywhere.request("PATCH", path, json={"n_trials": 9}), 409)


def test_a_budget_is_shown_and_ends_a_sweep(http: Http) -> None:
    epochs = SPEC["epochs"]
    forecast = http.post("/v1/sweeps/forecast", {**SWEEP, "budget": {"epochs": epochs}})
    assert forecast.status_code == 200, forecast.text
    assert (forecast.json()["basis"], forecast.json()["trials"]) == ("measured", 1)
    assert http.get("/v1/sweeps").json()["items"] == []
    sweep_id = begun(http, budget={"epochs": epochs})
    engine = http.app.state.context.engine
    assert sweeps.advance(engine, sweep_id).started == 1
    (trial,) = http.get(f"/v1/sweeps/{sweep_id}/trials").json()["items"]
    claim = http.claimed(trial["job_id"])
    with transaction(engine) as session:
        single.record_metrics(
            session, claim.job_id, 1, 0, [], progress={"step": 9, "epoch": epochs}
        )
        result = {"metrics": {"valid/accuracy": 0.5}}
        single.finish(session, claim.job_id, 1, JobStatus.FINISHED, result=result)
    sweeps.advance(engine, sweep_id)
    sweep = http.get(f"/v1/sweeps/{sweep_id}").json()
    assert (sweep["status"], sweep["stopped_by"]) == ("finished", "epochs")
    assert sweep["spent"]["epochs"] == sweep["spec"]["budget"]["epochs"] == epochs
    wrong = http.post("/v1/sweeps", {**SWEEP, "budget": {"seconds": 0}})
    assert_problem(wrong, 422, "budget.seconds")


def test_wrong_fields_are_named_and_nothing_is_started(http: Http) -> None:
    def refused(path: str, **changes: Any) -> None:
        assert_problem(http.post("/v1/sweeps", {**SWEEP, **changes}), 422, path)

    low = {"optimizer.learning_rate": {"kind": "float", "low": 1, "high": 0.1}}
    refused("search_space.optimizer.learning_rate", search_space=low)
    nowhere = {"optimizer.rate": {"kind": "float", "low": 0.1, "high": 1}}
    refused("search_space.optimizer.rate", search_space=nowhere)
    tiny = {"optimizer.learning_rate": {"kind": "float", "low": 0.1, "high": 1, "step": 5e-324}}
    refused("search_space.optimizer.learning_rate", search_space=tiny)
    misfit = {"network[2].units": {"kind": "int", "low": 2, "high": 3}}
    refused("search_space.network[2].units", search_space=misfit)
    refused("objective.metric", objective={"metric": "valid/f1", "direction": "maximize"})
    refused("job.dataset", job={**SPEC, "dataset": "cows@1"})
    refused("job.epochs", job={**SPEC, "epochs": 0})
    assert http.get("/v1/sweeps").json()["items"] == []


def test_a_key_begins_one_sweep(http: Http) -> None:
    answers = [http.post("/v1/sweeps", SWEEP, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert answers[1].headers["idempotent-replayed"] == "true"
    other = {**SWEEP, "n_trials": 5}
    assert_problem(http.post("/v1/sweeps", other, headers={"Idempotency-Key": "k"}), 422)


def test_a_sweep_that_is_not_there(http: Http) -> None:
    for path in ("", "/trials", "/best"):
        assert_problem(http.get(f"/v1/sweeps/{'0' * 32}{path}"), 404)
    assert_problem(http.get("/v1/sweeps/x"), 404)
    assert_problem(http.post(f"/v1/sweeps/{'0' * 32}/cancel"), 404)


def test_pictures_the_study_and_the_best_model(everywhere: Http) -> None:
    http = everywhere
    sweep_id = begun(http)
    place = f"/v1/sweeps/{sweep_id}"
    assert_problem(http.get(f"{place}/plots/history"), 409)
    assert_problem(http.post(f"{place}/promote", {"name": "pets"}), 409)
    for _ in range(3):
        train(http, sweep_id)
    for path in http.get(place).json()["plots"]:
        page = http.get(path)
        wanted = 409 if path.endswith("learning_curves") else 200  # these workers reported nothing
        assert page.status_code == wanted, page.text
        if wanted == 200:
            assert page.headers["content-type"].startswith("text/html")
            assert "default-src 'none'" in page.headers["content-security-policy"]
    assert_problem(http.get(f"{place}/plots/pareto_front"), 422)
    assert_problem(http.get(f"{place}/plots/history?objective=1"), 422)
    assert_problem(http.get(f"{place}/plots/sunset"), 422)
    study = http.get(f"{place}/optuna")
    assert study.content.startswith(b"SQLite format 3\x00")
    assert study.headers["content-disposition"] == f"attachment; filename={sweep_id[:8]}.db"
