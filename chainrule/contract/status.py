"""The kinds of jobs, and the states of jobs, attempts and sweeps."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a worker does for a job.

    It can `train` a network, `evaluate` the model of another job on a dataset version, or `score`
    the rows of a dataset version with such a model.
    """

    TRAIN = "train"
    EVALUATE = "evaluate"
    SCORE = "score"


class JobStatus(StrEnum):
    """The state of a job: `queued -> running -> finished | failed | cancelled | pruned`.

    `paused` is a queued job that no worker claims until its owner resumes it.
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
        """Whether the state is final."""
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PRUNED})


class AttemptStatus(StrEnum):
    """The state of an attempt, one try at a job by one worker.

    `lost`: the lease ran out, the runner died, or the machine lacked something.
    `released`: the worker gave the job back on purpose (drain, pause); this is not charged.
    """

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"
    LOST = "lost"
    RELEASED = "released"


class SweepStatus(StrEnum):
    """The state of a sweep: `running -> finished | cancelled`; `paused` starts no new trials."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the state is final: no new trials start."""
        return self in (SweepStatus.FINISHED, SweepStatus.CANCELLED)
