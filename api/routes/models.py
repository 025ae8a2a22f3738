"""Registered models: versions, aliases, promotion, rollback and ONNX files."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, Responses, problems
from api.parameters import Alias, Name, Paging, Version, VersionNumber
from api.resources.models import AliasChange, Model, ModelVersion, Promotion
from api.resources.pages import Page, page
from core import datasets, models
from core.db.session import reading, transaction
from core.export import to_onnx

router = APIRouter(prefix="/v1/models", tags=["models"], responses=problems(*ALWAYS))

ONNX: Responses = {
    200: {"content": {"application/octet-stream": {}}, "description": "the `.onnx` file"}
}


class Registration(BaseModel):
    """The job whose model becomes a version."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"job_id": "0123456789abcdef0123456789abcdef"}]},
    )

    job_id: Annotated[str, Field(min_length=1, max_length=32)]
    description: Annotated[str, Field(max_length=4096)] = ""


class Candidate(VersionNumber):
    """A version to promote, and the condition."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"version": 1, "dataset": "digits@1", "metric": "accuracy"}]
        }
    )

    dataset: Annotated[
        str,
        Field(
            max_length=300,
            description="dataset version that both were evaluated on",
            examples=["pets@1"],
        ),
    ]
    metric: Annotated[str, Field(max_length=100, examples=["accuracy"])]
    margin: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="required improvement")
    ] = 0.0


@router.post("/{name}/versions", status_code=201, responses=problems(403, 404, 409, 413, 415, 422))
def register_model(name: Name, asked: Registration, here: Here, owner: Owner) -> ModelVersion:
    """Register the model of a finished job as the next version, unless it is one already."""
    with transaction(here.engine) as session:
        row = models.register(
            session, name, asked.job_id, owner=owner, description=asked.description
        )
        # The file may have been erased; the lock on the row keeps it from being erased now.
        here.store.size(models.file_of(row.job).key)
        return ModelVersion.of(row)


@router.get("", responses=problems(422))
def list_models(paging: Annotated[Paging, Query()], here: Here, _: Owner) -> Page[Model]:
    """List models by name."""
    with reading(here.engine) as session:
        rows = models.list_models(session, after=paging.cursor, limit=paging.limit + 1)
        return page(rows, paging.limit, Model.of, lambda row: row.model.name)


@router.get("/{name}", responses=problems(404, 422))
def read_model(name: Name, here: Here, _: Owner) -> Model:
    """Return a model with its latest version and its aliases."""
    with reading(here.engine) as session:
        return Model.of(models.summary(session, models.get_model(session, name)))


@router.get("/{name}/versions", responses=problems(404, 422))
def list_model_versions(
    name: Name, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[ModelVersion]:
    """List the versions of a model with their final metrics, newest first."""
    before = paging.number()
    with reading(here.engine) as session:
        rows = models.list_versions(session, name, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, ModelVersion.of, lambda row: row.version)


@router.get("/{name}/versions/{version}", responses=problems(404, 422))
def read_model_version(name: Name, version: Version, here: Here, _: Owner) -> ModelVersion:
    """Return a version of a model."""
    with reading(here.engine) as session:
        return ModelVersion.of(models.get_version(session, name, version))


@router.get(
    "/{name}/versions/{version}/onnx",
    response_class=Response,
    responses={**problems(404, 409, 422), **ONNX},
)
def read_onnx(name: Name, version: Version, here: Here, _: Owner) -> Response:
    """Return the model as an ONNX file, which maps raw columns to labels or numbers."""
    with reading(here.engine) as session:
        file = models.file_of(models.get_version(session, name, version).job)
    content = to_onnx(here.models.load(file)).serialized()
    return Response(content, media_type="application/octet-stream")


@router.put("/{name}/aliases/{alias}", responses=problems(403, 404, 413, 415, 422))
def set_model_alias(
    name: Name, alias: Alias, asked: VersionNumber, here: Here, owner: Owner
) -> Model:
    """Point an alias at a version."""
    with transaction(here.engine) as session:
        models.set_alias(session, name, alias, asked.version, owner=owner)
        return Model.of(models.summary(session, models.get_model(session, name)))


@router.delete("/{name}/aliases/{alias}", status_code=204, responses=problems(403, 404, 422))
def remove_model_alias(name: Name, alias: Alias, here: Here, owner: Owner) -> None:
    """Remove an alias."""
    with transaction(here.engine) as session:
        models.remove_alias(session, name, alias, owner=owner)


@router.get("/{name}/aliases/{alias}/history", responses=problems(404, 422))
def list_alias_changes(
    name: Name, alias: Alias, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[AliasChange]:
    """List the changes of an alias and their reasons, newest first."""
    before = paging.number()
    with reading(here.engine) as session:
        rows = models.changes(session, name, alias, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, AliasChange.from_row, lambda row: row.id)


@router.post("/{name}/aliases/{alias}/promote", responses=problems(403, 404, 409, 413, 415, 422))
def promote_model(
    name: Name, alias: Alias, asked: Candidate, here: Here, owner: Owner
) -> Promotion:
    """Point an alias at a version if that version is better than the current one.

    Returns 409 unless both were evaluated on the dataset version.
    """
    with transaction(here.engine) as session:
        decision = models.promote(
            session,
            name,
            alias,
            asked.version,
            dataset=datasets.resolve(session, asked.dataset),
            metric=asked.metric,
            margin=asked.margin,
            owner=owner,
        )
        return Promotion.of(decision)


@router.post("/{name}/aliases/{alias}/rollback", responses=problems(403, 404, 409, 422))
def roll_back_model(name: Name, alias: Alias, here: Here, owner: Owner) -> ModelVersion:
    """Point an alias at its previous version again."""
    with transaction(here.engine) as session:
        return ModelVersion.of(models.roll_back(session, name, alias, owner=owner))
