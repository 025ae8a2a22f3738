"""Datasets: upload a version, list and read what there is."""

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
from api.upload.registration import Wanted, admit, register_file
from core import datasets
from core.data.ingest.formats import known, typed
from core.datasets.queries import summary
from core.db.session import reading

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))


class Filters(Paging):
    """Which datasets to list."""

    tag: Tags


UNLIMITED = 2**63 - 1
"""What the general limit of bodies is lifted to: uploads have a limit of their own."""

CSV = "height,width,label\n1.5,0.4,cat\n1.7,0.3,dog\n"
BODY = {
    "requestBody": {
        "required": True,
        "description": "the file itself, plain or as gzip or Zstandard: "
        f"{', '.join(one.title for one in known())}. `Content-Type` says what it is, or the file's "
        "name in `Content-Disposition`, or else its first bytes",
        "content": {
            **{
                one.content_types[0]: {"schema": {"type": "string", "format": "binary"}}
                for one in known()
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
    """Register a file as the next version of a dataset, made when it is new.

    `curl --data-binary @digits.csv -H 'Content-Type: text/csv' .../v1/datasets/digits/versions`.
    The same content as the latest version makes no new one.
    """
    wanted = Wanted(name, owner)
    await run_in_threadpool(admit, here, wanted)
    content_type = typed(request.headers.get("content-type", ""), filename(request))
    async with received(request, here.uploads, here.settings.max_upload_bytes) as body:
        return await anyio.to_thread.run_sync(
            register_file, here, wanted, content_type, body, limiter=here.parsers
        )


@router.get("", responses=problems(422))
def list_all_datasets(filters: Annotated[Filters, Query()], here: Here, _: Owner) -> Page[Dataset]:
    """Datasets, by name."""
    with reading(here.engine) as session:
        found = datasets.list_datasets(
            session, after=filters.cursor, limit=filters.limit + 1, tags=pairs(filters.tag)
        )
        return page(found, filters.limit, Dataset.of, lambda one: one.dataset.name)


@router.get("/{name}", responses=problems(404, 422))
def read_dataset(name: Name, here: Here, _: Owner) -> Dataset:
    """A dataset: its latest version and the aliases of its versions."""
    with reading(here.engine) as session:
        return Dataset.of(summary(session, datasets.get_dataset(session, name)))


@router.get("/{name}/versions", responses=problems(404, 422))
def list_all_versions(
    name: Name, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[DatasetVersion]:
    """The versions of a dataset, newest first."""
    before = paging.number()
    with reading(here.engine) as session:
        rows = datasets.list_versions(session, name, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, DatasetVersion.of, lambda row: row.version)


@router.get("/{name}/versions/{version}", responses=problems(404, 422))
def read_version(name: Name, version: Version, here: Here, _: Owner) -> DatasetVersion:
    """One version: its digest, rows and columns."""
    with reading(here.engine) as session:
        return DatasetVersion.of(datasets.get_version(session, name, version))
