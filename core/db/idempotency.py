"""Idempotency keys: a request that comes again with its key makes nothing new."""

from sqlalchemy.orm import Session

from core.db.tables import IdempotencyKey
from core.db.upsert import upsert
from core.errors import FieldError, InvalidError


def reserve(
    session: Session, owner: str, key: str, *, request_hash: str, resource_id: str
) -> str | None:
    """Let `key` of `owner` stand for `resource_id`, which the same transaction makes.

    Returns None when the key was free, else the id that it already stands for. Of several
    transactions with one key the second waits for the first. Raises InvalidError when the key came
    with another request before (`request_hash`: SHA-256 of what was asked).
    """
    statement = (
        upsert(session, IdempotencyKey)
        .values(owner=owner, key=key, request_hash=request_hash, resource_id=resource_id)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.resource_id)
    )
    if session.scalar(statement) is not None:
        return None
    return find(session, owner, key, request_hash=request_hash)


def find(session: Session, owner: str, key: str, *, request_hash: str) -> str | None:
    """The id that `key` of `owner` stands for, None if it is free. Raises as `reserve` does."""
    row = session.get(IdempotencyKey, (owner, key))
    if row is None:
        return None
    if row.request_hash != request_hash:
        message = "this key came with another request before; use a new key for a new request"
        raise InvalidError(
            "the Idempotency-Key was used for another request",
            [FieldError("Idempotency-Key", message)],
        )
    return row.resource_id
