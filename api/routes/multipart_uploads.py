"""Uploads in parts, from the client or a URL: cut off anywhere, they go on where they were."""

import re
from pathlib import PurePosixPath
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from api.auth import Owner
from api.context import Context, Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Name
from api.resources.datasets import DatasetVersion, Upload
from api.upload import multipart_upload
from api.upload.registration import Wanted, admit, refer_to, register_file
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


class Announced(BaseModel):
    """The file that is going to come."""

    model_config = ConfigDict(extra="forbid")

    bytes: Annotated[int, Field(strict=True, ge=1, lt=2**53)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    filename: Annotated[str, StringConstraints(max_length=255)] = ""
    content_type: Annotated[str, StringConstraints(max_length=255)] = ""


class Import(BaseModel):
    """A file that the server itself reads."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[
        str,
        StringConstraints(max_length=origins.MAX_URL),
        Field(
            description="file, s3, gs or az; under a prefix that `CHAINRULE_DATASET_URLS` names",
            examples=["s3://bucket/folder/pets.csv"],
        ),
    ]
    content_type: Annotated[str, StringConstraints(max_length=255)] = ""
    in_place: Annotated[
        bool,
        Field(
            strict=True,
            description="leave the file where it is: workers read it there and refuse it when its "
            "content is not that of the version any more",
        ),
    ] = False


def _upload_id(
    upload_id: Annotated[str, Path(description="as the answer that began it said")],
) -> str:
    if not re.fullmatch("[0-9a-f]{32}", upload_id):
        raise NotFoundError(f"there is no upload {upload_id[:40]!r} on this server")
    return upload_id


UploadId = Annotated[str, Depends(_upload_id)]


@router.post("/{name}/uploads", responses=problems(403, 409, 413, 415, 422))
def begin_upload(name: Name, announced: Announced, here: Here, owner: Owner) -> Upload:
    """Announce a file that comes in parts; the same file again is the same upload.

    The parts must reach the same api server.
    """
    most = here.settings.max_upload_bytes
    if announced.bytes > most:
        raise TooLargeError(f"an upload may have {most:,} bytes at most")
    admit(here, Wanted(name, owner))
    about = multipart_upload.About(name=name, **announced.model_dump())
    return _seen(multipart_upload.begin(here.uploads, about))


@router.post("/{name}/imports", responses=problems(403, 404, 409, 413, 415, 422, 503))
def begin_import(name: Name, wanted: Import, here: Here, owner: Owner) -> Upload:
    """Name a file that the server reads itself; `pull` its parts, then `complete`.

    `complete` alone reads all that is missing. The same file again is the same upload, and goes on
    where it was.
    """
    admit(here, Wanted(name, owner))
    origin = _origin(here, wanted.url)
    about = multipart_upload.About(
        name=name,
        filename=PurePosixPath(origin.url).name,
        content_type=wanted.content_type,
        bytes=origin.size,
        url=origin.url,
        state=origin.state,
        in_place=wanted.in_place,
    )
    return _seen(multipart_upload.begin(here.uploads, about))


@router.get("/{name}/uploads/{upload_id}", responses=problems(404, 422))
def read_upload(name: Name, upload_id: UploadId, here: Here, _: Owner) -> Upload:
    """How much of a file is here."""
    return _seen(multipart_upload.find(here.uploads, name, upload_id))


@router.put(
    "/{name}/uploads/{upload_id}",
    max_body_size=PART_BYTES,
    openapi_extra=BODY,
    responses=problems(403, 404, 408, 409, 413, 422),
)
async def add_part(
    name: Name,
    upload_id: UploadId,
    offset: Annotated[int, Query(ge=0, lt=2**53, description="where in the file they belong")],
    request: Request,
    here: Here,
    _: Owner,
) -> Upload:
    """Send the next bytes of a file. 409 when they are not the next ones."""
    upload = await run_in_threadpool(multipart_upload.find, here.uploads, name, upload_id)
    async with upload.adding(request, offset):
        return _seen(upload)


@router.post("/{name}/uploads/{upload_id}/pull", responses=problems(403, 404, 409, 413, 422, 503))
def pull_part(name: Name, upload_id: UploadId, here: Here, _: Owner) -> Upload:
    """Let the server read the next bytes of a file whose URL it was given, 16 MiB at most."""
    upload = multipart_upload.find(here.uploads, name, upload_id)
    _pull(here, upload, PULL_BYTES)
    return _seen(upload)


@router.post(
    "/{name}/uploads/{upload_id}/complete",
    status_code=201,
    responses=problems(403, 404, 409, 413, 422, 503),
)
async def complete_upload(
    name: Name, upload_id: UploadId, here: Here, owner: Owner
) -> DatasetVersion:
    """Register the file as the next version, once all bytes are here and are those announced."""
    return await anyio.to_thread.run_sync(
        _complete, here, name, upload_id, owner, limiter=here.parsers
    )


def _complete(here: Context, name: str, upload_id: str, owner: str) -> DatasetVersion:
    upload = multipart_upload.find(here.uploads, name, upload_id)
    about = upload.about
    if about.url:
        _pull(here, upload, about.bytes)
    content_type = typed(about.content_type, about.filename)
    made_from = {"url": about.url} | ({"in_place": True} if about.in_place else {})
    wanted = Wanted(name, owner, made_from if about.url else None)
    with upload.complete() as body:
        if about.in_place:
            return refer_to(here, wanted, content_type, body, about.url)
        return register_file(here, wanted, content_type, body)


def _pull(here: Context, upload: multipart_upload.Parts, most: int) -> None:
    if not upload.about.url:
        raise ConflictError("the parts of this upload are sent, not read from a URL")
    if upload.received < upload.about.bytes:
        upload.pull(_origin(here, upload.about.url), most)


def _origin(here: Context, url: str) -> origins.Origin:
    return origins.find(url, here.dataset_urls, here.settings.max_upload_bytes)


def _seen(upload: multipart_upload.Parts) -> Upload:
    about = upload.about
    return Upload(id=about.id, name=about.name, bytes=about.bytes, received=upload.received)
