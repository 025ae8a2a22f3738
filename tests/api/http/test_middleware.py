"""What stands before every route: token, hosts, origins, headers, limits, problem documents."""

import json
import logging
import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from api.app import MAX_BODY_BYTES, create_app
from core.data.ingest.parser import ParsedDataset
from core.settings import Settings
from tests.support.api_cases import SPEC, Http, assert_problem, close

TOKEN = "canary-7f1c0e"


@pytest.fixture
def guarded(settings: Settings, portal: BlockingPortal, pets: ParsedDataset) -> Iterator[Http]:
    """A client of an app that was given a token."""
    changes = {"api_token": SecretStr(TOKEN), "token_guesses_per_minute": 0}
    app = create_app(settings.model_copy(update=changes))
    http = Http(app, portal)
    http.register(pets)
    yield http
    close(app)


@pytest.fixture
def throttled(settings: Settings) -> Iterator[FastAPI]:
    """An app with a token and the default limit on wrong ones."""
    app = create_app(settings.model_copy(update={"api_token": SecretStr(TOKEN)}))
    yield app
    close(app)


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


PLACES = {
    "name": "pets", "version": "1", "alias": "a", "reference": "a@1", "kind": "history",
}  # fmt: skip
"""What to put for a parameter of a path; for others an id."""


def operations(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route, with something in place of its parameters."""
    document = app.openapi()
    for path, item in document["paths"].items():
        for method in item:
            yield (
                method.upper(),
                re.sub(r"{(\w+)}", lambda match: PLACES.get(match[1], "0" * 32), path),
            )


def test_every_route_of_version_one_needs_the_token(guarded: Http) -> None:
    asked = [(m, p) for m, p in operations(guarded.app) if p.startswith("/v1")]
    assert len(asked) > 15
    for method, path in [*asked, ("GET", "/metrics")]:
        for headers in ({}, bearing("wrong"), bearing(""), {"Authorization": f"Basic {TOKEN}"}):
            answer = guarded.request(method, path, headers=headers)
            assert_problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert guarded.request(method, path, headers=bearing(TOKEN)).status_code != 401


@pytest.mark.parametrize(
    "body",
    [b"{" * 100_000, b"x" * (MAX_BODY_BYTES + 1), json.dumps(SPEC).encode()],
    ids=["no JSON", "too large", "a spec"],
)
def test_the_token_is_checked_before_a_body_is_read(guarded: Http, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("/v1/jobs", "/v1/sources", "/v1/datasets/pets/versions", "/v1/nothing"):
        assert_problem(guarded.request("POST", path, content=body, headers=headers), 401)

    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": body, "more_body": True}

    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/jobs", "raw_path": b"/v1/jobs",
        "query_string": b"", "headers": [(b"content-type", b"application/json")],
        "http_version": "1.1", "scheme": "http", "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 8000), "root_path": "",
    }  # fmt: skip
    guarded.portal.call(guarded.app, scope, receive, send)
    assert (sent[0]["status"], read) == (401, 0)


def test_guesses_are_throttled_by_address(throttled: FastAPI, portal: BlockingPortal) -> None:
    def client(host: str) -> Http:
        http = Http(throttled, portal)
        transport = httpx.ASGITransport(throttled, client=(host, 5))
        http.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
        return http

    guesser, other = client("192.0.2.7"), client("192.0.2.8")
    answers = [guesser.get("/v1/jobs", headers=bearing(f"guess{i}")) for i in range(500)]
    assert [a.status_code for a in answers[:21]] == [401] * 20 + [429]
    assert {a.status_code for a in answers[20:]} == {429}
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert_problem(answers[-1], 429)
    # Nor does a guesser learn that it has guessed.
    assert guesser.get("/v1/jobs", headers=bearing(TOKEN)).status_code == 429
    assert guesser.get("/v1/jobs").status_code == 401
    assert guesser.get("/healthz").status_code == 200
    assert other.get("/v1/jobs", headers=bearing(TOKEN)).status_code == 200


def test_a_token_that_is_not_ascii_is_wrong_not_a_crash(guarded: Http) -> None:
    headers = [(b"authorization", "Bearer tokén".encode())]
    assert_problem(guarded.get("/v1/jobs", headers=headers), 401)


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/start.js", "/favicon.ico"]
)
def test_health_and_documentation_need_none(guarded: Http, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_with_a_token_any_host_is_served(guarded: Http) -> None:
    headers = {**bearing(TOKEN), "Host": "chainrule.example"}
    assert guarded.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_without_a_token_only_names_of_this_machine_are_served(http: Http, host: str) -> None:
    assert_problem(http.get("/v1/jobs", headers={"Host": host}), 400)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
def test_names_of_this_machine(http: Http, host: str) -> None:
    assert http.get("/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9", "http://["]
)
def test_pages_of_other_sites_change_nothing(http: Http, origin: str) -> None:
    answer = http.post("/v1/jobs", SPEC, headers={"Origin": origin})
    assert_problem(answer, 403)
    assert http.get("/v1/jobs").json()["items"] == []


def test_our_own_page_may(http: Http) -> None:
    answer = http.post("/v1/jobs", SPEC, headers={"Origin": "http://127.0.0.1:8000"})
    assert answer.status_code == 202


def test_no_other_site_may_read(http: Http) -> None:
    answer = http.get("/v1/jobs", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs", "/v1/jobs/x", "/nothing", "/docs"])
def test_every_answer_carries_the_headers_that_keep_browsers_calm(http: Http, path: str) -> None:
    headers = http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/jobs/", 404),
        ("DELETE", "/v1/jobs", 405),
        ("PUT", "/v1/datasets/a/versions", 405),
        ("TRACE", "/healthz", 405),
        ("GET", "/v1/../../etc/passwd", 404),
        ("GET", "/%00", 404),
    ],
)
def test_what_no_route_serves_is_a_problem_too(
    http: Http, method: str, path: str, status: int
) -> None:
    answer = http.request(method, path)
    assert_problem(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/datasets/a/versions"])
def test_all_methods_of_a_path_are_listed(http: Http, path: str) -> None:
    allowed = http.request("DELETE", path).headers["allow"].split(", ")
    assert allowed == sorted(
        method.upper()
        for template, item in http.app.openapi()["paths"].items()
        if template == path.replace("/a/", "/{name}/")
        for method in item
    )
    assert len(allowed) == 2


def test_a_fault_of_ours_shows_nothing_of_the_inside(
    http: Http, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret-in-the-traceback")

    monkeypatch.setattr("core.jobs.list_jobs", broken)
    with caplog.at_level(logging.ERROR, "chainrule.api"):
        answer = http.get("/v1/jobs")
    problem = assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert problem["id"] in caplog.text
    assert "secret-in-the-traceback" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_missing_table_is_a_fault_of_ours_and_passes(http: Http) -> None:
    with http.app.state.context.engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs RENAME TO gone"))
    assert_problem(http.get("/v1/jobs"), 500)
    with http.app.state.context.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO jobs"))
    assert http.get("/v1/jobs").status_code == 200


def test_a_postgres_that_is_away_is_503_with_retry_after(
    settings: Settings, portal: BlockingPortal
) -> None:
    url = "postgresql+psycopg://nobody:canary-pw@127.0.0.1:1/none"
    app = create_app(settings.model_copy(update={"database_url": type(settings.database_url)(url)}))
    http = Http(app, portal)
    for answer in (http.get("/v1/jobs"), http.post("/v1/jobs", SPEC)):
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert "canary-pw" not in answer.text
    assert "canary-pw" not in http.get("/readyz").text
    close(app)


def test_two_apps_in_one_process_do_not_share_anything(
    settings: Settings, portal: BlockingPortal, tmp_path: Path
) -> None:
    one = create_app(settings)
    other = create_app(settings.model_copy(update={"data_dir": tmp_path / "other"}))
    Http(one, portal).get("/healthz")
    assert "/healthz" in one.state.context.instruments.text().decode()
    assert "/healthz" not in other.state.context.instruments.text().decode()
    close(one)
    close(other)
