"""Datasets: registration, version numbers, references, lists and bytes in the store."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from core import datasets
from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage.stores import open_store
from core.db.clock import now
from core.db.session import reading, transaction
from core.db.tables import DatasetVersion
from core.errors import InvalidError, NotFoundError
from core.spec.names import Reference, parse_reference


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> list[ParsedDataset]:
    """Two small parsed datasets."""
    folder = tmp_path_factory.mktemp("parsed")
    datasets_parsed: list[ParsedDataset] = []
    for content in (b"x,label\n1,a\n2,b\n", b"x,label\n1,a\n2,b\n3,a\n"):
        source = folder / "upload.csv"
        source.write_bytes(content)
        target = folder / f"{len(datasets_parsed)}.arrow"
        datasets_parsed.append(parse(source, "text/csv", target))
    return datasets_parsed


@pytest.fixture
def digits(engine: Engine, parsed: list[ParsedDataset]) -> None:
    """Register `digits@1` and `digits@2`."""
    with transaction(engine) as session:
        for one in parsed:
            datasets.register(session, "digits", one, description="hand-written")


@pytest.mark.usefixtures("digits")
def test_versions_are_numbered_and_resolved(engine: Engine, parsed: list[ParsedDataset]) -> None:
    with reading(engine) as session:
        first, second = (datasets.resolve(session, f"digits@{n}") for n in (1, 2))
        assert [first.version, second.version] == [1, 2]
        assert [first.digest, second.digest] == [one.digest for one in parsed]
        assert (second.rows, second.bytes, second.format) == (3, parsed[1].bytes, "csv")
        assert second.schema == parsed[1].schema.model_dump(mode="json")
        assert second.dataset.name == "digits"
        assert second.dataset.description == "hand-written"
        assert datasets.resolve(session, "digits").version == 2
        assert datasets.resolve(session, "digits@latest").version == 2


@pytest.mark.usefixtures("digits")
def test_the_bytes_of_the_latest_version_add_no_version(
    engine: Engine, parsed: list[ParsedDataset]
) -> None:
    with transaction(engine) as session:
        assert datasets.register(session, "digits", parsed[1]).version == 2
        assert datasets.register(session, "digits", parsed[0]).version == 3
        assert datasets.register(session, "other", parsed[0]).version == 1


def test_concurrent_uploads_are_numbered_without_gaps(
    engine: Engine, parsed: list[ParsedDataset]
) -> None:
    barrier = threading.Barrier(6)
    problems: list[Exception] = []

    def upload(which: int) -> None:
        try:
            barrier.wait()
            with transaction(engine) as session:
                datasets.register(session, "busy", parsed[which % 2])
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=upload, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with reading(engine) as session:
        numbers = [one.version for one in datasets.list_versions(session, "busy")]
        latest = numbers[0]
        assert 2 <= latest <= 6
        assert numbers == list(range(latest, 0, -1))


@pytest.mark.usefixtures("digits")
def test_aliases_switch(engine: Engine) -> None:
    with transaction(engine) as session:
        datasets.set_alias(session, "digits", "production", 1)
    with reading(engine) as session:
        assert datasets.resolve(session, "digits@production").version == 1
    with transaction(engine) as session:
        datasets.set_alias(session, "digits", "production", 2)
    with transaction(engine) as session:
        assert datasets.resolve(session, "digits@production").version == 2
        datasets.remove_alias(session, "digits", "production")
    with reading(engine) as session, pytest.raises(NotFoundError, match="no alias 'production'"):
        datasets.resolve(session, "digits@production")


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("alias", ["latest", "3", "", "a b", "-x", "x" * 200])
def test_an_invalid_alias_is_refused(engine: Engine, alias: str) -> None:
    with pytest.raises(InvalidError) as caught, transaction(engine) as session:
        datasets.set_alias(session, "digits", alias, 1)
    assert [one.path for one in caught.value.errors] == ["alias"]


def erase_second(engine: Engine) -> None:
    """Mark `digits@2` as erased."""
    with transaction(engine) as session:
        session.execute(
            update(DatasetVersion)
            .where(DatasetVersion.version == 2)
            .values(erase_requested_at=now(), erased_at=now())
        )


@pytest.mark.usefixtures("digits")
def test_an_erased_version_is_not_resolved(engine: Engine) -> None:
    erase_second(engine)
    with reading(engine) as session:
        assert datasets.resolve(session, "digits").version == 1
        assert datasets.get_version(session, "digits", 2).erased_at is not None
        with pytest.raises(NotFoundError, match="digits@2 was erased at"):
            datasets.resolve(session, "digits@2")
        [listed] = datasets.list_datasets(session)
        assert listed.latest is not None
        assert listed.latest.version == 1


@pytest.mark.usefixtures("digits")
def test_an_upload_of_erased_bytes_adds_a_version(
    engine: Engine, parsed: list[ParsedDataset]
) -> None:
    erase_second(engine)
    with transaction(engine) as session:
        assert datasets.register(session, "digits", parsed[1]).version == 3


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nothing", "no dataset 'nothing'"),
        ("digits@9", "no version 9"),
        ("digits@mine", "no alias 'mine'"),
    ],
)
def test_an_unknown_reference_is_named(engine: Engine, reference: str, message: str) -> None:
    with reading(engine) as session, pytest.raises(NotFoundError, match=message):
        datasets.resolve(session, reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "@1",
        "d@",
        "d@0",
        "d@-1",
        "d@1.5",
        "d@1@2",
        "../x",
        "a b",
        "é",
        "d@99999999999",
        "d@٣",
        "a\x00b",
        "%2e%2e",
        "d\n",
    ],
)
def test_an_invalid_reference_is_refused(reference: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_reference(reference)
    assert [one.path for one in caught.value.errors] == ["dataset"]


def test_references() -> None:
    assert parse_reference("digits") == Reference("digits")
    assert parse_reference("a.b-c_d@12") == Reference("a.b-c_d", version=12)
    assert parse_reference("digits@best") == Reference("digits", alias="best")
    assert parse_reference("digits@latest") == Reference("digits")


def test_an_invalid_name_is_refused(engine: Engine, parsed: list[ParsedDataset]) -> None:
    with pytest.raises(InvalidError), transaction(engine) as session:
        datasets.register(session, "../up", parsed[0])


def test_lists_have_pages(engine: Engine, parsed: list[ParsedDataset]) -> None:
    with transaction(engine) as session:
        for name in ("c", "a", "b"):
            datasets.register(session, name, parsed[0])
        datasets.register(session, "b", parsed[1])
        datasets.set_alias(session, "b", "good", 1)
    with reading(engine) as session:
        first = datasets.list_datasets(session, limit=2)
        assert [one.dataset.name for one in first] == ["a", "b"]
        assert first[1].latest is not None
        assert (first[1].latest.version, first[1].aliases) == (2, {"good": 1})
        rest = datasets.list_datasets(session, after="b", limit=2)
        assert [one.dataset.name for one in rest] == ["c"]
        versions = datasets.list_versions(session, "b", limit=1)
        assert [one.version for one in versions] == [2]
        older = datasets.list_versions(session, "b", before=2)
        assert [one.version for one in older] == [1]


def test_bytes_are_kept_once(parsed: list[ParsedDataset], tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path / 'store'}")
    key = datasets.keep(store, parsed[0])
    assert key == datasets.key_of(parsed[0].digest)
    content = parsed[0].path.read_bytes()
    assert b"".join(datasets.read(store, parsed[0].digest)) == content
    chunks = [tmp_path / "store" / one for one in store.keys("chunks")]
    before = [path.stat().st_ino for path in chunks]
    assert datasets.keep(store, parsed[0]) == key
    assert [path.stat().st_ino for path in chunks] == before
    chunks[0].write_bytes(b"cut")
    with pytest.raises(InvalidError, match="other bytes"):
        b"".join(datasets.read(store, parsed[0].digest))
    datasets.keep(store, parsed[0])
    assert b"".join(datasets.read(store, parsed[0].digest)) == content
