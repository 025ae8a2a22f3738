"""Queries: preview the rows of a dataset version that a query selects."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name, QueryText, Version
from api.resources.base import json_numbers
from api.resources.datasets import QueryResult
from core import datasets
from core.data.storage.local_copy import held
from core.data.table.query import parse
from core.data.table.reader import load
from core.data.table.row_filter import select_parts
from core.db.session import reading

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))

MAX_PREVIEW = 100


class Asked(BaseModel):
    """A query, and the number of rows to return."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "label:[0 TO 4]", "preview": 5}]}
    )

    query: QueryText = ""
    preview: Annotated[int, Field(strict=True, ge=0, le=MAX_PREVIEW)] = 10


@router.post("/{name}/versions/{version}/query", responses=problems(403, 404, 413, 415, 422))
def query_version(name: Name, version: Version, body: Asked, here: Here, _: Owner) -> QueryResult:
    """Return how many rows a query selects and the first of them, as a job would get them."""
    query = parse(body.query)
    with reading(here.engine) as session:
        digest = datasets.resolve(session, f"{name}@{version}").digest
    with held(here.cache, here.store, digest) as path:
        table = load(path)
        rows, parts = select_parts(query, table)
        preview = table.take(rows[: body.preview]).to_pylist()
        return QueryResult(
            rows=len(rows),
            of=table.num_rows,
            parts={name: len(part) for name, part in parts.items()} or None,
            preview=[json_numbers(row) for row in preview],
        )
