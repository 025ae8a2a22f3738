"""Sources: the code that jobs were submitted from."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.http.strict_body import Exact
from api.parameters import JobId
from api.resources.base import Read
from core import jobs
from core.db import tables
from core.db.session import reading, transaction
from core.errors import NotFoundError
from core.spec.source import MOST_BYTES, SourceSpec

router = APIRouter(prefix="/v1", tags=["sources"], responses=problems(*ALWAYS))

MAX_BODY_BYTES = 2 * MOST_BYTES + 2**18
"""JSON text is longer than the text itself: line ends and quotes are escaped."""

Digest = Annotated[str, Path(max_length=64, description="`digest` of the source")]


class OmittedFile(Read):
    """A file that is not part of a source, and the reason."""

    path: str
    reason: str


class Source(Read):
    """The code of a project when it submitted a job."""

    digest: Annotated[str, Field(description="the value for `source` in a JobSpec")]
    owner: str
    repository: str
    commit: Annotated[str, Field(description="empty if not under version control")]
    branch: str
    command: str
    dirty: Annotated[bool, Field(description="whether there were uncommitted changes")]
    diff: str
    files: dict[str, str]
    omitted: list[OmittedFile]
    created_at: datetime
    erased_at: Annotated[
        datetime | None, Field(description="when its texts were erased, if they were")
    ]


@router.post(
    "/sources",
    status_code=201,
    max_body_size=MAX_BODY_BYTES,
    responses=problems(403, 413, 415, 422),
)
def keep_source(spec: Exact[SourceSpec], here: Here, owner: Owner) -> Source:
    """Store a source so that jobs and sweeps can refer to it. Repeating it has no effect.

    Returns 422 for content that looks like a secret. A source that was erased stays erased.
    """
    with transaction(here.engine) as session:
        return _view(jobs.keep_source(session, spec, owner=owner))


@router.get("/sources/{digest}", responses=problems(404, 422))
def read_source(digest: Digest, here: Here, _: Owner) -> Source:
    """Return a source by its digest."""
    with reading(here.engine) as session:
        return _view(jobs.get_source(session, digest))


@router.delete("/sources/{digest}", status_code=204, responses=problems(403, 404, 422))
def erase_source(digest: Digest, here: Here, _: Owner) -> None:
    """Erase the texts of a source: repository, branch, command, changes and files.

    Digest and commit remain, and so do the jobs that name the source. Copies in MLflow and in
    backups are not erased.
    """
    with transaction(here.engine) as session:
        jobs.erase_source(session, digest)


@router.get("/jobs/{job_id}/source", responses=problems(404, 422))
def read_source_of_job(job_id: JobId, here: Here, _: Owner) -> Source:
    """Return the source that a job was submitted from."""
    with reading(here.engine) as session:
        row = jobs.source_of(session, jobs.get(session, job_id))
        if row is None:
            raise NotFoundError(f"job {job_id} was submitted without a source")
        return _view(row)


def _view(row: tables.Source) -> Source:
    return Source(
        **{
            name: getattr(row, name)
            for name in ("digest", "owner", "repository", "commit", "branch", "command", "dirty")
        },
        **{name: row.document[name] for name in ("diff", "files", "omitted")},
        created_at=row.created_at,
        erased_at=row.erased_at,
    )
