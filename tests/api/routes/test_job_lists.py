"""Tags, notes, filters and order of jobs, and their deletion, through the API."""

from pathlib import Path

import pytest

from core.db.session import transaction
from core.db.tables import Job
from core.spec.sweep import EXAMPLE
from tests.support.api_cases import SPEC, Http, assert_problem


def test_tags_and_notes_change_after_the_fact(http: Http) -> None:
    http.upload()
    job_id = http.submitted(tags={"team": "a", "old": "x"})["id"]
    path = f"/v1/jobs/{job_id}"
    change = {"note": "the best so far", "tags": {"team": "b", "new": "y", "old": None}}
    changed = http.request("PATCH", path, json=change)
    assert changed.status_code == 200, changed.text
    expected = {"team": "b", "new": "y"}
    for job in (changed.json(), http.get(path).json(), http.get("/v1/jobs").json()["items"][0]):
        assert (job["tags"], job["note"]) == (expected, "the best so far")
    # The spec says what was submitted.
    assert changed.json()["spec"]["tags"] == {"team": "a", "old": "x"}
    assert len(http.get("/v1/jobs?tag=team:b").json()["items"]) == 1
    assert http.request("PATCH", path, json={}).json()["tags"] == expected
    assert http.request("PATCH", path, json={"note": ""}).json()["note"] is None


def test_changes_that_are_refused(http: Http) -> None:
    http.upload()
    path = f"/v1/jobs/{http.submitted()['id']}"
    own = {"tags": {"chainrule.sweep": "0" * 32}}
    assert_problem(http.request("PATCH", path, json=own), 422, "tags.chainrule.sweep")
    many = {"tags": {f"t{number}": "" for number in range(64)}}
    assert_problem(http.request("PATCH", path, json=many), 422, "tags")
    assert_problem(http.request("PATCH", path, json={"name": "x"}), 422, "name")
    assert_problem(http.request("PATCH", f"/v1/jobs/{'0' * 32}", json={}), 404)


def test_jobs_are_filtered_and_sorted_by_metrics_and_times(http: Http) -> None:
    http.upload()
    ids = [http.submitted()["id"] for _ in range(3)]
    with transaction(http.app.state.context.engine) as session:
        for job_id, value in zip(ids, (0.5, 0.9, 0.7), strict=True):
            session.get_one(Job, job_id).progress = {"last": {"valid/accuracy": value}}

    def listed(query: str) -> list[str]:
        answer = http.get(f"/v1/jobs?{query}")
        assert answer.status_code == 200, answer.text
        return [job["id"] for job in answer.json()["items"]]

    best_first = [ids[1], ids[2], ids[0]]
    assert listed("sort=-valid/accuracy") == best_first
    assert listed("sort=valid/accuracy&metric=valid/accuracy>=0.7") == [ids[2], ids[1]]
    assert listed("metric=valid/accuracy<0.9&metric=valid/accuracy>0.5") == [ids[2]]
    assert listed("created_after=2001-01-01T00:00:00Z&sort=created_at") == ids
    assert listed("created_before=2001-01-01T00:00:00Z") == []
    first = http.get("/v1/jobs?sort=-valid/accuracy&limit=2").json()
    assert [job["id"] for job in first["items"]] == best_first[:2]
    assert listed(f"sort=-valid/accuracy&limit=2&cursor={first['next']}") == best_first[2:]
    assert_problem(http.get("/v1/jobs?metric=loss"), 422)
    assert_problem(http.get(f"/v1/jobs?cursor={first['next']}"), 422)
    for text in ("2001-01-01", "0.5", "1e9", "2001-01-01T00:00:00"):
        assert_problem(http.get(f"/v1/jobs?created_after={text}"), 422, "query.created_after")


def test_an_ended_job_is_deleted(http: Http, pets_model: Path) -> None:
    http.upload()
    job_id = http.finished(pets_model)
    path = f"/v1/jobs/{job_id}"
    waiting = http.submitted()["id"]
    assert_problem(http.request("DELETE", f"/v1/jobs/{waiting}"), 409)
    assert http.post("/v1/models/pets/versions", {"job_id": job_id}).status_code in (200, 201)
    refused = assert_problem(http.request("DELETE", path), 409)
    assert "pets@1" in refused["detail"]
    other = http.finished(pets_model)
    assert http.request("DELETE", f"/v1/jobs/{other}").status_code == 204
    assert_problem(http.get(f"/v1/jobs/{other}"), 404)
    assert_problem(http.request("DELETE", f"/v1/jobs/{other}"), 404)
    assert http.get(path).status_code == 200


@pytest.mark.parametrize("query", ["status=cancelled", "name=mine", "dataset=pets@1", ""])
def test_sweeps_are_filtered_and_deleted(http: Http, query: str) -> None:
    http.upload()
    spec = {**EXAMPLE, "job": SPEC}
    ids = [http.post("/v1/sweeps", {**spec, "name": name}).json()["id"] for name in ("mine", "b")]
    assert_problem(http.request("DELETE", f"/v1/sweeps/{ids[0]}"), 409)
    http.post(f"/v1/sweeps/{ids[0]}/cancel")
    listed = [sweep["id"] for sweep in http.get(f"/v1/sweeps?{query}").json()["items"]]
    assert ids[0] in listed
    assert (ids[1] in listed) == (query in ("", "dataset=pets@1"))
    assert http.get("/v1/sweeps?dataset=pets@2").json()["items"] == []
    assert http.request("DELETE", f"/v1/sweeps/{ids[0]}").status_code == 204
    assert_problem(http.get(f"/v1/sweeps/{ids[0]}"), 404)
