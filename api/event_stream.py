"""A job as a stream of server-sent events, read as fast as its reader takes it."""

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

PAUSE_SECONDS = 0.4
"""Between two looks when nothing happens."""

KEEP_ALIVE_SECONDS = 15.0

_points = TypeAdapter(list[MetricPoint])


async def look(here: Context, job_id: str, place: jobs.Place) -> jobs.Look:
    """What happened to a job since `place`. Raises NotFoundError, UnavailableError."""

    def read() -> jobs.Look:
        with reading(here.engine) as session:
            return jobs.look(session, job_id, place)

    # Threads of their own: streams never take those that answer requests.
    return await to_thread.run_sync(read, limiter=here.stream_readers)


async def stream(
    here: Context, job_id: str, place: jobs.Place, first: jobs.Look
) -> AsyncIterator[bytes]:
    """Events from `first` on, until the job has ended or the server ends.

    The next page is read when the last one was taken: a slow reader costs memory for one page.
    """
    now = first
    spoke_at = time.monotonic()
    while not here.closing.is_set():
        for news in now.news:
            yield _event(news)
            place = news.place
        if now.over:
            status = json.dumps({"status": now.status.value})
            yield format_sse_event(data_str=status, event="end", id=str(place))
            return
        if now.news:
            spoke_at = time.monotonic()
        else:
            await sleep(PAUSE_SECONDS)
        if time.monotonic() - spoke_at >= KEEP_ALIVE_SECONDS:
            yield KEEPALIVE_COMMENT
            spoke_at = time.monotonic()
        try:
            now = await look(here, job_id, place)
        except UnavailableError:  # the database is away for a while: nothing is lost
            now = jobs.Look([], now.status, over=False)


def _event(news: jobs.News) -> bytes:
    match news.what:
        case tables.JobEvent():
            kind, text = "state", JobEvent.of(news.what).model_dump_json()
        case tables.LogLine():
            kind, text = "log", LogLine.of(news.what).model_dump_json()
        case points:
            shown = _points.dump_json([MetricPoint.of(one) for one in points]).decode()
            kind, text = "metrics", f'{{"points":{shown}}}'
    return format_sse_event(data_str=text, event=kind, id=str(news.place))
