"""Registered models know which of their changes MLflow's model registry shows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from core.db.types import Timestamp

revision = "0037"
down_revision = "0036"

_NUMBERS = {"revision": "1", "mirrored_revision": "0", "mirror_failures": "0"}


def upgrade() -> None:
    """Go one revision up."""
    for name, default in _NUMBERS.items():
        op.add_column(
            "models", sa.Column(name, sa.Integer(), nullable=False, server_default=default)
        )
    free_at: sa.Column[Any] = sa.Column(
        "mirror_not_before", Timestamp(), nullable=False, server_default="0"
    )
    op.add_column("models", free_at)


def downgrade() -> None:
    """Go one revision back."""
    for name in ("mirror_not_before", *reversed(_NUMBERS)):
        op.drop_column("models", name)
