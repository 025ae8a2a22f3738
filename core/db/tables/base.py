"""Base of all tables: constraint names and column types by annotation."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, Enum, MetaData, String
from sqlalchemy.orm import DeclarativeBase, mapped_column

from core.db.clock import now
from core.db.types import Document, Timestamp

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Key = Annotated[str, mapped_column(String(32))]
"""A random identifier: 32 hexadecimal digits."""

Big = Annotated[int, mapped_column(BigInteger)]
"""An integer of 64 bits."""

Created = Annotated[datetime, mapped_column(Timestamp, default=now())]
"""The creation time of a row, by the clock of the database."""


def one_of(kind: type[StrEnum], constraint: str) -> Enum:
    """The type of a column with the values of `kind`, checked by the named constraint."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=16,
        name=constraint,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Timestamp,
        dict[str, Any]: Document,
        list[Any]: Document,
        list[str]: Document,
        dict[str, str]: Document,
    }
