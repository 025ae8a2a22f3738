"""The server-sent events of a job."""

import json
import time
from collections.abc import AsyncIterator

from anyio import sleep, to_thread
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import TypeAdapter

from api.context import Context
from api.resources.job_history import JobEvent, LogLine, MetricPoint
from core import jobs
from core.db import tables
from core.db.session import reading
from core.errors import UnavailableError

POLL_SECONDS = 0.4
"""Interval between two queries while nothing happens."""

KEEP_ALIVE_SECONDS = 15.0

_points = TypeAdapter(list[MetricPoint])


async def read_since(here: Context, job_id: str, position: jobs.Position) -> jobs.Updates:
    """Read what happened to a job after `position`. Raises NotFoundError, UnavailableError."""

    def read() -> jobs.Updates:
        with reading(here.engine) as session:
            return jobs.updates_since(session, job_id, position)

    # Separate threads: streams must not occupy those that answer requests.
    return await to_thread.run_sync(read, limiter=here.stream_readers)


async def stream(
    here: Context, job_id: str, position: jobs.Position, first: jobs.Updates
) -> AsyncIterator[bytes]:
    """Yield events from `first` on, until the job ends or the server stops.

    The next page is read only after the client took the last one, so a slow client costs the
    memory of one page.
    """
    page = first
    sent_at = time.monotonic()
    while not here.closing.is_set():
        for update in page.items:
            yield _event(update)
            position = update.position
        if page.over:
            status = json.dumps({"status": page.status.value})
            yield format_sse_event(data_str=status, event="end", id=str(position))
            return
        if page.items:
            sent_at = time.monotonic()
        else:
            await sleep(POLL_SECONDS)
        if time.monotonic() - sent_at >= KEEP_ALIVE_SECONDS:
            yield KEEPALIVE_COMMENT
            sent_at = time.monotonic()
        try:
            page = await read_since(here, job_id, position)
        except UnavailableError:  # try again: the events remain in the database
            page = jobs.Updates([], page.status, over=False)


def _event(update: jobs.Update) -> bytes:
    match update.content:
        case tables.JobEvent():
            kind, text = "state", JobEvent.from_row(update.content).model_dump_json()
        case tables.LogLine():
            kind, text = "log", LogLine.from_row(update.content).model_dump_json()
        case points:
            shown = _points.dump_json([MetricPoint.of(point) for point in points]).decode()
            kind, text = "metrics", f'{{"points":{shown}}}'
    return format_sse_event(data_str=text, event=kind, id=str(update.position))
