"""Wrong tokens are counted by address, for a minute, and never against the right one for long."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from api.auth import MAX_ADDRESSES, Authentication, Guesses, Owner


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def guessed(guesses: Guesses, client: str, times: int) -> None:
    for _ in range(times):
        guesses.record(client, right=False)


def test_an_address_is_refused_until_a_minute_has_passed() -> None:
    clock = Clock()
    guesses = Guesses(3, clock)
    guessed(guesses, "192.0.2.1", 2)
    assert guesses.wait_seconds("192.0.2.1", right=False) == 0
    guessed(guesses, "192.0.2.1", 1)
    clock.now += 20
    assert guesses.wait_seconds("192.0.2.1", right=False) == 40
    assert guesses.wait_seconds("192.0.2.1", right=True) == 40
    assert guesses.wait_seconds("192.0.2.2", right=False) == 0
    clock.now += 40
    assert guesses.wait_seconds("192.0.2.1", right=False) == 0
    guessed(guesses, "192.0.2.1", 1)
    assert guesses.wait_seconds("192.0.2.1", right=False) == 0


def test_an_address_that_sent_the_right_token_keeps_its_access() -> None:
    clock = Clock()
    guesses = Guesses(3, clock)
    guesses.record("192.0.2.1", right=True)
    guessed(guesses, "192.0.2.1", 3)
    assert guesses.wait_seconds("192.0.2.1", right=True) == 0
    assert guesses.wait_seconds("192.0.2.1", right=False) == 60
    clock.now += 3600
    guessed(guesses, "192.0.2.1", 3)
    assert guesses.wait_seconds("192.0.2.1", right=True) == 60


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("", "", True),
    ],
)
def test_a_network_of_ipv6_counts_as_one(first: str, second: str, same: bool) -> None:
    guesses = Guesses(2, Clock())
    guessed(guesses, first, 2)
    assert bool(guesses.wait_seconds(second, right=False)) == same


def test_no_limit_and_few_addresses() -> None:
    free = Guesses(0, Clock())
    guessed(free, "192.0.2.1", 100)
    assert free.wait_seconds("192.0.2.1", right=False) == 0
    guesses = Guesses(1, Clock())
    for number in range(MAX_ADDRESSES + 1):
        guesses.record(f"client {number}", right=False)
    assert guesses.wait_seconds("client 0", right=False) == 0
    assert guesses.wait_seconds("client 1", right=False) == 60


def test_nobody_owns_a_request_that_needs_no_token() -> None:
    app = FastAPI(docs_url=None)

    @app.get("/docs/mine")
    @app.get("/mine")
    async def mine(owner: Owner) -> str:
        return owner

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(Authentication(app, "", Guesses(0)))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return [(await client.get(path)).status_code for path in ("/mine", "/docs/mine")]

    assert asyncio.run(statuses()) == [200, 401]
