"""Add the points that owners add to a sweep."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("sweeps", sa.Column("added", Document(), nullable=True))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("sweeps", "added")
