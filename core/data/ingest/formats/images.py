"""Images in a zip, one folder per class: PNG and JPEG."""

import io
import math
import re
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from core.data.ingest.format import Format, rows_at_once
from core.data.ingest.limits import Limits
from core.data.ingest.ziparchive import ZIP, check_archive
from core.data.table.schema import PICTURE, PICTURE_FILE
from core.data.table.tensors import tensor_array, tensor_field
from core.errors import InvalidError, TooLargeError
from core.family import member

MAX_FILES = 200_000
MAX_SIDE = 16_384
MAX_PIXELS = 2**26
"""Pixels of one picture, which is decoded as a whole."""
PIXELS_PER_BYTE = 100
FREE_PIXELS = 2**30
"""All pictures may have so many pixels for each byte of the upload, or so many if more."""
ORIENTATION = 0x0112
SIDEWAYS = frozenset({5, 6, 7, 8})
READ_HERE = ("PNG", "JPEG")
GRAY = frozenset({"1", "L", "LA"})
READABLE = GRAY | {"P", "RGB", "RGBA", "CMYK", "YCbCr"}
LITTER = re.compile(r"(^|/)(__MACOSX/|\.|Thumbs\.db$|desktop\.ini$)")


@member
class Images(Format):
    """`class/picture.png` or `split/class/picture.png`; one folder around all of them is ignored.

    Becomes the columns `image` (height, width, channel; bytes 0 to 255; one channel when all
    pictures are gray), `label` (the folder), `file` and, if there is one, `split`. All pictures
    must have one size, unless `width` and `height` set the size to which they are scaled.
    """

    kind: Literal["images"] = "images"
    width: Annotated[int, Ge(0), Le(MAX_SIDE)] = 0
    height: Annotated[int, Ge(0), Le(MAX_SIDE)] = 0
    color: Literal["auto", "gray", "rgb"] = "auto"
    title: ClassVar[str] = "pictures"
    content_types: ClassVar[tuple[str, ...]] = ("application/zip", "application/x-zip-compressed")
    magic: ClassVar[tuple[bytes, ...]] = ZIP
    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg")

    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """See Format.read. Sizes are checked by the headers of pictures before any is decoded."""
        if bool(self.width) != bool(self.height):
            raise InvalidError("width and height go together")
        try:
            with zipfile.ZipFile(source) as archive:
                yield from self._batches(archive, source, limits)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InvalidError(f"the file is not a whole zip archive: {error}") from error

    def _batches(
        self, archive: zipfile.ZipFile, source: Path, limits: Limits
    ) -> Iterator[pa.RecordBatch]:
        """The pictures in the order of their names, some at a time."""
        pictures = _pictures(check_archive(archive, source, limits, MAX_FILES))
        shape = self._shape(archive, pictures, source.stat().st_size)
        size = math.prod(shape)
        limits.check_grown(size * len(pictures), source.stat().st_size)
        field = tensor_field(PICTURE, pa.uint8(), shape)
        at_once = rows_at_once(size)
        for start in range(0, len(pictures), at_once):
            some = pictures[start : start + at_once]
            pixels = np.stack(
                [_pixels(_opened(archive, picture), picture, shape) for picture in some]
            )
            columns = [
                tensor_array(pixels, field),
                pa.array([picture.label for picture in some]),
                pa.array([picture.info.filename for picture in some]),
            ]
            fields = [field, pa.field("label", pa.string()), pa.field(PICTURE_FILE, pa.string())]
            if some[0].split:
                columns.append(pa.array([picture.split for picture in some]))
                fields.append(pa.field("split", pa.string()))
            yield pa.record_batch(columns, schema=pa.schema(fields))

    def _shape(
        self, archive: zipfile.ZipFile, pictures: list["Picture"], source_bytes: int
    ) -> tuple[int, int, int]:
        """Height, width and channels of every row, from the headers of all pictures.

        Raises TooLargeError if one picture, or all together, have too many pixels to be decoded.
        """
        sizes: Counter[tuple[int, int]] = Counter()
        pixels, most_pixels = 0, max(FREE_PIXELS, PIXELS_PER_BYTE * source_bytes)
        gray, odd = True, None
        for picture in pictures:
            with _opened(archive, picture) as image:
                if image.mode not in READABLE:
                    raise InvalidError(
                        f"{picture.info.filename!r} has pixels of the kind {image.mode}"
                    )
                if max(image.size) > MAX_SIDE or math.prod(image.size) > MAX_PIXELS:
                    raise TooLargeError(f"{picture.info.filename!r} has {image.size} pixels")
                pixels += math.prod(image.size)
                if pixels > most_pixels:
                    raise TooLargeError(
                        f"the pictures have more than {most_pixels:,} pixels, too many for an "
                        f"upload of {source_bytes:,} bytes"
                    )
                gray = gray and image.mode in GRAY
                # Rotated cameras: the size counts after the picture was set upright.
                turned = image.format == "JPEG" and _orientation(image, picture) in SIDEWAYS
                size = image.size[::-1] if turned else image.size
            if sizes and size not in sizes and odd is None:
                odd = picture.info.filename
            sizes[size] += 1
        if self.width:
            width, height = self.width, self.height
        elif odd is not None:
            common = ", ".join(f"{w}x{h} ({often})" for (w, h), often in sizes.most_common(3))
            raise InvalidError(
                f"the pictures have different sizes: {common}; {odd!r} is the first that differs. "
                "The content type `application/zip; width=64; height=64` brings all to one size"
            )
        else:
            ((width, height),) = sizes
        one_channel = self.color == "gray" or (self.color == "auto" and gray)
        return height, width, 1 if one_channel else 3

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """Gray and colored, PNG and JPEG, with and without splits, scaled to one size."""
        gray = {"all/cat/1.png": ("L", (3, 2)), "all/dog/1.png": ("1", (3, 2))}
        colored = {"train/cat/1.png": ("RGB", (8, 8)), "test/dog/2.jpg": ("L", (8, 8))}
        yield cls(), _zipped(gray | {"all/.DS_Store": None})
        yield cls(), _zipped(colored)
        yield cls(width=4, height=5), _zipped({"a/1.png": ("P", (9, 7)), "b/1.png": ("L", (3, 3))})


@dataclass(frozen=True)
class Picture:
    """One picture of the archive, its class and its part of the data, empty without parts."""

    info: zipfile.ZipInfo
    label: str
    split: str


def _pictures(files: list[zipfile.ZipInfo]) -> list[Picture]:
    """The pictures in the order of their names."""
    named = [info for info in files if not LITTER.search(info.filename)]
    parts = {info.filename: info.filename.split("/") for info in named}
    if not parts:
        raise InvalidError("the archive holds no pictures")
    while min(map(len, parts.values())) > 2 and len({path[0] for path in parts.values()}) == 1:
        parts = {name: path[1:] for name, path in parts.items()}
    depths = {len(path) for path in parts.values()}
    if len(depths) > 1 or not depths <= {2, 3}:
        odd = min(parts, key=lambda name: (len(parts[name]), name))
        raise InvalidError(
            f"pictures must lie in class/picture.png or split/class/picture.png; {odd!r} does not"
        )
    return [
        Picture(info, parts[info.filename][-2], parts[info.filename][0] if depths == {3} else "")
        for info in sorted(named, key=lambda info: info.filename)
    ]


def _opened(archive: zipfile.ZipFile, picture: Picture) -> Image.Image:
    """The picture with its header read but its pixels not decoded."""
    try:
        with warnings.catch_warnings():
            # We judge sizes ourselves, by the header.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(archive.read(picture.info)), formats=READ_HERE)
    except UnidentifiedImageError as error:
        raise InvalidError(f"{picture.info.filename!r} is no PNG or JPEG picture") from error
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"{picture.info.filename!r} expands to too many pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidError(f"{picture.info.filename!r} cannot be read: {error}") from error


def _orientation(image: Image.Image, picture: Picture) -> int:
    """The EXIF orientation, from 1 (upright) to 8."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except (OSError, ValueError, TypeError, SyntaxError, struct.error) as error:
        raise InvalidError(f"{picture.info.filename!r} has no readable EXIF data") from error


def _pixels(image: Image.Image, picture: Picture, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The pixels (height, width, channel) of a picture, rotated upright and scaled to `shape`."""
    height, width, channels = shape
    try:
        # PNG has no such custom, and asking would decode it.
        upright = ImageOps.exif_transpose(image) if image.format == "JPEG" else image
        plain = upright.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise InvalidError(f"{picture.info.filename!r} is cut or damaged: {error}") from error
    if plain.size != (width, height):
        plain = plain.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(plain, dtype=np.uint8).reshape(shape)


def _zipped(files: Mapping[str, tuple[str, tuple[int, int]] | None]) -> bytes:
    """An archive of pictures with a gradient; None gives a file that is not a picture."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, described in files.items():
            if described is None:
                archive.writestr(name, b"litter")
                continue
            mode, size = described
            picture = Image.linear_gradient("L").resize(size).convert(mode)
            held = io.BytesIO()
            picture.save(held, "PNG" if name.endswith("png") else "JPEG")
            archive.writestr(name, held.getvalue())
    return sink.getvalue()
