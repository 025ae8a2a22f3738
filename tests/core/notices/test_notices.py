"""Messages: added with the change they announce, signed, and repeated until delivered."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core import datasets, jobs, models, notices, sweeps
from core.data.ingest.parser import ParsedDataset
from core.db.session import reading, transaction
from core.db.tables import Delivery, Webhook
from core.errors import ConflictError, InvalidError, NotFoundError
from core.notices import outbox
from tests.support import single
from tests.support.job_cases import claimed, do, queued
from tests.support.receivers import Receiver, receiver
from tests.support.sweep_cases import rounds, schema, started


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


@pytest.fixture
def other(listening: Receiver) -> Receiver:
    """The receiver, without messages and answering 200."""
    listening.got.clear()
    listening.answers[:] = [200]
    return listening


def add(engine: Engine, url: str = "https://example.com/hook", **given: Any) -> Webhook:
    return do(engine, notices.add, url, **{"allow_private": True, **given})


def send(
    engine: Engine,
    webhook: Webhook,
    *,
    allow_private: bool = True,
    first_pause_seconds: float = 0.0,
) -> list[notices.Outcome]:
    """Send all due messages, as the scheduler does; return the outcome of each attempt."""
    outcomes = []
    while message := do(engine, notices.claim, webhook.id):
        outcome = notices.send(
            message.url,
            message.secret,
            message.message_id,
            message.body,
            allow_private=allow_private,
        )
        do(engine, notices.record, message, outcome, first_pause_seconds=first_pause_seconds)
        outcomes.append(outcome)
    return outcomes


def deliveries(engine: Engine, webhook: Webhook) -> list[Delivery]:
    with reading(engine) as session:
        return notices.deliveries(session, webhook.id)


def signature(secret: str, message: Any) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    head = message.headers
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + message.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_the_end_of_a_job_is_sent_with_a_signature(engine: Engine, other: Receiver) -> None:
    webhook = add(engine, other.url + "/hook?for=me", events=["job.finished", "job.failed"])
    job = claimed(engine)
    result = {"metrics": {"test/accuracy": 0.5, "test/loss": float("nan")}, "weights_digest": "f"}
    do(engine, single.finish, job.job_id, job.attempt, JobStatus.FINISHED, result=result)
    do(engine, single.finish, job.job_id, job.attempt, JobStatus.FINISHED, result=result)
    do(engine, jobs.cancel, queued(engine).id)
    with reading(engine) as session:
        assert notices.due(session) == [webhook.id]
    assert send(engine, webhook) == [notices.Outcome(True, 200)], "once, and not the cancelled job"
    [message] = other.got
    assert message.path == "/hook?for=me"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["webhook-signature"] == signature(webhook.secret, message)
    document = json.loads(message.body)
    assert document["type"] == "job.finished"
    assert document["timestamp"].endswith("Z")
    assert document["data"]["id"] == job.job_id
    assert document["data"]["metrics"] == {"test/accuracy": 0.5, "test/loss": "NaN"}
    [row] = deliveries(engine, webhook)
    assert (notices.state(row), row.attempts, row.status_code) == ("delivered", 1, 200)


def test_a_change_that_is_rolled_back_is_not_announced(engine: Engine) -> None:
    webhook, job = add(engine), queued(engine)

    def cancel_and_fail(session: Session) -> None:
        jobs.cancel(session, job.id)
        raise RuntimeError("no commit")

    with pytest.raises(RuntimeError, match="no commit"):
        do(engine, cancel_and_fail)
    assert deliveries(engine, webhook) == []
    do(engine, jobs.cancel, job.id)
    assert [row.event for row in deliveries(engine, webhook)] == ["job.cancelled"]


def test_members_of_a_stack_are_announced(engine: Engine) -> None:
    webhook = add(engine)
    owned = {one.job_id: one.attempt for one in (claimed(engine), claimed(engine))}
    do(engine, jobs.cancel, min(owned))
    do(engine, jobs.release_all, owned, cause={"kind": "drained"})
    assert [(row.event, row.data["id"]) for row in deliveries(engine, webhook)] == [
        ("job.cancelled", min(owned))
    ]


def test_a_lost_job_is_announced_once_it_has_failed(engine: Engine) -> None:
    webhook = add(engine)
    job = queued(engine)
    with transaction(engine) as session:
        session.execute(text("UPDATE jobs SET max_attempts = 1"))
        claim = jobs.claim(session, job.id, node="n", worker="w", lease_seconds=30)
        assert claim is not None
        single.lose(session, job.id, claim.attempt, cause={"kind": "signal", "message": "killed"})
    [row] = deliveries(engine, webhook)
    assert (row.event, row.data["cause"]["message"]) == ("job.failed", "killed")


def test_a_failed_message_is_repeated_under_one_id(engine: Engine, other: Receiver) -> None:
    webhook = add(engine, other.url)
    do(engine, notices.ping, webhook.id)
    other.answers[:] = [500, 302, 204]
    assert [outcome.status_code for outcome in send(engine, webhook)] == [500, 302, 204]
    assert len({message.headers["webhook-id"] for message in other.got}) == 1
    assert len({message.body for message in other.got}) == 1
    assert {message.path for message in other.got} == {"/"}, "a redirect is not followed"
    [row] = deliveries(engine, webhook)
    assert (notices.state(row), row.attempts) == ("delivered", 3)
    do(engine, notices.replay, webhook.id, row.id)
    assert send(engine, webhook) == [notices.Outcome(True, 204)]
    assert other.got[-1].body == other.got[0].body


def test_pauses_grow_until_a_message_is_given_up(engine: Engine, other: Receiver) -> None:
    webhook = add(engine, other.url)
    do(engine, notices.ping, webhook.id)
    other.answers[:] = [503]
    assert len(send(engine, webhook, first_pause_seconds=600)) == 1
    [row] = deliveries(engine, webhook)
    assert notices.state(row) == "waiting"
    assert row.error == "answered 503"
    assert row.next_attempt_at is not None
    assert (row.next_attempt_at - row.created_at).total_seconds() > 500
    do(engine, notices.replay, webhook.id, row.id)
    assert len(send(engine, webhook)) == outbox.MOST_ATTEMPTS
    assert notices.state(deliveries(engine, webhook)[0]) == "failed"
    do(engine, notices.ping, webhook.id)
    other.answers[:] = [410]
    assert [one.final for one in send(engine, webhook)] == [True]


def test_a_message_is_claimed_once_and_due_again_later(engine: Engine, other: Receiver) -> None:
    webhook = add(engine, other.url)
    do(engine, notices.ping, webhook.id)
    first = do(engine, notices.claim, webhook.id)
    assert first is not None
    assert webhook.secret not in repr(first)
    assert do(engine, notices.claim, webhook.id) is None
    with transaction(engine) as session:  # a minute passes
        session.execute(text("UPDATE webhook_deliveries SET next_attempt_at = 0"))
    second = do(engine, notices.claim, webhook.id)
    assert second is not None
    assert (second.attempt, second.message_id) == (2, first.message_id)
    do(engine, notices.record, first, notices.Outcome(False, 500, "answered 500"))
    assert deliveries(engine, webhook)[0].error is None, "the attempt was superseded"


def test_nothing_is_sent_to_private_addresses(engine: Engine, other: Receiver) -> None:
    port = other.server_address[1]
    with pytest.raises(InvalidError):
        add(engine, other.url, allow_private=False)
    webhook = add(engine, f"http://localhost:{port}")
    do(engine, notices.ping, webhook.id)
    [outcome] = send(engine, webhook, allow_private=False, first_pause_seconds=600)
    assert not outcome.delivered
    assert "private" in (outcome.error or "")
    assert other.got == []
    do(engine, notices.replay, webhook.id, deliveries(engine, webhook)[0].id)
    assert send(engine, webhook) == [notices.Outcome(True, 200)]
    assert other.got[0].headers["host"] == f"localhost:{port}"


def test_nothing_is_sent_to_a_private_host(
    monkeypatch: pytest.MonkeyPatch, other: Receiver
) -> None:
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    # A public name server that answers with a private address does not exist in a test.
    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    url = f"http://example.com:{other.server_address[1]}/"
    outcome = notices.send(url, secret(), "1" * 32, b"{}", allow_private=False)
    assert "private" in (outcome.error or "")
    assert other.got == []
    assert notices.send(url, secret(), "1" * 32, b"{}", allow_private=True).delivered
    assert asked == ["example.com"] * 2, "resolved once an attempt"


def secret() -> str:
    return "whsec_" + base64.b64encode(b"x" * 32).decode()


def test_an_unreachable_server_raises_nothing(engine: Engine) -> None:
    webhook = add(engine, "http://127.0.0.1:1/")
    do(engine, notices.ping, webhook.id)
    [outcome] = send(engine, webhook, first_pause_seconds=600)
    assert outcome.error == "the connection failed (ConnectError)"


def test_changes_of_data_and_models_are_announced(engine: Engine, tmp_path: Path) -> None:
    job = claimed(engine)
    result = {"model_key": "models/1", "model_digest": "0" * 64, "weights_digest": "1" * 64}
    do(engine, single.finish, job.job_id, job.attempt, JobStatus.FINISHED, result=result)
    webhook = add(engine)
    parsed = ParsedDataset(tmp_path / "x", "csv", schema(), "5" * 64, 7)
    for _ in range(2):  # the second round changes nothing
        do(engine, datasets.register, "d", parsed)
        do(engine, models.register, "m", job.job_id, owner="local")
        do(engine, models.set_alias, "m", "champion", 1, owner="local", reason="better")
    data, model, alias = reversed(deliveries(engine, webhook))
    assert [row.event for row in (data, model, alias)] == [
        "dataset.registered", "model.registered", "model.alias_moved"
    ]  # fmt: skip
    assert (data.data["name"], data.data["version"], data.data["rows"]) == ("d", 1, 1797)
    assert (model.data["name"], model.data["job_id"]) == ("m", job.job_id)
    assert (alias.data["alias"], alias.data["reason"]) == ("champion", "better")


def test_ends_of_sweeps_are_announced(engine: Engine) -> None:
    webhook = add(engine, events=["sweep.finished", "sweep.cancelled"])
    finished = started(engine, n_trials=2)
    rounds(engine, finished)
    cancelled = started(engine)
    do(engine, sweeps.cancel, cancelled)
    do(engine, sweeps.cancel, cancelled)
    second, first = deliveries(engine, webhook)
    assert (first.event, first.data["id"]) == ("sweep.finished", finished)
    assert sum(first.data["trials"].values()) == first.data["n_trials"]
    assert (second.event, second.data["id"]) == ("sweep.cancelled", cancelled)


def test_removed_and_unknown_webhooks(engine: Engine) -> None:
    webhook = add(engine)
    do(engine, notices.ping, webhook.id)
    do(engine, notices.remove, webhook.id)
    with reading(engine) as session:
        assert notices.due(session) == []
        assert session.query(Delivery).count() == 0
    for use_case in (notices.get, notices.remove, notices.ping, notices.deliveries):
        with pytest.raises(NotFoundError):
            do(engine, use_case, webhook.id)
    other = add(engine)
    with pytest.raises(NotFoundError):
        do(engine, notices.replay, other.id, 1)
    with pytest.raises(InvalidError):
        add(engine, events=["job.eaten"])


def test_the_number_of_webhooks_is_limited(engine: Engine) -> None:
    for _ in range(notices.MOST_WEBHOOKS):
        add(engine)
    with pytest.raises(ConflictError):
        add(engine)
