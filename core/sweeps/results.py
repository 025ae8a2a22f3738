"""What came of a sweep: pictures, the study for Optuna, the best trial as a registered model."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import models
from core.db.tables import ModelVersion, Trial
from core.errors import ConflictError
from core.search.plots import PlotKind, album, plot
from core.search.study import Search, Tried
from core.search.study_export import export
from core.spec.sweep import SweepSpec
from core.sweeps.queries import best, get
from core.sweeps.trial_jobs import job_ids
from core.sweeps.trial_outcome import reports, tried

MOST_CURVES = 200
"""Learning curves are drawn of so many trials at most, the newest ones."""


@dataclass(frozen=True)
class Findings:
    """A search with what it has tried so far, read from the rows at one moment."""

    name: str
    search: Search
    metrics: tuple[str, ...]
    tried: tuple[Tried, ...]

    def page(self, kind: PlotKind, objective: int = 0) -> str:
        """A picture as a web page. Raises as `core.search.plots.plot` does."""
        return plot(self.search, self.tried, kind, self.metrics, objective)

    def album(self) -> str:
        """All pictures that there can be, on one web page; empty if there are none."""
        return album(self.search, self.tried, self.metrics)

    def table(self) -> str:
        """The trials as CSV: number, how each ended, its objectives and its point."""
        fields = list(dict.fromkeys(path for one in self.tried for path in one.values))
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["trial", "status", *self.metrics, *fields])
        for one in self.tried:
            objectives: list[Any] = list(one.objectives) or [""] * len(self.metrics)
            point = [one.values.get(path, "") for path in fields]
            written = [json.dumps(v) if isinstance(v, dict | list) else v for v in point]
            writer.writerow([one.number, one.outcome, *objectives, *written])
        return text.getvalue()

    def export(self, path: Path) -> None:
        """Write an Optuna storage of one study to an SQLite file."""
        export(self.search, self.tried, path, self.name)


def findings(session: Session, sweep_id: str, *, curves: bool = False) -> Findings:
    """What a sweep has tried. With `curves` also what the newest trials reported each epoch.

    Raises NotFoundError.
    """
    sweep = get(session, sweep_id)
    spec = SweepSpec.model_validate(sweep.spec)
    statement = select(Trial).where(Trial.sweep_id == sweep_id).order_by(Trial.number)
    rows = list(session.scalars(statement))
    metric = spec.objectives[0].metric
    drawn = job_ids(session, sweep, [row.number for row in rows[-MOST_CURVES:]]) if curves else {}
    return Findings(
        f"{sweep.name}-{sweep.id[:8]}",
        spec.search(sweep_id),
        tuple(objective.metric for objective in spec.objectives),
        tuple(tried(row, reports(session, drawn.get(row.number, ()), metric)) for row in rows),
    )


def register_best(
    session: Session, sweep_id: str, name: str, *, owner: str, alias: str | None = None
) -> ModelVersion:
    """Make the best trial's model the next version of `name`, and let an alias point at it.

    Raises NotFoundError, ConflictError while no trial has finished, InvalidError for a bad name.
    """
    sweep = get(session, sweep_id)
    found = best(session, sweep)
    if not found:
        raise ConflictError(f"no trial of sweep {sweep_id} has finished yet")
    if found[0].job_id is None:
        raise ConflictError(
            "a cross-validated trial has a model of each fold, none of all rows: submit the best "
            "trial's job and register its model"
        )
    description = f"trial {found[0].number} of sweep {sweep.name} ({sweep_id})"
    made = models.register(session, name, found[0].job_id, owner=owner, description=description)
    if alias is not None:
        reason = f"best of sweep {sweep_id[:8]}"
        models.set_alias(session, name, alias, made.version, owner=owner, reason=reason)
    return made
