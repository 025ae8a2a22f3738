"""Retention: list or erase old checkpoints, models, predictions and metric points."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.resources.base import Read
from core.db.session import reading, transaction
from core.jobs.retention import Rules, disposable, erase

router = APIRouter(prefix="/v1/retention", tags=["retention"], responses=problems(*ALWAYS))

Days = Annotated[float, Field(strict=True, ge=0, le=36_500, allow_inf_nan=False)] | None


class RetentionRules(BaseModel):
    """Number of days after the end of a job before its data is erased; null: never."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"checkpoints_days": 7, "dry_run": True}]}
    )

    checkpoints_days: Days = 7.0
    models_days: Annotated[
        Days, Field(description="models that are not registered; registered models are kept")
    ] = None
    predictions_days: Annotated[Days, Field(description="prediction files of scoring jobs")] = None
    metrics_days: Annotated[
        Days, Field(description="metric histories of more than 1,000 points, which are simplified")
    ] = None
    dry_run: bool = Field(True, strict=True, description="only list what would be erased")


class Erasable(Read):
    """A file in the store, or metric points of a job."""

    kind: Literal["checkpoint", "model", "predictions", "metrics"]
    job_id: str
    key: Annotated[str, Field(description="key in the store; empty for metric points")]
    bytes: int


class Erased(Read):
    """What was erased, or would be erased."""

    dry_run: bool
    bytes: Annotated[int, Field(description="total size")]
    items: list[Erasable]


@router.post("", responses=problems(403, 413, 415, 422))
def collect_garbage(rules: RetentionRules, here: Here, _: Owner) -> Erased:
    """Erase the checkpoints, unused models, predictions and detailed metrics of old jobs."""
    limits = Rules(
        rules.checkpoints_days,
        rules.models_days,
        rules.predictions_days,
        rules.metrics_days,
        mirrored_only=bool(here.settings.mlflow_url),
    )
    with reading(here.engine) as session:
        items = disposable(session, here.store, limits)
    if not rules.dry_run:
        erased = []
        for item in items:
            with transaction(here.engine) as session:
                if erase(session, here.store, item):
                    erased.append(item)
        items = erased
    return Erased(
        dry_run=rules.dry_run,
        bytes=sum(item.bytes for item in items),
        items=[
            Erasable(kind=item.kind, job_id=item.job_id, key=item.key, bytes=item.bytes)
            for item in items
        ],
    )
