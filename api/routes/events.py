"""Events and logs of jobs, in pages or as a stream."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import WouldBlock, to_thread
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import PlainTextResponse
from fastapi.sse import EventSourceResponse

from api.auth import Owner
from api.context import Context, Here
from api.event_stream import read_since, stream
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
        "description": "a page of events, or a stream of them if `Accept` asks for it",
        "content": {
            STREAM: {
                "schema": {"type": "string"},
                "example": 'event: metrics\ndata: {"points": [...]}\nid: 3.17.5\n\n',
            }
        },
    },
    204: {"description": "resumed stream: the job has ended and all its events were sent"},
}

TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a page of lines, or all lines as text if `Accept` asks for it",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/{job_id}/events", response_model=Page[JobEvent], responses={**LIVE, **problems(404, 422)}
)
async def list_events(
    job_id: JobId,
    paging: Annotated[Paging, Query()],
    here: Here,
    _: Owner,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    last_event_id: Annotated[
        str | None, Header(description="`id` of the last event that was received")
    ] = None,
) -> Any:
    """List the state changes of a job, oldest first, with the actor and the reason.

    With `Accept: text/event-stream` the response is a stream of server-sent events until the job
    ends: `state` with an event, `metrics` with new `points`, `log` with a line and `end` with the
    final status. Reconnect with `Last-Event-ID` to continue without gaps or repetitions.
    """
    if STREAM in accept:
        return await _live(here, job_id, last_event_id)
    return await to_thread.run_sync(_pages, here, job_id, paging)


@router.get(
    "/{job_id}/logs", response_model=Page[LogLine], responses={**TEXT, **problems(404, 422)}
)
def list_log_lines(
    job_id: JobId,
    paging: Annotated[Paging, Query()],
    here: Here,
    _: Owner,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Any:
    """List the log lines of a job's attempts, oldest first.

    With `Accept: text/plain` the response is the whole log as text: time, level and message.
    """
    with reading(here.engine) as session:
        jobs.get(session, job_id)
        if "text/plain" in accept:
            return PlainTextResponse("".join(jobs.log_text(session, job_id)))
        after = paging.number(2**63 - 1) or 0
        rows = jobs.log_lines(session, job_id, after=after, limit=paging.limit + 1)
        return page(rows, paging.limit, LogLine.from_row, lambda row: row.id)


def _pages(here: Context, job_id: str, paging: Paging) -> Page[JobEvent]:
    with reading(here.engine) as session:
        jobs.get(session, job_id)
        after = paging.number(2**63 - 1) or 0
        rows = jobs.events(session, job_id, after=after, limit=paging.limit + 1)
        return page(rows, paging.limit, JobEvent.from_row, lambda row: row.id)


async def _live(here: Context, job_id: str, last_event_id: str | None) -> Response:
    try:
        position = jobs.Position.parse(last_event_id) if last_event_id else jobs.Position()
    except InvalidError as error:
        wrong = [FieldError("header.last-event-id", error.detail)]
        raise InvalidError(error.detail, wrong) from error
    # Read before the response starts, so that an error becomes a problem document.
    first = await read_since(here, job_id, position)
    if last_event_id and first.over and not first.items:
        return Response(status_code=204)
    reader = object()
    try:
        here.streams.acquire_on_behalf_of_nowait(reader)
    except WouldBlock:
        message = (
            f"all {here.streams.total_tokens:.0f} event streams are in use; read pages instead"
        )
        raise UnavailableError(message) from None

    async def events() -> AsyncIterator[bytes]:
        try:
            async for event in stream(here, job_id, position, first):
                yield event
        finally:
            here.streams.release_on_behalf_of(reader)

    return EventSourceResponse(events(), headers={"X-Accel-Buffering": "no"})
