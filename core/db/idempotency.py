"""Idempotency keys: a repeated request with the same key returns the resource of the first one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.db.tables import IdempotencyKey
from core.db.upsert import upsert
from core.errors import FieldError, InvalidError


class Identified(Protocol):
    """A row with an id."""

    id: str


Resource = TypeVar("Resource", bound=Identified)


@dataclass(frozen=True)
class KeyedRequest:
    """A request of `owner` with the client's `key`; `request_hash` is the SHA-256 of its body."""

    owner: str
    key: str | None
    request_hash: str


def once(
    session: Session,
    request: KeyedRequest,
    make: Callable[[], Resource],
    get: Callable[[str], Resource],
) -> tuple[Resource, bool]:
    """Return the resource of `request` and whether an earlier request with the key made it.

    `make` runs only if the key is new or None, `get` loads the earlier resource by its id. If
    several transactions use one key, the later ones wait for the first. Raises InvalidError when
    the key was used for a request with another hash.
    """
    if request.key is None:
        return make(), False
    resource_id = _reserve(session, request)
    if resource_id is not None:
        return get(resource_id), True
    resource = make()
    session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.owner == request.owner, IdempotencyKey.key == request.key)
        .values(resource_id=resource.id)
    )
    return resource, False


def _reserve(session: Session, request: KeyedRequest) -> str | None:
    """Insert the key without a resource; if it exists, return the id of its resource."""
    statement = (
        upsert(session, IdempotencyKey)
        .values(
            owner=request.owner, key=request.key, request_hash=request.request_hash, resource_id=""
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if session.scalar(statement) is not None:
        return None
    row = session.get_one(IdempotencyKey, (request.owner, request.key))
    if row.request_hash != request.request_hash:
        message = "this key was used for a different request; use a new key for a new request"
        raise InvalidError(
            "the Idempotency-Key was used for another request",
            [FieldError("Idempotency-Key", message)],
        )
    return row.resource_id
