"""Dataset versions keep the parse options of their file, and warnings about their columns."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Go one revision up."""
    # Versions of earlier releases have neither: jobs use all their columns, as before.
    op.add_column("dataset_versions", sa.Column("parse", Document(), nullable=True))
    op.add_column("dataset_versions", sa.Column("warnings", Document(), nullable=True))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("dataset_versions", "warnings")
    op.drop_column("dataset_versions", "parse")
