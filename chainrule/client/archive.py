"""Pack a folder of files into one file for an upload."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """Yield the file `path`, or a temporary zip of the folder `path`.

    Links and hidden files are left out. Equal folders give equal zips. Raises ValueError for a
    folder without files.
    """
    if not path.is_dir():
        yield path
        return
    files = [file for file in sorted(path.rglob("*")) if _is_included(file.relative_to(path), file)]
    if not files:
        raise ValueError(f"there are no files in {path}: hidden files and links are left out")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{path.resolve().name}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                # Without a date, equal folders give equal bytes.
                info = zipfile.ZipInfo(file.relative_to(path).as_posix())
                with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as copy:
                    while block := source.read(2**20):
                        copy.write(block)
        yield target


def _is_included(inside: Path, file: Path) -> bool:
    hidden = any(part.startswith(".") for part in inside.parts)
    return file.is_file() and not file.is_symlink() and not hidden
