"""The OpenAPI document: description, problem responses and the Problem schema."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.http.problems import MEDIA_TYPE, Problem

Responses = dict[int | str, dict[str, Any]]

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_MEANINGS = {
    400: "the request cannot be read: broken JSON, an unknown Host header",
    401: "the token is missing or wrong",
    403: "the request comes from a page of another site",
    404: "the resource does not exist",
    408: "the body arrived too slowly",
    409: "the state of the resource does not allow this",
    413: "the body is larger than allowed",
    415: "the body is not JSON",
    422: "a field is invalid; `errors` names it",
    429: "this address sent too many wrong tokens; wait as long as `Retry-After` says",
    500: "internal error",
    503: "a server that this one depends on does not answer; try again later",
}
ALWAYS = (400, 401, 429, 500, 503)
"""Statuses of the problems that every route under /v1 may return."""

DESCRIPTION = """
Submit training jobs, follow their progress and predict with the trained models.

1. `POST /v1/datasets/{name}/versions` with a file as the body
2. `POST /v1/jobs` with a JobSpec
3. `GET /v1/jobs/{id}` until its `status` is `finished`
4. `POST /v1/jobs/{id}/predict` with rows

Errors are problem documents (RFC 9457) that name the invalid fields. Lists are
`{"items": [...], "next": cursor}`.
If the server has a token, send it as `Authorization: Bearer <token>`.
"""


def problems(*statuses: int) -> Responses:
    """Document the problems that a route may return."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": _REFERENCE}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Add the Problem schema to the OpenAPI document of `app`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document
