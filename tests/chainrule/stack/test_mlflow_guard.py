"""MLflow is reached with the token, from its own pages, and without its assistant."""

import asyncio
from typing import Any

import httpx
import pytest

from chainrule.stack.mlflow_guard import ASSISTANT, Guard, Receive, Scope, Send

TOKEN = "made for this test, and long enough"


async def mlflow(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"mlflow"})


def status(token: str = TOKEN, path: str = "/api/2.0/x", **options: Any) -> int:
    """The status of the answer to a request."""

    async def ask() -> httpx.Response:
        guard: Any = Guard(mlflow, token, ["https://mlflow.example"])
        transport = httpx.ASGITransport(guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5000") as web:
            return await web.post(path, **options)

    answer = asyncio.run(ask())
    assert (answer.text == "mlflow") == (answer.status_code == 200)
    return answer.status_code


BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Digest {TOKEN}"}, 401),
        ({"Authorization": "Basic not/base64!"}, 401),
        ({"Authorization": "Basic /w=="}, 401),
        (BEARER, 200),
    ],
)
def test_the_token_is_needed(headers: dict[str, str], expected: int) -> None:
    assert status(headers=headers) == expected
    assert status(token="", headers=headers) == 200
    assert status(path="/health", headers=headers) == 200


def test_browsers_send_it_as_the_password() -> None:
    assert status(auth=("ada", TOKEN)) == 200
    assert status(auth=(TOKEN, "ada")) == 401


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://127.0.0.1:5000", 200),
        ("https://mlflow.example", 200),
        ("http://127.0.0.1:3000", 403),
        ("http://localhost:5000", 403),
        ("https://mlflow.example.evil", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_origins_are_exact(origin: str, expected: int) -> None:
    assert status(headers={**BEARER, "Origin": origin}) == expected
    assert status(token="", headers={"Origin": origin}) == expected


@pytest.mark.parametrize("path", [ASSISTANT, f"{ASSISTANT}/chat", ASSISTANT.upper()])
def test_the_assistant_is_not_offered(path: str) -> None:
    assert status(path=path, headers=BEARER) == 404


def test_web_sockets_are_closed() -> None:
    sent: list[Scope] = []

    async def receive() -> Scope:
        return {"type": "websocket.connect"}

    async def send(message: Scope) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/x", "headers": []}
    asyncio.run(_called(Guard(mlflow, "", []), scope, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


async def _called(guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
    await guard(scope, receive, send)
