"""Idempotency keys: what a client's key has already made."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Created


class IdempotencyKey(Base):
    """A key of an owner, the request it came with (its SHA-256) and the thing that was made."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Created]
