"""Jobs over HTTP: submission, refusal, idempotency, lists, control."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from sqlalchemy import update

from api.app import create_app
from chainrule.contract.status import JobStatus
from core import jobs, nodes
from core.data.ingest.parser import ParsedDataset
from core.db.session import transaction
from core.db.tables import Job
from core.settings import Settings
from core.spec.version import SPEC_VERSION
from tests.support import single
from tests.support.api_cases import SPEC, Http, assert_problem, close


def test_a_submission_answers_202_with_a_queued_job(everywhere: Http) -> None:
    answer = everywhere.post("/v1/jobs", SPEC)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["status"] == "queued"
    assert (job["experiment"], job["dataset"], job["device"]) == ("pets", "pets@1", "cpu")
    assert (job["epochs"], job["epochs_total"], job["attempts"]) == (0, 2, [])
    assert job["spec"]["optimizer"]["beta1"] == 0.9
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert everywhere.get(answer.headers["location"]).json() == job


def test_a_queued_job_names_what_no_worker_offers(everywhere: Http) -> None:
    job = everywhere.submitted(device="gpu")
    assert job["waits_for"] == "a worker of queue gpu: none is running"
    engine = everywhere.app.state.context.engine

    def waits_for() -> str | None:
        listed = everywhere.get("/v1/jobs").json()["items"][0]["waits_for"]
        assert everywhere.get(f"/v1/jobs/{job['id']}").json()["waits_for"] == listed
        return cast("str | None", listed)

    def work(queue: str) -> None:
        with transaction(engine) as session:
            nodes.heartbeat(
                session,
                node=f"{queue}s",
                worker=f"{queue}-worker",
                host="h",
                pid=1,
                slots=1,
                queues=[queue],
                versions={},
            )

    work("cpu")
    assert waits_for() == "a worker of queue gpu: none is running"
    work("gpu")
    assert waits_for() is None
    with transaction(engine) as session:
        nodes.drain(session, "gpus")
    assert waits_for() == ("a worker of queue gpu that takes jobs: all are draining or suspended")
    everywhere.post(f"/v1/jobs/{job['id']}/cancel")
    assert waits_for() is None


def test_a_job_says_that_its_workers_are_too_old_for_it(everywhere: Http) -> None:
    job = everywhere.submitted()
    assert (job["spec_version"], job["waits_for"]) == (1, "a worker of queue cpu: none is running")
    engine = everywhere.app.state.context.engine
    with transaction(engine) as session:
        session.execute(update(Job).where(Job.id == job["id"]).values(spec_version=7))
    where = f"/v1/jobs/{job['id']}"
    with transaction(engine) as session:
        nodes.heartbeat(
            session, node="n", worker="w", host="h", pid=1, slots=1, queues=["cpu"], versions={}
        )
    message = everywhere.get(where).json()["waits_for"]
    assert message == (
        "a worker of a newer release: the spec needs version 7, the workers of queue cpu read"
        f" version {SPEC_VERSION}"
    )
    (worker,) = everywhere.get("/v1/nodes/n").json()["workers"]
    assert worker["spec_version"] == SPEC_VERSION
    assert everywhere.post(f"{where}/pause").json()["waits_for"] is None


def test_a_name_alone_means_the_latest_version(http: Http) -> None:
    assert http.submitted(dataset="pets")["dataset"] == "pets@1"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"network": [{"kind": "dens", "units": 4}]}, "network[0].kind"),
        ({"network": [{"kind": "dense", "units": 0}]}, "network[0].units"),
        ({"network": [{"kind": "relu"}, {"kind": "dense", "units": 3}]}, "network[1].units"),
        ({"network": [{"kind": "dense", "units": 60_000}] * 3}, "network"),
        ({"network": []}, "network"),
        ({"data": {"target": "colour"}}, "data.target"),
        ({"data": {"target": "label", "features": ["p0", "p9"]}}, "data.features[1]"),
        ({"dataset": "pets@2"}, "dataset"),
        ({"dataset": "nobody"}, "dataset"),
        ({"dataset": "../etc"}, "dataset"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": "many"}, "epochs"),
        ({"optimizer": {"kind": "adam", "learning_rate": -1}}, "optimizer.learning_rate"),
        ({"learning_rate": 1}, "learning_rate"),
        ({"tags": {"<b>": "x"}}, "tags.<b>"),
        ({"loss": {"kind": "binary_cross_entropy"}, "metrics": []}, "network[2].units"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_path_and_nothing_is_queued(
    http: Http, changes: dict[str, Any], path: str
) -> None:
    problem = assert_problem(http.post("/v1/jobs", {**SPEC, **changes}), 422)
    assert any(error["path"].startswith(path) for error in problem["errors"]), problem
    assert http.get("/v1/jobs").json()["items"] == []


def test_all_wrong_fields_are_named_at_once(http: Http) -> None:
    answer = http.post("/v1/jobs", {**SPEC, "epochs": 0, "seed": -1, "typo": 1})
    assert_problem(answer, 422, "epochs", "seed", "typo")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 422),
        (b"null", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'"text"', "application/json", 422),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b'{"epochs": ' + b"9" * 5000 + b"}", "application/json", 400),
        (json.dumps(SPEC).encode(), "text/plain", 415),
        (json.dumps({**SPEC, "target_loss": float("nan")}).encode(), "application/json", 422),
        (json.dumps({**SPEC, "\ud800": 1}).encode(), "application/json", 422),
        (json.dumps({**SPEC, "description": "\ud800"}).encode(), "application/json", 422),
    ],
)
def test_bodies_that_are_no_spec_are_refused(
    http: Http, body: bytes, kind: str, status: int
) -> None:
    answer = http.post("/v1/jobs", content=body, headers={"Content-Type": kind})
    assert_problem(answer, status)


def test_a_body_beyond_the_limit_is_refused_whether_it_says_so_or_not(http: Http) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    headers = {"Content-Type": "application/json"}
    for content in (b" " * 300_000, pieces()):
        problem = assert_problem(http.post("/v1/jobs", content=content, headers=headers), 413)
        assert "262,144 bytes" in problem["detail"]


def test_text_of_any_kind_comes_back_as_it_was_sent(everywhere: Http) -> None:
    tags = {"a/b": "\u202e<script>alert(1)</script>", "n": "日本\U0001f600"}
    job = everywhere.submitted(tags=tags, description="'; DROP TABLE jobs; --")
    assert everywhere.get(f"/v1/jobs/{job['id']}").json()["tags"] == tags


# Idempotency


def test_the_same_key_and_body_give_the_same_job(everywhere: Http) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = everywhere.post("/v1/jobs", SPEC, headers=headers)
    again = everywhere.post("/v1/jobs", SPEC, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(everywhere.get("/v1/jobs").json()["items"]) == 1


def test_the_same_key_with_another_body_is_refused(everywhere: Http) -> None:
    headers = {"Idempotency-Key": "k-1"}
    everywhere.post("/v1/jobs", SPEC, headers=headers)
    answer = everywhere.post("/v1/jobs", {**SPEC, "seed": 8}, headers=headers)
    assert_problem(answer, 422, "Idempotency-Key")


def test_without_a_key_each_submission_is_a_job(http: Http) -> None:
    assert http.submitted()["id"] != http.submitted()["id"]


@pytest.mark.parametrize("key", ["", "k" * 256, "a b"])
def test_a_key_that_is_none_is_refused(http: Http, key: str) -> None:
    answer = http.post("/v1/jobs", SPEC, headers={"Idempotency-Key": key})
    assert_problem(answer, 422, "header.Idempotency-Key")


def test_a_refused_spec_does_not_use_up_its_key(http: Http) -> None:
    headers = {"Idempotency-Key": "k-1"}
    assert_problem(http.post("/v1/jobs", {**SPEC, "dataset": "nobody"}, headers=headers), 422)
    assert http.post("/v1/jobs", SPEC, headers=headers).status_code == 202


def test_fifty_submissions_at_once_with_one_key_make_one_job(everywhere: Http) -> None:
    headers = {"Idempotency-Key": "same"}

    async def all_at_once() -> list[httpx.Response]:
        requests = [
            everywhere.client.post("/v1/jobs", json=SPEC, headers=headers) for _ in range(50)
        ]
        return await asyncio.gather(*requests)

    answers = everywhere.portal.call(all_at_once)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(everywhere.get("/v1/jobs").json()["items"]) == 1


# Lists


def test_jobs_are_listed_newest_first_in_pages(everywhere: Http) -> None:
    made = [everywhere.submitted(seed=seed)["id"] for seed in range(5)]
    seen, cursor = [], None
    while True:
        page = everywhere.get(
            "/v1/jobs", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, {"one", "two"}),
        ({"name": "one"}, {"one"}),
        ({"experiment": "other"}, {"two"}),
        ({"experiment": "none"}, set()),
        ({"dataset": "pets"}, {"one", "two"}),
        ({"dataset": "pets@1"}, {"one", "two"}),
        ({"dataset": "pets@2"}, set()),
        ({"status": "queued"}, {"one"}),
        ({"status": ["queued", "cancelled"]}, {"one", "two"}),
        ({"tag": "team:a"}, {"one"}),
        ({"tag": ["team:a", "x.y:1:2"]}, {"one"}),
        ({"tag": "team:b"}, set()),
    ],
)
def test_filters_narrow_the_list(
    everywhere: Http, filters: dict[str, Any], found: set[str]
) -> None:
    everywhere.submitted(name="one", tags={"team": "a", "x.y": "1:2"})
    two = everywhere.submitted(name="two", experiment="other", tags={})
    everywhere.post(f"/v1/jobs/{two['id']}/cancel")
    items = everywhere.get("/v1/jobs", params=filters).json()["items"]
    assert {item["name"] for item in items} == found


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        ({"stauts": "queued"}, "query.stauts"),
        ({"status": "done"}, "query.status"),
        ({"limit": 0}, "query.limit"),
        ({"limit": 10**30}, "query.limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "9" * 240}, "cursor"),
        ({"tag": "team"}, "query.tag"),
    ],
)
def test_wrong_filters_are_refused(http: Http, filters: str, path: str) -> None:
    problem = assert_problem(http.get("/v1/jobs", params=filters), 422)
    assert any(error["path"].startswith(path) for error in problem["errors"]), problem


@pytest.mark.parametrize("text", ["' OR 1=1 --", "%", "\x00", "\U0001f600"])
def test_filters_are_values_never_statements(everywhere: Http, text: str) -> None:
    everywhere.submitted()
    for name in ("experiment", "dataset", "name"):
        answer = everywhere.get("/v1/jobs", params={name: text})
        assert answer.status_code in {200, 422}
        assert answer.json().get("items", []) == []


# Control


@pytest.mark.parametrize("job_id", ["0" * 32, "nonsense", "%00", "a" * 5000])
@pytest.mark.parametrize(
    "verb", ["", "/cancel", "/pause", "/resume", "/retry", "/metrics", "/events"]
)
def test_a_job_that_is_not_there_is_404(http: Http, job_id: str, verb: str) -> None:
    method = "GET" if verb in {"", "/metrics", "/events"} else "POST"
    assert_problem(http.request(method, f"/v1/jobs/{job_id}{verb}"), 404)


def test_a_waiting_job_is_cancelled_at_once_and_once(everywhere: Http) -> None:
    path = f"/v1/jobs/{everywhere.submitted()['id']}"
    first = everywhere.post(f"{path}/cancel")
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert everywhere.post(f"{path}/cancel").json() == first.json()
    assert_problem(everywhere.post(f"{path}/pause"), 409)


def test_a_running_job_is_asked_to_end(everywhere: Http) -> None:
    job = everywhere.submitted()
    everywhere.claimed(job["id"])
    answer = everywhere.post(f"/v1/jobs/{job['id']}/cancel")
    assert answer.json()["status"] == "running"
    assert answer.json()["cancel_requested_at"] is not None


def test_a_finished_job_cannot_be_cancelled(everywhere: Http, pets_model: Path) -> None:
    job_id = everywhere.finished(pets_model)
    assert_problem(everywhere.post(f"/v1/jobs/{job_id}/cancel"), 409)


def test_cancel_and_finish_race_to_exactly_one_end(everywhere: Http) -> None:
    for _ in range(5):
        job = everywhere.submitted()
        claim = everywhere.claimed(job["id"])

        def finish(claim: jobs.Claim = claim) -> None:
            with transaction(everywhere.app.state.context.engine) as session:
                single.finish(session, claim.job_id, claim.attempt, JobStatus.FINISHED, result={})

        with ThreadPoolExecutor(2) as pool:
            cancelling = pool.submit(everywhere.post, f"/v1/jobs/{job['id']}/cancel")
            pool.submit(finish).result()
        seen = everywhere.get(f"/v1/jobs/{job['id']}").json()
        assert seen["status"] == "finished"
        answer = cancelling.result()
        asked_in_time = answer.status_code == 200 and answer.json()["status"] == "running"
        assert asked_in_time or answer.status_code == 409


def test_a_paused_job_waits_until_it_is_resumed(everywhere: Http) -> None:
    path = f"/v1/jobs/{everywhere.submitted()['id']}"
    assert everywhere.post(f"{path}/pause").json()["status"] == "paused"
    assert everywhere.post(f"{path}/resume").json()["status"] == "queued"


def test_a_retry_is_a_new_job_with_the_same_spec(everywhere: Http) -> None:
    job = everywhere.submitted()
    everywhere.post(f"/v1/jobs/{job['id']}/cancel")
    answer = everywhere.post(f"/v1/jobs/{job['id']}/retry")
    assert answer.status_code == 202
    again = answer.json()
    assert (again["retry_of"], again["spec"], again["status"]) == (job["id"], job["spec"], "queued")
    assert everywhere.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"


def test_the_priority_of_a_waiting_job_can_be_changed(everywhere: Http) -> None:
    path = f"/v1/jobs/{everywhere.submitted()['id']}/priority"
    assert everywhere.post(path, {"priority": 7}).json()["priority"] == 7
    assert_problem(everywhere.post(path, {"priority": 1000}), 422, "priority")
    assert_problem(everywhere.post(path, {}), 422, "priority")


def test_events_tell_who_did_what(everywhere: Http) -> None:
    job_id = everywhere.submitted()["id"]
    everywhere.post(f"/v1/jobs/{job_id}/pause")
    everywhere.post(f"/v1/jobs/{job_id}/resume")
    path = f"/v1/jobs/{job_id}/events"
    items = everywhere.get(path).json()["items"]
    assert [item["kind"] for item in items] == ["submitted", "paused", "resumed"]
    assert {item["actor"] for item in items} == {"client:local"}
    first = everywhere.get(path, params={"limit": 2}).json()
    rest = everywhere.get(path, params={"cursor": first["next"]}).json()
    assert first["items"] + rest["items"] == items
    assert_problem(everywhere.get(path, params={"cursor": "x"}), 422, "query.cursor")


def test_more_jobs_than_may_wait_are_refused_for_now(
    settings: Settings, portal: BlockingPortal, pets: ParsedDataset
) -> None:
    app = create_app(settings.model_copy(update={"max_queued_jobs": 1}))
    http = Http(app, portal)
    http.register(pets)
    http.submitted()
    answer = http.post("/v1/jobs", SPEC)
    assert_problem(answer, 503)
    assert answer.headers["retry-after"]
    close(app)
