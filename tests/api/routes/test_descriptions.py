"""Descriptions, tags and versions made of versions, over HTTP on both databases."""

from typing import Any

import pytest

from tests.support.api_cases import Http, assert_problem


def test_a_dataset_is_described_and_found_by_its_tags(everywhere: Http) -> None:
    everywhere.upload()
    everywhere.upload("cars", "x,y\n1,2\n3,4\n")
    made = everywhere.get("/v1/datasets/pets").json()
    assert (made["description"], made["tags"], made["owner"]) == ("", {}, "local")
    change = {"description": "cats, dogs", "tags": {"team": "a", "use": "test"}}
    answer = everywhere.request("PATCH", "/v1/datasets/pets", json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["description"] == "cats, dogs"
    change = {"tags": {"use": None, "year": "2026"}}
    answer = everywhere.request("PATCH", "/v1/datasets/pets", json=change)
    assert answer.json()["tags"] == {"team": "a", "year": "2026"}
    assert answer.json()["description"] == "cats, dogs"

    def named(*tags: str) -> list[str]:
        items = everywhere.get("/v1/datasets", params={"tag": tags}).json()["items"]
        return [item["name"] for item in items]

    assert named() == ["cars", "pets"]
    assert named("team:a", "year:2026") == ["pets"]
    assert named("team:a", "year:2025") == named("use:test") == []


def test_what_cannot_be_said_of_a_dataset(http: Http) -> None:
    assert_problem(http.request("PATCH", "/v1/datasets/boats", json={"description": "x"}), 404)
    assert_problem(http.request("PATCH", "/v1/datasets/pets", json={"owner": "me"}), 422)
    assert_problem(http.request("PATCH", "/v1/datasets/pets", json={"tags": {"a b": "c"}}), 422)
    for part in range(2):
        many = {f"t{part}-{number}": "x" for number in range(40)}
        answer = http.request("PATCH", "/v1/datasets/pets", json={"tags": many})
    assert_problem(answer, 422)


def test_a_query_becomes_a_version_that_remembers_it(everywhere: Http) -> None:
    everywhere.upload()
    path = "/v1/datasets/pets/versions/1/derive"
    answer = everywhere.post(path, {"name": "cats", "query": "label:cat", "columns": ["p1", "p0"]})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["name"], made["version"], made["rows"], made["format"]) == ("cats", 1, 20, "query")
    assert [column["name"] for column in made["columns"]] == ["p1", "p0"]
    from_ = {"dataset": "pets", "version": 1, "query": "label:cat", "columns": ["p1", "p0"]}
    assert made["made_from"] == from_
    assert everywhere.get("/v1/datasets/cats/versions/1").json() == made
    rows = everywhere.post("/v1/datasets/cats/versions/1/query", {"preview": 2}).json()["preview"]
    assert rows == [{"p1": 1.5, "p0": 1}, {"p1": 0.5, "p0": 3}]
    # All rows of a version are that version's bytes; a sample is the same one every time.
    whole = everywhere.post(path, {"name": "copy"}).json()
    assert whole["digest"] == everywhere.get("/v1/datasets/pets/versions/1").json()["digest"]
    digests = {
        everywhere.post(path, {"name": name, "query": "@sample:0.5 @seed:3"}).json()["digest"]
        for name in ("a", "b")
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x", "query": "colour:red"}, 422),
        ({"name": "x", "query": "label:bird"}, 422),
        ({"name": "x", "columns": ["colour"]}, 422),
        ({"name": "no name"}, 422),
        ({"query": "label:cat"}, 422),
    ],
)
def test_a_query_that_cannot_become_a_version(
    http: Http, body: dict[str, Any], status: int
) -> None:
    assert_problem(http.post("/v1/datasets/pets/versions/1/derive", body), status)
    assert_problem(http.get("/v1/datasets/x"), 404)
