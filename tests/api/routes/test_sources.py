"""Sources: kept once, named by jobs and sweeps, refused when they hold secrets or too much."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from chainrule.client import Client
from core.spec import source
from core.spec.source import MOST_BYTES
from tests.support.api_cases import SPEC, Http, assert_problem

SOURCE: dict[str, Any] = {
    "repository": "https://example.com/net.git",
    "commit": "a" * 40,
    "branch": "work",
    "command": "submit.py",
    "diff": "diff --git a/t.py b/t.py\n--- a/t.py\n+++ b/t.py\n@@ -1 +1 @@\n-a\n+ü\n",
    "files": {"lib/new.py": "units = 4\n"},
    "omitted": [{"path": ".env", "reason": "looks like a file of secrets"}],
}


def test_a_source_is_kept_once_and_found_by_its_job(everywhere: Http) -> None:
    made = everywhere.post("/v1/sources", SOURCE)
    assert made.status_code == 201, made.text
    again = everywhere.post("/v1/sources", {**SOURCE, "files": dict(SOURCE["files"])})
    digest = made.json()["digest"]
    assert again.json() == made.json()
    assert made.json()["dirty"] is True
    job = everywhere.submitted(source=digest)
    found = everywhere.get(f"/v1/jobs/{job['id']}/source").json()
    assert {name: found[name] for name in SOURCE} == SOURCE
    assert everywhere.get(f"/v1/sources/{digest}").json() == found


def test_a_repository_may_be_called_what_files_must_not(http: Http) -> None:
    answer = http.post("/v1/sources", {**SOURCE, "repository": "https://example.com/a/secrets"})
    assert answer.status_code == 201, answer.text


def test_a_job_without_a_source_says_so(http: Http) -> None:
    job = http.submitted()
    assert_problem(http.get(f"/v1/jobs/{job['id']}/source"), 404)
    assert_problem(http.get("/v1/sources/none"), 404)


def test_unknown_sources_are_refused(http: Http) -> None:
    assert_problem(http.post("/v1/jobs", {**SPEC, "source": "0" * 64}), 422, "source")
    sweep = {
        "name": "s",
        "job": {**SPEC, "source": "0" * 64},
        "search_space": {"optimizer.learning_rate": {"kind": "float", "low": 0.1, "high": 1}},
        "objective": {"metric": "train/loss", "direction": "minimize"},
        "n_trials": 2,
    }
    assert_problem(http.post("/v1/sweeps", sweep), 422, "job.source")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"files": {"../up.py": ""}}, "files.../up.py"),
        ({"files": {"a/b/../c.py": ""}}, "files.a/b/../c.py"),
        ({"files": {".env": "A=1"}}, "files..env"),
        ({"files": {"a.py": "k = '" + "AKIA" + "ABCDEFGHIJKLMNOP'"}}, "files.a.py"),
        ({"files": {"c.yaml": "password: lovelace" + "1815"}}, "files.c.yaml"),
        ({"diff": SOURCE["diff"].replace("ü", "k = 'AKIA" + "ABCDEFGHIJKLMNOP'")}, "diff"),
        ({"repository": "https://ada:" + "secret@example.com"}, "repository"),
        ({"diff": "x" * (MOST_BYTES // 2), "files": {"a": "y" * (MOST_BYTES // 2 + 1)}}, "files"),
        ({"commit": "HEAD"}, "commit"),
    ],
)
def test_wrong_sources_are_refused_by_field(http: Http, changes: dict[str, Any], path: str) -> None:
    answer = http.post("/v1/sources", {**SOURCE, **changes})
    problem = assert_problem(answer, 422, path)
    assert "AKIA" not in str(problem)


def test_secrets_are_not_searched_for_in_the_event_loop(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[bool] = []

    def search(*_: str | None) -> None:
        searched.append(asyncio._get_running_loop() is None)

    monkeypatch.setattr(source, "secret_in", search)
    assert http.post("/v1/sources", SOURCE).status_code == 201
    assert searched
    assert all(searched)


def test_an_erased_source_keeps_only_its_commit(everywhere: Http) -> None:
    digest = everywhere.post("/v1/sources", SOURCE).json()["digest"]
    job = everywhere.submitted(source=digest)
    assert everywhere.request("DELETE", f"/v1/sources/{digest}").status_code == 204
    assert everywhere.request("DELETE", f"/v1/sources/{digest}").status_code == 204
    code = everywhere.get(f"/v1/jobs/{job['id']}/source").json()
    assert code["erased_at"]
    assert code["commit"] == SOURCE["commit"]
    assert not any(code[name] for name in ("repository", "branch", "command", "diff", "files"))
    assert code["omitted"] == []
    again = everywhere.post("/v1/sources", SOURCE)
    assert (again.status_code, again.json()["erased_at"]) == (201, code["erased_at"])
    with everywhere.app.state.context.engine.connect() as connection:
        document = connection.execute(text("SELECT document FROM sources")).scalar_one()
    assert "units" not in str(document)
    assert everywhere.submitted(source=digest)["spec"]["source"] == digest


def test_only_a_known_source_is_erased(http: Http) -> None:
    assert_problem(http.request("DELETE", "/v1/sources/none"), 404)


def test_the_client_sends_what_it_stands_in(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    class Loop:
        def post(self, path: str, body: Any = None, **_: Any) -> Any:
            sent.append((path, body))
            answer = http.post(path, body)
            assert answer.is_success, answer.text
            return answer.json()

    client = Client(source=True)
    for part in (client.jobs, client.sources):
        monkeypatch.setattr(part, "_transport", Loop())
    job = client.jobs.submit(SPEC)
    client.jobs.submit(SPEC)
    assert [path for path, _ in sent] == ["/v1/sources", "/v1/jobs", "/v1/jobs"]
    found = http.get(f"/v1/jobs/{job['id']}/source").json()
    assert len(found["commit"]) == 40
    assert http.submitted()["spec"]["source"] is None
