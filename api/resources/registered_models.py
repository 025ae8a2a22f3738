"""Registered models and evaluations as the api shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.resources.schemas import Confusion, Metrics, Read
from api.resources.views import words
from core.data.table.schema import Label
from core.db import tables
from core.models import Decision, Registered


class Model(Read):
    """A name under which versions of a trained model are kept."""

    name: Annotated[str, Field(examples=["digits"])]
    latest_version: Annotated[int, Field(ge=1, description="what its name alone refers to")]
    aliases: Annotated[dict[str, int], Field(examples=[{"champion": 1}])]
    created_at: datetime


class ModelVersion(Read):
    """What one finished job learned."""

    name: Annotated[str, Field(examples=["digits"])]
    version: Annotated[int, Field(ge=1, examples=[1])]
    job_id: str
    dataset: Annotated[str, Field(description="what it learned from", examples=["digits@1"])]
    weights_digest: str | None
    metrics: Annotated[Metrics, Field(description="as its job ended")]
    description: str
    owner: str
    created_at: datetime


class AliasChange(Read):
    """When an alias was moved, and why."""

    alias: str
    version: int | None = Field(description="where it points since then; null: nowhere")
    before: int | None = Field(description="where it pointed before")
    reason: str
    owner: str
    created_at: datetime


class Slice(Read):
    """Metrics of the rows whose `column` has `value`."""

    column: str
    value: Label
    rows: int
    metrics: Metrics


class Evaluation(Read):
    """What a model was worth on a dataset version."""

    id: int
    job_id: Annotated[str, Field(description="the job that trained the model")]
    evaluated_by: Annotated[str | None, Field(description="the job that measured it")]
    dataset: Annotated[str, Field(examples=["digits@1"])]
    rows: int
    metrics: Metrics
    slices: list[Slice]
    confusion: Confusion | None = Field(description="null where rows have no class, or too many")
    owner: str
    created_at: datetime


class Promotion(Read):
    """Whether an alias was moved to a candidate, and on which values."""

    promoted: bool
    version: Annotated[int, Field(description="the candidate")]
    value: Annotated[float, Field(description="its metric")]
    champion: int | None = Field(description="whom it was compared with")
    champion_value: float | None
    reason: str


def model(found: Registered) -> Model:
    """A model as the api shows it."""
    return Model(
        name=found.model.name,
        latest_version=found.latest,
        aliases=found.aliases,
        created_at=found.model.created_at,
    )


def model_version(row: tables.ModelVersion) -> ModelVersion:
    """A version of a model as the api shows it."""
    result, data = row.job.result or {}, row.job.dataset_version
    return ModelVersion(
        name=row.model.name,
        version=row.version,
        job_id=row.job_id,
        dataset=f"{data.dataset.name}@{data.version}",
        weights_digest=result.get("weights_digest"),
        metrics=words(result.get("metrics") or {}),
        description=row.description,
        owner=row.owner,
        created_at=row.created_at,
    )


def alias_change(row: tables.AliasChange) -> AliasChange:
    """A move of an alias as the api shows it."""
    return AliasChange(
        alias=row.alias,
        version=row.version,
        before=row.before,
        reason=row.reason,
        owner=row.owner,
        created_at=row.created_at,
    )


def evaluation(row: tables.Evaluation) -> Evaluation:
    """An evaluation as the api shows it."""
    data = row.dataset_version
    return Evaluation(
        id=row.id,
        job_id=row.job_id,
        evaluated_by=row.evaluated_by,
        dataset=f"{data.dataset.name}@{data.version}",
        rows=row.rows,
        metrics=words(row.metrics),
        slices=[Slice.model_validate(one) for one in row.slices],
        confusion=None if row.confusion is None else Confusion.model_validate(row.confusion),
        owner=row.owner,
        created_at=row.created_at,
    )


def promotion(found: Decision) -> Promotion:
    """A decision as the api shows it."""
    return Promotion(
        promoted=found.promoted,
        version=found.candidate,
        value=found.candidate_value,
        champion=found.champion,
        champion_value=found.champion_value,
        reason=found.reason,
    )
