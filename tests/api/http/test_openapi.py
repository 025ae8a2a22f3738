"""The app keeps to its own OpenAPI document: edges, fuzzing and chains of requests."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from pydantic import SecretStr
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import EngineFinished, FatalError, NonFatalError, ScenarioFinished

from api.app import create_app
from core.data.ingest.formats import choose
from core.data.ingest.parser import ParsedDataset
from core.settings import Settings
from tests.support.api_cases import Http, close

TOKEN = "schema-token"
EXAMPLES = int(os.environ.get("CHAINRULE_SCHEMA_EXAMPLES", "0"))
"""Set it for a thorough run: so many examples an operation, and every edge of the JobSpec."""

FILES = ("POST /v1/models/{reference}/predict/file", "POST /v1/jobs/{job_id}/predict/file")
UPLOAD = "POST /v1/datasets/{name}/versions"
PREDICT = "POST /v1/jobs/{job_id}/predict"
# The edges of a JobSpec are some 16,000 cases, more with each layer: minutes.
HOLDING_A_SPEC = ("POST /v1/jobs", "POST /v1/sweeps", "POST /v1/sweeps/forecast")

# Whether these accept what the schema allows depends on data that no schema knows: the datasets
# there are and their columns, what a file holds, which cursors were given out.
DEPENDENT = [
    UPLOAD,
    *HOLDING_A_SPEC,
    PREDICT,
    "GET /v1/jobs",
    "GET /v1/jobs/{job_id}/events",
    "GET /v1/jobs/{job_id}/logs",
    "GET /v1/datasets/{name}/versions",
    "POST /v1/datasets/{name}/versions/{version}/query",
    "GET /v1/datasets/{name}/versions/{version}/content",
    "POST /v1/datasets/{name}/versions/{version}/derive",
    "PATCH /v1/datasets/{name}",
    # Tags that the system sets are refused.
    "PATCH /v1/jobs/{job_id}",
    "POST /v1/datasets/{name}/uploads",
    "PUT /v1/datasets/{name}/uploads/{upload_id}",
    "POST /v1/datasets/{name}/uploads/{upload_id}/pull",
    "POST /v1/datasets/{name}/uploads/{upload_id}/complete",
    "POST /v1/datasets/{name}/imports",
    "PUT /v1/datasets/{name}/aliases/{alias}",
    "DELETE /v1/datasets/{name}/aliases/{alias}",
    "GET /v1/sweeps",
    "GET /v1/sweeps/{sweep_id}/trials",
    "POST /v1/models/{reference}/predict",
    "POST /v1/models/{reference}/evaluations",
    *FILES,
    "POST /v1/jobs/{job_id}/evaluations",
    "POST /v1/models/{reference}/score",
    "POST /v1/jobs/{job_id}/score",
    "POST /v1/models/{name}/versions",
    "PUT /v1/models/{name}/aliases/{alias}",
    "POST /v1/models/{name}/aliases/{alias}/promote",
    "GET /v1/models/{name}/versions",
    "GET /v1/models/{reference}/evaluations",
    "GET /v1/models/{name}/aliases/{alias}/history",
    # No schema says what looks like a secret.
    "POST /v1/sources",
    "POST /v1/webhooks",
    "GET /v1/webhooks/{webhook_id}/deliveries",
]


@pytest.fixture
def served(
    settings: Settings, portal: BlockingPortal, pets: ParsedDataset, pets_model: Path
) -> Iterator[tuple[FastAPI, str]]:
    """An app with a token, a dataset and a finished job, whose id comes with it."""
    changes = {"api_token": SecretStr(TOKEN), "token_guesses_per_minute": 0}
    app = create_app(settings.model_copy(update=changes))
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
    for one in operations:
        if one["include-name"] in (UPLOAD, *FILES):
            one["generation"] = {"max-examples": max(1, examples // 10)}
        if one["include-name"] in HOLDING_A_SPEC:
            one["phases"] = {"coverage": {"enabled": bool(EXAMPLES)}}
        if one["include-name"] == PREDICT:
            one["parameters"] = {"path.job_id": job_id}
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


def failures(schema: Any) -> list[str]:
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


@pytest.mark.timeout(3600)
def test_every_operation_keeps_its_word(served: tuple[FastAPI, str]) -> None:
    app, job_id = served
    config = configuration(job_id, EXAMPLES or 25)
    found = failures(schemathesis.openapi.from_asgi("/openapi.json", app, config=config))
    assert not found, "\n\n".join(found)


def test_links_lead_to_operations_there_are(served: tuple[FastAPI, str]) -> None:
    app, _ = served
    document = app.openapi()
    operations = {
        one["operationId"] for item in document["paths"].values() for one in item.values()
    }
    links = document["paths"]["/v1/jobs"]["post"]["responses"]["202"]["links"]
    assert {link["operationId"] for link in links.values()} <= operations


def test_the_document_lists_every_content_type_of_uploads(
    served: tuple[FastAPI, str], tmp_path: Path
) -> None:
    app, _ = served
    operation = app.openapi()["paths"]["/v1/datasets/{name}/versions"]["post"]
    file = tmp_path / "file"
    file.write_bytes(b"a,b\n1,2\n")
    for content_type in operation["requestBody"]["content"]:
        assert content_type in choose(content_type, file).content_types


def test_all_errors_are_documented_as_problems(served: tuple[FastAPI, str]) -> None:
    app, _ = served
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (method, path)


def test_the_document_names_no_schema_twice(served: tuple[FastAPI, str]) -> None:
    app, _ = served
    text = json.dumps(app.openapi())
    assert "HTTPValidationError" not in text
    assert app.openapi()["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
