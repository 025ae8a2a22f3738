"""The source code that jobs were submitted from."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Created


class Source(Base):
    """A SourceSpec under the digest of its content: the same source once, whoever sends it.

    `document` is read only when it is asked for; the rest is what MLflow's tags say of it.
    """

    __tablename__ = "sources"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    repository: Mapped[str] = mapped_column(String(2048))
    commit: Mapped[str] = mapped_column(String(64))
    branch: Mapped[str] = mapped_column(String(2048))
    command: Mapped[str] = mapped_column(String(2048))
    dirty: Mapped[bool]
    document: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    created_at: Mapped[Created]
