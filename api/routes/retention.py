"""Retention: erase files that nobody needs any more, or say which those are."""

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
    """After how many days since a job ended its files go; null: never."""

    model_config = ConfigDict(extra="forbid")

    checkpoints_days: Days = 7.0
    models_days: Annotated[
        Days, Field(description="of models that are not registered; others always stay")
    ] = None
    predictions_days: Annotated[Days, Field(description="of files that scoring jobs left")] = None
    metrics_days: Annotated[
        Days, Field(description="of curves with over 1,000 points the outline stays")
    ] = None
    dry_run: bool = Field(True, strict=True, description="only say what would be erased")


class Erasable(Read):
    """A file in the store, or points of a job's curves."""

    kind: Literal["checkpoint", "model", "predictions", "metrics"]
    job_id: str
    key: Annotated[str, Field(description="in the store; empty for points")]
    bytes: int


class Erased(Read):
    """What was, or would be, erased."""

    dry_run: bool
    bytes: Annotated[int, Field(description="all of them together")]
    items: list[Erasable]


@router.post("", responses=problems(403, 413, 415, 422))
def collect_garbage(rules: RetentionRules, here: Here, _: Owner) -> Erased:
    """Erase what old jobs left: checkpoints, models nobody needs, predictions, detail of curves."""
    wanted = Rules(
        rules.checkpoints_days,
        rules.models_days,
        rules.predictions_days,
        rules.metrics_days,
        mirrored_only=bool(here.settings.mlflow_url),
    )
    with reading(here.engine) as session:
        found = disposable(session, here.store, wanted)
    if not rules.dry_run:
        kept = []
        for one in found:
            with transaction(here.engine) as session:
                if erase(session, here.store, one):
                    kept.append(one)
        found = kept
    items = [
        Erasable(kind=one.kind, job_id=one.job_id, key=one.key, bytes=one.bytes) for one in found
    ]
    return Erased(dry_run=rules.dry_run, bytes=sum(one.bytes for one in items), items=items)
