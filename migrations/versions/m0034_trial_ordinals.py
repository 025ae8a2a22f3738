"""Trials keep the ordinal of their outcome: the step of the sweep's metrics in MLflow."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("sweeps", sa.Column("outcomes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("trials", sa.Column("ordinal", sa.Integer(), nullable=True))
    # The order in which MLflow has numbered them so far.
    op.execute(
        "UPDATE trials SET ordinal = ended.ordinal FROM"
        " (SELECT sweep_id, number, row_number() OVER"
        " (PARTITION BY sweep_id ORDER BY told_at, number) AS ordinal"
        " FROM trials WHERE told_at IS NOT NULL) AS ended"
        " WHERE trials.sweep_id = ended.sweep_id AND trials.number = ended.number"
    )
    op.execute(
        "UPDATE sweeps SET outcomes = (SELECT count(*) FROM trials"
        " WHERE trials.sweep_id = sweeps.id AND trials.told_at IS NOT NULL)"
    )


def downgrade() -> None:
    """Go one revision back."""
    op.drop_column("trials", "ordinal")
    op.drop_column("sweeps", "outcomes")
