"""Errors as problem documents (RFC 9457)."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY

from api.http.fields import Fields
from api.http.paths import field_errors
from core.errors import ChainruleError, FieldError, InvalidError, TooLargeError, UnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
_TOO_LARGE = "Content Too Large"  # the text of Starlette's body limit


class ProblemField(BaseModel):
    """One invalid field of a request."""

    path: Annotated[str, Field(examples=["network[0].units"], description="path in the request")]
    message: Annotated[str, Field(examples=["must be at least 1, not 0"])]


class Problem(BaseModel):
    """An error (RFC 9457). `errors` names the invalid fields, `id` the request in the logs."""

    type: Annotated[str, Field(examples=["urn:chainrule:problem:invalid-input"])]
    title: Annotated[str, Field(examples=["Invalid input"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[422])]
    detail: Annotated[str, Field(examples=["network[0].units: must be at least 1, not 0"])]
    errors: list[ProblemField] = []
    id: Annotated[str, Field(description="id of this request, as in the X-Request-ID header")]


def problem(
    scope: Mapping[str, Any],
    status: int,
    detail: str,
    *,
    title: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Create the response for an error of the request in `scope`."""
    title = title or _phrase(status)
    if detail == _TOO_LARGE and MAX_BODY_SIZE_SCOPE_KEY in scope:
        title = TooLargeError.title
        detail = (
            f"the body of this request may have at most {scope[MAX_BODY_SIZE_SCOPE_KEY]:,} bytes"
        )
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette names the methods of the first matching route only.
        allowed = ", ".join(scope["app"].state.methods.of(scope["path"])) or "GET"
        headers = {"Allow": allowed}
        detail = f"{scope['method']} is not allowed here; allowed: {allowed}"
    document = Problem(
        type=f"urn:chainrule:problem:{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}",
        title=title,
        status=status,
        detail=detail,
        errors=[ProblemField(path=error.path, message=error.message) for error in errors],
        id=scope.get("state", {}).get("request_id", ""),
    )
    # Escaped to ASCII: the text of a client may hold lone surrogates, which UTF-8 cannot encode.
    content = json.dumps(document.model_dump()).encode("ascii")
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Convert every exception of `app` to a problem document."""
    app.add_exception_handler(ChainruleError, _chainrule)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


async def _chainrule(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChainruleError)
    headers = {}
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = str(RETRY_SECONDS)
    return problem(
        request.scope,
        error.status,
        error.detail,
        title=error.title,
        errors=error.errors,
        headers=headers,
    )


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        reason = errors[0]["ctx"]["error"]
        detail = f"the body is not JSON: {reason} at character {errors[0]['loc'][-1]}"
        return problem(request.scope, 400, detail, title="Not JSON")
    if isinstance(error.body, bytes):
        detail = "send the body as JSON, with Content-Type: application/json"
        return problem(request.scope, 415, detail)
    fields = field_errors(errors, error.body, lambda: Fields.of(request))
    detail = "; ".join(f"{field.path}: {field.message}" if field.path else field.message
                       for field in fields)  # fmt: skip
    return problem(
        request.scope, InvalidError.status, detail, title=InvalidError.title, errors=fields
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(request.scope, error.status_code, str(error.detail), headers=error.headers or {})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
