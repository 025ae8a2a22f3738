"""Datasets from a URL: what the server may read becomes a version, in parts or at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from api.app import create_app
from core.data.storage.stores import open_store
from core.errors import InvalidError
from core.settings import Settings
from tests.support.api_cases import CSV, Http, assert_problem, close

PATH = "/v1/datasets/pets"


@pytest.fixture
def allowed(
    settings: Settings, portal: BlockingPortal, tmp_path: Path, s3_url: str
) -> Iterator[Http]:
    """An app that may read a folder and a bucket."""
    urls = f"file://{tmp_path}/shared,{s3_url}"
    app = create_app(settings.model_copy(update={"dataset_urls": urls}))
    yield Http(app, portal)
    close(app)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a file in the folder that may be read."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "pets.csv").write_text(CSV)
    return f"file://{tmp_path}/shared/pets.csv"


def test_a_file_becomes_a_version_that_knows_where_it_is_from(
    allowed: Http, url: str, settings: Settings
) -> None:
    upload = allowed.post(f"{PATH}/imports", {"url": url}).json()
    assert (upload["bytes"], upload["received"]) == (len(CSV), 0)
    path = f"{PATH}/uploads/{upload['id']}"
    assert_problem(allowed.request("PUT", f"{path}?offset=0", content=b"mine"), 409)
    assert allowed.post(f"{path}/pull").json()["received"] == len(CSV)
    assert allowed.post(f"{PATH}/imports", {"url": url}).json()["received"] == len(CSV)
    answer = allowed.post(f"{path}/complete")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["rows"], answer.json()["format"]) == (40, "csv")
    assert answer.json()["made_from"] == {"url": url}
    assert list(settings.data_dir.joinpath("uploads").iterdir()) == []


def test_completing_alone_reads_all_from_a_bucket(allowed: Http, s3_url: str) -> None:
    open_store(s3_url).put_bytes(CSV.encode(), "day-1/pets.csv")
    upload = allowed.post(f"{PATH}/imports", {"url": f"{s3_url}/day-1/pets.csv"}).json()
    answer = allowed.post(f"{PATH}/uploads/{upload['id']}/complete")
    assert (answer.status_code, answer.json()["rows"]) == (201, 40)


def test_a_file_may_stay_where_it_is(allowed: Http, url: str, settings: Settings) -> None:
    upload = allowed.post(f"{PATH}/imports", {"url": url, "in_place": True}).json()
    answer = allowed.post(f"{PATH}/uploads/{upload['id']}/complete")
    assert (answer.status_code, answer.json()["rows"]) == (201, 40)
    assert answer.json()["made_from"] == {"url": url, "in_place": True}
    kept = open_store(settings.resolved_store_url).keys()
    assert [key.rpartition("/")[2] for key in kept] == [f"{answer.json()['digest']}.origin"]
    path = f"{PATH}/versions/1"
    found = allowed.post(f"{path}/query", {"query": "label:cat", "preview": 0})
    assert (found.json()["rows"], found.json()["of"]) == (20, 40)
    assert allowed.get(f"{path}/content?format=csv").text.count("\n") == 41


def test_a_file_that_changes_is_not_mixed(
    allowed: Http, url: str, tmp_path: Path, settings: Settings
) -> None:
    upload = allowed.post(f"{PATH}/imports", {"url": url}).json()
    (tmp_path / "shared" / "pets.csv").write_text(CSV + "1,2.5,cat\n")
    answer = allowed.post(f"{PATH}/uploads/{upload['id']}/complete")
    assert_problem(answer, 409)
    assert "has changed" in answer.json()["detail"]
    assert_problem(allowed.get(f"{PATH}/uploads/{upload['id']}"), 404)
    assert list(settings.data_dir.joinpath("uploads").iterdir()) == []


def test_what_may_not_be_read_is_refused(allowed: Http, empty: Http, url: str) -> None:
    for http, wanted in ((empty, url), (allowed, "file:///etc/passwd"), (allowed, "http://[::1]")):
        answer = http.post(f"{PATH}/imports", {"url": wanted})
        assert_problem(answer, 422)
        assert [one["path"] for one in answer.json()["errors"]] == ["url"]
    assert_problem(allowed.post(f"{PATH}/imports", {"url": url + "x"}), 404)
    sent = allowed.post(f"{PATH}/uploads", {"bytes": 3, "sha256": "0" * 64}).json()
    assert_problem(allowed.post(f"{PATH}/uploads/{sent['id']}/pull"), 409)


def test_a_setting_that_cannot_be_stops_the_start(settings: Settings) -> None:
    with pytest.raises(InvalidError, match="must be like"):
        create_app(settings.model_copy(update={"dataset_urls": "/srv/data"}))
