"""Resolve and list datasets and their versions."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import JSON, and_, func, select, type_coerce
from sqlalchemy.orm import Session

from core.db.tables import Alias, Dataset, DatasetVersion
from core.errors import NotFoundError, existing
from core.spec.names import parse_reference


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset with its latest version, if it has one, and versions by alias."""

    dataset: Dataset
    latest: DatasetVersion | None
    aliases: dict[str, int]


def resolve(session: Session, reference: str) -> DatasetVersion:
    """Return the version that `digits@1`, `digits@alias` or `digits` (latest) refers to.

    Raises InvalidError for an invalid reference, NotFoundError for an unknown or erased version.
    """
    parsed = parse_reference(reference)
    dataset = get_dataset(session, parsed.name)
    number = parsed.version
    if parsed.alias is not None:
        alias = session.get(Alias, (dataset.id, parsed.alias))
        missing = f"dataset {parsed.name!r} has no alias {parsed.alias!r}"
        number = existing(alias, missing).version
    versions = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
    if number is None:
        versions = versions.where(DatasetVersion.erase_requested_at.is_(None))
        versions = versions.order_by(DatasetVersion.version.desc()).limit(1)
    else:
        versions = versions.where(DatasetVersion.version == number)
    missing = "version" if number is None else f"version {number}"
    row = existing(session.scalar(versions), f"dataset {parsed.name!r} has no {missing}")
    if row.erased_at is not None:
        raise NotFoundError(
            f"{parsed.name}@{row.version} was erased at {row.erased_at:%Y-%m-%d %H:%M:%SZ}"
        )
    if row.erase_requested_at is not None:
        raise NotFoundError(f"{parsed.name}@{row.version} is being erased: take another version")
    return row


def get_dataset(session: Session, name: str) -> Dataset:
    """Return the dataset called `name`. Raises NotFoundError."""
    dataset = session.scalar(select(Dataset).where(Dataset.name == name))
    return existing(dataset, f"there is no dataset {name[:140]!r}")


def get_version(session: Session, name: str, version: int) -> DatasetVersion:
    """Return version `version` of dataset `name`, erased or not. Raises NotFoundError."""
    dataset = get_dataset(session, name)
    statement = select(DatasetVersion).where(
        DatasetVersion.dataset_id == dataset.id, DatasetVersion.version == version
    )
    return existing(session.scalar(statement), f"dataset {name!r} has no version {version}")


def summary(session: Session, dataset: Dataset) -> DatasetSummary:
    """Return a dataset with its latest version and its aliases."""
    return _summaries(session, [dataset])[0]


def list_datasets(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    tags: Mapping[str, str] | None = None,
) -> list[DatasetSummary]:
    """Return datasets in the order of names, those after `after` that have all of `tags`."""
    statement = select(Dataset).order_by(Dataset.name).limit(limit)
    if after is not None:
        statement = statement.where(Dataset.name > after)
    for key, value in (tags or {}).items():
        statement = statement.where(type_coerce(Dataset.tags, JSON)[key].as_string() == value)
    return _summaries(session, list(session.scalars(statement)))


def list_versions(
    session: Session, name: str, *, before: int | None = None, limit: int = 50
) -> list[DatasetVersion]:
    """Return versions of a dataset below `before`, newest first. Raises NotFoundError."""
    dataset = get_dataset(session, name)
    statement = (
        select(DatasetVersion)
        .where(DatasetVersion.dataset_id == dataset.id)
        .order_by(DatasetVersion.version.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(DatasetVersion.version < before)
    return list(session.scalars(statement))


def total_bytes(session: Session) -> int:
    """Return the bytes of all versions that are not erased and not requested to be."""
    total = select(func.coalesce(func.sum(DatasetVersion.bytes), 0))
    return int(session.scalar(total.where(DatasetVersion.erase_requested_at.is_(None))) or 0)


def _summaries(session: Session, datasets: list[Dataset]) -> list[DatasetSummary]:
    """Return datasets with their latest versions and aliases, in two statements for all."""
    ids = [dataset.id for dataset in datasets]
    highest = (
        select(DatasetVersion.dataset_id, func.max(DatasetVersion.version).label("version"))
        .where(DatasetVersion.dataset_id.in_(ids), DatasetVersion.erase_requested_at.is_(None))
        .group_by(DatasetVersion.dataset_id)
        .subquery()
    )
    newest = select(DatasetVersion).join(
        highest,
        and_(
            DatasetVersion.dataset_id == highest.c.dataset_id,
            DatasetVersion.version == highest.c.version,
        ),
    )
    latest = {row.dataset_id: row for row in session.scalars(newest)}
    aliases: dict[int, dict[str, int]] = {}
    for alias in session.scalars(select(Alias).where(Alias.dataset_id.in_(ids))):
        aliases.setdefault(alias.dataset_id, {})[alias.name] = alias.version
    return [
        DatasetSummary(dataset, latest.get(dataset.id), aliases.get(dataset.id, {}))
        for dataset in datasets
    ]
