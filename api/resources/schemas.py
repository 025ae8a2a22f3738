"""What the api returns: read schemas. What it takes are the specs of core."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from core.data.table.schema import ColumnSchema, Label
from core.status import AttemptStatus, JobKind, JobStatus, SweepStatus

Item = TypeVar("Item")

Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""A metric's value; JSON has no word for the three that are not finite, so they are strings."""

Metrics = Annotated[
    dict[str, Number], Field(examples=[{"train/loss": 0.08, "valid/accuracy": 0.98}])
]


class Read(BaseModel):
    """Base of all read schemas."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Page(Read, Generic[Item]):
    """Some items of a list."""

    items: list[Item]
    next: str | None = Field(
        None, description="give it as `cursor` to get the items after these; null: there are none"
    )


class DatasetVersion(Read):
    """One immutable state of a dataset."""

    name: Annotated[str, Field(examples=["digits"])]
    version: Annotated[int, Field(ge=1, examples=[1])]
    digest: Annotated[str, Field(description="SHA-256 of the content as stored")]
    rows: Annotated[int, Field(ge=0, examples=[1797])]
    bytes: Annotated[int, Field(ge=0)]
    format: Annotated[str, Field(examples=["csv"], description="what was uploaded")]
    columns: list[ColumnSchema]
    made_from: dict[str, Any] | None = Field(
        None, description="the version and query, or the URL, it came from; null: an upload"
    )
    created_at: datetime
    erase_requested_at: datetime | None = Field(None, description="when somebody erased it")
    erase_cause: dict[str, Any] | None = Field(None, description="who erased it, and why")
    erased_at: datetime | None = Field(None, description="when its bytes were deleted")


class Upload(Read):
    """A file that comes in parts."""

    id: str
    name: Annotated[str, Field(description="the dataset it is for", examples=["digits"])]
    bytes: Annotated[int, Field(description="bytes of the whole file")]
    received: Annotated[int, Field(description="bytes that are here; the next part begins there")]


class TrainedModel(Read):
    """A registered model and the job it is of."""

    model: Annotated[str, Field(examples=["digits@3"])]
    job_id: str


class DatasetUses(Read):
    """Who uses a dataset version."""

    jobs: Annotated[dict[str, int], Field(description="jobs that have it, by status")]
    holding: Annotated[
        list[str], Field(description="jobs and sweeps that have not ended, 1,000 of each at most")
    ]
    models: Annotated[list[TrainedModel], Field(description="all that learned from it")]
    aliases: Annotated[list[str], Field(description="names that point at it")]


class DatasetErasure(Read):
    """A version that is being erased, and whom that concerns."""

    version: DatasetVersion
    uses: DatasetUses


class QueryResult(Read):
    """What a query keeps of a dataset version."""

    rows: Annotated[int, Field(ge=0, description="how many rows it keeps")]
    of: Annotated[int, Field(ge=0, description="rows of the version")]
    parts: dict[str, int] | None = Field(
        description="how many of them train, validate and test; only with `@split`"
    )
    preview: list[dict[str, Any]] = Field(description="the first of the rows it keeps")


class Dataset(Read):
    """A name under which versions of data are kept."""

    name: Annotated[str, Field(examples=["digits"])]
    description: str
    tags: Annotated[dict[str, str], Field(examples=[{"team": "a"}])]
    owner: Annotated[str, Field(description="who made it")]
    latest_version: int | None = Field(None, description="what its name alone refers to")
    rows: int | None = Field(None, description="rows of the latest version")
    bytes: int | None = Field(None, description="bytes of the latest version")
    aliases: Annotated[dict[str, int], Field(description="versions by names of their own")]
    created_at: datetime


class Experiment(Read):
    """A named group of jobs; it exists from the first job that names it."""

    name: Annotated[str, Field(examples=["digits"])]
    created_at: datetime
    mlflow_experiment_id: str | None = None
    mlflow_url: str | None = None


class Attempt(Read):
    """One try at a job by one worker."""

    number: Annotated[int, Field(ge=1)]
    node: Annotated[str, Field(description="the machine")]
    worker: str
    status: AttemptStatus
    started_at: datetime
    ended_at: datetime | None = None
    cause: dict[str, Any] | None = Field(None, description="why it ended unhappily")
    charged: bool = Field(True, description="whether its loss counts against `max_attempts`")
    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    resumed_from_step: int = Field(0, description="step of the checkpoint it started from")
    versions: dict[str, Any] | None = None


class Confusion(Read):
    """How often rows of each class got each answer."""

    labels: list[Any]
    counts: Annotated[list[list[int]], Field(description="by true class, then by answer")]


class JobSummary(Read):
    """A job as lists show it."""

    id: str
    kind: JobKind = Field(description="train a network, evaluate a model, or score rows with it")
    model_job_id: str | None = Field(
        None, description="the job whose model is used, where none is trained"
    )
    status: JobStatus
    experiment: str
    name: str | None = None
    dataset: Annotated[str, Field(examples=["digits@1"])]
    device: Annotated[str, Field(examples=["cpu"])]
    priority: int
    tags: dict[str, str]
    owner: str
    retry_of: str | None = Field(None, description="the job that this one tries again")
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    epochs: int = Field(0, ge=0, description="passes over the training rows so far")
    epochs_total: int | None = Field(None, description="passes asked for")
    step: int = Field(
        0, ge=0, description="optimizer updates so far; stretches of rows where a model is used"
    )
    steps_total: int | None = None
    rows: int | None = Field(None, description="rows that a model that is used has passed so far")
    rows_total: int | None = Field(None, description="rows that it is to pass")
    weights: int | None = Field(None, description="how many numbers the network learns")
    last_metrics: Metrics = {}
    best_metrics: Metrics = {}
    weights_digest: str | None = Field(
        None, description="SHA-256 of the weights of the finished network"
    )
    predictions_digest: str | None = Field(None, description="SHA-256 of the file of a scoring job")
    reason: str | None = Field(None, description="why training stopped: epochs, patience, ...")
    cause: dict[str, Any] | None = Field(None, description="why the job failed")
    cancel_requested_at: datetime | None = None
    pause_requested_at: datetime | None = None
    attempt: int = Field(0, ge=0, description="attempts so far")
    mlflow_run_id: str | None = None
    mlflow_url: str | None = Field(None, description="page of the run in MLflow")


class Job(JobSummary):
    """A job: what was asked for and how far it has come."""

    spec: dict[str, Any] = Field(description="what was asked for, with all defaults filled in")
    spec_version: int = Field(1, description="the spec version that a worker must know to take it")
    waits_for: str | None = Field(
        None, description="what must come before any worker can take it; null: nothing special"
    )
    attempts: list[Attempt] = []


class MetricPoint(Read):
    """The value of one metric at one step."""

    key: Annotated[str, Field(examples=["train/loss"])]
    step: int
    epoch: int
    value: Number
    at: datetime


class MetricPage(Read):
    """Metric points, and from where to go on."""

    items: list[MetricPoint]
    next: str | None = Field(
        None, description="give it as `cursor` for what comes later; null: the job has ended"
    )


class JobEvent(Read):
    """One change of a job: what happened, who did it and why."""

    id: int
    at: datetime
    kind: Annotated[str, Field(examples=["submitted"])]
    status: JobStatus
    attempt: int
    actor: Annotated[str, Field(examples=["client:local"])]
    reason: dict[str, Any] | None = None


class LogLine(Read):
    """Something an attempt said for people to read."""

    id: int
    at: datetime
    attempt: int
    level: Literal["info", "warning", "error"]
    text: Annotated[str, Field(examples=["the dataset was in this node's cache"])]


class TrialFold(Read):
    """One job of a cross-validated trial."""

    fold: Annotated[int, Field(ge=0, description="the fold that validates in it")]
    job_id: str
    status: Annotated[str, Field(examples=["finished"])]
    epochs: Annotated[int, Field(ge=0)]
    last_metrics: Metrics = {}


class Trial(Read):
    """One point of a sweep; a job tries it, or one for each fold of a cross-validation."""

    number: Annotated[int, Field(ge=0)]
    status: Annotated[str, Field(examples=["finished"], description="its job's while that lasts")]
    job_id: str | None = Field(
        None, description="null: no job can have these values, or there is one of each fold"
    )
    folds: list[TrialFold] = Field([], description="the jobs of a cross-validated trial")
    point: dict[str, Any] = Field(description="the searched fields and their values")
    objectives: list[Number] | None = Field(
        None, description="what came of it, one an objective; the means over the folds"
    )
    deviations: list[Number] | None = Field(
        None, description="the standard deviations of the folds about these means"
    )
    epochs: int = Field(0, ge=0, description="trained so far, in every fold")
    last_metrics: Metrics = {}
    cause: dict[str, Any] | None = Field(None, description="why it failed")
    created_at: datetime
    ended_at: datetime | None = None


class Spent(Read):
    """What a sweep has spent so far; its spec's `budget` says how much it may."""

    seconds: Annotated[float, Field(description="time it has been running, pauses left out")]
    epochs: Annotated[int, Field(description="epochs its trials trained")]


class Sweep(Read):
    """A search over hyperparameters and how far it has come."""

    id: str
    name: str
    status: SweepStatus
    n_trials: Annotated[int, Field(description="trials it has in the end")]
    max_parallel: int
    trials: dict[str, int] = Field(description="trials begun so far, by state")
    best: list[Trial] = Field(description="the best; of several objectives all on the front")
    dataset: Annotated[str, Field(examples=["digits@1"])]
    owner: str
    spec: dict[str, Any] = Field(description="the SweepSpec with all defaults filled in")
    plots: list[str] = Field(description="where pictures of it are: pages for a browser")
    spent: Spent
    stopped_by: str | None = Field(None, description="the budget that ended it early, if one did")
    created_at: datetime
    finished_at: datetime | None = None


class SweepChange(Read):
    """Something that was done to a sweep."""

    at: datetime
    by: str
    kind: Annotated[str, Field(examples=["edited", "points_added", "retried", "paused"])]
    what: dict[str, Any]


class Forecast(Read):
    """What a sweep would take if no trial were pruned; null where it cannot be said."""

    basis: Literal["history", "measured", "unknown"] = Field(
        description="an earlier sweep like it, some batches timed, or nothing"
    )
    trials: int
    slots: Annotated[int, Field(description="jobs that its workers train at once; 0: none there")]
    trials_a_minute: float | None
    seconds: float | None
    finish_at: datetime | None
    cpu_seconds: float | None
    sweep_id: str | None = Field(description="the earlier sweep")


class BestTrial(Read):
    """The best trial of a sweep, and the job to submit to train it again."""

    trial: Trial
    job: dict[str, Any] = Field(description="a JobSpec")


class Worker(Read):
    """One living worker process of a node."""

    id: str
    pid: int
    slots: Annotated[int, Field(description="jobs it trains at once")]
    queues: list[str]
    spec_version: Annotated[int, Field(description="the newest spec version that it reads")]
    datasets: Annotated[
        list[str], Field(description="SHA-256 of dataset versions that its cache holds")
    ]
    started_at: datetime
    heartbeat_at: datetime
    draining_at: datetime | None = None
    suspended_at: datetime | None = Field(None, description="since when it claims no jobs")
    suspended_for: str | None = Field(None, description="what this machine lacks, if so")


class Node(Read):
    """A machine that has or had workers."""

    name: str
    host: str
    alive: Annotated[bool, Field(description="whether a worker of it was heard of lately")]
    slots: Annotated[int, Field(description="jobs its living workers train at once")]
    running: Annotated[int, Field(description="jobs it trains now")]
    queues: list[str]
    devices: list[Any]
    versions: dict[str, Any]
    created_at: datetime
    heartbeat_at: datetime
    draining_at: datetime | None = Field(None, description="since when it takes no new jobs")
    workers: list[Worker]


class Interval(Read):
    """Between which values the truth is; several targets by their names."""

    low: Number | list[Any] | dict[str, Any]
    high: Number | list[Any] | dict[str, Any]


class Predictions(Read):
    """One prediction a row, in the order of the rows."""

    predictions: list[Label | Number | list[Any] | dict[str, Any]]
    probabilities: list[dict[str, Any]] | None = Field(
        None, description="for each row the probability of each label; only when asked for"
    )
    intervals: list[Interval] | None = Field(
        None, description="for each row its interval; only when asked for"
    )


class Liveness(Read):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Read):
    """Whether everything this server needs answers."""

    status: Literal["ready", "degraded", "unavailable"]
    missing: list[str] = Field(description="what does not answer; empty: nothing")
    dependencies: dict[str, str] = Field(
        examples=[{"database": "ok", "store": "ok", "broker": "does not answer", "mlflow": "off"}]
    )
