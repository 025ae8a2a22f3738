"""Allow the metrics of ended jobs to be simplified; other changes of metrics stay refused."""

from alembic import op

revision = "0017"
down_revision = "0016"

MOVED = (
    "NEW.keys {differs} OLD.keys OR NEW.job_id <> OLD.job_id"
    " OR NEW.attempt <> OLD.attempt OR NEW.sequence <> OLD.sequence"
)
ANY = f"NEW.points <> OLD.points OR {MOVED}"
OPEN = "SELECT 1 FROM jobs WHERE jobs.id = NEW.job_id AND jobs.finished_at IS NULL"
FEWER = f"NEW.count < OLD.count AND NOT EXISTS ({OPEN})"
NOT_FEWER = f"{MOVED} OR (NEW.points <> OLD.points AND NOT ({FEWER}))"


def upgrade() -> None:
    """Go one revision up."""
    _refuse(NOT_FEWER)


def downgrade() -> None:
    """Go one revision back."""
    _refuse(ANY)


def _refuse(changes: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        condition = changes.format(differs="IS DISTINCT FROM")
        op.execute(
            "CREATE OR REPLACE FUNCTION chunk_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $rule$"
            f" BEGIN IF {condition} THEN RAISE EXCEPTION 'written metrics never change'"
            " USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $rule$"
        )
        return
    condition = changes.format(differs="IS NOT")
    op.execute("DROP TRIGGER chunk_is_fixed")
    op.execute(
        f"CREATE TRIGGER chunk_is_fixed BEFORE UPDATE ON metric_chunks WHEN {condition}"
        " BEGIN SELECT RAISE(ABORT, 'written metrics never change'); END"
    )
