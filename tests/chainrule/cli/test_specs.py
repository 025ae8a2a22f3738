"""`chainrule init` and `chainrule schema`, against the real app."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner

from api.app import create_app
from chainrule.cli.app import app
from chainrule.cli.commands import specs
from chainrule.client import Client
from core.settings import Settings
from tests.support.api_cases import CSV, Http, close


class Bridge(httpx.BaseTransport):
    """Carries the requests of a client to an app in this process."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the app."""
        content = request.read()
        headers = dict(request.headers)
        answer = self._http.request(
            request.method, request.url.raw_path.decode(), content=content, headers=headers
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    """An app that the commands talk to, and a folder with a file as the current one."""
    served = create_app(Settings(database_url=sqlite_url, data_dir=tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my pets.v2.csv").write_text(CSV)
    with start_blocking_portal() as portal:
        http = Http(served, portal)
        monkeypatch.setattr(
            specs, "client", lambda *_: Client("http://127.0.0.1:8000", transport=Bridge(http))
        )
        yield http
    close(served)


def run(*words: str) -> str:
    """What a command prints."""
    ended = CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_a_first_spec_of_a_file_is_accepted(server: Http) -> None:
    printed = run("init", "my pets.v2.csv")
    assert "added my-pets@1: 40 rows, 3 columns" in printed
    assert "wrote job.json: chainrule submit job.json --watch" in printed
    spec = json.loads(Path("job.json").read_text())
    assert (spec["dataset"], spec["data"]["target"]) == ("my-pets@1", "label")
    assert server.post("/v1/jobs", spec).status_code == 202


def test_a_first_spec_of_a_dataset(server: Http) -> None:
    server.upload()
    run("init", "pets", "--target", "p1", "-o", "first.json")
    assert json.loads(Path("first.json").read_text())["data"]["target"] == "p1"
    assert json.loads(run("init", "pets@1", "--json"))["dataset"] == "pets@1"


@pytest.mark.usefixtures("server")
def test_a_file_is_not_replaced_by_accident() -> None:
    Path("job.json").write_text("mine")
    refused = CliRunner().invoke(app, ["init", "my pets.v2.csv"])
    assert refused.exit_code == 2
    assert Path("job.json").read_text() == "mine"
    run("init", "my pets.v2.csv", "--force")
    assert "network" in Path("job.json").read_text()


@pytest.mark.usefixtures("server")
def test_a_target_that_is_not_there_is_named() -> None:
    refused = CliRunner().invoke(app, ["init", "my pets.v2.csv", "--target", "price"])
    assert refused.exit_code == 2
    assert "there is no column 'price'" in " ".join(refused.output.replace("│", "").split())


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(("words", "name"), [([], "JobSpec"), (["sweep"], "SweepSpec")])
def test_the_schema_is_json(words: list[str], name: str) -> None:
    schema = json.loads(run("schema", *words))
    assert schema["$ref"] == f"#/$defs/{name}"
    assert "network" in schema["$defs"]["JobSpec"]["properties"]
