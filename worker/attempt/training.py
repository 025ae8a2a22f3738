"""The task of training networks: points, checkpoints, and a model for each at the end."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from chainrule.contract.status import JobStatus
from core import jobs
from core.data.table.schema import DatasetSchema
from core.errors import ChainruleError
from core.events import (
    CheckpointFailed,
    CheckpointSaved,
    Event,
    StackReported,
    TrainingEnded,
    TrainingFailed,
    baseline_warning,
)
from core.jobs import End
from core.spec import JobSpec
from core.spec.admission import input_shape
from worker.attempt.checkpoints import CheckpointUploader
from worker.attempt.inputs import Materials, arrival_of, forget, named, naming, prepare
from worker.attempt.job_log import line
from worker.attempt.outcome import keep_model, training_result
from worker.attempt.task import Parts, Task
from worker.failure import BAD_CHECKPOINT, USER_ERROR, Cause
from worker.node.memory import rows_fit
from worker.runner.channel import Message

log = structlog.get_logger()

MOST_MEMBERS = 64
MOST_WEIGHTS = 16_000_000
"""Weights of all members together: with their gradients and slots some hundred megabytes."""

_CHECKPOINT_SECONDS = 8.0
_UPLOADS = 4


def stack_limit(claim: jobs.Claim, spec: JobSpec, data_memory_bytes: int) -> int:
    """How many networks like that of `claim`, which has this spec, train in one stack at most.

    One, when its rows do not fit into `data_memory_bytes`: only single networks read them from
    the disk.
    """
    schema = DatasetSchema.model_validate(claim.dataset_schema)
    if not rows_fit(spec, schema, data_memory_bytes):
        return 1
    weights = spec.network.size(input_shape(spec, schema))
    return min(MOST_MEMBERS, MOST_WEIGHTS // max(1, weights))


class Training(Task):
    """Resumes from the newest checkpoint; a stack starts from the beginning and saves none."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        e, claim = self._equipment, self._claim
        assert isinstance(parts.spec, JobSpec)
        self._spec = parts.spec
        keep = self._spec.checkpoint.keep
        self._uploader = CheckpointUploader(
            e.engine,
            e.store,
            claim,
            self._recorder,
            keep=keep,
            failed=lambda: e.counts.add("checkpoint_failures"),
        )
        self._materials: Materials | None = None
        self._ended: dict[str, TrainingEnded | TrainingFailed] = {}

    def start(self) -> None:
        self._uploader.start()

    def end(self) -> None:
        self._uploader.end()
        super().end()

    def prepare(self, folder: Path) -> None:
        e, claim = self._equipment, self._claim
        schema = DatasetSchema.model_validate(claim.dataset_schema)
        large = None if rows_fit(self._spec, schema, e.data_memory_bytes) else self._spec
        materials = prepare(
            e.engine, e.store, e.cache, claim, nearer=e.nearer(), large=large, folder=folder
        )
        self._files.callback(materials.keeping.close)
        if materials.arriving is not None:
            count = materials.arriving.expected
            self._recorder.log(f"training need not wait for the {count} chunks to come")
        self._materials = materials

    def order(self) -> Message:
        materials = self._materials
        assert materials is not None
        memory = self._spec.data.memory_bytes or self._equipment.data_memory_bytes
        return {
            "table": str(materials.table),
            "resume": str(materials.resume) if materials.resume else None,
            "checkpoint_seconds": self._equipment.settings.checkpoint_seconds,
            "data_memory_bytes": memory,
            "arrival": arrival_of(materials),
        }

    def failure(self) -> ChainruleError | None:
        arriving = self._materials.arriving if self._materials else None
        failure = arriving.failure if arriving is not None else None
        return named(failure, self._claim) if failure is not None else None

    def check(self) -> None:
        if self._materials is not None and self._materials.arriving is not None:
            with naming(self._claim):
                self._materials.arriving.finish()

    def take(self, event: Event, at: float) -> None:
        if isinstance(event, CheckpointSaved):
            # It is recorded only after the points before it.
            self._uploader.save(event)
            self._equipment.counts.add("checkpoints")
            return
        if isinstance(event, CheckpointFailed):
            self._equipment.counts.add("checkpoint_failures")
            self._recorder.log(event.detail, "warning")
            log.warning("a checkpoint was not written", reason=event.detail)
            return
        networks = len(event.networks) if isinstance(event, StackReported) else 1
        self._equipment.counts.add("points", self._recorder.add(event, at))
        self._equipment.counts.add("steps", networks * max(0, event.step - self.step))
        self.step = event.step
        if (text := line(event, self._spec)) is not None:
            self._recorder.log(text)
        if isinstance(event, TrainingEnded):
            warning = baseline_warning(event.details.get("baseline"))
            if warning is not None:
                self._recorder.log(warning, "warning")
        if isinstance(event, TrainingEnded | TrainingFailed):
            self._ended[self._members.claims[event.network].job_id] = event

    @property
    def ready(self) -> Collection[str]:
        return self._ended.keys() & self._members.owned.keys()

    def keep(self, job_ids: Collection[str]) -> Mapping[str, End]:
        with ThreadPoolExecutor(_UPLOADS) as pool:  # several at once: the store may be far away
            return dict(zip(job_ids, pool.map(self._end_of, job_ids), strict=True))

    def _end_of(self, job_id: str) -> End:
        """How one job ends, once its model is in the store."""
        event = self._ended[job_id]
        if isinstance(event, TrainingFailed):
            cause = {"kind": USER_ERROR, "message": event.detail}
            return End(JobStatus.FAILED, cause=cause)
        claim, path = self._members.claims[event.network], Path(event.path)
        model = self._outcome.stored(lambda: keep_model(self._equipment.store, claim, path))
        path.unlink(missing_ok=True)
        return End(JobStatus.FINISHED, training_result(event, model), event.insights)

    def discard(self, cause: Cause) -> None:
        checkpoint_id = self._materials.checkpoint_id if self._materials else None
        if cause["kind"] == BAD_CHECKPOINT and checkpoint_id:
            forget(self._equipment.engine, checkpoint_id)

    def settle(self) -> None:
        if not self._uploader.wait(_CHECKPOINT_SECONDS):
            log.warning("the last checkpoint was not uploaded in time")
