"""Aliases: names of one's own for versions, switched at once."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from api import schemas, views
from api.auth import Owner
from api.context import Here
from api.openapi import ALWAYS, problems
from core import datasets
from core.datasets.lookup import summary
from core.datasets.names import MAX_VERSION
from core.db.session import transaction

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))

Name = Annotated[
    str,
    PathParameter(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$", examples=["pets"]),
]
Alias = Annotated[
    str,
    PathParameter(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9._\-]*$", examples=["production"]),
]


class Target(BaseModel):
    """The version that an alias points at."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(strict=True, ge=1, le=MAX_VERSION, examples=[1])]


@router.put("/{name}/aliases/{alias}", responses=problems(403, 404, 413, 415, 422))
def set_alias(name: Name, alias: Alias, target: Target, here: Here, _: Owner) -> schemas.Dataset:
    """Let `name@alias` mean a version from now on; jobs that were submitted keep theirs."""
    with transaction(here.engine) as session:
        datasets.set_alias(session, name, alias, target.version)
        session.flush()
        return views.dataset(summary(session, datasets.get_dataset(session, name)))


@router.delete("/{name}/aliases/{alias}", responses=problems(403, 404, 422))
def remove_alias(name: Name, alias: Alias, here: Here, _: Owner) -> schemas.Dataset:
    """Let `name@alias` mean nothing."""
    with transaction(here.engine) as session:
        datasets.remove_alias(session, name, alias)
        session.flush()
        return views.dataset(summary(session, datasets.get_dataset(session, name)))
