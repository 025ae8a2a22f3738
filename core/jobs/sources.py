"""The source code that jobs were submitted from: stored once, and referenced by their specs."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Job, Source
from core.db.upsert import upsert
from core.errors import FieldError, InvalidError, NotFoundError
from core.spec.source import SourceSpec


def keep_source(session: Session, spec: SourceSpec, *, owner: str) -> Source:
    """The row of this source, created unless it exists. An erased source stays erased.

    Raises InvalidError if it seems to contain a secret.
    """
    # Before the first statement, so that nobody waits for this transaction meanwhile.
    if errors := list(spec.secrets()):
        raise InvalidError.of(*errors)
    values = {
        "digest": spec.digest,
        "owner": owner,
        "repository": spec.repository,
        "commit": spec.commit,
        "branch": spec.branch,
        "command": spec.command,
        "dirty": spec.dirty,
        "document": spec.model_dump(mode="json"),
    }
    session.execute(upsert(session, Source).values(**values).on_conflict_do_nothing())
    return get_source(session, spec.digest)


def get_source(session: Session, digest: str) -> Source:
    """The source of this digest. Raises NotFoundError."""
    source = session.get(Source, digest)
    if source is None:
        raise NotFoundError(f"there is no source {digest[:64]}")
    return source


def erase_source(session: Session, digest: str) -> None:
    """Erase what the source of this digest says, except its commit. Raises NotFoundError.

    The row remains, so that jobs that name it can be retried.
    """
    source = get_source(session, digest)
    if source.erased_at is None:
        blank = SourceSpec(commit=source.commit)
        source.repository, source.branch, source.command = "", "", ""
        source.document = blank.model_dump(mode="json")
        session.execute(update(Source).where(Source.digest == digest).values(erased_at=now()))


def source_of(session: Session, job: Job) -> Source | None:
    """The source that a job was submitted from, or None when its spec names none."""
    digest = job.spec.get("source")
    return session.get(Source, digest) if digest else None


def check_source(session: Session, digest: str | None, path: str) -> None:
    """Raise InvalidError, naming the field `path`, when a spec names an unknown source."""
    if digest is not None and session.get(Source, digest) is None:
        message = "nobody sent this source; POST it to /v1/sources first"
        raise InvalidError.of(FieldError(path, message))
