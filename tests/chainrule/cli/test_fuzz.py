"""Whatever arguments a command gets and whatever answers: an error in words, never a traceback."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from chainrule.cli.app import app
from chainrule.cli.views import CONSOLE
from chainrule.client import datasets, transport
from chainrule.stack import StackError
from chainrule.stack.stack import Stack
from core.spec.sweep import EXAMPLE
from tests.chainrule.cli.commands import Ended, run, use
from tests.support.api_cases import CSV, SPEC, Bridge, Http

Handler = Callable[[httpx.Request], httpx.Response]

JOB = "0" * 32
SWEEP = {**EXAMPLE, "job": SPEC}
GOOD = {
    **dict.fromkeys(("job_id", "left", "right", "sweep_id", "webhook_id"), "latest"),
    **dict.fromkeys(("name", "model", "reference", "new", "dataset"), "pets"),
    **dict.fromkeys(("data", "source", "file"), "pets.csv"),
    **dict.fromkeys(("value", "version", "delivery"), "1"),
    "address": "https://example.com/hook",
    "alias": "champion",
    "out": "out.csv",
    "node": "n1",
    "points": "[]",
    "text": "a note",
    "query": "label:cat",
}
"""A value for each required parameter that lets its command go on to the parameter under test."""

FILES: dict[str, bytes] = {
    "latin.json": b'{"experiment": "\xfc"}',
    "latin.csv": b"a,label\n\xfc,1\n",
    "garbage.json": bytes(range(1, 256)) * 8,
    "garbage.csv": b"\x89PNG\r\n" + bytes(range(1, 256)) * 8,
    "empty.json": b"",
    "empty.csv": b"",
    "deep.json": b"[" * 100_000,
    "list.json": b"[1]",
    "object.json": b"{}",
    "huge.json": b'{"epochs": 1' + b"0" * 5000 + b"}",
    "pets.csv": CSV.encode(),
    "job.json": json.dumps(SPEC).encode(),
    "sweep.json": json.dumps(SWEEP).encode(),
}
PATHS = (
    "no.json",
    "no.csv",
    "folder.json",
    "folder.csv",
    "folder",
    "none/out.csv",
    "none/out.json",
    "pets.csv/out.csv",
    "x" * 300,
    "x" * 300 + ".csv",
    "/proc/out.csv",
    "/proc/out.json",
    "-",
    "",
    *FILES,
)
NUMBERS = ("-1", "0", "9" * 40, "1e999", "nan", "-inf", "1.5", "x", "0x10", "١")
NAMES = (
    JOB,
    "no",
    "pets@",
    "pets@0",
    "pets@99999999999999999999",
    "pets@nobody",
    "@1",
    "a/b",
    "..",
    ".",
    "a b",
    "größe",
    "a?b#c",
    "%2e%2e",
    "\x1b[31m",
    "[bold]",
    "[/]",
    "caf\udce9",
    "x" * 5000,
    "--",
    "=",
    ":",
    "{}",
    "decimal=",
    "nulls=ü",
    "epochs=",
    "data.target=[",
    "network[99999999]=1",
    "a\nb",
)
URLS = ("nonsense", "http://", "http://[::1", "ftp://host", "http://a:99999999", "http://ü:1", "")


def answering(status: int, content: bytes, **headers: str) -> Handler:
    """A server that gives one answer to everything."""
    return lambda _: httpx.Response(status, content=content, headers=headers)


def failing(error: type[httpx.TransportError]) -> Handler:
    """A server that is not there, or breaks off."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise error("broken", request=request)

    return handle


FOREIGN: dict[str, Handler] = {
    "nobody": failing(httpx.ConnectError),
    "slow": failing(httpx.ReadTimeout),
    "broken off": failing(httpx.RemoteProtocolError),
    "HTML": answering(200, b"<html>hello</html>"),
    "HTML error": answering(500, b"<html>[/] error</html>"),
    "redirect": answering(302, b"", Location="https://example.com/login"),
    "half JSON": answering(200, b'{"items": [{"id": "0000'),
    "not UTF-8": answering(200, b'{"id": "\xff"}'),
    "wrong gzip": answering(200, b"not gzip", **{"Content-Encoding": "gzip"}),
    "deep JSON": answering(200, b"[" * 100_000),
    "nothing": answering(204, b""),
    "null": answering(200, b"null"),
    "text": answering(200, b'"items"'),
    "list": answering(200, b"[1]"),
    "empty object": answering(200, b"{}"),
    "empty items": answering(200, b'{"items": [{}], "next": null}'),
    "number items": answering(200, b'{"items": [1], "next": null}'),
    "no items": answering(200, b'{"items": 1, "next": null}'),
    "odd problem": answering(409, b'{"errors": [1, {"path": 1}], "title": ["x"], "detail": {}}'),
}


@dataclass(frozen=True)
class Known:
    """A command: its words, its parameters, and which of them it must get."""

    words: tuple[str, ...]
    parameters: tuple[TyperArgument | TyperOption, ...]


def commands(group: TyperGroup, *path: str) -> Iterator[Known]:
    """Every command that takes no further one."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *path, name)
        else:
            parameters = (p for p in command.params if isinstance(p, TyperArgument | TyperOption))
            yield Known((*path, name), tuple(p for p in parameters if p.name != "help"))


ROOT = get_command(app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = tuple(commands(ROOT))


@dataclass(frozen=True)
class Line:
    """A command line, and the value in it that is likely wrong."""

    words: tuple[str, ...]
    value: str | None = None


def is_flag(parameter: TyperArgument | TyperOption) -> bool:
    """Whether a parameter is an option without a value."""
    return isinstance(parameter, TyperOption) and bool(parameter.is_flag)


@st.composite
def lines(draw: st.DrawFn, known: Known) -> Line:
    """A line of a command in which one parameter has a drawn value, and others may have."""
    wrong = draw(st.sampled_from([p for p in known.parameters if not is_flag(p)]))
    texts = st.sampled_from((*PATHS, *NUMBERS, *NAMES)) | st.text(
        st.characters(exclude_characters="\0"), max_size=12
    )
    value = draw(st.sampled_from(URLS) if wrong.name == "url" else texts)
    words: list[str] = []
    arguments: list[str] = []
    for parameter in known.parameters:
        chosen = value if parameter is wrong else GOOD.get(str(parameter.name), "1")
        if isinstance(parameter, TyperArgument):
            if parameter is wrong or parameter.required:
                arguments.append(chosen)
        elif is_flag(parameter):
            words += [parameter.opts[0]] * draw(st.booleans())
        elif parameter is wrong or parameter.required:
            words += [parameter.opts[0], chosen]
    separator = ["--"] if any(text.startswith("-") and text != "-" for text in arguments) else []
    return Line((*known.words, *words, *separator, *arguments), value)


def assert_in_words(line: Line, ended: Ended) -> None:
    """A command that fails says so in an error text."""
    shown = f"{line.words}: {ended}"
    assert ended.code in (0, 1, 2), shown
    assert "Traceback" not in ended.output + ended.error, shown
    assert "bug" not in ended.error, shown
    if ended.code:
        # A watched job that failed is a result, on standard output.
        assert (ended.output + ended.error).strip(), shown


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of all kinds as the current one; no stack can start."""
    folder = tmp_path / "place"
    (folder / "folder").mkdir(parents=True)
    for name in ("folder.json", "folder.csv"):
        (folder / name).mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "6000")
    for name in [name for name in os.environ if name.startswith("CHAINRULE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHAINRULE_SOURCE", "off")
    for module in (transport, datasets):
        monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)

    def refuse(_: Stack | Path) -> None:
        raise StackError("no stack in this test")

    monkeypatch.setattr(Stack, "_start", refuse)
    monkeypatch.setattr("chainrule.cli.commands.server.up.start_detached", refuse)
    monkeypatch.setattr("chainrule.cli.commands.server.demo._forget_settings", lambda: None)
    return folder


OFTEN = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMED = [
    pytest.param(known, id=" ".join(known.words))
    for known in COMMANDS
    if not all(map(is_flag, known.parameters))
]


@pytest.mark.parametrize("known", NAMED)
def test_wrong_arguments(
    known: Known, place: Path, app_http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    app_http.upload()
    # An ended job: its stream of events ends.
    app_http.post(f"/v1/jobs/{app_http.submitted()['id']}/cancel")
    assert app_http.post("/v1/sweeps", SWEEP).status_code == 202
    use(monkeypatch, Bridge(app_http))
    monkeypatch.setattr("chainrule.client.jobs.Jobs.watch", lambda *_, **__: iter([ENDED]))
    monkeypatch.setattr("chainrule.client.sweeps.Sweeps.wait", lambda *_, **__: ENDED)
    monkeypatch.setattr("chainrule.cli.commands.sweeps.sweeps._live", shown)

    @OFTEN
    @given(lines(known))
    def check(line: Line) -> None:
        assert_in_words(line, run(*line.words))

    check()


ENDED = {"id": JOB, "kind": "train", "status": "failed", "last_metrics": {}, "best": [], "rows": 0}


def shown(*_: object) -> dict[str, object]:
    """What a sweep is when it was watched until its end."""
    CONSOLE.print("cancelled")
    return ENDED


LOCAL = {("up",), ("down",), ("demo",)}
"""Commands that ask no server."""


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("server", FOREIGN)
def test_foreign_servers(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command, as it should be called, and a server that is not one of Chainrule."""
    use(monkeypatch, httpx.MockTransport(FOREIGN[server]))
    for known in COMMANDS:
        if known.words in LOCAL:
            continue
        needed = (p for p in known.parameters if p.required)
        given_words = (
            [GOOD[str(p.name)]] if isinstance(p, TyperArgument) else [p.opts[0], GOOD[str(p.name)]]
            for p in needed
        )
        line = Line((*known.words, *itertools.chain(*given_words)))
        ended = run(*line.words)
        assert_in_words(line, ended)
        assert ended.code, (server, line, ended)
