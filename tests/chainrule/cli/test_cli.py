"""The command line starts fast, teaches, and says what is wrong in words."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from chainrule.cli import predictions, progress, views
from chainrule.cli.app import app, main
from chainrule.cli.commands.datasets.parsing import parse_options
from chainrule.cli.dataset_pages import show_warnings
from chainrule.client import Client
from core.data.ingest.formats import known

HEAVY = ("numpy", "mlflow", "pyarrow", "sqlalchemy", "celery", "fastapi", "pydantic")
UP = (sys.executable, "-m", "chainrule.cli", "up", "--data-dir")


def run(*arguments: str, stdin: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: text for name, text in os.environ.items() if not name.startswith("CHAINRULE_")}
    return subprocess.run(
        [sys.executable, "-m", "chainrule.cli", *arguments],
        input=stdin,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_imports_nothing_heavy() -> None:
    program = (
        f"import sys, chainrule.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "[]"


def test_help_names_every_command() -> None:
    output = run("--help").stdout
    for command in (
        "up",
        "demo",
        "submit",
        "jobs",
        "job",
        "watch",
        "logs",
        "pause",
        "drain",
        "dataset",
    ):
        assert command in output


def commands(group: TyperGroup, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of every command that takes no further one."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


def test_every_command_has_help() -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    known_commands = list(commands(root))
    assert ("dataset", "add") in known_commands
    for words in known_commands:
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0, words
        said = shown.output.partition("Usage:")[2].splitlines()[1:]
        assert "".join(said).split("Options")[0].strip(" ╭─│\n"), f"{words} says nothing of itself"


def test_the_help_of_uploads_names_every_format() -> None:
    shown = " ".join(run("dataset", "add", "--help", COLUMNS="200").stdout.split())
    for one in known():
        assert one.title in shown


def test_columns_with_the_same_warning_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    constant = {"kind": "constant", "message": "holds only 0", "named_only": False}
    warnings = [{**constant, "column": f"p{place}"} for place in range(8)]
    identifier = {"column": "id", "kind": "identifier", "message": "a [b]", "named_only": True}
    show_warnings({"warnings": [*warnings, identifier]})
    assert capsys.readouterr().out.splitlines() == [
        "warning p0, p1, p2, p3, p4, p5 and 2 more: holds only 0",
        "warning id: a [b] (a feature only if a job names it)",
    ]
    show_warnings({"name": "a version of an earlier release"})
    assert capsys.readouterr().out == ""


def test_options_of_csv_become_parse_options() -> None:
    assert parse_options(None) == {}
    given = ["decimal=,", "nulls=?", "nulls=-", "text=zip,phone", "delimiter=="]
    assert parse_options(given) == {
        "decimal": ",",
        "nulls": "?,-",
        "text": "zip,phone",
        "delimiter": "=",
    }
    for text in ("decimal", "decimal="):
        with pytest.raises(typer.BadParameter, match="has no value"):
            parse_options([text])


def test_no_server_is_one_line_that_helps() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ended = run("jobs", CHAINRULE_URL=url)
    assert ended.returncode == 1
    assert ended.stderr.strip().count("\n") == 0
    assert url in ended.stderr
    assert "chainrule up" in ended.stderr


def test_a_file_that_is_not_json() -> None:
    ended = run("submit", "-", stdin="{nope")
    assert ended.returncode == 2
    assert "not JSON" in ended.stderr


def test_only_what_lies_elsewhere_can_stay_there() -> None:
    ended = run("dataset", "add", "pets", "pets.csv", "--in-place")
    assert ended.returncode == 2
    assert "--in-place is for a file at a URL" in ended.stderr


def test_a_busy_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        ended = run("up", "--data-dir", str(tmp_path), "--port", port)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"error: port {port} is in use: stop what uses it, or choose another with --port (0: any)"
    ]


def test_an_open_door_without_a_good_token_is_refused(tmp_path: Path) -> None:
    everywhere = ("up", "--data-dir", str(tmp_path), "--host", "0.0.0.0")
    for token, reason in (("", "to a secret first"), ("correct-horse", "has 13 characters")):
        ended = run(*everywhere, CHAINRULE_API_TOKEN=token)
        assert ended.returncode == 1
        assert "CHAINRULE_API_TOKEN" in ended.stderr
        assert reason in ended.stderr


def test_a_database_that_is_none_is_said_so(tmp_path: Path) -> None:
    ended = run(
        *("up", "--data-dir", str(tmp_path), "--port", "0", "--mlflow-port", "0"),
        CHAINRULE_DATABASE_URL="nonsense://",
    )
    assert ended.returncode == 1
    assert "the database URL names nonsense" in ended.stderr


def test_ending_while_starting_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*UP, str(tmp_path), "--port", "0", "--mlflow-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        while "preparing the database" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "nothing is left running" in output


def test_the_answer_is_not_among_what_the_network_is_shown() -> None:
    rows = [{"a": 1, "label": 7}]
    assert predictions.without_targets(rows, "label") == [{"a": 1}]
    assert predictions.without_targets(rows, ["x", "y"]) == rows


def test_metrics_show_what_people_look_at_first() -> None:
    values = {"train/loss": 0.123456, "valid/accuracy": 0.975, "extra": "NaN"}
    assert views.metrics(values) == "valid/accuracy 0.975 · train/loss 0.1235 · extra NaN"


def test_the_best_epoch_is_shown_with_the_metric_that_it_is_best_by() -> None:
    job = {"best_epoch": 12, "best_metric": "valid/loss", "best_metrics": {"valid/accuracy": 0.75}}
    assert views.best(job) == "epoch 12 by valid/loss: valid/accuracy 0.75"
    assert views.best({**job, "best_metric": None}) == "epoch 12: valid/accuracy 0.75"
    assert views.best({**job, "best_epoch": None}) == "valid/accuracy 0.75"
    assert views.best({"best_metrics": {}}) == ""


def test_the_end_of_a_job_shows_its_best_epoch_and_warnings() -> None:
    shown = io.StringIO()
    job = {
        "status": "finished", "last_metrics": {"test/accuracy": 0.5}, "best_epoch": 3,
        "best_metric": "valid/loss", "best_metrics": {"valid/loss": 1.25},
        "warnings": ["the model is no better than [x]"],
    }  # fmt: skip
    progress.conclude(job, Console(file=shown, width=200))
    assert shown.getvalue().splitlines() == [
        "finished test/accuracy 0.5",
        "best epoch 3 by valid/loss: valid/loss 1.25",
        "warning: the model is no better than [x]",
    ]


def test_json_output_is_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    views.print_json([{"name": "größe"}])
    assert json.loads(capsys.readouterr().out) == [{"name": "größe"}]
    monkeypatch.setattr(sys, "argv", ["chainrule", "nodes", "--url", "http://127.0.0.1:1"])
    assert main() == 1


@pytest.mark.parametrize(
    ("sandbox", "state"),
    [
        ("landlock, seccomp", "ok"),
        ("seccomp; without landlock (refused by the kernel)", "ok, sandbox incomplete"),
    ],
)
def test_a_node_with_an_incomplete_sandbox_says_so(
    monkeypatch: pytest.MonkeyPatch, sandbox: str, state: str
) -> None:
    node: dict[str, Any] = {
        "name": "n1",
        "alive": True,
        "queues": [],
        "heartbeat_at": None,
        "versions": {"sandbox": sandbox},
        "workers": [],
    }
    monkeypatch.setattr(Client, "nodes", lambda _: iter([node]))
    shown = CliRunner().invoke(app, ["nodes"], env={"COLUMNS": "120"}).output
    assert shown.strip().endswith(state)
