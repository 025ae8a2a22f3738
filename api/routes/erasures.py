"""Uses and erasure of dataset versions."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name, Version
from api.resources.datasets import DatasetErasure, DatasetUses, DatasetVersion
from core import datasets
from core.db.session import reading, transaction

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))


@router.get("/{name}/versions/{version}/uses", responses=problems(404, 422))
def read_uses(name: Name, version: Version, here: Here, _: Owner) -> DatasetUses:
    """Return the jobs and models that use a version, and what keeps it from being erased."""
    with reading(here.engine) as session:
        return DatasetUses.of(datasets.uses(session, name, version))


@router.delete(
    "/{name}/versions/{version}", status_code=202, responses=problems(403, 404, 409, 422)
)
def erase_version(
    name: Name,
    version: Version,
    here: Here,
    owner: Owner,
    reason: Annotated[
        str, Query(max_length=1000, description="recorded with the erased version")
    ] = "",
) -> DatasetErasure:
    """Erase the data of a version from the store and from the caches of all machines.

    New jobs can no longer use the version. Its data is erased once the jobs and sweeps that use it
    have ended. The record of the version and of the models trained on it remains, as does the
    original file of a version that was registered in place. Returns 409 while an alias points at
    the version.
    """
    with transaction(here.engine) as session:
        row = datasets.request_erasure(session, name, version, actor=owner, reason=reason)
        session.refresh(row)
        uses = DatasetUses.of(datasets.uses(session, name, version))
        return DatasetErasure(version=DatasetVersion.of(row), uses=uses)
