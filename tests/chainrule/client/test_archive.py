"""Folders become one file to upload, sets to try things on are the same every time."""

import csv
import zipfile
from pathlib import Path

import pytest

from chainrule.client.archive import packed
from chainrule.demo import sets
from core.data.ingest.parser import parse


def test_a_folder_becomes_the_same_zip_every_time(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for name in ("cats/a.png", "dogs/b.png", ".hidden/c.png", "dogs/.d"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (folder / "link.png").symlink_to("/etc/passwd")
    with packed(folder) as first, packed(folder) as second:
        assert first.name == "pictures.zip"
        assert first.read_bytes() == second.read_bytes()
        with zipfile.ZipFile(first) as archive:
            assert archive.namelist() == ["cats/a.png", "dogs/b.png"]
            assert archive.read("dogs/b.png") == b"dogs/b.png"
    assert not first.exists()
    with packed(folder / "cats" / "a.png") as file:
        assert file == folder / "cats" / "a.png"


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no files"), packed(tmp_path):
        pass


@pytest.mark.parametrize(("name", "rows", "columns"), [("iris", 150, 5), ("spirals", 600, 3)])
def test_sets_to_try_things_on_can_be_parsed(
    tmp_path: Path, name: str, rows: int, columns: int
) -> None:
    path = sets.write(name, tmp_path)
    parsed = parse(path, "text/csv", tmp_path / "parsed.arrow")
    assert (parsed.schema.rows, len(parsed.schema.columns)) == (rows, columns)
    assert len(parsed.schema.columns[-1].classes or ()) == 3
    (tmp_path / "again").mkdir()
    assert sets.write(name, tmp_path / "again").read_bytes() == path.read_bytes()
    with path.open() as lines:
        assert sum(1 for _ in csv.reader(lines)) == rows + 1
