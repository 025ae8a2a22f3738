"""Retention: delete old data at once, or say what would be deleted."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.resources.base import Read
from api.retention import chosen
from core.retention import Freed, apply_now
from core.settings import MOST_DAYS

router = APIRouter(prefix="/v1/retention", tags=["retention"], responses=problems(*ALWAYS))

_SECONDS = 20.0
_MOST_ITEMS = 1000

Days = Annotated[float, Field(strict=True, ge=0, le=MOST_DAYS, allow_inf_nan=False)] | None


class RetentionRules(BaseModel):
    """For how many days things are kept; null: for ever; omitted: as the server is configured.

    The days count from the end of the job, or from when the thing was created or used last.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"checkpoints_days": 7, "dry_run": True}]}
    )

    jobs_days: Annotated[
        Days, Field(description="whole jobs, unless a sweep, a model or an evaluation needs them")
    ] = None
    events_days: Annotated[Days, Field(description="events of jobs")] = None
    logs_days: Annotated[Days, Field(description="logs of jobs")] = None
    metrics_days: Annotated[
        Days, Field(description="metric histories of more than 1,000 points, which are simplified")
    ] = None
    idempotency_keys_days: Annotated[Days, Field(description="idempotency keys")] = None
    deliveries_days: Annotated[Days, Field(description="messages to webhooks")] = None
    sources_days: Annotated[Days, Field(description="source code that no job names")] = None
    workers_days: Annotated[Days, Field(description="workers without a heartbeat")] = None
    checkpoints_days: Annotated[Days, Field(description="checkpoints")] = None
    models_days: Annotated[
        Days, Field(description="models that are not registered; registered models are kept")
    ] = None
    predictions_days: Annotated[Days, Field(description="prediction files of scoring jobs")] = None
    orphans_days: Annotated[Days, Field(description="files of ended jobs that no row names")] = None
    uploads_days: Annotated[Days, Field(description="uploads that are not completed")] = None
    dry_run: bool = Field(True, strict=True, description="only list what would be erased")


class Erasable(Read):
    """A file in the store, or metric points of a job."""

    kind: Literal["checkpoint", "model", "predictions", "metrics", "orphan"]
    job_id: str
    key: Annotated[str, Field(description="key in the store; empty for metric points")]
    bytes: int


class ErasedKind(Read):
    """What was erased of one kind, or would be erased."""

    kind: str
    days: Annotated[float, Field(description="for how many days it is kept")]
    rows: Annotated[int, Field(description="rows of the database")]
    files: int
    bytes: Annotated[int, Field(description="total size; of rows an estimate")]


class Erased(Read):
    """What was erased, or would be erased."""

    dry_run: bool
    bytes: Annotated[int, Field(description="total size; of rows an estimate")]
    items: Annotated[list[Erasable], Field(description="files and metric points, 1,000 at most")]
    kinds: list[ErasedKind]
    more: Annotated[bool, Field(description="not all was erased: send the request again")]


@router.post("", responses=problems(403, 413, 415, 422))
def collect_garbage(rules: RetentionRules, here: Here, _: Owner) -> Erased:
    """Erase old data at once, as the scheduler does slowly, or list what would be erased.

    A request works for about 20 seconds; `more` says whether there is more to erase.
    """
    kept = here.kept_days | {
        name.removesuffix("_days"): getattr(rules, name)
        for name in rules.model_fields_set - {"dry_run"}
    }
    policies = chosen(here, kept)
    if rules.dry_run:
        freed, more = {policy.kind: policy.overdue(here.storage) for policy in policies}, False
    else:
        freed, more = apply_now(here.storage, policies, _SECONDS)
        here.file_sizes.forget()
    return _erased(rules.dry_run, more, {policy.kind: policy.days for policy in policies}, freed)


def _erased(
    dry_run: bool, more: bool, days: Mapping[str, float], freed: Mapping[str, Freed]
) -> Erased:
    return Erased(
        dry_run=dry_run,
        bytes=sum(part.bytes for part in freed.values()),
        items=[
            Erasable(kind=item.kind, job_id=item.job_id, key=item.key, bytes=item.bytes)
            for item in sum(freed.values(), Freed()).items[:_MOST_ITEMS]
        ],
        kinds=[
            ErasedKind(
                kind=kind, days=days[kind], rows=part.rows, files=part.files, bytes=part.bytes
            )
            for kind, part in freed.items()
        ],
        more=more,
    )
