"""`chainrule init` and `chainrule schema`, against the real app."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app
from tests.support.api_cases import Http


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


def test_fields_of_a_first_spec_are_set(server: Http) -> None:
    run("init", "my pets.v2.csv", "--set", "optimizer.learning_rate=0.5", "--set", "seed=9")
    spec = json.loads(Path("job.json").read_text())
    assert (spec["optimizer"]["learning_rate"], spec["seed"]) == (0.5, 9)
    run("submit", "job.json", "--set", "epochs=3", "--set", "network[0].units=9", "--no-source")
    [job] = server.get("/v1/jobs").json()["items"]
    submitted = server.get(f"/v1/jobs/{job['id']}").json()["spec"]
    assert (submitted["epochs"], submitted["network"][0]["units"]) == (3, 9)
    assert submitted["optimizer"]["learning_rate"] == 0.5


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
