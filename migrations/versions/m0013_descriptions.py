"""Add owners and tags of datasets and the sources of their versions."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Go one revision up."""
    owner = sa.Column("owner", sa.String(64), nullable=False, server_default="local")
    nothing = sa.text("'{}'")
    tags: sa.Column[object] = sa.Column("tags", Document(), nullable=False, server_default=nothing)
    op.add_column("datasets", owner)
    op.add_column("datasets", tags)
    op.add_column("dataset_versions", sa.Column("made_from", Document(), nullable=True))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("dataset_versions", "made_from")
    op.drop_column("datasets", "tags")
    op.drop_column("datasets", "owner")
