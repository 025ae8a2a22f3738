"""Add the insights of jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("jobs", sa.Column("insights", DOCUMENT, nullable=True))


def downgrade() -> None:
    """Go one revision down."""
    op.drop_column("jobs", "insights")
