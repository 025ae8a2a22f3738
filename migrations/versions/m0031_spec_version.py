"""Add the spec versions of jobs and workers."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0022"

TABLES = ("jobs", "workers")


def upgrade() -> None:
    """Go one revision up."""
    # With a default in the schema: processes of the release before write these tables meanwhile.
    for table in TABLES:
        column = sa.Column("spec_version", sa.Integer(), server_default="1", nullable=False)
        op.add_column(table, column)


def downgrade() -> None:
    """Go one revision back."""
    for table in TABLES:
        op.drop_column(table, "spec_version")
