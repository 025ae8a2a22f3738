"""Registered models: versions, aliases, promotion and the way back, the ONNX file."""

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
    """Which job's model becomes a version."""

    model_config = ConfigDict(extra="forbid")

    job_id: Annotated[str, Field(min_length=1, max_length=32)]
    description: Annotated[str, Field(max_length=4096)] = ""


class Candidate(VersionNumber):
    """Who may take an alias, and on which condition."""

    dataset: Annotated[
        str, Field(max_length=300, description="on which both were evaluated", examples=["pets@1"])
    ]
    metric: Annotated[str, Field(max_length=100, examples=["accuracy"])]
    margin: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="how much better at least")
    ] = 0.0


@router.post("/{name}/versions", status_code=201, responses=problems(403, 404, 409, 413, 415, 422))
def register_model(name: Name, asked: Registration, here: Here, owner: Owner) -> ModelVersion:
    """Make a finished job's model the next version; the version it is, if it is one already."""
    with transaction(here.engine) as session:
        row = models.register(
            session, name, asked.job_id, owner=owner, description=asked.description
        )
        # Its bytes may have been erased; while the row is locked they are not.
        here.store.size(models.file_of(row.job).key)
        return ModelVersion.of(row)


@router.get("", responses=problems(422))
def list_models(paging: Annotated[Paging, Query()], here: Here, _: Owner) -> Page[Model]:
    """Models, by name."""
    with reading(here.engine) as session:
        found = models.list_models(session, after=paging.cursor, limit=paging.limit + 1)
        return page(found, paging.limit, Model.of, lambda one: one.model.name)


@router.get("/{name}", responses=problems(404, 422))
def read_model(name: Name, here: Here, _: Owner) -> Model:
    """A model: its latest version and where its aliases point."""
    with reading(here.engine) as session:
        return Model.of(models.summary(session, models.get_model(session, name)))


@router.get("/{name}/versions", responses=problems(404, 422))
def list_model_versions(
    name: Name, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[ModelVersion]:
    """The versions of a model with the metrics they ended with, newest first: to compare them."""
    before = paging.number()
    with reading(here.engine) as session:
        rows = models.list_versions(session, name, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, ModelVersion.of, lambda row: row.version)


@router.get("/{name}/versions/{version}", responses=problems(404, 422))
def read_model_version(name: Name, version: Version, here: Here, _: Owner) -> ModelVersion:
    """One version of a model."""
    with reading(here.engine) as session:
        return ModelVersion.of(models.get_version(session, name, version))


@router.get(
    "/{name}/versions/{version}/onnx",
    response_class=Response,
    responses={**problems(404, 409, 422), **ONNX},
)
def read_onnx(name: Name, version: Version, here: Here, _: Owner) -> Response:
    """The model as an ONNX file: raw columns go in, labels or numbers come out."""
    with reading(here.engine) as session:
        file = models.file_of(models.get_version(session, name, version).job)
    content = to_onnx(here.models.load(file)).serialized()
    return Response(content, media_type="application/octet-stream")


@router.put("/{name}/aliases/{alias}", responses=problems(403, 404, 413, 415, 422))
def set_model_alias(
    name: Name, alias: Alias, asked: VersionNumber, here: Here, owner: Owner
) -> Model:
    """Let an alias point at a version, unconditionally."""
    with transaction(here.engine) as session:
        models.set_alias(session, name, alias, asked.version, owner=owner)
        return Model.of(models.summary(session, models.get_model(session, name)))


@router.delete("/{name}/aliases/{alias}", status_code=204, responses=problems(403, 404, 422))
def remove_model_alias(name: Name, alias: Alias, here: Here, owner: Owner) -> None:
    """Let an alias point at nothing."""
    with transaction(here.engine) as session:
        models.remove_alias(session, name, alias, owner=owner)


@router.get("/{name}/aliases/{alias}/history", responses=problems(404, 422))
def list_alias_changes(
    name: Name, alias: Alias, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[AliasChange]:
    """How an alias was moved and why, newest first."""
    before = paging.number()
    with reading(here.engine) as session:
        rows = models.changes(session, name, alias, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, AliasChange.of, lambda row: row.id)


@router.post("/{name}/aliases/{alias}/promote", responses=problems(403, 404, 409, 413, 415, 422))
def promote_model(
    name: Name, alias: Alias, asked: Candidate, here: Here, owner: Owner
) -> Promotion:
    """Move an alias to a version if it is better than whom it points at now.

    Both must have been evaluated on the dataset version: 409 otherwise.
    """
    with transaction(here.engine) as session:
        found = models.promote(
            session,
            name,
            alias,
            asked.version,
            dataset=datasets.resolve(session, asked.dataset),
            metric=asked.metric,
            margin=asked.margin,
            owner=owner,
        )
        return Promotion.of(found)


@router.post("/{name}/aliases/{alias}/rollback", responses=problems(403, 404, 409, 422))
def roll_back_model(name: Name, alias: Alias, here: Here, owner: Owner) -> ModelVersion:
    """Move an alias back to the version it pointed at before."""
    with transaction(here.engine) as session:
        return ModelVersion.of(models.roll_back(session, name, alias, owner=owner))
