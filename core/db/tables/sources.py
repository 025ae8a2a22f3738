"""The source code that jobs were submitted from."""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Created


class Source(Base):
    """A SourceSpec, stored once by the digest of its content.

    `document` is loaded only on access; the other columns are shown as tags in MLflow.
    After `erased_at` the row has only its digest and commit left, so that jobs can still name it.
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
    erased_at: Mapped[datetime | None]
