"""Work of an attempt that trains a network: points, checkpoints, and a model at the end."""

from collections.abc import Mapping
from pathlib import Path

import structlog

from core.data.table.schema import DatasetSchema
from core.errors import ChainruleError
from core.events import CheckpointFailed, CheckpointSaved, Event, TrainingEnded
from core.spec import JobSpec
from worker.attempt.checkpoints import Keeper
from worker.attempt.inputs import Materials, arrival_of, forget, named, naming, prepare
from worker.attempt.job_log import line
from worker.attempt.outcome import KeptModel, keep_model, outcome
from worker.attempt.progress import Story
from worker.attempt.task import Assignment, Work
from worker.failure import BAD_CHECKPOINT, Cause
from worker.node.memory import rows_fit
from worker.runner.channel import Message

log = structlog.get_logger()

_CHECKPOINT_SECONDS = 8.0


class Training(Work):
    """Goes on from the newest checkpoint."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        e, claim = self._equipment, self._claim
        self._spec = JobSpec.model_validate(claim.spec)
        keep = self._spec.checkpoint.keep
        self._keeper = Keeper(
            e.engine,
            e.store,
            claim,
            self._recorder,
            keep=keep,
            failed=lambda: e.counts.add("checkpoint_failures"),
        )
        self._story = Story(self._spec, claim.progress, self._timeline)
        self._materials: Materials | None = None
        self._ended: TrainingEnded | None = None

    def start(self) -> None:
        self._keeper.start()

    def end(self) -> None:
        self._keeper.end()
        super().end()

    def prepare(self, folder: Path) -> None:
        e, claim = self._equipment, self._claim
        schema = DatasetSchema.model_validate(claim.dataset_schema)
        large = None if rows_fit(self._spec, schema, e.data_memory_bytes) else self._spec
        found = prepare(
            e.engine, e.store, e.cache, claim, nearer=e.nearer(), large=large, folder=folder
        )
        self._files.callback(found.keeping.close)
        if found.arriving is not None:
            count = found.arriving.expected
            self._recorder.say(f"training need not wait for the {count} chunks to come")
        self._materials = found

    def order(self) -> Message:
        found = self._materials
        assert found is not None
        memory = self._spec.data.memory_bytes or self._equipment.data_memory_bytes
        return {
            "table": str(found.table),
            "resume": str(found.resume) if found.resume else None,
            "checkpoint_seconds": self._equipment.settings.checkpoint_seconds,
            "data_memory_bytes": memory,
            "arrival": arrival_of(found),
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
        points, progress = self._story.take(event, at)
        if isinstance(event, CheckpointSaved):
            # The points before it first: it is kept only after them.
            self._keeper.save(event)
            self._equipment.counts.add("checkpoints")
            return
        if isinstance(event, CheckpointFailed):
            self._equipment.counts.add("checkpoint_failures")
            self._recorder.say(event.detail, "warning")
            log.warning("a checkpoint was not written", reason=event.detail)
            return
        self._equipment.counts.add("points", len(points))
        self._equipment.counts.add("steps", max(0, event.step - self.step))
        self.step = event.step
        if (said := line(event, self._spec)) is not None:
            self._recorder.say(said)
        self._recorder.add(points, progress)
        if isinstance(event, TrainingEnded):
            self._ended = event

    def measured(self, found: Mapping[str, float], at: float) -> None:
        self._recorder.add(self._story.measured(found, at))

    def keep(self) -> KeptModel:
        assert self._ended is not None
        path = Path(self._ended.path)
        return self._conclusion.stored(lambda: keep_model(self._equipment.store, self._claim, path))

    def finish(self, kept: KeptModel, peak_memory_bytes: int | None) -> None:
        assert self._ended is not None
        self._conclusion.finished(
            outcome(self._ended, kept), peak_memory_bytes, insights=self._ended.insights
        )

    def spoilt(self, cause: Cause) -> None:
        checkpoint_id = self._materials.checkpoint_id if self._materials else None
        if cause["kind"] == BAD_CHECKPOINT and checkpoint_id:
            forget(self._equipment.engine, checkpoint_id)

    def settle(self) -> None:
        if not self._keeper.wait(_CHECKPOINT_SECONDS):
            log.warning("the last checkpoint could not be kept in time")
