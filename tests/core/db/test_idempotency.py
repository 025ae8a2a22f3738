"""Idempotency keys: one resource for each key of an owner."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from core.db.idempotency import KeyedRequest, once
from core.db.session import reading, transaction
from core.db.tables import Experiment
from core.errors import InvalidError, UnavailableError


class Named:
    """A resource that is known by its name."""

    def __init__(self, name: str) -> None:
        self.id = name


def make(session: Session) -> Named:
    """Create an experiment with a random name."""
    name = uuid.uuid4().hex
    session.add(Experiment(name=name))
    session.flush()
    return Named(name)


def requested(engine: Engine, request: KeyedRequest) -> tuple[str, bool]:
    """The name of the resource of a request, and whether it existed."""
    with transaction(engine) as session:
        resource, replayed = once(session, request, partial(make, session), Named)
        return resource.id, replayed


def count(engine: Engine) -> int:
    """The number of experiments."""
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(Experiment)) or 0


def test_requests_at_the_same_time_make_one_resource(engine: Engine) -> None:
    request = KeyedRequest("ada", "k", "h")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: requested(engine, request), range(30)))
    assert len({name for name, _ in answers}) == 1
    assert [replayed for _, replayed in answers].count(False) == 1
    assert count(engine) == 1


def test_a_key_belongs_to_one_request_of_one_owner(engine: Engine) -> None:
    name, _ = requested(engine, KeyedRequest("ada", "k", "h"))
    other, replayed = requested(engine, KeyedRequest("bob", "k", "h"))
    assert (other != name, replayed) == (True, False)
    with pytest.raises(InvalidError) as caught:
        requested(engine, KeyedRequest("ada", "k", "changed"))
    assert caught.value.errors[0].path == "Idempotency-Key"
    assert requested(engine, KeyedRequest("ada", "k", "h")) == (name, True)


def test_a_failed_request_leaves_its_key_free(engine: Engine) -> None:
    request = KeyedRequest("ada", "k", "h")

    def refuse() -> Named:
        raise UnavailableError("full")

    with pytest.raises(UnavailableError), transaction(engine) as session:
        once(session, request, refuse, Named)
    name, replayed = requested(engine, request)
    assert (len(name), replayed) == (32, False)


def test_requests_without_a_key_are_all_new(engine: Engine) -> None:
    request = KeyedRequest("ada", None, "h")
    names = {requested(engine, request) for _ in range(3)}
    assert len(names) == 3
    assert {replayed for _, replayed in names} == {False}
