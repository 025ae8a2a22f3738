"""Resumable uploads in parts, from the client or from a URL."""

import re
from pathlib import PurePosixPath
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from starlette.concurrency import run_in_threadpool

from api.auth import Owner
from api.context import Context, Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name
from api.resources.datasets import DatasetVersion, Upload
from api.upload import multipart_upload
from api.upload.registration import NewVersion, admit, refer_to, register_file
from core.data.ingest.formats import typed
from core.data.storage import origins
from core.errors import ConflictError, NotFoundError, TooLargeError

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problems(*ALWAYS))

PART_BYTES = 2**63 - 1
PULL_BYTES = 16 * 2**20
BODY = {
    "requestBody": {
        "required": True,
        "description": "the next bytes of the file",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


ANNOUNCED: dict[str, JsonValue] = {
    "bytes": 16,
    "sha256": "b892b7b82b5054ff8762f3393724678bdf11393d0653456b910502e5cbc40aa7",
    "filename": "pets.csv",
}
"""An example: a file of two rows, `x,label`, `1,a` and `2,b`."""


class Announced(BaseModel):
    """The file to upload."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [ANNOUNCED]})

    bytes: Annotated[int, Field(strict=True, ge=1, lt=2**53)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    filename: Annotated[str, StringConstraints(max_length=255)] = ""
    content_type: Annotated[str, StringConstraints(max_length=4096)] = ""


class Import(BaseModel):
    """A file that the server reads from a URL."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": "s3://bucket/folder/pets.csv"}]}
    )

    url: Annotated[
        str,
        StringConstraints(max_length=origins.MAX_URL),
        Field(
            description="file, s3, gs or az, under a prefix listed in `CHAINRULE_DATASET_URLS`",
            examples=["s3://bucket/folder/pets.csv"],
        ),
    ]
    content_type: Annotated[str, StringConstraints(max_length=4096)] = ""
    in_place: Annotated[
        bool,
        Field(
            strict=True,
            description="do not copy the file: workers read it from the URL, and refuse it if its "
            "content has changed",
        ),
    ] = False


def _upload_id(
    upload_id: Annotated[str, Path(description="`id` of the upload, as returned by its creation")],
) -> str:
    if not re.fullmatch("[0-9a-f]{32}", upload_id):
        raise NotFoundError(f"there is no upload {upload_id[:40]!r} on this server")
    return upload_id


UploadId = Annotated[str, Depends(_upload_id)]


@router.post("/{name}/uploads", responses=problems(403, 409, 413, 415, 422))
def begin_upload(name: Name, announced: Announced, here: Here, owner: Owner) -> Upload:
    """Start an upload in parts, or return the existing upload of the same file.

    Send all parts to the same API server.
    """
    max_bytes = here.settings.max_upload_bytes
    if announced.bytes > max_bytes:
        raise TooLargeError(f"an upload may have at most {max_bytes:,} bytes")
    admit(here, NewVersion(name, owner))
    info = multipart_upload.UploadInfo(name=name, **announced.model_dump())
    return _view(multipart_upload.begin(here.uploads, info))


@router.post("/{name}/imports", responses=problems(403, 404, 409, 413, 415, 422, 503))
def begin_import(name: Name, source: Import, here: Here, owner: Owner) -> Upload:
    """Start an upload that the server reads from a URL, or return the existing one.

    Call `pull` to read the next part. `complete` reads the remaining bytes and registers the file.
    """
    admit(here, NewVersion(name, owner))
    origin = _origin(here, source.url)
    info = multipart_upload.UploadInfo(
        name=name,
        filename=PurePosixPath(origin.url).name,
        content_type=source.content_type,
        bytes=origin.size,
        url=origin.url,
        state=origin.state,
        in_place=source.in_place,
    )
    return _view(multipart_upload.begin(here.uploads, info))


@router.get("/{name}/uploads/{upload_id}", responses=problems(404, 422))
def read_upload(name: Name, upload_id: UploadId, here: Here, _: Owner) -> Upload:
    """Return how many bytes of an upload were received."""
    return _view(multipart_upload.find(here.uploads, name, upload_id))


@router.put(
    "/{name}/uploads/{upload_id}",
    max_body_size=PART_BYTES,
    openapi_extra=BODY,
    responses=problems(403, 404, 408, 409, 413, 422),
)
async def add_part(
    name: Name,
    upload_id: UploadId,
    offset: Annotated[int, Query(ge=0, lt=2**53, description="position of the part in the file")],
    request: Request,
    here: Here,
    _: Owner,
) -> Upload:
    """Append a part to an upload. Returns 409 if `offset` is not the number of received bytes."""
    upload = await run_in_threadpool(multipart_upload.find, here.uploads, name, upload_id)
    async with upload.append(request, offset):
        return _view(upload)


@router.post("/{name}/uploads/{upload_id}/pull", responses=problems(403, 404, 409, 413, 422, 503))
def pull_part(name: Name, upload_id: UploadId, here: Here, _: Owner) -> Upload:
    """Let the server read the next part, up to 16 MiB, of an upload from a URL."""
    upload = multipart_upload.find(here.uploads, name, upload_id)
    _pull(here, upload, PULL_BYTES)
    return _view(upload)


@router.post(
    "/{name}/uploads/{upload_id}/complete",
    status_code=201,
    responses=problems(403, 404, 409, 413, 422, 503),
)
async def complete_upload(
    name: Name, upload_id: UploadId, here: Here, owner: Owner
) -> DatasetVersion:
    """Register a completely received file as the next version of the dataset."""
    return await anyio.to_thread.run_sync(
        _complete, here, name, upload_id, owner, limiter=here.parsers
    )


def _complete(here: Context, name: str, upload_id: str, owner: str) -> DatasetVersion:
    upload = multipart_upload.find(here.uploads, name, upload_id)
    info = upload.info
    if info.url:
        _pull(here, upload, info.bytes)
    content_type = typed(info.content_type, info.filename)
    made_from = {"url": info.url} | ({"in_place": True} if info.in_place else {})
    new = NewVersion(name, owner, made_from if info.url else None)
    with upload.complete() as body:
        if info.in_place:
            return refer_to(here, new, content_type, body, info.url)
        return register_file(here, new, content_type, body)


def _pull(here: Context, upload: multipart_upload.PartialFile, max_bytes: int) -> None:
    if not upload.info.url:
        raise ConflictError("this upload has no URL: send its parts")
    if upload.received < upload.info.bytes:
        upload.pull(_origin(here, upload.info.url), max_bytes)


def _origin(here: Context, url: str) -> origins.Origin:
    return origins.find(url, here.dataset_urls, here.settings.max_upload_bytes)


def _view(upload: multipart_upload.PartialFile) -> Upload:
    info = upload.info
    return Upload(id=info.id, name=info.name, bytes=info.bytes, received=upload.received)
