"""Idempotency keys of clients."""

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Created


class IdempotencyKey(Base):
    """A key of an owner with the SHA-256 of its request and the id of the created resource."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Created]
