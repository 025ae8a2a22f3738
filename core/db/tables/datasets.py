"""Datasets, their versions and aliases."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db.tables.base import Base, Big, Created


class Dataset(Base):
    """A named sequence of versions of data."""

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str] = mapped_column(String(4096), default="")
    owner: Mapped[str] = mapped_column(String(64), default="local")
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    created_at: Mapped[Created]


class DatasetVersion(Base):
    """An immutable version of a dataset, `name@version`, identified by the digest of its content.

    `digest` is the key of the data in the store, `schema` is the DatasetSchema document, `format`
    is that of the uploaded file. `made_from` is the source version and query, or the URL; None for
    an upload. `parse` has the parse options of the file, `warnings` says what is unusual about
    columns; versions of 0.1.0 have neither. `erase_requested_at` and `erase_cause` record a request
    to erase the data, `erased_at` when the data was deleted; the row remains.
    """

    __tablename__ = "dataset_versions"
    __table_args__ = (
        Unique("dataset_id", "version"),
        Index(None, "digest"),
        CheckConstraint("version >= 1", name="version_from_one"),
        CheckConstraint("rows >= 0 AND bytes >= 0", name="sizes_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    rows: Mapped[Big]
    bytes: Mapped[Big]
    schema: Mapped[dict[str, Any]]
    format: Mapped[str] = mapped_column(String(32))
    made_from: Mapped[dict[str, Any] | None]
    parse: Mapped[dict[str, Any] | None]
    warnings: Mapped[list[Any] | None]
    created_at: Mapped[Created]
    erase_requested_at: Mapped[datetime | None]
    erase_cause: Mapped[dict[str, Any] | None]
    erased_at: Mapped[datetime | None]

    dataset: Mapped[Dataset] = relationship(lazy="joined", innerjoin=True)


class Alias(Base):
    """A name for a version of a dataset, such as `digits@production`."""

    __tablename__ = "aliases"
    __table_args__ = (
        ForeignKeyConstraint(
            ["dataset_id", "version"], ["dataset_versions.dataset_id", "dataset_versions.version"]
        ),
    )

    dataset_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    version: Mapped[int]
    created_at: Mapped[Created]
