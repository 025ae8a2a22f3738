"""Datasets, their versions and uploads as the API returns them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from api.resources.base import Read
from core.data.table.schema import ColumnSchema
from core.datasets import Uses
from core.datasets.queries import DatasetSummary
from core.db import tables


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

    @classmethod
    def of(cls, row: tables.DatasetVersion) -> Self:
        """The version in a row."""
        return cls(
            name=row.dataset.name,
            version=row.version,
            digest=row.digest,
            rows=row.rows,
            bytes=row.bytes,
            format=row.format,
            columns=row.schema["columns"],
            made_from=row.made_from,
            created_at=row.created_at,
            erase_requested_at=row.erase_requested_at,
            erase_cause=row.erase_cause,
            erased_at=row.erased_at,
        )


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

    @classmethod
    def of(cls, summary: DatasetSummary) -> Self:
        """A dataset with its latest version and its aliases."""
        row, latest = summary.dataset, summary.latest
        return cls(
            name=row.name,
            description=row.description,
            tags=row.tags,
            owner=row.owner,
            latest_version=latest.version if latest else None,
            rows=latest.rows if latest else None,
            bytes=latest.bytes if latest else None,
            aliases=summary.aliases,
            created_at=row.created_at,
        )


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

    @classmethod
    def of(cls, uses: Uses) -> Self:
        """The uses of a version."""
        return cls(
            jobs=uses.jobs,
            holding=uses.holding,
            models=[TrainedModel(model=model, job_id=job_id) for model, job_id in uses.models],
            aliases=uses.aliases,
        )


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
