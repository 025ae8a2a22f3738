"""Add the cached dataset versions and the peer URL of workers."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0020"
down_revision = "0017"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("workers", sa.Column("datasets", Document(), nullable=True))
    op.add_column("workers", sa.Column("peer_url", sa.String(255), nullable=True))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("workers", "peer_url")
    op.drop_column("workers", "datasets")
