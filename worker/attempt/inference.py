"""The tasks that use a trained model; a new attempt starts from the beginning."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core import models
from core.data.storage.local_copy import held
from core.db.session import reading
from core.db.tables import Job
from core.events import EvaluationEnded, Event, RowsPassed, ScoringEnded
from core.jobs import End
from worker.attempt.inputs import naming
from worker.attempt.job_log import passed
from worker.attempt.progress import EVALUATION
from worker.attempt.task import Parts, Task
from worker.runner.channel import Message

Ended = TypeVar("Ended", EvaluationEnded, ScoringEnded)


class Inference(Task, Generic[Ended]):
    """What evaluating and scoring share: a model, the rows it reads, an event at the end."""

    _end: type[Ended]
    _ended: Ended | None = None

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._table = self._model = Path()
        self._tenths = 0

    def prepare(self, folder: Path) -> None:  # noqa: ARG002 - nothing arrives while it computes
        e, claim = self._equipment, self._claim
        assert claim.model_job_id is not None
        with reading(e.engine) as session:
            file = models.locate(session, claim.model_job_id)
        self._model = self._files.enter_context(e.cache.held(e.store, file.key, file.digest))
        table = held(e.cache, e.store, claim.dataset_digest, e.nearer())
        with naming(claim):
            self._table = self._files.enter_context(table)

    def order(self) -> Message:
        return {"model": str(self._model), "table": str(self._table)}

    def take(self, event: Event, at: float) -> None:
        self.step = event.step
        self._recorder.add(event, at)
        if isinstance(event, RowsPassed):
            tenths = 10 * event.rows // event.rows_total
            if tenths > self._tenths and event.rows < event.rows_total:
                self._recorder.log(passed(event))
            self._tenths = tenths
        elif isinstance(event, self._end):
            self._ended = event
            self._recorder.log(passed(event))

    @property
    def ready(self) -> Collection[str]:
        return self._members.owned if self._ended else ()


class Evaluation(Inference[EvaluationEnded]):
    """Measures a model; its evaluation's row is written with the end of the job."""

    _end = EvaluationEnded

    def keep(self, job_ids: Collection[str]) -> Mapping[str, End]:
        assert self._ended is not None
        metrics = {f"{EVALUATION}{name}": v for name, v in self._ended.metrics.items()}
        result = {"metrics": metrics, "rows": self._ended.rows}
        return dict.fromkeys(job_ids, End(JobStatus.FINISHED, result))

    def write_with_end(self, session: Session, job_id: str) -> None:
        assert self._ended is not None
        models.record(session, session.get_one(Job, job_id), self._ended)


class Scoring(Inference[ScoringEnded]):
    """Predicts; the file of predictions is in the store before the job ends."""

    _end = ScoringEnded

    def keep(self, job_ids: Collection[str]) -> Mapping[str, End]:
        ended, claim = self._ended, self._claim
        assert ended is not None
        path = Path(ended.path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = f"predictions/{claim.job_id}/{claim.attempt}/{digest}{path.suffix}"
        self._outcome.stored(lambda: self._equipment.store.put_file(path, key))
        result = {
            "rows": ended.rows,
            "columns": ended.columns,
            "predictions_key": key,
            "predictions_digest": digest,
            "predictions_bytes": path.stat().st_size,
        }
        return dict.fromkeys(job_ids, End(JobStatus.FINISHED, result))
