"""Work of an attempt that uses a trained model: one that breaks off begins anew."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import models
from core.data.storage.local_copy import held
from core.db.session import reading
from core.events import EvaluationEnded, Event, RowsPassed, ScoringEnded
from worker.attempt.inputs import naming
from worker.attempt.job_log import passed
from worker.attempt.task import Assignment, Work
from worker.failure import Cause
from worker.runner.channel import Message

EVALUATION = "eval/"
"""Begins the names of an evaluation's metrics in the history of its job."""


class Inferring(Work):
    """What evaluating and scoring have in common: a model and the rows it goes over."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self._table = self._model = Path()
        self._tenths = 0

    def start(self) -> None:
        """Nothing goes on beside the runner."""

    def prepare(self, folder: Path) -> None:
        e, claim = self._equipment, self._claim
        assert claim.model_job_id is not None
        with reading(e.engine) as session:
            file = models.locate(session, claim.model_job_id)
        self._model = self._files.enter_context(e.cache.held(e.store, file.key, file.digest))
        table = held(e.cache, e.store, claim.dataset_digest, e.nearer())
        with naming(claim):
            self._table = self._files.enter_context(table)

    def order(self) -> Message:
        return {
            "model": str(self._model),
            "table": str(self._table),
        }

    def take(self, event: Event, at: float) -> None:
        self.step = event.step
        progress: dict[str, Any] = {"step": event.step, "epoch": 0}
        if isinstance(event, RowsPassed):
            progress |= {"rows": event.rows, "rows_total": event.rows_total}
            tenths = 10 * event.rows // event.rows_total
            if tenths > self._tenths and event.rows < event.rows_total:
                self._recorder.say(passed(event))
            self._tenths = tenths
        self._recorder.add([], progress)

    def check(self) -> None:
        """All was here, and checked, before it began."""

    def measured(self, found: Mapping[str, float], at: float) -> None:
        self._recorder.add(self._timeline.points(found, step=self.step, epoch=0, at=at))

    def spoilt(self, cause: Cause) -> None:
        """The next attempt begins anew, with files that are checked by their digests."""

    def settle(self) -> None:
        """There is nothing to go on from."""


class Evaluation(Inferring):
    """Measures; the row of what was measured is written with the end of the job."""

    _ended: EvaluationEnded | None = None

    def take(self, event: Event, at: float) -> None:
        super().take(event, at)
        if isinstance(event, EvaluationEnded):
            self._ended = event
            self._recorder.say(passed(event))
            told = _told(event)
            points = self._timeline.points(told, step=event.step, epoch=0, at=at)
            self._recorder.add(points, {"last": told})

    def keep(self) -> None:
        """There is no file."""

    def finish(self, kept: None, peak_memory_bytes: int | None) -> None:
        ended = self._ended
        assert ended is not None
        self._conclusion.finished(
            {"metrics": _told(ended), "rows": ended.rows},
            peak_memory_bytes,
            also=lambda session, job: models.record(session, job, ended),
        )


class Scoring(Inferring):
    """Answers; the file of answers lies in the store before the job has ended."""

    _ended: ScoringEnded | None = None

    def take(self, event: Event, at: float) -> None:
        super().take(event, at)
        if isinstance(event, ScoringEnded):
            self._ended = event
            self._recorder.say(passed(event))

    def keep(self) -> dict[str, Any]:
        ended, claim = self._ended, self._claim
        assert ended is not None
        path = Path(ended.path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = f"predictions/{claim.job_id}/{claim.attempt}/{digest}{path.suffix}"
        self._conclusion.stored(lambda: self._equipment.store.put_file(path, key))
        return {
            "predictions_key": key,
            "predictions_digest": digest,
            "predictions_bytes": path.stat().st_size,
        }

    def finish(self, kept: dict[str, Any], peak_memory_bytes: int | None) -> None:
        assert self._ended is not None
        found = {"rows": self._ended.rows, "columns": self._ended.columns, **kept}
        self._conclusion.finished(found, peak_memory_bytes)


def _told(ended: EvaluationEnded) -> dict[str, float]:
    """The metrics as the history of the job names them."""
    return {f"{EVALUATION}{name}": value for name, value in ended.metrics.items()}
