"""Use cases of sweeps: start one, advance it, pause, resume and cancel it, read it.

The rows are the truth. Whoever advances a sweep has a turn; what it wants to write is refused once
somebody else had a later one. A trial is a job, and how it ends is read from its job.
"""

from core.sweeps.budget import Spent, spent
from core.sweeps.control.edits import add_points, edit, retry_failed
from core.sweeps.control.lifecycle import cancel, pause, resume
from core.sweeps.cost.estimate import Forecast, forecast
from core.sweeps.mirror_state import (
    SweepPoint,
    behind,
    complete,
    forget_sweep_run,
    forget_sweep_runs,
    of_jobs,
    record_sweep_mirrored,
    record_sweep_run,
    remirror_sweep,
    show_best,
    sweep_points,
)
from core.sweeps.queries import (
    SweepPage,
    any_runs,
    best,
    best_job,
    counts,
    get,
    list_sweeps,
    trials,
)
from core.sweeps.results import Findings, findings, register_best
from core.sweeps.snapshot import Memory
from core.sweeps.submission import start, started
from core.sweeps.trial_jobs import folds, standing
from core.sweeps.trial_scheduler import Advance, advance, unfinished

__all__ = [
    "Advance",
    "Findings",
    "Forecast",
    "Memory",
    "Spent",
    "SweepPage",
    "SweepPoint",
    "add_points",
    "advance",
    "any_runs",
    "behind",
    "best",
    "best_job",
    "cancel",
    "complete",
    "counts",
    "edit",
    "findings",
    "folds",
    "forecast",
    "forget_sweep_run",
    "forget_sweep_runs",
    "get",
    "list_sweeps",
    "of_jobs",
    "pause",
    "record_sweep_mirrored",
    "record_sweep_run",
    "register_best",
    "remirror_sweep",
    "resume",
    "retry_failed",
    "show_best",
    "spent",
    "standing",
    "start",
    "started",
    "sweep_points",
    "trials",
    "unfinished",
]
