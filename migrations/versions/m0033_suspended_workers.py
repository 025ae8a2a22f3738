"""Add the suspension of workers and the charge of attempts."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Timestamp

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("workers", sa.Column("suspended_at", Timestamp(), nullable=True))
    op.add_column("workers", sa.Column("suspended_for", sa.String(255), nullable=True))
    # Attempts that were lost before this revision were all charged.
    op.add_column(
        "attempts", sa.Column("charged", sa.Boolean(), nullable=False, server_default=sa.true())
    )


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("attempts", "charged")
    op.drop_column("workers", "suspended_for")
    op.drop_column("workers", "suspended_at")
