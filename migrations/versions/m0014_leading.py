"""Store the best trials of sweeps; index trials by status."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("sweeps", sa.Column("leading", Document(), nullable=True))
    op.create_index("ix_trials_sweep_id_status", "trials", ["sweep_id", "status"])


def downgrade() -> None:
    """Go one revision back."""
    op.drop_index("ix_trials_sweep_id_status", "trials")
    op.drop_column("sweeps", "leading")
