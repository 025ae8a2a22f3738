"""Datasets and their versions: upload, list, read."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name, Paging, Tags, Version, pairs
from api.resources.datasets import Dataset, DatasetVersion
from api.resources.pages import Page, page
from api.upload.body import filename, received
from api.upload.registration import NewVersion, admit, register_file
from core import datasets
from core.data.ingest.formats import known, typed
from core.datasets.queries import summary
from core.db.session import reading

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))


class Filters(Paging):
    """Filters of the list of datasets."""

    tag: Tags


UNLIMITED = 2**63 - 1
"""Disables the general limit of request bodies: uploads have their own limit."""

CSV = "height,width,label\n1.5,0.4,cat\n1.7,0.3,dog\n"
BODY = {
    "requestBody": {
        "required": True,
        "description": "the file, uncompressed or compressed with gzip or Zstandard: "
        f"{', '.join(kind.title for kind in known())}. Format: from `Content-Type`, else "
        "from the file name in `Content-Disposition`, else from the first bytes. Parameters of "
        "`Content-Type` are parse options of CSV: `decimal`, `thousands`, `nulls`, `header` "
        '(`present`, `absent`), `text` and `delimiter`, as in `text/csv; decimal=","; nulls="?"`',
        "content": {
            **{
                kind.content_types[0]: {"schema": {"type": "string", "format": "binary"}}
                for kind in known()
            },
            "text/csv": {"schema": {"type": "string", "minLength": 1}, "example": CSV},
        },
    }
}


@router.post(
    "/{name}/versions",
    status_code=201,
    max_body_size=UNLIMITED,
    openapi_extra=BODY,
    responses=problems(403, 408, 409, 413, 422),
)
async def upload_version(name: Name, request: Request, here: Here, owner: Owner) -> DatasetVersion:
    """Register a file as the next version of a dataset, which is created if necessary.

    `curl --data-binary @digits.csv -H 'Content-Type: text/csv' .../v1/datasets/digits/versions`.
    If the content equals that of the latest version, that version is returned.
    """
    new = NewVersion(name, owner)
    await run_in_threadpool(admit, here, new)
    content_type = typed(request.headers.get("content-type", ""), filename(request))
    async with received(request, here.uploads, here.settings.max_upload_bytes) as body:
        return await anyio.to_thread.run_sync(
            register_file, here, new, content_type, body, limiter=here.parsers
        )


@router.get("", responses=problems(422))
def list_all_datasets(filters: Annotated[Filters, Query()], here: Here, _: Owner) -> Page[Dataset]:
    """List datasets by name."""
    with reading(here.engine) as session:
        rows = datasets.list_datasets(
            session, after=filters.cursor, limit=filters.limit + 1, tags=pairs(filters.tag)
        )
        return page(rows, filters.limit, Dataset.of, lambda row: row.dataset.name)


@router.get("/{name}", responses=problems(404, 422))
def read_dataset(name: Name, here: Here, _: Owner) -> Dataset:
    """Return a dataset with its latest version and its aliases."""
    with reading(here.engine) as session:
        return Dataset.of(summary(session, datasets.get_dataset(session, name)))


@router.get("/{name}/versions", responses=problems(404, 422))
def list_all_versions(
    name: Name, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[DatasetVersion]:
    """List the versions of a dataset, newest first."""
    before = paging.number()
    with reading(here.engine) as session:
        rows = datasets.list_versions(session, name, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, DatasetVersion.of, lambda row: row.version)


@router.get("/{name}/versions/{version}", responses=problems(404, 422))
def read_version(name: Name, version: Version, here: Here, _: Owner) -> DatasetVersion:
    """Return a version with its digest, number of rows and columns."""
    with reading(here.engine) as session:
        return DatasetVersion.of(datasets.get_version(session, name, version))
