"""Queries and aliases over HTTP."""

import pytest

from tests.support.api_cases import SPEC, Http, assert_problem


def test_a_query_counts_and_shows_rows(http: Http) -> None:
    answer = http.post("/v1/datasets/pets/versions/1/query", {"query": "label:cat @limit:7"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["rows"], found["of"], len(found["preview"])) == (7, 40, 7)
    assert found["preview"][0] == {"p0": 1, "p1": 1.5, "label": "cat"}
    whole = http.post("/v1/datasets/pets/versions/1/query", {"preview": 2}).json()
    assert (whole["rows"], len(whole["preview"]), whole["parts"]) == (40, 2, None)
    query = "@split:0.8:0.2 @stratify:label"
    dealt = http.post("/v1/datasets/pets/versions/1/query", {"query": query}).json()
    assert (dealt["rows"], dealt["parts"]) == (40, {"train": 32, "valid": 8, "test": 0})
    part = http.post("/v1/datasets/pets/versions/1/query", {"query": f"{query} @part:valid"})
    assert (part.json()["rows"], part.json()["parts"]) == (8, {"valid": 8})


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v1/datasets/pets/versions/1/query", "color:red", 422),
        ("/v1/datasets/pets/versions/1/query", "label:", 422),
        ("/v1/datasets/pets/versions/9/query", "label:cat", 404),
        ("/v1/datasets/cars/versions/1/query", "label:cat", 404),
    ],
)
def test_queries_that_cannot_be_answered_say_why(
    http: Http, path: str, query: str, status: int
) -> None:
    assert_problem(http.post(path, {"query": query}), status)


def test_a_job_with_a_query_is_checked_when_it_is_submitted(http: Http) -> None:
    data = {"target": "label", "query": "p0:[0 TO 4]"}
    assert http.post("/v1/jobs", {**SPEC, "data": data}).status_code == 202
    answer = http.post("/v1/jobs", {**SPEC, "data": {**data, "query": "q0:3"}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "data.query"


def test_an_alias_is_set_moved_and_removed(everywhere: Http) -> None:
    path = "/v1/datasets/pets/aliases/production"
    answer = everywhere.request("PUT", path, json={"version": 1})
    assert answer.json()["aliases"] == {"production": 1}
    everywhere.upload(content="p0,p1,label\n1,2,cat\n3,4,dog\n")
    assert everywhere.request("PUT", path, json={"version": 2}).json()["aliases"] == {
        "production": 2
    }
    assert everywhere.request("DELETE", path).json()["aliases"] == {}
    assert_problem(everywhere.request("DELETE", path), 404)
    assert_problem(everywhere.request("PUT", path, json={"version": 9}), 404)
