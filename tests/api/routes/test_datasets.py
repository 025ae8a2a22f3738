"""Datasets over HTTP: upload, list, read, and everything wrong that can be sent."""

import gzip
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import anyio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anyio.from_thread import BlockingPortal

from api.app import create_app
from api.upload import body as uploads
from core.data.ingest.parser import ParsedDataset
from core.db.session import transaction
from core.db.tables import DatasetVersion
from core.settings import Settings
from tests.support.api_cases import CSV, SPEC, Http, assert_problem, close


def test_an_upload_becomes_a_version_with_digest_rows_and_columns(empty: Http) -> None:
    answer = empty.upload()
    assert answer.status_code == 201, answer.text
    version = answer.json()
    assert (version["name"], version["version"], version["rows"]) == ("pets", 1, 40)
    assert len(version["digest"]) == 64
    assert [column["name"] for column in version["columns"]] == ["p0", "p1", "label"]
    assert version["columns"][2]["classes"] == ["cat", "dog"]
    assert empty.get("/v1/datasets/pets/versions/1").json() == version
    assert empty.get("/v1/datasets/pets/versions").json() == {"items": [version], "next": None}


def test_other_content_is_the_next_version_the_same_content_is_not(everywhere: Http) -> None:
    assert everywhere.upload().json()["version"] == 1
    assert everywhere.upload(content=CSV + "1,2.5,cat\n").json()["version"] == 2
    assert everywhere.get("/v1/datasets/pets").json()["latest_version"] == 2


def test_parquet_and_npz_are_taken_too(empty: Http) -> None:
    table = pa.table({"x": [1.0, 2.0], "y": ["a", "b"]})
    parquet, npz = io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    np.savez(npz, x=np.zeros((3, 4, 4), np.uint8), y=np.arange(3))
    answer = empty.upload("a", parquet.getvalue(), "application/vnd.apache.parquet")
    assert (answer.json()["format"], answer.json()["rows"]) == ("parquet", 2)
    answer = empty.upload("b", npz.getvalue(), "application/x-npz")
    assert answer.json()["columns"][0]["shape"] == [4, 4]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("cats.jsonl", b'{"x": 1}\n{"x": 2}\n', "jsonl"),
        ("cats.csv.gz", gzip.compress(b"x,y\n1,2\n", mtime=0), "csv"),
        ("größe.tsv", b"x\ty\n1\t2\n", "csv"),
        ("labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\x01\x02", "idx"),
    ],
    ids=["jsonl", "gzip", "tsv", "idx"],
)
def test_the_name_of_a_file_tells_its_format(
    empty: Http, name: str, content: str | bytes, kind: str
) -> None:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
    }
    answer = empty.post("/v1/datasets/named/versions", content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["format"] == kind


def test_lists_come_in_pages(everywhere: Http, pets: ParsedDataset) -> None:
    for name in ("a", "b"):
        everywhere.register(pets, name)
    first = everywhere.get("/v1/datasets", params={"limit": 2}).json()
    second = everywhere.get("/v1/datasets", params={"limit": 2, "cursor": first["next"]}).json()
    names = [item["name"] for page in (first, second) for item in page["items"]]
    assert names == ["a", "b", "pets"]
    assert second["next"] is None


def test_versions_come_in_pages_newest_first(everywhere: Http, pets: ParsedDataset) -> None:
    for version in (2, 3):
        everywhere.register(replace(pets, digest=str(version) * 64))
    path = "/v1/datasets/pets/versions"
    first = everywhere.get(path, params={"limit": 2}).json()
    assert [item["version"] for item in first["items"]] == [3, 2]
    rest = everywhere.get(path, params={"cursor": first["next"]}).json()
    assert [item["version"] for item in rest["items"]] == [1]
    assert rest["next"] is None


def test_a_cursor_of_another_list_is_refused(http: Http) -> None:
    answer = http.get("/v1/datasets/pets/versions", params={"cursor": "pets"})
    assert_problem(answer, 422, "query.cursor")


@pytest.mark.parametrize(
    "path",
    ["/v1/datasets/none", "/v1/datasets/none/versions", "/v1/datasets/pets/versions/7"],
)
def test_what_is_not_there_is_404(http: Http, path: str) -> None:
    assert_problem(http.get(path), 404)


@pytest.mark.parametrize(
    "name", ["%2e%2e", "..%5c", "a%00b", "%2fetc", "a" * 129, ".hidden", "C:", "ａ", "a b", "-x"]
)
def test_names_that_are_no_plain_words_are_refused_and_nothing_is_written(
    empty: Http, settings: Settings, name: str
) -> None:
    answer = empty.upload(name)
    assert answer.status_code in {404, 422}
    assert_problem(answer, answer.status_code)
    assert empty.get("/v1/datasets").json()["items"] == []
    assert not [path for path in settings.data_dir.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ("", "text/csv", "empty"),
        ("a,b\n1\n", "text/csv", "row"),
        (CSV, "image/gif", "image/gif"),
        (b"PAR1 nonsense PAR1", "application/vnd.apache.parquet", ""),
        (b"\x80\x04\x95canary", "application/x-npz", ""),
        (CSV, "text/csv; colour=red", "colour"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    empty: Http, content: str | bytes, kind: str, said: str
) -> None:
    problem = assert_problem(empty.upload(content=content, kind=kind), 422)
    assert said in problem["detail"]
    assert empty.get("/v1/datasets").json()["items"] == []


@pytest.fixture
def small(settings: Settings, portal: BlockingPortal) -> Iterator[Http]:
    """A client of an app that takes uploads of 1000 bytes."""
    app = create_app(settings.model_copy(update={"max_upload_bytes": 1000}))
    yield Http(app, portal)
    close(app)


def left_over(settings: Settings) -> list[Path]:
    """What uploads left on the disk."""
    return list((settings.data_dir / "uploads").glob("*"))


def test_an_upload_that_says_it_is_too_large_is_refused_unread(
    small: Http, settings: Settings
) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    path = "/v1/datasets/big/versions"
    answer = small.post(path, content=body(), headers={"Content-Length": "1001"})
    assert "1,000 bytes" in assert_problem(answer, 413)["detail"]
    assert left_over(settings) == []


def test_an_upload_that_does_not_say_is_counted_as_it_streams(
    small: Http, settings: Settings
) -> None:
    given = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 10**9:
            given += 600
            yield b"x" * 600

    answer = small.post("/v1/datasets/big/versions", content=body())
    assert "1,000 bytes" in assert_problem(answer, 413)["detail"]
    assert given < 10_000
    assert left_over(settings) == []


def test_nothing_is_left_on_the_disk_after_an_upload(empty: Http, settings: Settings) -> None:
    empty.upload()
    empty.upload(content="a,b\n1\n")
    assert left_over(settings) == []


def test_an_upload_that_stops_is_given_up(
    empty: Http, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "IDLE_SECONDS", 0.2)

    async def body() -> AsyncIterator[bytes]:
        yield b"a,b\n"
        await anyio.sleep(30)
        yield b"1,2\n"

    assert_problem(empty.post("/v1/datasets/slow/versions", content=body()), 408)
    assert left_over(settings) == []


def test_parse_options_and_warnings_are_kept_with_a_version(everywhere: Http) -> None:
    rows = "".join(f"{i};{i % 7},5;{'?' if i % 9 == 0 else 'a'};{i % 2}\n" for i in range(40))
    content = f"id;p0;kind;label\n{rows}"
    problem = assert_problem(everywhere.upload("own", content), 422, "p0")
    assert "decimal=','" in problem["detail"]
    version = everywhere.upload("own", content, 'text/csv; decimal=","').json()
    assert version["parse"] == {"decimal": ","}
    warnings = {warning["column"]: warning for warning in version["warnings"]}
    assert {name: w["kind"] for name, w in warnings.items()} == {
        "id": "identifier",
        "kind": "null_marks",
    }
    assert warnings["kind"]["examples"][0] == {"row": 1, "value": "?"}
    assert everywhere.get("/v1/datasets/own/versions/1").json() == version

    spec = {**SPEC, "dataset": "own@1", "data": {"target": "label"}}
    refused = assert_problem(everywhere.post("/v1/jobs", spec), 422, "data.features")
    assert "'kind' holds '?' in 5 cells" in refused["detail"]
    sweep = {
        "name": "own",
        "job": spec,
        "search_space": {"optimizer.learning_rate": {"kind": "float", "low": 0.1, "high": 0.2}},
        "objective": {"metric": "valid/loss", "direction": "minimize"},
        "n_trials": 2,
    }
    assert_problem(everywhere.post("/v1/sweeps", sweep), 422, "job.data.features")
    spec["data"] = {"target": "label", "features": ["p0"]}
    assert everywhere.post("/v1/jobs", spec).status_code == 202

    answer = everywhere.upload("own", content, 'text/csv; decimal=","; nulls="?"')
    assert answer.json()["version"] == 2
    assert [w["column"] for w in answer.json()["warnings"]] == ["id", "kind"]
    assert answer.json()["warnings"][1]["kind"] == "constant"
    derived = {"name": "part", "query": "p0:>1", "columns": ["p0", "kind", "label"]}
    answer = everywhere.post("/v1/datasets/own/versions/1/derive", derived)
    assert answer.json()["parse"] == {"decimal": ","}
    assert [w["column"] for w in answer.json()["warnings"]] == ["kind"]


def test_declaring_text_makes_a_version_of_the_same_bytes_without_the_warning(
    empty: Http,
) -> None:
    content = "code,label\n" + "".join(f"{i % 3 or 'x'},{i % 2}\n" for i in range(9)) + "y,0\n" * 9
    first = empty.upload("codes", content).json()
    assert [warning["kind"] for warning in first["warnings"]] == ["numbers_as_text"]
    assert empty.upload("codes", content).json() == first
    second = empty.upload("codes", content, "text/csv; text=code").json()
    assert (second["version"], second["digest"]) == (2, first["digest"])
    assert second["warnings"] == []


def test_a_version_of_an_earlier_release_trains_as_before(http: Http) -> None:
    with transaction(http.app.state.context.engine) as session:
        row = session.query(DatasetVersion).one()
        row.parse = row.warnings = None
    version = http.get("/v1/datasets/pets/versions/1").json()
    assert (version["parse"], version["warnings"]) == ({}, [])
    assert http.post("/v1/jobs", SPEC).status_code == 202
