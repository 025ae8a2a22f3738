"""The commands and requests in README and docs fit the command line and the REST interface."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer.main

from api.app import create_app
from chainrule.cli.app import app
from core.settings import Settings
from core.spec.job import JobSpec
from tests.house.snippets import SHELL, Snippet, commands, snippets

METHODS = {"-X": None, "--request": None}
BODIES = {"-d", "--data", "--data-raw", "--data-binary", "--json", "-T", "--upload-file"}
TAKING_A_VALUE = BODIES | {"-H", "--header", "-o", "--output", "-w", "--max-time", "-m", "-u"}


@pytest.fixture(scope="module")
def interface(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """The paths of the REST interface as OpenAPI tells them."""
    made = create_app(Settings(data_dir=tmp_path_factory.mktemp("data")))
    return dict(made.openapi()["paths"])


def requests(snippet: Snippet) -> Iterator[tuple[str, str, str]]:
    """Method, path and body of every curl in a snippet that talks to the api."""
    for words in commands(snippet.text):
        if words[0] != "curl":
            continue
        method, address, body = "", "", ""
        rest = iter(words[1:])
        for word in rest:
            if word in METHODS:
                method = next(rest)
            elif word in TAKING_A_VALUE:
                value = next(rest)
                if word in BODIES:
                    body = value
                    method = method or ("PUT" if word in {"-T", "--upload-file"} else "POST")
            elif not word.startswith("-"):
                address = word
        path = urlsplit(address).path if "://" in address else address.partition("/")[2]
        path = "/" + path.lstrip("/")
        if path.startswith(("/v1/", "/healthz", "/readyz", "/metrics")):
            yield (method or "GET").lower(), path, body


def matches(template: str, path: str) -> bool:
    """Whether `path` is an instance of a path with `{parameters}`; `$ID` counts as a value."""
    return bool(re.fullmatch(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)), path))


def test_requests_are_found_and_matched() -> None:
    text = "curl -s -X POST -H 'A: b' localhost:8000/v1/jobs -d '{}'\ncurl $API/v1/jobs/$ID | jq ."
    extracted = list(requests(Snippet("page", 1, "sh", text)))
    assert extracted == [("post", "/v1/jobs", "{}"), ("get", "/v1/jobs/$ID", "")]
    assert matches("/v1/jobs/{job_id}", "/v1/jobs/$ID")
    assert not matches("/v1/jobs/{job_id}", "/v1/jobs")


@pytest.mark.parametrize("snippet", snippets(*SHELL), ids=str)
def test_curl_asks_for_what_exists(
    snippet: Snippet, interface: dict[str, dict[str, object]]
) -> None:
    for method, path, body in requests(snippet):
        fitting = [
            operations for template, operations in interface.items() if matches(template, path)
        ]
        assert fitting, f"{path} is no path of the api"
        assert any(method in operations for operations in fitting), f"{path} knows no {method}"
        if (method, path) == ("post", "/v1/jobs") and body.startswith("{"):
            JobSpec.model_validate_json(body)


def test_job_specs_are_valid() -> None:
    for snippet in snippets("json"):
        document = json.loads(snippet.text)
        if isinstance(document, dict) and "network" in document:
            JobSpec.model_validate(document)


@pytest.mark.parametrize("snippet", snippets(*SHELL), ids=str)
def test_command_line_knows_the_commands(snippet: Snippet) -> None:
    for words in commands(snippet.text):
        if Path(words[0]).name == "chainrule":
            assert _known(words[1:]), " ".join(words)


def test_an_unknown_command_is_noticed() -> None:
    assert _known(["jobs"])
    assert not _known(["fly"])
    assert not _known(["up", "--wings"])


def _known(words: list[str]) -> bool:
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        subcommand = command.commands.get(words[0])
        if subcommand is None:
            return words[0] in {"--help", "--version"}
        command, words = subcommand, words[1:]
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    return all(word.partition("=")[0] in options for word in words if re.match("--?[a-z]", word))
