"""Make a new version of a dataset known."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import notices
from core.data.ingest.parser import ParsedDataset
from core.db.tables import Dataset, DatasetVersion
from core.db.upsert import upsert
from core.spec.names import check_name


def register(
    session: Session,
    name: str,
    parsed: ParsedDataset,
    *,
    description: str = "",
    owner: str = "local",
    made_from: dict[str, Any] | None = None,
) -> DatasetVersion:
    """The version of dataset `name` with the parsed content: the latest, or a new one after it.

    The dataset is made when it is new, and then `owner`'s. `made_from` is kept with a new version.
    Sending the bytes of the latest version again makes no
    second version. Raises InvalidError for a name that is no plain word.
    """
    dataset = _dataset(session, check_name(name), description, owner)
    latest = session.scalar(
        select(DatasetVersion)
        .where(DatasetVersion.dataset_id == dataset.id)
        .order_by(DatasetVersion.version.desc())
        .limit(1)
    )
    if latest is not None and latest.digest == parsed.digest and latest.erase_requested_at is None:
        return latest
    version = DatasetVersion(
        dataset=dataset,
        version=1 if latest is None else latest.version + 1,
        digest=parsed.digest,
        rows=parsed.schema.rows,
        bytes=parsed.bytes,
        schema=parsed.schema.model_dump(mode="json"),
        format=parsed.format,
        made_from=made_from,
    )
    session.add(version)
    session.flush()
    told = {
        "name": name,
        "version": version.version,
        "digest": version.digest,
        "rows": version.rows,
        "bytes": version.bytes,
        "format": version.format,
    }
    notices.announce(session, "dataset.registered", lambda: told)
    return version


def _dataset(session: Session, name: str, description: str, owner: str) -> Dataset:
    """The row of the dataset, locked until the transaction ends: versions are numbered in turn."""
    values = {"name": name, "description": description, "owner": owner, "tags": {}}
    session.execute(upsert(session, Dataset).values(**values).on_conflict_do_nothing())
    return session.scalars(select(Dataset).where(Dataset.name == name).with_for_update()).one()
