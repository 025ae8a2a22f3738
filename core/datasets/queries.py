"""Find and list datasets and their versions."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import JSON, and_, func, select, type_coerce
from sqlalchemy.orm import Session

from core.db.tables import Alias, Dataset, DatasetVersion
from core.errors import NotFoundError
from core.spec.names import parse_reference


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset with its latest version (None when it has none) and its aliases by name."""

    dataset: Dataset
    latest: DatasetVersion | None
    aliases: dict[str, int]


def resolve(session: Session, reference: str) -> DatasetVersion:
    """The version that `digits@1`, `digits@alias` or `digits` (its latest) refers to.

    Raises InvalidError for what is no reference, NotFoundError when there is no such dataset or
    version, or it was erased.
    """
    wanted = parse_reference(reference)
    dataset = get_dataset(session, wanted.name)
    number = wanted.version
    if wanted.alias is not None:
        alias = session.get(Alias, (dataset.id, wanted.alias))
        if alias is None:
            raise NotFoundError(f"dataset {wanted.name!r} has no alias {wanted.alias!r}")
        number = alias.version
    versions = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
    if number is None:
        versions = versions.where(DatasetVersion.erase_requested_at.is_(None))
        versions = versions.order_by(DatasetVersion.version.desc()).limit(1)
    else:
        versions = versions.where(DatasetVersion.version == number)
    found = session.scalar(versions)
    if found is None:
        missing = "version" if number is None else f"version {number}"
        raise NotFoundError(f"dataset {wanted.name!r} has no {missing}")
    if found.erased_at is not None:
        raise NotFoundError(
            f"{wanted.name}@{found.version} was erased at {found.erased_at:%Y-%m-%d %H:%M:%SZ}"
        )
    if found.erase_requested_at is not None:
        raise NotFoundError(f"{wanted.name}@{found.version} is being erased: take another version")
    return found


def get_dataset(session: Session, name: str) -> Dataset:
    """The dataset called `name`. Raises NotFoundError."""
    found = session.scalar(select(Dataset).where(Dataset.name == name))
    if found is None:
        raise NotFoundError(f"there is no dataset {name[:140]!r}")
    return found


def get_version(session: Session, name: str, version: int) -> DatasetVersion:
    """Version `version` of dataset `name`, even if it was erased. Raises NotFoundError."""
    dataset = get_dataset(session, name)
    found = session.scalar(
        select(DatasetVersion).where(
            DatasetVersion.dataset_id == dataset.id, DatasetVersion.version == version
        )
    )
    if found is None:
        raise NotFoundError(f"dataset {name!r} has no version {version}")
    return found


def summary(session: Session, dataset: Dataset) -> DatasetSummary:
    """A dataset with its latest version and its aliases."""
    return _summaries(session, [dataset])[0]


def list_datasets(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    tags: Mapping[str, str] | None = None,
) -> list[DatasetSummary]:
    """Datasets by name with their latest versions, those whose name comes after `after`.

    `tags`: only those that have all of these.
    """
    statement = select(Dataset).order_by(Dataset.name).limit(limit)
    if after is not None:
        statement = statement.where(Dataset.name > after)
    for key, value in (tags or {}).items():
        statement = statement.where(type_coerce(Dataset.tags, JSON)[key].as_string() == value)
    return _summaries(session, list(session.scalars(statement)))


def list_versions(
    session: Session, name: str, *, before: int | None = None, limit: int = 50
) -> list[DatasetVersion]:
    """Versions of a dataset older than `before`, the newest first. Raises NotFoundError."""
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


def _summaries(session: Session, datasets: list[Dataset]) -> list[DatasetSummary]:
    """The datasets with what is known of them, in three statements whatever their number."""
    wanted = [dataset.id for dataset in datasets]
    highest = (
        select(DatasetVersion.dataset_id, func.max(DatasetVersion.version).label("version"))
        .where(DatasetVersion.dataset_id.in_(wanted), DatasetVersion.erase_requested_at.is_(None))
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
    latest = {one.dataset_id: one for one in session.scalars(newest)}
    aliases: dict[int, dict[str, int]] = {}
    for alias in session.scalars(select(Alias).where(Alias.dataset_id.in_(wanted))):
        aliases.setdefault(alias.dataset_id, {})[alias.name] = alias.version
    return [
        DatasetSummary(dataset, latest.get(dataset.id), aliases.get(dataset.id, {}))
        for dataset in datasets
    ]
