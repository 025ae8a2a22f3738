"""Datasets, their versions and uploads as the API returns them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from api.resources.base import Read
from core.data.table.column_warnings import ColumnWarning
from core.data.table.schema import ColumnSchema
from core.datasets import Uses
from core.datasets.queries import DatasetSummary
from core.db import tables


class DatasetVersion(Read):
    """An immutable version of a dataset."""

    name: Annotated[str, Field(examples=["digits"])]
    version: Annotated[int, Field(ge=1, examples=[1])]
    digest: Annotated[str, Field(description="SHA-256 of the stored content")]
    rows: Annotated[int, Field(ge=0, examples=[1797])]
    bytes: Annotated[int, Field(ge=0)]
    format: Annotated[str, Field(examples=["csv"], description="format of the uploaded file")]
    columns: list[ColumnSchema]
    parse: dict[str, str] = Field(
        description="the parse options that the file was uploaded with", examples=[{"decimal": ","}]
    )
    warnings: list[ColumnWarning] = Field(
        description="columns that are likely no features as they are, and what to do"
    )
    made_from: dict[str, Any] | None = Field(
        None, description="source version and query, or URL; null for an upload"
    )
    created_at: datetime
    erase_requested_at: datetime | None = Field(None, description="when its erasure was requested")
    erase_cause: dict[str, Any] | None = Field(None, description="who requested it, and why")
    erased_at: datetime | None = Field(None, description="when its data was deleted")

    @classmethod
    def of(cls, row: tables.DatasetVersion) -> Self:
        """The version in a row."""
        return cls.from_row(
            row,
            name=row.dataset.name,
            columns=row.schema["columns"],
            parse=row.parse or {},
            warnings=row.warnings or [],
        )


class Dataset(Read):
    """A named sequence of versions of data."""

    name: Annotated[str, Field(examples=["digits"])]
    description: str
    tags: Annotated[dict[str, str], Field(examples=[{"team": "a"}])]
    owner: Annotated[str, Field(description="owner of the dataset")]
    latest_version: int | None = Field(None, description="version that the name alone refers to")
    rows: int | None = Field(None, description="number of rows of the latest version")
    bytes: int | None = Field(None, description="size of the latest version")
    aliases: Annotated[dict[str, int], Field(description="version by alias")]
    created_at: datetime

    @classmethod
    def of(cls, summary: DatasetSummary) -> Self:
        """A dataset with its latest version and its aliases."""
        latest = summary.latest
        return cls.from_row(
            summary.dataset,
            latest_version=latest.version if latest else None,
            rows=latest.rows if latest else None,
            bytes=latest.bytes if latest else None,
            aliases=summary.aliases,
        )


class Upload(Read):
    """A file that is uploaded in parts."""

    id: str
    name: Annotated[str, Field(description="the dataset that gets the file", examples=["digits"])]
    bytes: Annotated[int, Field(description="size of the file")]
    received: Annotated[int, Field(description="bytes received; the offset of the next part")]


class TrainedModel(Read):
    """A registered model and the job that trained it."""

    model: Annotated[str, Field(examples=["digits@3"])]
    job_id: str


class DatasetUses(Read):
    """The uses of a dataset version."""

    jobs: Annotated[dict[str, int], Field(description="number of jobs that use it, by status")]
    holding: Annotated[
        list[str], Field(description="jobs and sweeps that have not ended, up to 1,000 of each")
    ]
    models: Annotated[list[TrainedModel], Field(description="models that were trained on it")]
    aliases: Annotated[list[str], Field(description="aliases that point at it")]

    @classmethod
    def of(cls, uses: Uses) -> Self:
        """The uses of a version."""
        models = [TrainedModel(model=model, job_id=job_id) for model, job_id in uses.models]
        return cls.from_row(uses, models=models)


class DatasetErasure(Read):
    """A version that is being erased, and its uses."""

    version: DatasetVersion
    uses: DatasetUses


class QueryResult(Read):
    """The rows of a dataset version that a query selects."""

    rows: Annotated[int, Field(ge=0, description="number of selected rows")]
    of: Annotated[int, Field(ge=0, description="number of rows of the version")]
    parts: dict[str, int] | None = Field(
        description="number of rows by part of the split; only with `@split`"
    )
    preview: list[dict[str, Any]] = Field(description="the first selected rows")
