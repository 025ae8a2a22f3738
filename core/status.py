"""What a job asks for; the states of a job and of an attempt, and which of them are final."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a worker does for a job: `train` a network; with a model that another job trained,

    `evaluate` it on a dataset version, or `score` the rows of one.
    """

    TRAIN = "train"
    EVALUATE = "evaluate"
    SCORE = "score"


class JobStatus(StrEnum):
    """Where a job stands: `queued -> running -> finished | failed | cancelled | pruned`.

    `paused` is a queued job that waits for its owner.
    """

    QUEUED = "queued"
    PAUSED = "paused"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"

    @property
    def terminal(self) -> bool:
        """Whether nothing can change this state any more."""
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PRUNED})


class AttemptStatus(StrEnum):
    """How one try at a job by one worker stands or ended.

    `lost`: the worker stopped renewing its lease or its runner died.
    `released`: the worker gave the job back on purpose (drain, pause); it is not charged.
    """

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"
    LOST = "lost"
    RELEASED = "released"


class SweepStatus(StrEnum):
    """Where a sweep stands: `running -> finished | cancelled`; `paused` begins no new trials."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether no trial will begin any more."""
        return self in (SweepStatus.FINISHED, SweepStatus.CANCELLED)
