"""Uploads in parts: what is wrong is said, and quotas before a byte is stored."""

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from api.app import create_app
from core.data.ingest.parser import ParsedDataset
from core.settings import Settings
from tests.support.api_cases import CSV, Http, assert_problem, close

CONTENT = CSV.encode()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/v1/datasets/pets/uploads"


def begun(http: Http, **changes: Any) -> httpx.Response:
    announced = {"bytes": len(CONTENT), "sha256": SHA256, "filename": "pets.csv", **changes}
    return http.post(PATH, announced)


def sent(http: Http, upload: dict[str, Any], content: bytes, offset: int = 0) -> httpx.Response:
    path = f"{PATH}/{upload['id']}?offset={offset}"
    return http.request("PUT", path, content=content)


def test_parts_become_a_version(empty: Http, settings: Settings) -> None:
    upload = begun(empty).json()
    assert (upload["bytes"], upload["received"]) == (len(CONTENT), 0)
    assert sent(empty, upload, CONTENT[:100]).json()["received"] == 100
    assert_problem(sent(empty, upload, CONTENT[50:], 50), 409)
    assert_problem(sent(empty, upload, b"", 100), 422)
    assert_problem(empty.post(f"{PATH}/{upload['id']}/complete"), 409)
    assert begun(empty).json() == {**upload, "received": 100}
    assert_problem(sent(empty, upload, CONTENT[100:] + b"more", 100), 413)
    upload = empty.get(f"{PATH}/{upload['id']}").json()
    rest = CONTENT[upload["received"] :]
    assert sent(empty, upload, rest, upload["received"]).json()["received"] == len(CONTENT)
    answer = empty.post(f"{PATH}/{upload['id']}/complete")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name"], answer.json()["rows"]) == ("pets", 40)
    assert_problem(empty.get(f"{PATH}/{upload['id']}"), 404)
    assert list(settings.data_dir.joinpath("uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "changes", "detail"),
    [
        (CONTENT[:-1] + b"x", {}, "SHA-256"),
        (b"a,b\n1,2,3\n", {"bytes": 10, "sha256": hashlib.sha256(b"a,b\n1,2,3\n").hexdigest()}, ""),
    ],
    ids=["other bytes", "no table"],
)
def test_wrong_bytes_are_refused_and_gone(
    empty: Http, settings: Settings, content: bytes, changes: dict[str, Any], detail: str
) -> None:
    upload = begun(empty, **changes).json()
    sent(empty, upload, content)
    answer = empty.post(f"{PATH}/{upload['id']}/complete")
    assert_problem(answer, 422)
    assert detail in answer.json()["detail"]
    assert list(settings.data_dir.joinpath("uploads").iterdir()) == []
    assert_problem(empty.get("/v1/datasets/pets"), 404)


def test_what_nobody_announced_is_not_there(empty: Http) -> None:
    upload = begun(empty).json()
    assert_problem(empty.get(f"/v1/datasets/cars/uploads/{upload['id']}"), 404)
    assert_problem(empty.request("PUT", f"{PATH}/{'0' * 32}?offset=0", content=b"x"), 404)
    assert_problem(empty.post(f"{PATH}/..%2f..%2fetc/complete"), 404)
    assert_problem(begun(empty, bytes=0), 422)
    assert_problem(begun(empty, sha256="abc"), 422)
    assert_problem(begun(empty, bytes=2**50), 413)


@pytest.fixture
def limited(settings: Settings, portal: BlockingPortal, pets: ParsedDataset) -> Iterator[Http]:
    """An app in which a dataset has two versions at most, and all together 2.5 times the pets."""
    limits = {"max_dataset_versions": 2, "max_owner_bytes": pets.bytes * 5 // 2}
    app = create_app(settings.model_copy(update=limits))
    yield Http(app, portal)
    close(app)


def test_quotas_are_checked_before_bytes_are_stored(limited: Http, settings: Settings) -> None:
    assert limited.upload().status_code == 201
    assert limited.upload("cars").status_code == 201
    kept = sorted(settings.data_dir.joinpath("store").rglob("*"))
    answer = limited.upload("boats", CSV + "1,2.5,cat\n")
    assert_problem(answer, 413)
    assert "erase versions" in answer.json()["detail"]
    assert sorted(settings.data_dir.joinpath("store").rglob("*")) == kept
    derived = limited.post("/v1/datasets/pets/versions/1/derive", {"name": "copy"})
    assert_problem(derived, 413)
    # What is erased counts no more.
    assert limited.request("DELETE", "/v1/datasets/cars/versions/1").is_success
    assert limited.upload(content=CSV + "1,2.5,cat\n").status_code == 201
    answer = limited.upload(content="a,b\n1,2\n")
    assert_problem(answer, 409)
    assert "2 versions" in answer.json()["detail"]
    assert_problem(begun(limited), 409)
