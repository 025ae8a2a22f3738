"""Limits for uploads, checked by arithmetic before anything is allocated."""

from dataclasses import dataclass

from core.errors import TooLargeError


@dataclass(frozen=True)
class Limits:
    """Limits of one parse. An upload may expand `max_ratio`-fold, or to `free_bytes` if more."""

    max_bytes: int = 64 * 2**30
    max_rows: int = 2**32
    max_columns: int = 10_000
    max_cell_bytes: int = 2**20
    max_members: int = 64
    max_ratio: int = 100
    free_bytes: int = 64 * 2**20
    memory_bytes: int = 2 * 2**30
    cpu_seconds: int = 60
    bytes_per_cpu_second: int = 2**20

    def grown(self, source_bytes: int) -> int:
        """The bytes to which an upload of `source_bytes` may expand."""
        return min(self.max_bytes, max(self.free_bytes, self.max_ratio * source_bytes))

    def check_grown(self, expanded_bytes: int, source_bytes: int) -> None:
        """Raise TooLargeError when an upload expands beyond its limit."""
        most = self.grown(source_bytes)
        if expanded_bytes > most:
            raise TooLargeError(
                f"the upload of {source_bytes:,} bytes expands to {expanded_bytes:,} or more; "
                f"at most {most:,} are allowed"
            )

    def seconds(self, source_bytes: int) -> int:
        """Processor seconds for an upload: a constant, and time for every byte."""
        return self.cpu_seconds + source_bytes // self.bytes_per_cpu_second
