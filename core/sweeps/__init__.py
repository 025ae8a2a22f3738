"""Use cases of sweeps: start, advance, pause, resume, cancel, edit and read them.

The rows are the truth. `advance` locks a sweep; a write is refused once another process holds the
lock. A trial is a job, or one job for each fold, and its outcome is read from its jobs.
"""

from core.sweeps.budget import Spent, spent
from core.sweeps.control import add_points, cancel, edit, pause, resume, retry_failed
from core.sweeps.deletion import delete, delete_jobs, refuse_kept
from core.sweeps.forecast import Forecast, forecast
from core.sweeps.mirror_state import (
    SweepPoint,
    behind,
    complete,
    forget_sweep_runs,
    of_jobs,
    record_sweep_mirrored,
    record_sweep_run,
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
    spec_of,
    trial_counts,
    trials,
)
from core.sweeps.results import SweepResults, read_results, register_best
from core.sweeps.snapshot import SnapshotCache
from core.sweeps.submission import QueueLimits, start
from core.sweeps.trial_jobs import combined_status, folds
from core.sweeps.trial_scheduler import Advance, advance, unfinished
