"""What every format must do: read its examples, the same twice, and refuse them cut or damaged."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.ingest.format import Format
from core.data.ingest.formats import typed
from core.data.ingest.limits import Limits
from core.data.ingest.sandbox import parse
from core.data.table.schema import DatasetSchema
from core.errors import InvalidError, TooLargeError
from core.family import members

CASES = [
    pytest.param(form, content, id=f"{kind}-{place}")
    for kind, one in members(cast("Any", Format)).items()
    for place, (form, content) in enumerate(one.examples())
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


def content_type(form: Format) -> str:
    """The content type that names the format and its options."""
    options = {name: value for name, value in vars(form).items() if name != "kind" and value}
    return "; ".join([form.content_types[0], *(f'{k}="{v}"' for k, v in options.items())])


def parsed(folder: Path, content: bytes, named: str) -> dict[str, Any]:
    (folder / "upload").write_bytes(content)
    return parse(folder / "upload", named, folder / "out.arrow", Limits())


@pytest.mark.parametrize(("form", "content"), CASES)
def test_examples_are_read(form: Format, content: bytes, folder: Path) -> None:
    answer = parsed(folder, content, content_type(form))
    assert answer["format"] == form.kind
    schema = DatasetSchema.model_validate(answer["schema"])
    with pa.OSFile(str(folder / "out.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
    assert table.num_rows == schema.rows > 0
    assert tuple(table.column_names) == schema.names
    assert parsed(folder, content, content_type(form))["digest"] == answer["digest"]


@pytest.mark.parametrize(("form", "content"), CASES)
def test_the_bytes_tell_the_format_where_they_can(
    form: Format, content: bytes, folder: Path
) -> None:
    if not form.magic or content_type(form) != form.content_types[0]:
        return
    assert parsed(folder, content, "application/octet-stream")["format"] == form.kind


def outcome(folder: Path, content: bytes, named: str) -> dict[str, Any] | None:
    """The answer, or None for one of our errors that blames the file; anything else is raised."""
    try:
        return parsed(folder, content, named)
    except (InvalidError, TooLargeError) as error:
        return None if error.detail else pytest.fail("an error without a word")


@pytest.mark.parametrize(("form", "content"), CASES)
def test_cut_files_are_refused_or_shorter(form: Format, content: bytes, folder: Path) -> None:
    whole = parsed(folder, content, content_type(form))
    for length in np.unique(np.linspace(0, len(content) - 1, 40, dtype=int)):
        answer = outcome(folder, content[:length], content_type(form))
        # Text has no mark of its end: what is left of it may be whole rows.
        if answer is not None and form.kind not in {"csv", "jsonl"}:
            assert answer["digest"] == whole["digest"]


@pytest.mark.parametrize(("form", "content"), CASES)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_raise_nothing_but_our_errors(
    form: Format, content: bytes, folder: Path, data: st.DataObject
) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    answer = outcome(folder, bytes(damaged), content_type(form))
    if answer is not None:
        DatasetSchema.model_validate(answer["schema"])


def test_a_member_of_each_format_has_examples() -> None:
    assert set(members(cast("Any", Format))) == {
        "csv",
        "idx",
        "images",
        "jsonl",
        "npy",
        "npz",
        "parquet",
    }
    assert all(list(one.examples()) for one in members(cast("Any", Format)).values())


def test_the_name_tells_the_format_where_the_type_does_not() -> None:
    for one in members(cast("Any", Format)).values():
        for ending in one.endings:
            assert (
                typed("application/octet-stream", f"data{ending.upper()}") == one.content_types[0]
            )
            assert typed("", f"a.b{ending}.gz") == one.content_types[0]
    assert typed("text/csv; header=absent", "x.jsonl") == "text/csv; header=absent"
    for name in ("", "train-images-idx3-ubyte", "pictures.zip", "letters.xyz"):
        assert typed("application/octet-stream", name) == "application/octet-stream"
    endings = [ending for one in members(cast("Any", Format)).values() for ending in one.endings]
    assert len(endings) == len(set(endings))


def test_what_is_none_of_them_is_said_so(folder: Path) -> None:
    with pytest.raises(InvalidError, match="none of the kinds that are read here: CSV, IDX"):
        parsed(folder, b"GIF89a\x00\x00nothing", "application/octet-stream")
