"""Webhooks: asked for through REST, served by a scheduler's sender, to a real receiver."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from structlog.testing import capture_logs

from api.app import create_app
from core.data.ingest.parser import ParsedDataset
from core.settings import Settings
from tests.support.api_cases import Http, assert_problem, close
from tests.support.receivers import receiver
from worker.scheduler.webhooks import WebhookSender

HOOK = {"url": "https://example.com/hook", "events": ["job.failed"]}


@pytest.fixture
def sending(
    database_url: str, tmp_path: Path, portal: BlockingPortal, pets: ParsedDataset
) -> Iterator[tuple[Http, WebhookSender]]:
    """An app that may send to this machine, and the sender of its scheduler."""
    settings = Settings(
        database_url=database_url,
        data_dir=tmp_path / "data",
        webhooks_allow_private=True,
        webhook_retry_seconds=0.05,
    )
    app = create_app(settings)
    http = Http(app, portal)
    http.register(pets)
    sender = WebhookSender(app.state.context.engine, settings)
    yield http, sender
    sender.close()
    close(app)


def until(sender: WebhookSender, condition: Callable[[], bool]) -> None:
    """Let the sender run until the condition holds."""
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        sender.look()
        time.sleep(0.02)


def test_a_job_is_sent_and_sent_again(sending: tuple[Http, WebhookSender]) -> None:
    http, sender = sending
    with receiver() as other, capture_logs() as logged:
        other.answers[:] = [500, 200]
        made = http.post("/v1/webhooks", {"url": f"{other.url}/?token=mine"})
        assert made.status_code == 201
        hook = f"/v1/webhooks/{made.json()['id']}"
        job_id = http.submitted()["id"]
        assert http.post(f"/v1/jobs/{job_id}/cancel").status_code == 200

        def deliveries() -> Any:
            return http.get(f"{hook}/deliveries").json()["items"]

        until(sender, lambda: deliveries()[0]["state"] == "delivered")
        assert [message.headers["webhook-id"] for message in other.got] == [
            deliveries()[0]["message_id"]
        ] * 2
        assert json.loads(other.got[0].body)["data"]["id"] == job_id
        number = deliveries()[0]["id"]
        assert http.post(f"{hook}/deliveries/{number}/replay").status_code == 202
        until(sender, lambda: len(other.got) == 3 and deliveries()[0]["state"] == "delivered")
        assert http.post(f"{hook}/ping").json()["event"] == "ping"
        until(sender, lambda: len(other.got) == 4)
        secret = made.json()["secret"]
        assert secret.startswith("whsec_")
        for path in ("/v1/webhooks", hook, f"{hook}/deliveries"):
            assert secret not in http.get(path).text
        assert any(entry["reason"] == "answered 500" for entry in logged)
        assert secret not in str(logged)
        assert "token=mine" not in str(logged)
        assert http.request("DELETE", hook).status_code == 204
        assert_problem(http.get(hook), 404)


def test_one_that_hangs_holds_up_no_other(sending: tuple[Http, WebhookSender]) -> None:
    http, sender = sending
    with receiver() as slow, receiver() as quick:
        slow.open.clear()
        for other in (slow, quick):
            key = http.post("/v1/webhooks", {"url": other.url}).json()["id"]
            http.post(f"/v1/webhooks/{key}/ping")
        try:
            until(sender, lambda: len(quick.got) == 1)
            assert slow.got == []
        finally:
            slow.open.set()
        until(sender, lambda: len(slow.got) == 1)


def test_what_is_wrong_is_named(http: Http) -> None:
    assert_problem(http.post("/v1/webhooks", {**HOOK, "url": "http://10.0.0.1/"}), 422, "url")
    assert_problem(http.post("/v1/webhooks", {**HOOK, "url": "nowhere"}), 422, "url")
    assert_problem(http.post("/v1/webhooks", {**HOOK, "events": []}), 422, "events")
    assert_problem(http.post("/v1/webhooks", {**HOOK, "events": ["x"]}), 422, "events[0]")
    for path in ("/v1/webhooks/x", f"/v1/webhooks/{'0' * 32}"):
        assert_problem(http.get(path), 404)
    key = http.post("/v1/webhooks", HOOK).json()["id"]
    assert_problem(http.post(f"/v1/webhooks/{key}/deliveries/7/replay"), 404)
