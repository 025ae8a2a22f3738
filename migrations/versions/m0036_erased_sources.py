"""Sources can be erased: the time is kept, and their texts are not."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("sources", sa.Column("erased_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("sources", "erased_at")
