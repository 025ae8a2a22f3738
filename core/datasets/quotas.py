"""How much an owner may keep: said before bytes are stored."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db.tables import Dataset, DatasetVersion
from core.errors import ConflictError, TooLargeError


@dataclass(frozen=True)
class Quota:
    """Most bytes of an owner's dataset versions together, most versions of a dataset; 0: no limit.

    Erased versions do not count, nor those about to be. Chunks that versions share count for each.
    """

    bytes: int = 0
    versions: int = 0

    def check(self, session: Session, owner: str, name: str, more_bytes: int = 1) -> None:
        """Whether a version of `more_bytes` may be added to the dataset `name`.

        Raises TooLargeError when the owner would have too many bytes, ConflictError when the
        dataset has its versions.
        """
        there = DatasetVersion.erase_requested_at.is_(None)
        if self.versions:
            held = select(func.count()).select_from(DatasetVersion).join(DatasetVersion.dataset)
            count = session.scalar(held.where(Dataset.name == name, there)) or 0
            if count >= self.versions:
                raise ConflictError(
                    f"dataset {name!r} has {count} versions, as many as it may: erase one first"
                )
        if self.bytes:
            total = select(func.coalesce(func.sum(DatasetVersion.bytes), 0))
            owned = total.join(DatasetVersion.dataset).where(Dataset.owner == owner, there)
            used = int(session.scalar(owned) or 0)
            if used + more_bytes > self.bytes:
                raise TooLargeError(
                    f"datasets take {used:,} of {self.bytes:,} bytes, {more_bytes:,} more do not "
                    "fit: erase versions that nobody needs"
                )
