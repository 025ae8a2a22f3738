"""Who uses a dataset version, and its end."""

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
    """The jobs that trained on a version, the models they became, and what still needs it."""
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
    reason: Annotated[str, Query(max_length=1000, description="kept with what remains")] = "",
) -> DatasetErasure:
    """Erase a version's bytes: from the store within seconds, from the machines' caches after it.

    No new job may have it; jobs and sweeps that do are let finish first. What remains is the row
    that says what there was, and which models learned from it. The file of a version that was
    registered in place stays where it is. 409 while an alias points at it.
    """
    with transaction(here.engine) as session:
        row = datasets.request_erasure(session, name, version, actor=owner, reason=reason)
        session.refresh(row)
        uses = DatasetUses.of(datasets.uses(session, name, version))
        return DatasetErasure(version=DatasetVersion.of(row), uses=uses)
