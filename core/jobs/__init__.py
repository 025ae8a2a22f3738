"""Use cases of jobs: plain functions of a session; the caller commits.

Every statement of an attempt names its number and is refused once the job has a newer one: a worker
that was frozen, cut off or believed dead cannot overwrite its successor.
"""

from core.jobs.attempt.checkpoints import forget_checkpoint, record_checkpoint, spare_checkpoints
from core.jobs.attempt.claims import (
    Claim,
    SavedCheckpoint,
    Signals,
    claim,
    claim_stack,
    renew,
    resumed,
    signals,
    stackable,
)
from core.jobs.attempt.outcome import (
    DATA_DAMAGED,
    DATA_MISSING,
    DATA_TOO_LARGE,
    OUT_OF_MEMORY,
    End,
    finish_all,
    lose_all,
    release_all,
)
from core.jobs.attempt.ownership import Owned
from core.jobs.attempt.reaper import LOST_WORKER, Reaper, reap
from core.jobs.attempt.reports import Report, write
from core.jobs.control import (
    CHANNEL,
    cancel,
    describe,
    pause,
    prune,
    resume,
    set_priority,
    stop,
)
from core.jobs.curves.metrics import History, metrics
from core.jobs.deletion import delete, erase_all, record_deletion, refuse_used
from core.jobs.dispatcher import (
    any_queued,
    dispatch,
    due,
    mark_notified,
    may_notify,
    notify_again,
    queue_depths,
)
from core.jobs.eligibility import kept_off
from core.jobs.event_stream import Position, Update, Updates, updates_since
from core.jobs.history import events
from core.jobs.inference import infer, predictions_of
from core.jobs.listing import (
    METRIC_KEY,
    MetricCondition,
    Order,
    Page,
    between,
    list_jobs,
    versions_named,
)
from core.jobs.locality import left_to_others
from core.jobs.logs import MOST_LINES, Line, log_lines, log_text
from core.jobs.mirror.run_hierarchy import (
    FOLD_TAG,
    SWEEP_TAG,
    TRIAL_TAG,
    RunPlacement,
    max_runs,
    run_placement,
    show_run,
    skip_run,
    trial_of,
)
from core.jobs.mirror.state import (
    Unmirrored,
    behind,
    deletable_runs,
    forget_deleted_run,
    forget_experiments,
    forget_run,
    forget_runs,
    mark_mirrored,
    mirror_lag,
    mirrored_experiments,
    record_experiment,
    record_mirrored,
    reserve_runs,
    unmirrored,
    unreserve_runs,
)
from core.jobs.points import PACKED, Point
from core.jobs.queries import (
    ALONE,
    attempts,
    checkpoint_bytes,
    checkpoints,
    ended_attempts,
    existing_jobs,
    get,
    status_counts,
)
from core.jobs.sources import (
    check_source,
    erase_source,
    get_source,
    keep_source,
    source_of,
    use_source,
)
from core.jobs.spec_versions import (
    UNKNOWN_SPEC,
    UnknownSpecError,
    beyond,
    completed_spec,
    decline,
    read,
)
from core.jobs.submission import refuse_flood, retry, spec_hash, submit, submit_all
