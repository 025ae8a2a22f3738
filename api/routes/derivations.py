"""Dataset versions derived from other versions."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import anyio
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.auth import Owner
from api.context import Context, Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name, QueryText, Version
from api.resources.datasets import DatasetVersion
from api.upload.registration import NewVersion, register
from core import datasets
from core.data.prepare.preparation import ColumnName
from core.data.storage.local_copy import held
from core.data.table.query import parse
from core.db.session import reading
from core.spec.names import NAME

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))


class Derivation(BaseModel):
    """The rows and columns to keep, and the dataset that gets the new version."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "binary", "query": "label:(0 1)"}]}
    )

    name: Annotated[
        str,
        StringConstraints(max_length=128, pattern=f"^{NAME.pattern}$"),
        Field(
            description="target dataset, created if necessary; may be the source dataset",
            examples=["cats"],
        ),
    ]
    query: QueryText = ""
    columns: Annotated[
        list[ColumnName], Field(max_length=10_000, description="columns to keep; empty: all")
    ] = []


@router.post(
    "/{name}/versions/{version}/derive",
    status_code=201,
    responses=problems(403, 404, 409, 413, 415, 422),
)
async def derive_version(
    name: Name, version: Version, derivation: Derivation, here: Here, owner: Owner
) -> DatasetVersion:
    """Register the rows that a query selects as a new version, which records its source."""
    return await anyio.to_thread.run_sync(
        _derive, here, (name, version), derivation, owner, limiter=here.parsers
    )


def _derive(
    here: Context, source: tuple[str, int], derivation: Derivation, owner: str
) -> DatasetVersion:
    name, version = source
    query = parse(derivation.query)
    with reading(here.engine) as session:
        row = datasets.resolve(session, f"{name}@{version}")
        digest, options = row.digest, row.parse
    made_from = {"dataset": name, "version": version, "query": derivation.query}
    if derivation.columns:
        made_from["columns"] = derivation.columns
    here.uploads.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="upload-", dir=here.uploads))
    try:
        with held(here.cache, here.store, digest) as path:
            target = folder / "canonical.arrow"
            parsed = datasets.derive(path, query, derivation.columns, target, options)
        return register(here, NewVersion(derivation.name, owner, made_from), parsed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
