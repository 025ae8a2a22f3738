"""Quotas: limits of bytes and versions, checked before bytes are stored."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.tables import Dataset, DatasetVersion
from core.errors import ConflictError, TooLargeError


@dataclass(frozen=True)
class Quota:
    """Limit of bytes for all versions of an owner, and of versions for a dataset; 0 is no limit.

    Versions that are erased, or requested to be, do not count. Shared chunks count for each
    version.
    """

    bytes: int = 0
    versions: int = 0

    def check(self, session: Session, owner: str, name: str, more_bytes: int = 1) -> None:
        """Check that a version of `more_bytes` may be added to the dataset `name`.

        Raises TooLargeError if the owner's bytes would exceed the quota, ConflictError if the
        dataset has as many versions as allowed.
        """
        present = DatasetVersion.erase_requested_at.is_(None)
        if self.versions:
            held = select(func.count()).select_from(DatasetVersion).join(DatasetVersion.dataset)
            count = session.scalar(held.where(Dataset.name == name, present)) or 0
            if count >= self.versions:
                raise ConflictError(
                    f"dataset {name!r} has {count} versions, as many as allowed: erase one first"
                )
        if self.bytes:
            total = select(func.coalesce(func.sum(DatasetVersion.bytes), 0))
            owned = total.join(DatasetVersion.dataset).where(Dataset.owner == owner, present)
            used = int(session.scalar(owned) or 0)
            if used + more_bytes > self.bytes:
                raise TooLargeError(
                    f"datasets take {used:,} of {self.bytes:,} bytes, {more_bytes:,} more do not "
                    "fit: erase versions that are no longer needed"
                )
