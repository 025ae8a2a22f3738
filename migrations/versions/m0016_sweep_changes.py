"""Add the changes of sweeps."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("sweeps", sa.Column("changes", Document(), nullable=True))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("sweeps", "changes")
