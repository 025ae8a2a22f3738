"""`chainrule fit` against the real app, whose jobs end at once."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chainrule.cli.app import app
from tests.support.api_cases import Http
from tests.support.brokers import free_port

FILE = "my pets.v2.csv"


def run(*words: str) -> Result:
    """How a command ends."""
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})


def printed(*words: str) -> str:
    """What a command prints that succeeds, with single spaces."""
    ended = run(*words)
    assert ended.exit_code == 0, ended.output
    return " ".join(ended.output.split())


def test_the_score_is_shown_with_that_of_the_baseline(server: Http) -> None:
    text = printed("fit", FILE, "--target", "label", "--set", "epochs=7")
    [job] = server.get("/v1/jobs").json()["items"]
    assert "added my-pets@1: 40 rows, 3 columns" in text
    assert "0.95 on 40 rows; the trivial baseline (majority class) has 0.5" in text
    assert "JobSpec job.json" in text
    assert text.endswith(f"chainrule predict {job['id'][:8]} 'my pets.v2.csv'")
    spec = json.loads(Path("job.json").read_text())
    assert (spec["data"]["target"], spec["epochs"]) == ("label", 7)
    assert server.get(f"/v1/jobs/{job['id']}").json()["spec"]["epochs"] == 7


def test_a_file_is_parsed_as_the_options_say(server: Http) -> None:
    lines = "".join(f"{i},5;{'cat' if i % 2 else 'dog'}\n" for i in range(40))
    Path("comma.csv").write_text(f"size;label\n{lines}")
    refused = run("fit", "comma.csv")
    assert refused.exit_code != 0
    printed("fit", "comma.csv", "--parse", "decimal=,")
    version = server.get("/v1/datasets/comma/versions").json()["items"][0]
    assert version["parse"] == {"decimal": ","}
    named = run("init", "comma@1", "--parse", "decimal=,", "-o", "other.json")
    assert named.exit_code == 2
    assert "--parse is for a file" in named.output


@pytest.mark.usefixtures("server")
def test_an_equal_file_is_not_uploaded_twice_and_no_spec_is_replaced() -> None:
    printed("fit", FILE)
    text = printed("fit", FILE, "--set", "seed=3")
    assert "my-pets@1" in text
    assert "JobSpec job-2.json" in text
    assert json.loads(Path("job.json").read_text())["seed"] == 7
    refused = run("fit", FILE, "-o", "job.json")
    assert refused.exit_code == 2
    assert "job.json exists" in refused.output


@pytest.mark.usefixtures("server")
def test_a_dataset_is_trained_on_as_well() -> None:
    printed("init", FILE)
    answer = json.loads(run("fit", "my-pets@1", "--json", "-o", "other.json").output)
    assert answer["spec_file"] == "other.json"
    assert answer["job"]["status"] == "finished"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("assignment", "reason"),
    [("epochs", "has no value"), ("epochs.x=1", "there is no 'x'"), ("a..b=1", "is not a path")],
)
def test_a_wrong_assignment_is_refused(assignment: str, reason: str) -> None:
    refused = run("fit", FILE, "--set", assignment)
    assert refused.exit_code == 2
    assert reason in " ".join(refused.output.replace("│", "").split())
    assert not Path("job.json").exists()


def test_a_file_that_is_not_there_starts_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run("fit", "nofile.csv", "--url", f"http://127.0.0.1:{free_port()}")
    assert refused.exit_code == 2
    assert "there is no file 'nofile.csv'" in refused.output
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("server")
def test_a_target_that_is_not_there_is_named() -> None:
    assert "there is no column 'price'" in run("fit", FILE, "--target", "price").output
