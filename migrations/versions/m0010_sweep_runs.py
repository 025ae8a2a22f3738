"""Mirror sweeps to MLflow: lock of the mirror, trials that have their own runs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Go one revision up."""
    zero, true = sa.text("0"), sa.true()
    for name, kind in (("mirror_failures", sa.Integer()), ("mirror_not_before", sa.BigInteger())):
        op.add_column("sweeps", sa.Column(name, kind, nullable=False, server_default=zero))
    op.add_column("trials", sa.Column("shown", sa.Boolean(), nullable=False, server_default=true))


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("trials", "shown")
    op.drop_column("sweeps", "mirror_not_before")
    op.drop_column("sweeps", "mirror_failures")
