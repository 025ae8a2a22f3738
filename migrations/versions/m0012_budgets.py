"""Record the running time and the epochs of sweeps."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Go one revision up."""
    for name in ("spent_ms", "epochs_told"):
        op.add_column(
            "sweeps", sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        )
    op.add_column("sweeps", sa.Column("running_since", sa.BigInteger(), nullable=True))
    op.add_column("sweeps", sa.Column("stopped_by", sa.String(length=16), nullable=True))
    op.execute("UPDATE sweeps SET running_since = created_at WHERE status = 'running'")


def downgrade() -> None:
    """Go one revision back."""
    for name in ("stopped_by", "running_since", "epochs_told", "spent_ms"):
        op.drop_column("sweeps", name)
