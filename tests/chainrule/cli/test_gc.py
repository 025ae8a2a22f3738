"""`chainrule gc` and `chainrule storage` against the real app."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.routes import retention
from chainrule.cli.app import app
from core.data.ingest.parser import ParsedDataset
from core.retention import rows
from core.settings import Settings
from tests.support.api_cases import Http

DAYS = {name for name in Settings.model_fields if name.startswith("keep_")} - {"keep_mlflow_days"}
"""What a server deletes when it is asked; runs in MLflow are deleted by the scheduler only."""


def run(*words: str) -> Result:
    """How a command ends."""
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})


def lines(result: Result) -> list[list[str]]:
    """The words of the lines that a command printed."""
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.output.splitlines()]


@pytest.fixture
def left(server: Http, pets: ParsedDataset, pets_model: Path) -> str:
    """The id of a job that ended, and left files that no row names."""
    server.register(pets)
    job_id = server.finished(pets_model)
    store = server.app.state.context.store
    for number in range(2):
        store.put_bytes(b"1234567890", f"checkpoints/{job_id}/1/{number}-left")
    return job_id


def test_it_deletes_what_it_announces(server: Http, left: str) -> None:
    assert "nothing to delete" in run("gc", "--dry-run").output
    announced = lines(run("gc", "--dry-run", "--orphans-days", "0"))
    assert announced[1:] == [["orphans", "0", "days", "2", "20", "B"],
                             ["20", "B", "would", "be", "deleted"]]  # fmt: skip
    assert lines(run("gc", "--orphans-days", "0"))[-1] == ["20", "B", "deleted"]
    store = server.app.state.context.store
    assert [file.key.split("/")[1] for file in store.files("models")] == [left]
    assert list(store.files("checkpoints")) == []


def test_requests_are_repeated_until_all_is_deleted(
    server: Http, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_SECONDS", 0.0)
    monkeypatch.setattr(rows, "BATCH_ROWS", 1)
    events = len(server.get(f"/v1/jobs/{left}/events").json()["items"])
    assert events > 1
    report = json.loads(run("gc", "--events-days", "0", "--orphans-days", "0", "--json").output)
    freed = {part["kind"]: part for part in report["kinds"]}
    assert freed["events"]["rows"] == events
    assert freed["orphans"]["files"] == 2
    assert report["bytes"] == sum(part["bytes"] for part in report["kinds"])
    assert not report["more"]


def test_the_help_states_the_defaults_of_the_server() -> None:
    shown = " ".join(run("gc", "--help").output.replace("│", " ").split())
    for name in DAYS:
        option = f"--{name.removeprefix('keep_').replace('_', '-')}"
        default = Settings.model_fields[name].default
        text = shown.rpartition(f"{option} ")[2].partition("--")[0]
        expected = f"{default:g} days" if default else "for ever"
        assert f"Kept by default: {expected}." in text, name


@pytest.mark.usefixtures("left")
def test_storage_shows_what_takes_the_space() -> None:
    table = {tuple(words[:2]): words for words in lines(run("storage"))}
    assert table["jobs", "database"][2] == "3", "a job, its attempt and its experiment"
    assert table["events", "database"][-2:] == ["90", "days"]
    assert table["checkpoints", "store"][2:5] == ["2", "20", "B"]
    assert table["models", "store"][-2:] == ["for", "ever"]
    assert "database:" in run("storage").output
    kinds = json.loads(run("storage", "--json").output)["kinds"]
    assert {kind["days"] for kind in kinds if kind["kind"] == "logs"} == {30.0}
