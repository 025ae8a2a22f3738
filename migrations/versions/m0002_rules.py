"""Create triggers that refuse invalid changes of jobs and their history.

The code never makes such changes. If it has an error, the data stays valid and the error is seen.
"""

from typing import NamedTuple

from alembic import op

revision = "0002"
down_revision = "0001"

ENDED = "OLD.status IN ('finished', 'failed', 'cancelled', 'pruned')"
UNOWNED = (
    "NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = NEW.job_id"
    " AND jobs.attempt = NEW.attempt AND jobs.status = 'running')"
)


class Rule(NamedTuple):
    """Refuse `when` (UPDATE or INSERT) of `table` that meets `condition`, with `message`.

    `differs` in the condition stands for the comparison that knows NULL.
    """

    name: str
    table: str
    when: str
    condition: str
    message: str


RULES = (
    Rule(
        "attempt_counts_up",
        "jobs",
        "UPDATE",
        "NEW.attempt NOT IN (OLD.attempt, OLD.attempt + 1)",
        "the attempt of a job only ever grows by one",
    ),
    Rule(
        "run_is_a_new_attempt",
        "jobs",
        "UPDATE",
        "NEW.status = 'running' AND OLD.status <> 'running' AND NEW.attempt <> OLD.attempt + 1",
        "a job runs again only as a new attempt",
    ),
    Rule(
        "end_is_final",
        "jobs",
        "UPDATE",
        f"{ENDED} AND (NEW.status differs OLD.status OR NEW.attempt differs OLD.attempt"
        " OR NEW.finished_at differs OLD.finished_at OR NEW.result differs OLD.result"
        " OR NEW.cause differs OLD.cause)",
        "a job that ended never changes",
    ),
    Rule(
        "spec_is_fixed",
        "jobs",
        "UPDATE",
        "NEW.spec differs OLD.spec OR NEW.spec_hash <> OLD.spec_hash"
        " OR NEW.dataset_version_id <> OLD.dataset_version_id",
        "the spec of a job never changes",
    ),
    Rule(
        "attempt_end_is_final",
        "attempts",
        "UPDATE",
        "OLD.status <> 'running'"
        " AND (NEW.status <> OLD.status OR NEW.ended_at differs OLD.ended_at)",
        "an attempt that ended never changes",
    ),
    Rule(
        "chunk_of_owner",
        "metric_chunks",
        "INSERT",
        UNOWNED,
        "only the running attempt writes metrics",
    ),
    Rule(
        "chunk_is_fixed",
        "metric_chunks",
        "UPDATE",
        "NEW.points <> OLD.points OR NEW.keys differs OLD.keys OR NEW.job_id <> OLD.job_id"
        " OR NEW.attempt <> OLD.attempt OR NEW.sequence <> OLD.sequence",
        "written metrics never change",
    ),
    Rule(
        "checkpoint_of_owner",
        "checkpoints",
        "INSERT",
        UNOWNED,
        "only the running attempt records checkpoints",
    ),
    Rule("event_is_fixed", "job_events", "UPDATE", "TRUE", "what happened never changes"),
)


def upgrade() -> None:
    """Go one revision up."""
    create = _on_postgresql if _dialect() == "postgresql" else _on_sqlite
    for rule in RULES:
        create(rule)


def downgrade() -> None:
    """Go one revision back."""
    for rule in RULES:
        if _dialect() == "postgresql":
            op.execute(f"DROP TRIGGER {rule.name} ON {rule.table}")
            op.execute(f"DROP FUNCTION {rule.name}()")
        else:
            op.execute(f"DROP TRIGGER {rule.name}")


def _dialect() -> str:
    return op.get_bind().dialect.name


def _on_sqlite(rule: Rule) -> None:
    condition = rule.condition.replace("differs", "IS NOT")
    op.execute(
        f"CREATE TRIGGER {rule.name} BEFORE {rule.when} ON {rule.table} WHEN {condition}"
        f" BEGIN SELECT RAISE(ABORT, '{rule.message}'); END"
    )


def _on_postgresql(rule: Rule) -> None:
    condition = rule.condition.replace("differs", "IS DISTINCT FROM")
    op.execute(
        f"CREATE FUNCTION {rule.name}() RETURNS trigger LANGUAGE plpgsql AS $rule$ BEGIN"
        f" IF {condition} THEN"
        f" RAISE EXCEPTION '{rule.message}' USING ERRCODE = 'check_violation';"
        " END IF; RETURN NEW; END $rule$"
    )
    op.execute(
        f"CREATE TRIGGER {rule.name} BEFORE {rule.when} ON {rule.table}"
        f" FOR EACH ROW EXECUTE FUNCTION {rule.name}()"
    )
