"""Beyond the limit of requests a server answers 503, but health checks are served."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI

from api.http import problems
from api.http.concurrency import ConcurrencyLimit


def test_health_checks_are_served_beyond_the_limit() -> None:
    go_on = asyncio.Event()
    app = FastAPI()
    problems.install(app)

    @app.get("/slow")
    async def slow() -> str:
        await go_on.wait()
        return "done"

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    async def crowd() -> None:
        transport = httpx.ASGITransport(ConcurrencyLimit(app, 2))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            busy = [asyncio.create_task(client.get("/slow")) for _ in range(2)]
            while not all_waiting(go_on, 2):
                await asyncio.sleep(0.01)
            refused = await client.get("/slow")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert (await client.get("/healthz")).status_code == 200
            go_on.set()
            assert [(await task).status_code for task in busy] == [200, 200]
            assert (await client.get("/slow")).status_code == 200

    asyncio.run(crowd())


def all_waiting(event: asyncio.Event, count: int) -> bool:
    """Whether `count` tasks wait for an event."""
    waiters: Any = event._waiters
    return len(waiters) == count
