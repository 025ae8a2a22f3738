"""Registered models as the API returns them."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from api.resources.base import Metrics, Read, json_numbers
from core.db import tables
from core.models import Decision, Registered


class Model(Read):
    """A named sequence of versions of a trained model."""

    name: Annotated[str, Field(examples=["digits"])]
    latest_version: Annotated[int, Field(ge=1, description="version that the name alone means")]
    aliases: Annotated[dict[str, int], Field(examples=[{"champion": 1}])]
    created_at: datetime

    @classmethod
    def of(cls, registered: Registered) -> Self:
        """A model with its latest version and its aliases."""
        return cls.from_row(
            registered.model, latest_version=registered.latest, aliases=registered.aliases
        )


class ModelVersion(Read):
    """The model of a finished job."""

    name: Annotated[str, Field(examples=["digits"])]
    version: Annotated[int, Field(ge=1, examples=[1])]
    job_id: str
    dataset: Annotated[str, Field(description="dataset it was trained on", examples=["digits@1"])]
    weights_digest: str | None
    metrics: Annotated[Metrics, Field(description="final metrics of the job")]
    description: str
    owner: str
    created_at: datetime

    @classmethod
    def of(cls, row: tables.ModelVersion) -> Self:
        """The version in a row."""
        result, data = row.job.result or {}, row.job.dataset_version
        return cls.from_row(
            row,
            name=row.model.name,
            dataset=f"{data.dataset.name}@{data.version}",
            weights_digest=result.get("weights_digest"),
            metrics=json_numbers(result.get("metrics") or {}),
        )


class AliasChange(Read):
    """A change of an alias."""

    alias: str
    version: int | None = Field(description="version after the change; null: the alias was removed")
    before: int | None = Field(description="version before the change")
    reason: str
    owner: str
    created_at: datetime


class Promotion(Read):
    """The decision about a candidate for an alias, and the values it is based on."""

    promoted: bool
    version: Annotated[int, Field(description="the candidate")]
    value: Annotated[float, Field(description="metric of the candidate")]
    champion: int | None = Field(description="version that it was compared with")
    champion_value: float | None
    reason: str

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """The decision about a candidate."""
        return cls.from_row(decision, version=decision.candidate, value=decision.candidate_value)
