"""Record requests to erase dataset versions."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column(
        "dataset_versions", sa.Column("erase_requested_at", sa.BigInteger(), nullable=True)
    )
    op.add_column("dataset_versions", sa.Column("erase_cause", Document(), nullable=True))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("dataset_versions", "erase_cause")
    op.drop_column("dataset_versions", "erase_requested_at")
