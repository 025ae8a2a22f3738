"""Download of a dataset version."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name, Version
from core import datasets
from core.data.storage.local_copy import held
from core.data.table.export import MEDIA_TYPES, FileKind, write
from core.data.table.query import MAX_CHARACTERS, parse
from core.data.table.reader import load
from core.data.table.row_filter import select
from core.db.session import reading

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))

FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the file",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in MEDIA_TYPES.values()
        },
    }
}


class Selection(BaseModel):
    """The rows and the file format to return."""

    model_config = ConfigDict(extra="forbid")

    format: FileKind = "parquet"
    query: Annotated[
        str, Field(max_length=MAX_CHARACTERS, description="query that selects and orders the rows")
    ] = ""


@router.get(
    "/{name}/versions/{version}/content",
    response_class=FileResponse,
    responses={**FILE, **problems(404, 413, 422)},
)
def read_content(
    name: Name, version: Version, selection: Annotated[Selection, Query()], here: Here, _: Owner
) -> FileResponse:
    """Return the rows of a version, or those that a query selects, as Parquet, CSV or Arrow."""
    query = parse(selection.query)
    with reading(here.engine) as session:
        digest = datasets.resolve(session, f"{name}@{version}").digest
    here.uploads.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="upload-", dir=here.uploads))
    try:
        path = folder / f"{name}-{version}.{selection.format}"
        with held(here.cache, here.store, digest) as source:
            table = load(source)
            if selection.query.strip():
                table = table.take(select(query, table))
            write(table, path, selection.format)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[selection.format],
        filename=path.name,
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
