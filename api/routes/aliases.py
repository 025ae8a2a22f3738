"""Aliases of dataset versions."""

from fastapi import APIRouter

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Alias, Name, VersionNumber
from api.resources.datasets import Dataset
from core import datasets
from core.datasets.queries import summary
from core.db.session import transaction

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))


@router.put("/{name}/aliases/{alias}", responses=problems(403, 404, 413, 415, 422))
def set_alias(name: Name, alias: Alias, target: VersionNumber, here: Here, _: Owner) -> Dataset:
    """Point an alias at a version. Jobs that were submitted before keep their version."""
    with transaction(here.engine) as session:
        datasets.set_alias(session, name, alias, target.version)
        session.flush()
        return Dataset.of(summary(session, datasets.get_dataset(session, name)))


@router.delete("/{name}/aliases/{alias}", responses=problems(403, 404, 422))
def remove_alias(name: Name, alias: Alias, here: Here, _: Owner) -> Dataset:
    """Remove an alias."""
    with transaction(here.engine) as session:
        datasets.remove_alias(session, name, alias)
        session.flush()
        return Dataset.of(summary(session, datasets.get_dataset(session, name)))
