"""From a file on this server's disk to a registered dataset version."""

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
class Wanted:
    """The dataset that gets a new version, whose it is, and what the version is made from."""

    name: str
    owner: str
    made_from: dict[str, Any] | None = None


def admit(here: Context, wanted: Wanted, more_bytes: int = 1) -> None:
    """Raise TooLargeError or ConflictError when no such version may be added."""
    with reading(here.engine) as session:
        here.quota.check(session, wanted.owner, wanted.name, more_bytes)


def register_file(here: Context, wanted: Wanted, content_type: str, body: Path) -> DatasetVersion:
    """Parse the file `body` in a confined process and make it the next version."""
    return register(here, wanted, parse(body, content_type, body.with_name("canonical.arrow")))


def refer_to(
    here: Context, wanted: Wanted, content_type: str, body: Path, url: str
) -> DatasetVersion:
    """Make the next version of what is at `url`, where it stays; `body` is a copy of it for now."""
    parsed = parse(body, content_type, body.with_name("canonical.arrow"))
    reference = Reference(
        url, content_type, body.stat().st_size, digest=parsed.digest, canonical_bytes=parsed.bytes
    )
    return register(here, wanted, parsed, reference)


def register(
    here: Context, wanted: Wanted, parsed: ParsedDataset, reference: Reference | None = None
) -> DatasetVersion:
    """Keep the bytes, or note where they are; only then make the version known."""
    admit(here, wanted, parsed.bytes)
    with datasets.keeping(here.engine):
        if reference is None:
            datasets.keep(here.store, parsed)
        else:
            datasets.refer(here.store, reference)
        with transaction(here.engine) as session:
            row = datasets.register(
                session, wanted.name, parsed, owner=wanted.owner, made_from=wanted.made_from
            )
            return DatasetVersion.of(row)
