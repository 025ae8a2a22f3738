"""The client's way to a server that refuses, breaks off or is not there."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chainrule.cli.commands.jobs.watch import draw
from chainrule.client import Client
from chainrule.client.problem import ProblemError, UnreachableError
from core.data.ingest.formats import options_of, typed

CUT, BROKEN = 0, 1


class Scripted(ThreadingHTTPServer):
    """Answers requests from a list of (status, body); status CUT closes the connection instead,
    BROKEN after the body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, Any]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path, dict(self.headers.items())))
        status, body = self.server.answers.pop(0)
        if status == CUT:
            self.close_connection = True
            return
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200 if status == BROKEN else status)
        if status != BROKEN:
            self.send_header("Content-Length", str(len(content)))
        if b"event:" in content:
            self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = status == BROKEN
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield scripted
    scripted.shutdown()
    thread.join()
    scripted.server_close()


@pytest.fixture
def client(server: Scripted) -> Iterator[Client]:
    with Client(server.url, "secret") as one:
        yield one


def test_reading_is_tried_again_when_the_server_is_away(server: Scripted, client: Client) -> None:
    server.answers = [(CUT, None), (503, {"title": "away"}), (200, {"id": "a"})]
    assert client.jobs.get("a") == {"id": "a"}
    assert len(server.requests) == 3


def test_submission_is_repeated_under_one_key(server: Scripted, client: Client) -> None:
    server.answers = [(CUT, None), (202, {"id": "a"})]
    assert client.jobs.submit({"epochs": 1}) == {"id": "a"}
    first, second = (headers["Idempotency-Key"] for _, _, headers in server.requests)
    assert first == second


def test_two_submissions_have_two_keys(server: Scripted, client: Client) -> None:
    server.answers = [(202, {"id": "a"}), (202, {"id": "b"})]
    client.jobs.submit({})
    client.jobs.submit({})
    first, second = (headers["Idempotency-Key"] for _, _, headers in server.requests)
    assert first != second


def test_an_upload_is_not_repeated(server: Scripted, client: Client, tmp_path: Any) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x\n1\n")
    server.answers = [(CUT, None), (201, {})]
    with pytest.raises(UnreachableError):
        client.datasets.upload("a", file)
    assert len(server.requests) == 1
    assert server.requests[0][2]["Content-Type"] == "application/octet-stream"
    assert server.requests[0][2]["Content-Disposition"].endswith("a.csv")


def test_parse_options_are_parameters_of_the_content_type(
    server: Scripted, client: Client, tmp_path: Any
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x\n1\n")
    server.answers = [(201, {})]
    options = {"decimal": ",", "nulls": ["?", 'a "b\\'], "text": ["größe"], "header": "absent"}
    client.datasets.upload("a", file, parse=options)
    sent = server.requests[0][2]["Content-Type"]
    assert typed(sent, "a.csv").startswith("text/csv; ")
    assert options_of(sent) == {
        "decimal": ",",
        "nulls": '?,a "b\\',
        "text": "größe",
        "header": "absent",
    }
    with pytest.raises(ValueError, match="has a comma"):
        client.datasets.upload("a", file, parse={"nulls": ["a,b"]})


def test_the_token_is_sent(server: Scripted, client: Client) -> None:
    server.answers = [(200, {})]
    client.jobs.get("a")
    assert server.requests[0][2]["Authorization"] == "Bearer secret"


def test_names_cannot_leave_their_place_in_the_path(server: Scripted, client: Client) -> None:
    server.answers = [(200, {})]
    client.jobs.get("../datasets?x=1")
    assert server.requests[0][1] == "/v1/jobs/..%2Fdatasets%3Fx%3D1"


def test_a_problem_keeps_its_fields(server: Scripted, client: Client) -> None:
    errors = [{"path": "network[0].units", "message": "must be 1 or more"}]
    server.answers = [(422, {"title": "Invalid input", "detail": "wrong", "errors": errors})]
    with pytest.raises(ProblemError) as caught:
        client.jobs.submit({})
    assert caught.value.status == 422
    assert caught.value.errors[0].path == "network[0].units"
    assert str(caught.value) == "network[0].units: must be 1 or more"
    assert len(server.requests) == 1


def test_an_error_page_of_a_proxy_is_a_problem_too(server: Scripted, client: Client) -> None:
    server.answers = [(404, b"<html>no</html>")]
    with pytest.raises(ProblemError) as caught:
        client.jobs.get("a")
    assert caught.value.status == 404


def test_another_server_is_named(server: Scripted, client: Client) -> None:
    server.answers = [(200, b"<html>welcome</html>")]
    with pytest.raises(UnreachableError, match=f"{server.url} is not a Chainrule server"):
        client.jobs.get("a")


def test_lists_are_read_page_after_page(server: Scripted, client: Client) -> None:
    server.answers = [
        (200, {"items": [{"id": "a"}], "next": "cursor"}),
        (200, {"items": [{"id": "b"}], "next": None}),
    ]
    assert [job["id"] for job in client.jobs.list(status="queued")] == ["a", "b"]
    assert server.requests[0][1] == "/v1/jobs?status=queued"
    assert server.requests[1][1] == "/v1/jobs?status=queued&cursor=cursor"


def test_metrics_of_a_running_job_end_with_what_there_is(server: Scripted, client: Client) -> None:
    server.answers = [
        (200, {"items": [{"value": 1.0}], "next": "7"}),
        (200, {"items": [], "next": "7"}),
    ]
    assert list(client.jobs.metrics("a")) == [{"value": 1.0}]


def test_waiting_tells_each_change_once(server: Scripted, client: Client) -> None:
    running, ended = {"id": "a", "status": "running"}, {"id": "a", "status": "failed"}
    server.answers = [(200, running), (200, running), (200, ended)]
    seen: list[Any] = []
    assert client.jobs.wait("a", on_change=seen.append) == ended
    assert seen == [running, ended]


def test_waiting_outlives_a_restart_of_the_server(server: Scripted, client: Client) -> None:
    running = {"id": "a", "kind": "train", "status": "running"}
    ended = {**running, "status": "finished"}
    away = [(CUT, None)] * 4 + [(503, {"title": "away"})] * 3
    server.answers = [(200, running), *away, (200, ended)]
    assert client.jobs.wait("a") == ended
    server.answers = [(CUT, None)] * 3
    with pytest.raises(UnreachableError):
        client.jobs.wait("a")  # one that never answered is not waited for


def test_drawing_outlives_a_restart_of_the_server(server: Scripted, client: Client) -> None:
    running = {"id": "a", "kind": "train", "status": "running"}
    ended = {**running, "status": "finished"}
    point = b'event: metrics\ndata: {"points": []}\nid: 0.1.0\n\n'
    end = b'event: end\ndata: {"status": "finished"}\nid: 0.1.0\n\n'
    away = [(CUT, None)] * 3
    server.answers = [
        (200, running), (BROKEN, point), *away, (503, {}), (200, end), *away, (200, ended),
    ]  # fmt: skip
    assert draw(client, "a") == ended
    assert server.answers == []


def test_nobody_there() -> None:
    with socket.socket() as taken:
        # Bound but not listening: connections are refused.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url) as client, pytest.raises(UnreachableError, match=url):
            client.jobs.get("a")


def test_a_stream_that_breaks_goes_on_after_the_last_event(server: Scripted) -> None:
    one = b'event: log\ndata: {"text": "one"}\nid: 1.0.1\n\n'
    two = b'event: log\ndata: {"text": "two"}\nid: 1.0.2\n\n'
    end = b'event: end\ndata: {"status": "finished"}\nid: 1.0.2\n\n'
    server.answers = [(BROKEN, one), (CUT, b""), (503, {"detail": "away"}), (200, two + end)]
    with Client(server.url) as client:
        found = list(client.jobs.events("abc"))
    assert [(event.kind, event.data) for event in found] == [
        ("log", {"text": "one"}),
        ("log", {"text": "two"}),
        ("end", {"status": "finished"}),
    ]
    asked = [request[2].get("Last-Event-ID") for request in server.requests]
    assert asked == [None, "1.0.1", "1.0.1", "1.0.1"]


def test_a_stream_that_is_refused_says_why_and_one_that_is_over_is_empty(server: Scripted) -> None:
    server.answers = [(404, {"title": "Not found", "detail": "there is no job abc"}), (204, b"")]
    with Client(server.url) as client:
        with pytest.raises(ProblemError, match="there is no job abc"):
            list(client.jobs.events("abc"))
        assert list(client.jobs.events("abc", after="9.9.9")) == []
