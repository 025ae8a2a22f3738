"""A folder of files as one file to upload."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """The file `path`, or a zip of the folder `path` while the context lasts.

    Links and hidden files are left out. Equal folders give equal zips. Raises ValueError for a
    folder without files.
    """
    if not path.is_dir():
        yield path
        return
    files = [one for one in sorted(path.rglob("*")) if _wanted(one.relative_to(path), one)]
    if not files:
        raise ValueError(f"there are no files in {path}")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{path.resolve().name}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                # A date of its own would make another file of the same folder.
                info = zipfile.ZipInfo(file.relative_to(path).as_posix())
                with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as copy:
                    while block := source.read(2**20):
                        copy.write(block)
        yield target


def _wanted(inside: Path, file: Path) -> bool:
    hidden = any(part.startswith(".") for part in inside.parts)
    return file.is_file() and not file.is_symlink() and not hidden
