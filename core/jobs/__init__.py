"""Use cases of jobs: plain functions of a session; the caller commits.

Every statement that lets an attempt act names its number and is refused once the job has a newer
one: a worker that was frozen, cut off or thought dead cannot write over its successor.
"""

from core.jobs.attempt.checkpoints import (
    forget_checkpoint,
    record_checkpoint,
    record_progress,
    spare_checkpoints,
)
from core.jobs.attempt.claims import Claim, Renewal, SavedCheckpoint, claim, renew, resumed, wanted
from core.jobs.attempt.outcome import (
    DATA_DAMAGED,
    DATA_MISSING,
    DATA_TOO_LARGE,
    OUT_OF_MEMORY,
    finish,
    lose,
    release,
)
from core.jobs.attempt.reaper import LOST_WORKER, Reaper, reap
from core.jobs.attempt.stack import (
    Ended,
    Written,
    claim_beside,
    finish_all,
    lose_all,
    record_all,
    release_all,
    renew_all,
    waiting_beside,
    wanted_of_all,
)
from core.jobs.control import CHANNEL, cancel, pause, prune, resume, set_priority, stop
from core.jobs.curves.metrics import History, metrics, record_metrics
from core.jobs.dispatcher import dispatch, due, mark_rung, may_ring, queue_depths, unring
from core.jobs.eligibility import kept_off
from core.jobs.event_stream import Look, News, Place, look
from core.jobs.history import events
from core.jobs.inference import infer, predictions_of
from core.jobs.locality import left_to_others
from core.jobs.logs import MOST_LINES, Line, log_lines
from core.jobs.mirror.run_hierarchy import (
    FOLD_TAG,
    SWEEP_TAG,
    TRIAL_TAG,
    Nesting,
    most_shown,
    nesting,
    pass_over,
    trial_of,
)
from core.jobs.mirror.state import (
    Unmirrored,
    begin_runs,
    behind,
    forget_experiments,
    forget_run,
    forget_runs,
    mark_mirrored,
    mirror_lag,
    record_experiment,
    record_mirrored,
    record_run,
    unbegin_runs,
    unmirrored,
)
from core.jobs.points import PACKED, Point
from core.jobs.queries import ALONE, Page, attempts, checkpoints, get, list_jobs
from core.jobs.sources import check_source, get_source, keep_source, source_of
from core.jobs.spec_versions import UNKNOWN_SPEC, UnknownSpecError, beyond, decline, read
from core.jobs.submission import retry, spec_hash, submit, submit_all, submitted

__all__ = [
    "ALONE",
    "CHANNEL",
    "DATA_DAMAGED",
    "DATA_MISSING",
    "DATA_TOO_LARGE",
    "FOLD_TAG",
    "LOST_WORKER",
    "MOST_LINES",
    "OUT_OF_MEMORY",
    "PACKED",
    "SWEEP_TAG",
    "TRIAL_TAG",
    "UNKNOWN_SPEC",
    "Claim",
    "Ended",
    "History",
    "Line",
    "Look",
    "Nesting",
    "News",
    "Page",
    "Place",
    "Point",
    "Reaper",
    "Renewal",
    "SavedCheckpoint",
    "UnknownSpecError",
    "Unmirrored",
    "Written",
    "attempts",
    "begin_runs",
    "behind",
    "beyond",
    "cancel",
    "check_source",
    "checkpoints",
    "claim",
    "claim_beside",
    "decline",
    "dispatch",
    "due",
    "events",
    "finish",
    "finish_all",
    "forget_checkpoint",
    "forget_experiments",
    "forget_run",
    "forget_runs",
    "get",
    "get_source",
    "infer",
    "keep_source",
    "kept_off",
    "left_to_others",
    "list_jobs",
    "log_lines",
    "look",
    "lose",
    "lose_all",
    "mark_mirrored",
    "mark_rung",
    "may_ring",
    "metrics",
    "mirror_lag",
    "most_shown",
    "nesting",
    "pass_over",
    "pause",
    "predictions_of",
    "prune",
    "queue_depths",
    "read",
    "reap",
    "record_all",
    "record_checkpoint",
    "record_experiment",
    "record_metrics",
    "record_mirrored",
    "record_progress",
    "record_run",
    "release",
    "release_all",
    "renew",
    "renew_all",
    "resume",
    "resumed",
    "retry",
    "set_priority",
    "source_of",
    "spare_checkpoints",
    "spec_hash",
    "stop",
    "submit",
    "submit_all",
    "submitted",
    "trial_of",
    "unbegin_runs",
    "unmirrored",
    "unring",
    "waiting_beside",
    "wanted",
    "wanted_of_all",
]
