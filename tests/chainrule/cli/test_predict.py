"""`chainrule predict` and `chainrule model predict` against the real app."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chainrule.cli.app import app
from core.data.ingest.parser import ParsedDataset
from core.db.session import transaction
from core.db.tables import DatasetVersion
from tests.support.api_cases import Http

ROWS = [{"p0": 1, "p1": 0.5}, {"p0": 4, "p1": 2.5}]


def run(*words: str) -> Result:
    """How a command ends."""
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def job_id(server: Http, pets: ParsedDataset, pets_model: Path) -> str:
    """A job whose model is also the registered model `pets`, and files with rows."""
    server.register(pets)
    job_id = server.finished(pets_model)
    assert server.post("/v1/models/pets/versions", {"job_id": job_id}).status_code == 201
    Path("rows.json").write_text(json.dumps(ROWS))
    lines = "".join(f"{row['p0']};{row['p1']};cat\n".replace(".", ",") for row in ROWS)
    Path("rows.csv").write_text(f"p0;p1;label\n{lines}")
    return job_id


def test_a_file_is_read_by_the_server_as_the_data_of_the_training(
    server: Http, job_id: str
) -> None:
    with transaction(server.app.state.context.engine) as session:
        session.query(DatasetVersion).one().parse = {"decimal": ","}
    expected = server.post(f"/v1/jobs/{job_id}/predict", {"rows": ROWS}).json()["predictions"]
    for words in (("predict", job_id), ("model", "predict", "pets")):
        for file in ("rows.csv", "rows.json"):
            ended = run(*words, file)
            assert ended.exit_code == 0, ended.output
            assert ended.output.split() == expected
    ended = run("predict", job_id, "rows.csv", "--probabilities", "--json")
    assert len(json.loads(ended.output)["probabilities"]) == len(ROWS)
