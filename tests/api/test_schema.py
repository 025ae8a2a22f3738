"""The app keeps to its own OpenAPI document: examples, edges, fuzzing and chains of requests."""

import json
import os
from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import EngineFinished, FatalError, NonFatalError, ScenarioFinished

from api.app import create_app
from core.data.formats import choose
from tests.apicases import SPEC, Http, close

TOKEN = "schema-token"
EXAMPLES = int(os.environ.get("CHAINRULE_SCHEMA_EXAMPLES", "5"))
UPLOAD = "POST /v1/datasets/{name}/versions"

# Whether these accept what the schema allows depends on data that no schema knows: the datasets
# there are and their columns, what a file holds, which cursors were given out.
DEPENDENT = [
    UPLOAD,
    "POST /v1/jobs",
    "POST /v1/jobs/{job_id}/predict",
    "GET /v1/jobs",
    "GET /v1/jobs/{job_id}/events",
    "GET /v1/datasets/{name}/versions",
]


@pytest.fixture
def served(settings, portal, pets, pets_model) -> Iterator[tuple[FastAPI, str]]:
    """An app with a token, a dataset and a finished job, whose id comes with it."""
    app = create_app(settings.model_copy(update={"api_token": type(settings.api_token)(TOKEN)}))
    http = Http(app, portal, headers={"Authorization": f"Bearer {TOKEN}"})
    http.register(pets)
    http.register(pets, "digits")
    yield app, http.finished(pets_model)
    close(app)


def configuration(job_id: str, examples: int) -> SchemathesisConfig:
    """All checks and phases; the finished job where predictions are asked for."""
    dependent = {"positive_data_acceptance": {"expected-statuses": ["2xx", "4xx"]}}
    operations = [{"include-name": name, "checks": dependent} for name in DEPENDENT]
    # Each upload starts a process of its own.
    operations[0]["generation"] = {"max-examples": max(1, examples // 10)}
    operations[2]["parameters"] = {"path.job_id": job_id}
    return SchemathesisConfig.from_dict(
        {
            "headers": {"Authorization": f"Bearer {TOKEN}"},
            "seed": 7,
            # Too large (413) is a refusal as well.
            "checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}},
            "generation": {"max-examples": examples, "database": "none"},
            "phases": {"stateful": {"max-steps": 6}},
            "operations": operations,
        }
    )


def failures(schema) -> list[str]:
    """What the checks found, and errors of the run itself."""
    found, tested = [], 0
    for event in from_schema(schema).execute():
        if isinstance(event, ScenarioFinished):
            tested += len(event.recorder.cases)
            for case_id, nodes in event.recorder.checks.items():
                case = event.recorder.cases[case_id].value
                found += [
                    f"{case.method} {case.path}: {node.failure_info.failure}\n"
                    f"{node.failure_info.code_sample}"
                    for node in nodes
                    if node.failure_info is not None
                ]
        elif isinstance(event, NonFatalError | FatalError):
            found.append(str(event))
        elif isinstance(event, EngineFinished):
            break
    assert tested > 20
    return sorted(set(found))


def test_every_operation_keeps_its_word(served):
    app, job_id = served
    config = configuration(job_id, EXAMPLES)
    assert failures(schemathesis.openapi.from_asgi("/openapi.json", app, config=config)) == []


def test_the_examples_work_when_pasted(served, portal):
    app, job_id = served
    http = Http(app, portal, headers={"Authorization": f"Bearer {TOKEN}"})
    document = http.get("/openapi.json").json()
    upload = document["paths"]["/v1/datasets/{name}/versions"]["post"]["requestBody"]["content"]
    answer = http.upload("pasted", upload["text/csv"]["example"])
    assert answer.status_code == 201, answer.text
    [spec] = document["components"]["schemas"]["JobSpec"]["examples"]
    fitting = {**spec, "network": SPEC["network"], "batch_size": 8}
    assert http.post("/v1/jobs", fitting).status_code == 202
    assert http.get(f"/v1/jobs/{job_id}").status_code == 200


def test_the_document_lists_every_content_type_of_uploads(served, tmp_path):
    app, _ = served
    operation = app.openapi()["paths"]["/v1/datasets/{name}/versions"]["post"]
    file = tmp_path / "file"
    file.write_bytes(b"a,b\n1,2\n")
    for content_type in operation["requestBody"]["content"]:
        assert choose(content_type, file).content_types[0] == content_type


def test_all_errors_are_documented_as_problems(served):
    app, _ = served
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (method, path)


def test_the_document_names_no_schema_twice(served):
    app, _ = served
    text = json.dumps(app.openapi())
    assert "HTTPValidationError" not in text
    assert app.openapi()["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
