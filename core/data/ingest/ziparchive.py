"""Untrusted zip archives: checked by their directory before a byte is decompressed."""

import itertools
import stat
import zipfile
from pathlib import Path

from core.data.ingest.limits import Limits
from core.errors import InvalidError, TooLargeError

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
ENCRYPTED = 0x1
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def check_archive(
    archive: zipfile.ZipFile, source: Path, limits: Limits, most: int
) -> list[zipfile.ZipInfo]:
    """The files of an archive in its order, without folders.

    Raises InvalidError for names that leave the archive, links, repeated or overlapping or
    encrypted files; TooLargeError for more than `most` files or too many inflated bytes.
    `zipfile` never decompresses a file beyond the size in its directory entry, so checking the
    directory is enough.
    """
    files = [info for info in archive.infolist() if not info.is_dir()]
    if not files:
        raise InvalidError("the archive is empty")
    if len(files) > most:
        raise TooLargeError(f"the archive holds {len(files):,} files; at most {most:,} are allowed")
    seen: set[str] = set()
    for info in files:
        _check_member(info)
        if info.filename in seen:
            raise InvalidError(f"the archive holds {info.filename!r} twice")
        seen.add(info.filename)
    by_place = sorted(files, key=lambda info: info.header_offset)
    for before, after in itertools.pairwise(by_place):
        if before.header_offset + before.compress_size >= after.header_offset:
            raise InvalidError(f"{before.filename!r} and {after.filename!r} overlap in the archive")
    limits.check_grown(sum(info.file_size for info in files), source.stat().st_size)
    return files


def _check_member(info: zipfile.ZipInfo) -> None:
    """Raise InvalidError for a member that an archive of data must not have."""
    name = info.filename
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        raise InvalidError(f"the name {name!r} leads out of the archive")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise InvalidError(f"{name!r} is a link")
    if info.flag_bits & ENCRYPTED:
        raise InvalidError(f"{name!r} is encrypted")
    if info.compress_type not in METHODS:
        raise InvalidError(f"{name!r} is compressed in a way that is not read here: use deflate")


def first_suffix(source: Path, suffixes: frozenset[str]) -> str | None:
    """The first of `suffixes` that a file in the archive has; None without one or an archive."""
    try:
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                suffix = Path(name).suffix.lower()
                if suffix in suffixes:
                    return suffix
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    return None
