"""Registration of dataset versions."""

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
    """Add the parsed content as the next version of dataset `name`; return the version.

    A new dataset belongs to `owner`. `made_from` is stored with a new version. If the latest
    version has the same bytes and warnings, it is returned instead. Raises InvalidError for an
    invalid name.
    """
    dataset = _dataset(session, check_name(name), description, owner)
    latest = session.scalar(
        select(DatasetVersion)
        .where(DatasetVersion.dataset_id == dataset.id)
        .order_by(DatasetVersion.version.desc())
        .limit(1)
    )
    warnings = [warning.model_dump(mode="json") for warning in parsed.warnings]
    if (
        latest is not None
        and (latest.digest, latest.erase_requested_at) == (parsed.digest, None)
        # A version of an earlier release has none.
        and latest.warnings in (None, warnings)
    ):
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
        parse=parsed.options,
        warnings=warnings,
    )
    session.add(version)
    session.flush()
    content = {
        "name": name,
        "version": version.version,
        "digest": version.digest,
        "rows": version.rows,
        "bytes": version.bytes,
        "format": version.format,
    }
    notices.announce(session, "dataset.registered", lambda: content)
    return version


def _dataset(session: Session, name: str, description: str, owner: str) -> Dataset:
    """Return the row of the dataset, locked so that versions are numbered without gaps."""
    values = {"name": name, "description": description, "owner": owner, "tags": {}}
    session.execute(upsert(session, Dataset).values(**values).on_conflict_do_nothing())
    return session.scalars(select(Dataset).where(Dataset.name == name).with_for_update()).one()
