"""Pictures become one tensor column with their class, in an order of their own."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from core.data.ingest.formats import images
from core.data.ingest.limits import Limits
from core.data.ingest.sandbox import parse
from core.data.prepare.features import numeric_array
from core.data.table.columns import labels
from core.data.table.reader import load
from core.errors import InvalidError, TooLargeError

RED = np.zeros((4, 6, 3), np.uint8) + np.array([255, 0, 0], np.uint8)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., pa.Table]:
    def parse_files(files: dict[str, bytes], content_type: str = "application/zip") -> pa.Table:
        with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        parse(tmp_path / "upload", content_type, tmp_path / "out.arrow", Limits())
        return load(tmp_path / "out.arrow")

    return parse_files


def picture(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    held = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(held, kind, **options)
    return held.getvalue()


def test_folders_are_classes(table: Callable[..., pa.Table]) -> None:
    other = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    read = table({"set/b/1.png": picture(other), "set/a/9.png": picture(RED)})
    assert read.column("file").to_pylist() == ["set/a/9.png", "set/b/1.png"]
    assert labels(read, "label").tolist() == ["a", "b"]
    np.testing.assert_array_equal(numeric_array(read, ["image"]), np.stack([RED, other]))


def test_gray_pictures_have_one_channel(table: Callable[..., pa.Table]) -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    read = table({"a/1.png": picture(gray), "b/2.png": picture(gray + 1)})
    np.testing.assert_array_equal(numeric_array(read, ["image"])[0, :, :, 0], gray)
    assert table({"a/1.png": picture(RED)}, "application/zip; color=gray").num_rows == 1


def test_splits_lie_above_classes(table: Callable[..., pa.Table]) -> None:
    files = {f"{part}/a/1.png": picture(RED) for part in ("train", "test")}
    assert table(files).column("split").to_pylist() == ["test", "train"]


def test_the_order_in_the_archive_does_not_matter(table: Callable[..., pa.Table]) -> None:
    files = {f"a/{i}.png": picture(RED + i) for i in range(3)}
    first = table(files)
    assert table(dict(reversed(files.items()))).equals(first)


def test_a_jpeg_turned_by_its_camera_is_set_upright(table: Callable[..., pa.Table]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    read = table({"a/1.jpg": picture(RED, "JPEG", exif=exif)})
    assert numeric_array(read, ["image"]).shape == (1, 6, 4, 3)


def test_sizes_are_brought_to_one(table: Callable[..., pa.Table]) -> None:
    files = {"a/1.png": picture(RED), "a/2.png": picture(RED[:2, :2])}
    read = table(files, "application/zip; width=5; height=3")
    assert numeric_array(read, ["image"]).shape == (2, 3, 5, 3)
    np.testing.assert_array_equal(numeric_array(read, ["image"])[1, 0, 0], [255, 0, 0])


WRONG = {
    "sizes": ({"a/1.png": picture(RED), "b/2.png": picture(RED[:2])}, r"6x4 \(1\), 6x2 \(1\)"),
    "no folder": ({"1.png": picture(RED)}, "'1.png' does not"),
    "depths": ({"a/1.png": picture(RED), "a/b/c/d/1.png": picture(RED)}, "does not"),
    "text": ({"a/1.png": picture(RED), "a/2.png": b"hello"}, "'a/2.png' is no PNG or JPEG"),
    "a gif": ({"a/1.png": picture(RED, "GIF")}, "'a/1.png' is no PNG or JPEG"),
    "cut": ({"a/1.png": picture(RED)[:-30]}, "'a/1.png'"),
    "cut jpeg": (
        {"a/1.jpg": picture(RED, "JPEG")[:-90]},
        "'a/1.jpg' .*(cut|cannot)",
    ),
    "16 bits": ({"a/1.png": picture(Image.new("I;16", (2, 2)))}, "pixels of the kind I;16"),
    "litter only": ({"__MACOSX/a/1.png": b"", "a/.DS_Store": b""}, "no pictures"),
    "dots": ({"../a/1.png": picture(RED)}, "leads out of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(table: Callable[..., pa.Table], case: str) -> None:
    files, message = WRONG[case]
    with pytest.raises(InvalidError, match=message):
        table(files)


def test_width_without_height(table: Callable[..., pa.Table]) -> None:
    with pytest.raises(InvalidError, match="go together"):
        table({"a/1.png": picture(RED)}, "application/zip; width=4")


def test_a_picture_that_expands_too_far(table: Callable[..., pa.Table]) -> None:
    bomb = picture(Image.new("1", (8000, 8000)))
    assert len(bomb) < 100_000
    with pytest.raises(TooLargeError, match="expands to"):
        table({"a/1.png": bomb, "a/2.png": bomb})


def test_pictures_are_bounded_by_pixels_before_one_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(images, "_pixels", refuse)
    blank = picture(Image.new("L", (12_000, 12_000)))
    with zipfile.ZipFile(tmp_path / "one", "w") as archive:
        archive.writestr("a/1.png", blank)
    with pytest.raises(TooLargeError, match=r"\(12000, 12000\) pixels"):
        next(images.Images(width=8, height=8).read(tmp_path / "one", Limits()))
    small = picture(Image.new("L", (8000, 8000)))
    with zipfile.ZipFile(tmp_path / "many", "w") as archive:
        for number in range(20):
            archive.writestr(f"a/{number}.png", small)
    with pytest.raises(TooLargeError, match="more than 1,073,741,824 pixels"):
        next(images.Images(width=8, height=8).read(tmp_path / "many", Limits(max_ratio=10**6)))


def test_a_picture_with_absurd_sides(table: Callable[..., pa.Table]) -> None:
    with pytest.raises(TooLargeError, match="20000"):
        table({"a/1.png": picture(Image.new("1", (20_000, 1)))})
