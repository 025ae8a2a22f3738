"""The source code that jobs were submitted from: stored once, and referenced by their specs."""

from sqlalchemy import select, update
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
    statement = upsert(session, Source).values(**values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Source.digest],
            set_={"sent_at": now()},
            where=Source.used_at.is_(None),
        )
    )
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
        raise _unknown(path)


def use_source(session: Session, digest: str | None, path: str) -> None:
    """Keep the source of this digest, which a new job or sweep names; raise as `check_source`."""
    used = select(Source.used_at).where(Source.digest == digest)
    if digest is None or session.scalar(used) is not None:
        return
    # From now on it is kept, unless it is deleted at this moment.
    statement = update(Source).where(Source.digest == digest).values(used_at=now())
    if not session.execute(statement.returning(Source.digest)).all():
        raise _unknown(path)


def _unknown(path: str) -> InvalidError:
    return InvalidError.of(
        FieldError(path, "nobody sent this source; POST it to /v1/sources first")
    )
