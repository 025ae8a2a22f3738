"""What happens to a job: changes of its state and its log, in pages or live."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from anyio import WouldBlock, to_thread
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import PlainTextResponse
from fastapi.sse import EventSourceResponse
from sqlalchemy.orm import Session

from api.auth import Owner
from api.context import Context, Here
from api.event_stream import look, stream
from api.http.openapi import ALWAYS, problems
from api.parameters import JobId, Paging
from api.resources.job_history import JobEvent, LogLine
from api.resources.pages import Page, page
from core import jobs
from core.db.session import reading
from core.errors import FieldError, InvalidError, UnavailableError

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(*ALWAYS))

STREAM = EventSourceResponse.media_type

LIVE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a page of changes, or everything live where `Accept` asks for a stream",
        "content": {
            STREAM: {
                "schema": {"type": "string"},
                "example": 'event: metrics\ndata: {"points": [...]}\nid: 3.17.5\n\n',
            }
        },
    },
    204: {"description": "to a stream that goes on: the job has ended and all of it was told"},
}

TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a page of lines, or all of them as text where `Accept` asks for it",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/{job_id}/events",
    response_model=Page[JobEvent],
    responses={**LIVE, **problems(404, 422)},
)
async def list_events(
    job_id: JobId,
    paging: Annotated[Paging, Query()],
    here: Here,
    _: Owner,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    last_event_id: Annotated[
        str | None, Header(description="`id` of the last event that a stream told")
    ] = None,
) -> Any:
    """Everything that changed the job's state, oldest first: what, who and why.

    With `Accept: text/event-stream` the answer is a stream of server-sent events that goes on until
    the job has ended: `state` as in the pages, `metrics` with new `points`, `log` with a line,
    `end` with the last status. Connect again with `Last-Event-ID` to go on without gap or repeat.
    """
    if STREAM in accept:
        return await _live(here, job_id, last_event_id)
    return await to_thread.run_sync(_pages, here, job_id, paging)


@router.get(
    "/{job_id}/logs",
    response_model=Page[LogLine],
    responses={**TEXT, **problems(404, 422)},
)
def list_log_lines(
    job_id: JobId,
    paging: Annotated[Paging, Query()],
    here: Here,
    _: Owner,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Any:
    """What the job's attempts said for people to read, oldest first.

    With `Accept: text/plain` all of it as text, a line each: when, how grave, what.
    """
    with reading(here.engine) as session:
        jobs.get(session, job_id)
        if "text/plain" in accept:
            return PlainTextResponse("".join(_plain(session, job_id)))
        after = paging.number(2**63 - 1) or 0
        rows = jobs.log_lines(session, job_id, after=after, limit=paging.limit + 1)
        return page(rows, paging.limit, LogLine.of, lambda row: row.id)


def _plain(session: Session, job_id: str) -> Iterator[str]:
    after = 0
    while rows := jobs.log_lines(session, job_id, after=after):
        for row in rows:
            yield f"{row.at:%Y-%m-%dT%H:%M:%S.%fZ} {row.level:<7} {row.text}\n"
        after = rows[-1].id


def _pages(here: Context, job_id: str, paging: Paging) -> Page[JobEvent]:
    with reading(here.engine) as session:
        jobs.get(session, job_id)
        after = paging.number(2**63 - 1) or 0
        rows = jobs.events(session, job_id, after=after, limit=paging.limit + 1)
        return page(rows, paging.limit, JobEvent.of, lambda row: row.id)


async def _live(here: Context, job_id: str, last_event_id: str | None) -> Response:
    try:
        place = jobs.Place.parse(last_event_id) if last_event_id else jobs.Place()
    except InvalidError as error:
        where = [FieldError("header.last-event-id", error.detail)]
        raise InvalidError(error.detail, where) from error
    # The first look before the answer begins: what is wrong is then a problem, not a broken stream.
    first = await look(here, job_id, place)
    if last_event_id and first.over and not first.news:
        return Response(status_code=204)
    reader = object()
    try:
        here.streams.acquire_on_behalf_of_nowait(reader)
    except WouldBlock:
        message = f"{here.streams.total_tokens:.0f} streams are open: read the pages instead"
        raise UnavailableError(message) from None

    async def events() -> AsyncIterator[bytes]:
        try:
            async for event in stream(here, job_id, place, first):
                yield event
        finally:
            here.streams.release_on_behalf_of(reader)

    return EventSourceResponse(events(), headers={"X-Accel-Buffering": "no"})
