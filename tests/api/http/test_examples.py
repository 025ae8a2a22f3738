"""Each JSON body in the OpenAPI document has an example, which works as it is pasted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import sweeps
from core.data.ingest.parser import parse
from core.events import TrainingEnded
from core.spec import JobSpec
from core.training.loop import train
from tests.support.api_cases import Http, assert_problem

ROOT = Path(__file__).parents[3]
DISTANT = "POST /v1/datasets/{name}/imports"
"""Its example is in a bucket of somebody else."""


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The method, the path and the schema of each operation with a JSON body."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                reference = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
                yield method.upper(), path, document["components"]["schemas"][reference]


@pytest.fixture
def digits(empty: Http, tmp_path: Path) -> dict[str, str]:
    """Parameters of paths: digits as a dataset, a job, a registered model and a sweep."""
    empty.register(
        parse(ROOT / "examples" / "digits.csv", "text/csv", tmp_path / "digits.arrow"), "digits"
    )
    examples = empty.get("/openapi.json").json()["components"]["schemas"]
    [spec], [sweep] = examples["JobSpec"]["examples"], examples["SweepSpec"]["examples"]
    *_, ended = train(
        JobSpec.model_validate({**spec, "epochs": 1}), tmp_path / "digits.arrow", tmp_path
    )
    assert isinstance(ended, TrainingEnded)
    job_id = empty.finished(ended.path, **spec)
    assert empty.post("/v1/models/digits/versions", {"job_id": job_id}).status_code == 201
    answer = empty.post("/v1/models/digits@1/evaluations", {"dataset": "digits@1"})
    empty.evaluate(answer.json()["id"])
    sweep_id = empty.post("/v1/sweeps", sweep).json()["id"]
    sweeps.advance(empty.app.state.context.engine, sweep_id)
    for trial in empty.get(f"/v1/sweeps/{sweep_id}/trials").json()["items"]:
        empty.finish(trial["job_id"], ended.path, **{sweep["objective"]["metric"]: 0.5})
    sweeps.advance(empty.app.state.context.engine, sweep_id)
    return {
        "name": "digits",
        "version": "1",
        "alias": "production",
        "reference": "digits@1",
        "job_id": job_id,
        "sweep_id": sweep_id,
    }


def test_each_json_body_has_an_example_that_works(empty: Http, digits: dict[str, str]) -> None:
    document = empty.get("/openapi.json").json()
    operations = list(bodies(document))
    assert len(operations) > 20
    queued = empty.submitted(**document["components"]["schemas"]["JobSpec"]["examples"][0])["id"]
    for method, path, schema in operations:
        operation = f"{method} {path}"
        assert schema.get("examples"), operation
        for example in schema["examples"]:
            values = {**digits, **({"job_id": queued} if path.endswith("/priority") else {})}
            # The only value that nobody knows beforehand.
            body = {**example, **({"job_id": digits["job_id"]} if "job_id" in example else {})}
            answer = empty.request(method, path.format(**values), json=body)
            if operation == DISTANT:
                problem = assert_problem(answer, 422, "url")
                assert "CHAINRULE_DATASET_URLS" in problem["detail"]
            else:
                assert answer.is_success, f"{operation}: {answer.text}"


def test_the_example_of_an_upload_works(empty: Http) -> None:
    document = empty.get("/openapi.json").json()
    upload = document["paths"]["/v1/datasets/{name}/versions"]["post"]
    name = upload["parameters"][0]["schema"]["examples"][0]
    example = upload["requestBody"]["content"]["text/csv"]["example"]
    assert empty.upload(name, example).status_code == 201


def test_predictions_of_the_example_are_labels(empty: Http, digits: dict[str, str]) -> None:
    [body] = empty.get("/openapi.json").json()["components"]["schemas"]["Rows"]["examples"]
    answer = empty.post(f"/v1/jobs/{digits['job_id']}/predict", body)
    assert answer.json()["predictions"][0] in range(10)
