"""Descriptions and tags of datasets."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name, Text
from api.resources.datasets import Dataset
from core import datasets
from core.datasets.queries import summary
from core.db.session import transaction
from core.spec.base import TagKey

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))


class Change(BaseModel):
    """The fields to change; omitted fields stay as they are."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"description": "8 x 8 pixels", "tags": {"team": "a"}}]},
    )

    description: Text | None = None
    tags: dict[TagKey, Text | None] = Field(
        {}, max_length=64, description="tags to set; null removes a tag", examples=[{"team": "a"}]
    )


@router.patch("/{name}", responses=problems(403, 404, 413, 415, 422))
def describe_dataset(name: Name, change: Change, here: Here, _: Owner) -> Dataset:
    """Change the description or the tags of a dataset."""
    with transaction(here.engine) as session:
        row = datasets.describe(session, name, description=change.description, tags=change.tags)
        return Dataset.of(summary(session, row))
