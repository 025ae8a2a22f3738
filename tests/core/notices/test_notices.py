"""Messages are left by the change they tell of, sent signed, again until they arrive."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from sqlalchemy import text, update

from core import datasets, jobs, models, notices, sweeps
from core.data.ingest.parser import ParsedDataset
from core.db.session import reading, transaction
from core.db.tables import Delivery
from core.errors import ConflictError, InvalidError, NotFoundError
from core.notices import outbox
from core.status import JobStatus
from tests.support.job_cases import claimed, do, queued
from tests.support.receivers import Receiver, receiver
from tests.support.sweep_cases import rounds, schema, started


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


@pytest.fixture
def other(listening: Receiver) -> Receiver:
    """The receiver, as new."""
    listening.got.clear()
    listening.answers[:] = [200]
    return listening


def add(engine, url="https://example.com/hook", **given):
    return do(engine, notices.add, url, **{"allow_private": True, **given})


def sent(engine, webhook, *, allow_private=True, first_pause_seconds=0.0):
    """Send what is due, as a courier does; what became of each attempt."""
    outcomes = []
    while parcel := do(engine, notices.take, webhook.id):
        outcome = notices.send(
            parcel.url, parcel.secret, parcel.message_id, parcel.body, allow_private=allow_private
        )
        do(engine, notices.record, parcel, outcome, first_pause_seconds=first_pause_seconds)
        outcomes.append(outcome)
    return outcomes


def told(engine, webhook):
    with reading(engine) as session:
        return notices.deliveries(session, webhook.id)


def signature(secret, message):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    head = message.headers
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + message.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_the_end_of_a_job_is_told_signed(engine, other):
    webhook = add(engine, other.url + "/hook?for=me", events=["job.finished", "job.failed"])
    job = claimed(engine)
    result = {"metrics": {"test/accuracy": 0.5, "test/loss": float("nan")}, "weights_digest": "f"}
    do(engine, jobs.finish, job.job_id, job.attempt, JobStatus.FINISHED, result=result)
    do(engine, jobs.finish, job.job_id, job.attempt, JobStatus.FINISHED, result=result)
    do(engine, jobs.cancel, queued(engine).id)
    with reading(engine) as session:
        assert notices.due(session) == [webhook.id]
    assert sent(engine, webhook) == [notices.Outcome(True, 200)], "once, and no cancelled job"
    [message] = other.got
    assert message.path == "/hook?for=me"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["webhook-signature"] == signature(webhook.secret, message)
    document = json.loads(message.body)
    assert document["type"] == "job.finished"
    assert document["timestamp"].endswith("Z")
    assert document["data"]["id"] == job.job_id
    assert document["data"]["metrics"] == {"test/accuracy": 0.5, "test/loss": "NaN"}
    [row] = told(engine, webhook)
    assert (notices.state(row), row.attempts, row.status_code) == ("delivered", 1, 200)


def test_a_change_that_is_rolled_back_is_not_told(engine):
    webhook, job = add(engine), queued(engine)

    def cancel_and_fail(session):
        jobs.cancel(session, job.id)
        raise RuntimeError("no commit")

    with pytest.raises(RuntimeError, match="no commit"):
        do(engine, cancel_and_fail)
    assert told(engine, webhook) == []
    do(engine, jobs.cancel, job.id)
    assert [row.event for row in told(engine, webhook)] == ["job.cancelled"]


def test_members_of_a_stack_are_told(engine):
    webhook = add(engine)
    owned = {one.job_id: one.attempt for one in (claimed(engine), claimed(engine))}
    do(engine, jobs.cancel, min(owned))
    do(engine, jobs.release_all, owned, cause={"kind": "drained"})
    assert [(row.event, row.data["id"]) for row in told(engine, webhook)] == [
        ("job.cancelled", min(owned))
    ]


def test_a_lost_job_is_told_when_it_has_failed(engine):
    webhook = add(engine)
    job = queued(engine)
    with transaction(engine) as session:
        session.execute(text("UPDATE jobs SET max_attempts = 1"))
        claim = jobs.claim(session, job.id, node="n", worker="w", lease_seconds=30)
        jobs.lose(session, job.id, claim.attempt, cause={"kind": "signal", "message": "killed"})
    [row] = told(engine, webhook)
    assert (row.event, row.data["cause"]["message"]) == ("job.failed", "killed")


def test_what_fails_is_sent_again_under_one_id(engine, other):
    webhook = add(engine, other.url)
    do(engine, notices.ping, webhook.id)
    other.answers[:] = [500, 302, 204]
    assert [outcome.status_code for outcome in sent(engine, webhook)] == [500, 302, 204]
    assert len({message.headers["webhook-id"] for message in other.got}) == 1
    assert len({message.body for message in other.got}) == 1
    assert {message.path for message in other.got} == {"/"}, "a redirect is not followed"
    [row] = told(engine, webhook)
    assert (notices.state(row), row.attempts) == ("delivered", 3)
    do(engine, notices.replay, webhook.id, row.id)
    assert sent(engine, webhook) == [notices.Outcome(True, 204)]
    assert other.got[-1].body == other.got[0].body


def test_it_waits_longer_and_gives_up(engine, other):
    webhook = add(engine, other.url)
    do(engine, notices.ping, webhook.id)
    other.answers[:] = [503]
    assert len(sent(engine, webhook, first_pause_seconds=600)) == 1
    [row] = told(engine, webhook)
    assert notices.state(row) == "waiting"
    assert row.error == "answered 503"
    assert row.next_attempt_at is not None
    assert (row.next_attempt_at - row.created_at).total_seconds() > 500
    do(engine, notices.replay, webhook.id, row.id)
    assert len(sent(engine, webhook)) == outbox.MOST_ATTEMPTS
    assert notices.state(told(engine, webhook)[0]) == "failed"
    do(engine, notices.ping, webhook.id)
    other.answers[:] = [410]
    assert [one.final for one in sent(engine, webhook)] == [True]


def test_what_is_taken_is_taken_once_and_comes_back(engine, other):
    webhook = add(engine, other.url)
    do(engine, notices.ping, webhook.id)
    first = do(engine, notices.take, webhook.id)
    assert first is not None
    assert webhook.secret not in repr(first)
    assert do(engine, notices.take, webhook.id) is None
    with transaction(engine) as session:  # a minute passes, and who took it has died
        session.execute(text("UPDATE webhook_deliveries SET next_attempt_at = 0"))
    second = do(engine, notices.take, webhook.id)
    assert second is not None
    assert (second.attempt, second.message_id) == (2, first.message_id)
    do(engine, notices.record, first, notices.Outcome(False, 500, "answered 500"))
    assert told(engine, webhook)[0].error is None, "a late word of the dead counts no more"


def test_private_addresses_get_nothing(engine, other):
    port = other.server_address[1]
    with pytest.raises(InvalidError):
        add(engine, other.url, allow_private=False)
    webhook = add(engine, f"http://localhost:{port}")
    do(engine, notices.ping, webhook.id)
    [outcome] = sent(engine, webhook, allow_private=False, first_pause_seconds=600)
    assert not outcome.delivered
    assert "private" in outcome.error
    assert other.got == []
    do(engine, notices.replay, webhook.id, told(engine, webhook)[0].id)
    assert sent(engine, webhook) == [notices.Outcome(True, 200)]
    assert other.got[0].headers["host"] == f"localhost:{port}"


def test_a_name_that_leads_inside_gets_nothing(monkeypatch, other):
    asked = []

    async def getaddrinfo(host, port, **_):
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    # The one thing that cannot be real here: a public name server that answers with our address.
    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    url = f"http://example.com:{other.server_address[1]}/"
    outcome = notices.send(url, notices_secret(), "1" * 32, b"{}", allow_private=False)
    assert "private" in outcome.error
    assert other.got == []
    assert notices.send(url, notices_secret(), "1" * 32, b"{}", allow_private=True).delivered
    assert asked == ["example.com"] * 2, "asked for once an attempt"


def notices_secret():
    return "whsec_" + base64.b64encode(b"x" * 32).decode()


def test_nobody_there_is_no_error_of_ours(engine):
    webhook = add(engine, "http://127.0.0.1:1/")
    do(engine, notices.ping, webhook.id)
    [outcome] = sent(engine, webhook, first_pause_seconds=600)
    assert outcome.error == "the connection failed (ConnectError)"


def test_changes_of_data_and_models_are_told(engine, tmp_path):
    job = claimed(engine)
    result = {"model_key": "models/1", "model_digest": "0" * 64, "weights_digest": "1" * 64}
    do(engine, jobs.finish, job.job_id, job.attempt, JobStatus.FINISHED, result=result)
    webhook = add(engine)
    parsed = ParsedDataset(tmp_path / "x", "csv", schema(), "5" * 64, 7)
    for _ in range(2):  # the second time is no change
        do(engine, datasets.register, "d", parsed)
        do(engine, models.register, "m", job.job_id, owner="local")
        do(engine, models.set_alias, "m", "champion", 1, owner="local", reason="better")
    data, model, alias = reversed(told(engine, webhook))
    assert [row.event for row in (data, model, alias)] == [
        "dataset.registered", "model.registered", "model.alias_moved"
    ]  # fmt: skip
    assert (data.data["name"], data.data["version"], data.data["rows"]) == ("d", 1, 1797)
    assert (model.data["name"], model.data["job_id"]) == ("m", job.job_id)
    assert (alias.data["alias"], alias.data["reason"]) == ("champion", "better")


def test_ends_of_sweeps_are_told(engine):
    webhook = add(engine, events=["sweep.finished", "sweep.cancelled"])
    finished = started(engine, n_trials=2)
    rounds(engine, finished)
    cancelled = started(engine)
    do(engine, sweeps.cancel, cancelled)
    do(engine, sweeps.cancel, cancelled)
    second, first = told(engine, webhook)
    assert (first.event, first.data["id"]) == ("sweep.finished", finished)
    assert sum(first.data["trials"].values()) == first.data["n_trials"]
    assert (second.event, second.data["id"]) == ("sweep.cancelled", cancelled)


def test_removed_and_unknown_ones(engine):
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


def test_there_is_a_limit(engine):
    for _ in range(notices.MOST_WEBHOOKS):
        add(engine)
    with pytest.raises(ConflictError):
        add(engine)


def test_old_messages_are_forgotten(engine):
    webhook = add(engine)
    old, waiting, new = (do(engine, notices.ping, webhook.id).id for _ in range(3))
    with transaction(engine) as session:
        session.execute(update(Delivery).where(Delivery.id != new).values(created_at=long_ago()))
        session.execute(update(Delivery).where(Delivery.id != waiting).values(next_attempt_at=None))
        notices.forget(session)
    assert [row.id for row in told(engine, webhook)] == [new, waiting]
    assert old < waiting


def long_ago():
    return datetime.now(UTC) - timedelta(days=30)
