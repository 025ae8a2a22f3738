"""Registration of an uploaded file as a dataset version."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.context import Context
from api.resources.datasets import DatasetVersion
from core import datasets
from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage.inplace import Reference
from core.db.session import reading, transaction


@dataclass(frozen=True)
class NewVersion:
    """The dataset that gets a new version, its owner and the source of the version."""

    name: str
    owner: str
    made_from: dict[str, Any] | None = None


def admit(here: Context, new: NewVersion, more_bytes: int = 1) -> None:
    """Raise TooLargeError or ConflictError if the quota does not allow the version."""
    with reading(here.engine) as session:
        here.quota.check(session, new.owner, new.name, more_bytes)


def register_file(here: Context, new: NewVersion, content_type: str, body: Path) -> DatasetVersion:
    """Parse the file `body` in a confined process and register it as the next version."""
    return register(here, new, parse(body, content_type, body.with_name("canonical.arrow")))


def refer_to(
    here: Context, new: NewVersion, content_type: str, body: Path, url: str
) -> DatasetVersion:
    """Register the file at `url`, which is not stored, from its temporary copy `body`."""
    parsed = parse(body, content_type, body.with_name("canonical.arrow"))
    reference = Reference(
        url, content_type, body.stat().st_size, digest=parsed.digest, canonical_bytes=parsed.bytes
    )
    return register(here, new, parsed, reference)


def register(
    here: Context, new: NewVersion, parsed: ParsedDataset, reference: Reference | None = None
) -> DatasetVersion:
    """Store the bytes or their `reference`, then register the version."""
    admit(here, new, parsed.bytes)
    with datasets.keeping(here.engine):
        if reference is None:
            datasets.keep(here.store, parsed)
        else:
            datasets.refer(here.store, reference)
        with transaction(here.engine) as session:
            row = datasets.register(
                session, new.name, parsed, owner=new.owner, made_from=new.made_from
            )
            return DatasetVersion.of(row)
