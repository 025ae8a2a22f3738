"""The embedded MLflow is the real one, with its tables there, behind a guard.

It starts in a folder where MLflow alone was killed while it made its tables, and could not go on.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chainrule.stack import mlflow, ports
from chainrule.stack.mlflow import command
from chainrule.stack.supervisor import Supervisor
from tests.chainrule.stack.test_mlflow_database import made

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[httpx.Client]:
    lines: list[str] = []
    made("theirs", ["1000"], f"sqlite:///{folder}/mlflow.sqlite")
    port = ports.claim(mlflow.HOST, 0, "--mlflow-port")
    supervisor = Supervisor(lambda _name, line: lines.append(line))
    supervisor.add(command(folder, port, dict(os.environ)))
    supervisor.start()
    url = f"http://{mlflow.HOST}:{port}"
    try:
        give_up_at = time.monotonic() + 180
        while not mlflow.answers(url):
            assert time.monotonic() < give_up_at, "\n".join(lines)
            assert supervisor.ends("mlflow") < 2, "\n".join(lines)
            time.sleep(0.1)
        with httpx.Client(base_url=url, timeout=30) as client:
            yield client
    finally:
        supervisor.stop()


def test_it_answers_at_once_with_its_tables(server: httpx.Client, folder: Path) -> None:
    answer = server.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"})
    assert answer.json()["experiment"]["name"] == "Default"
    with sqlite3.connect(folder / "mlflow.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_its_page_has_our_defaults(server: httpx.Client) -> None:
    answer = server.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.text.index("machine_learning") < answer.text.index("static-files/static/js/main")


def test_artifacts_go_through_it_into_its_folder(server: httpx.Client, folder: Path) -> None:
    path = "/api/2.0/mlflow-artifacts/artifacts/0/some/file.txt"
    assert server.put(path, content=b"content").is_success
    assert server.get(path).content == b"content"
    assert (folder / "artifacts" / "0" / "some" / "file.txt").read_bytes() == b"content"


@pytest.mark.parametrize("path", ["chat", "sessions", "CONFIG", ""])
def test_the_assistant_is_not_offered(server: httpx.Client, path: str) -> None:
    answer = server.post(f"/ajax-api/3.0/mlflow/assistant/{path}", json={})
    assert answer.content == b"not offered here"


CREATE = "/api/2.0/mlflow/experiments/create"
ORIGINS = ("http://localhost:3000", "http://127.0.0.1:9", "https://evil.example", "null")


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_other_sites_and_ports_are_refused(server: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin}
    assert server.post(CREATE, json={"name": origin}, headers=headers).status_code == 403
    read = server.get("/api/2.0/mlflow/experiments/get?experiment_id=0", headers=headers)
    asked = server.options(CREATE, headers={**headers, "Access-Control-Request-Method": "POST"})
    for answer in (read, asked):
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_its_own_pages_are_served(server: httpx.Client) -> None:
    headers = {"Origin": str(server.base_url).rstrip("/")}
    assert server.post(CREATE, json={"name": "own"}, headers=headers).is_success


@pytest.mark.parametrize(
    "location",
    [
        "file:///{outside}", "{outside}", "s3://other/bucket", "mlflow-artifacts://evil.example/x",
        "mlflow-artifacts:/../../{outside}", "mlflow-artifacts:/a/../../b", "mlflow-artifacts:/..",
        "mlflow-artifacts:/%2e%2e/a", "mlflow-artifacts:/", "../{outside}",
    ],
)  # fmt: skip
def test_files_lie_in_the_artifact_root(
    server: httpx.Client, tmp_path: Path, location: str
) -> None:
    where = location.format(outside=str(tmp_path).lstrip("/"))
    answer = server.post(CREATE, json={"name": f"at {location}", "artifact_location": where})
    assert answer.status_code == 400, answer.text
    gone = server.get(
        "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": f"at {location}"}
    )
    assert gone.status_code == 404


def test_a_location_in_the_artifact_root_is_accepted(server: httpx.Client) -> None:
    body = {"name": "inside", "artifact_location": "mlflow-artifacts:/inside/too"}
    created = server.post(CREATE, json=body)
    assert created.is_success, created.text


def test_other_hosts_are_refused(server: httpx.Client) -> None:
    answer = server.get("/api/2.0/mlflow/experiments/get", headers={"Host": "evil.example"})
    assert answer.status_code == 403
