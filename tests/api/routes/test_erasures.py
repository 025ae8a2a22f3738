"""Erasing over HTTP: requested, refused, reported."""

import time

import pytest

from core import datasets
from core.data.ingest.parser import ParsedDataset
from core.db.session import reading, transaction
from tests.support.api_cases import SPEC, Http, assert_problem

PATH = "/v1/datasets/pets/versions/1"


def test_a_version_is_erased_once_its_jobs_have_ended(everywhere: Http) -> None:
    hook = {"url": "https://example.com", "events": ["dataset.erased"]}
    key = everywhere.post("/v1/webhooks", hook).json()["id"]
    job = everywhere.submitted()
    asked = everywhere.request("DELETE", PATH, params={"reason": "too old"})
    assert asked.status_code == 202
    document = asked.json()
    assert document["version"]["erase_cause"] == {"actor": "local", "reason": "too old"}
    assert document["uses"]["holding"] == [job["id"]]
    assert document["uses"]["jobs"] == {"queued": 1}
    assert_problem(everywhere.post("/v1/jobs", SPEC), 422, "dataset")
    everywhere.post(f"/v1/jobs/{job['id']}/cancel")
    context = everywhere.app.state.context
    with reading(context.engine) as session:
        waiting = datasets.erasable(session)
    assert [datasets.erase(context.engine, context.store, one) for one in waiting] == [True]
    assert everywhere.get(PATH).json()["erased_at"]
    assert everywhere.get(f"{PATH}/uses").json()["jobs"] == {"cancelled": 1}
    assert everywhere.get("/v1/datasets/pets").json()["latest_version"] is None
    [message] = everywhere.get(f"/v1/webhooks/{key}/deliveries").json()["items"]
    assert (message["event"], message["data"]["version"]) == ("dataset.erased", 1)


def test_what_cannot_be_erased_is_a_problem(http: Http) -> None:
    http.request("PUT", "/v1/datasets/pets/aliases/best", json={"version": 1})
    assert_problem(http.request("DELETE", PATH), 409)
    assert http.get(f"{PATH}/uses").json()["aliases"] == ["best"]
    assert_problem(http.request("DELETE", "/v1/datasets/pets/versions/9"), 404)
    assert_problem(http.get("/v1/datasets/none/versions/1/uses"), 404)


def test_an_api_forgets_its_copy(
    http: Http, monkeypatch: pytest.MonkeyPatch, pets: ParsedDataset
) -> None:
    monkeypatch.setattr("api.app.PURGE_SECONDS", 0.1)
    context = http.app.state.context
    query = http.post(f"{PATH}/query", {"query": ""})
    assert query.json()["rows"] == 40
    assert context.cache.versions() == {pets.digest}
    with transaction(context.engine) as session:
        datasets.request_erasure(session, "pets", 1, actor="local")
    with reading(context.engine) as session:
        waiting = datasets.erasable(session)
    assert datasets.erase(context.engine, context.store, waiting[0])
    life = http.app.router.lifespan_context(http.app)
    with http.portal.wrap_async_context_manager(life):
        for _ in range(200):
            if not context.cache.versions():
                break
            time.sleep(0.05)
    assert context.cache.versions() == set()
