"""A version that was registered in place is read at its origin, and is what it was or refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage.cache import Cache
from core.data.storage.inplace import Reference, find_reference, put_reference, reference_key
from core.data.storage.local_copy import Copy, held
from core.data.storage.stores import Store, open_store
from core.data.table.reader import load
from core.errors import InvalidError, UnavailableError

CSV = "x,label\n" + "".join(f"{number}.5,{'ab'[number % 2]}\n" for number in range(50))


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "theirs" / "pets.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", readable=[f"file://{tmp_path}/theirs"])


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> ParsedDataset:
    folder = tmp_path_factory.mktemp("parsed")
    (folder / "pets.csv").write_text(CSV)
    return parse(folder / "pets.csv", "text/csv", folder / "canonical.arrow")


@pytest.fixture
def version(tmp_path: Path, origin: Path, parsed: ParsedDataset) -> tuple[Store, str]:
    """The store, which knows where the file is, and the version's digest."""
    store = open_store(f"file://{tmp_path}/store")
    url, size = f"file://{origin}", origin.stat().st_size
    put_reference(store, Reference(url, "text/csv", size, parsed.digest, parsed.bytes))
    return store, parsed.digest


def test_it_is_fetched_from_its_origin_once(
    cache: Cache, version: tuple[Store, str], origin: Path, tmp_path: Path
) -> None:
    store, digest = version
    with held(cache, store, digest) as path:
        assert load(path).column("x").to_pylist() == [n + 0.5 for n in range(50)]
    assert store.keys() == [reference_key(digest)]
    assert not any((tmp_path / "cache" / "making").iterdir())
    origin.unlink()
    with held(cache, store, digest) as path:
        assert load(path).num_rows == 50


def test_what_an_earlier_release_accepted_is_read_as_then(
    cache: Cache, origin: Path, tmp_path: Path
) -> None:
    origin.write_text("x;label\n1,5;a\n2,5;b\n")
    target = tmp_path / "canonical.arrow"
    then = parse(origin, "text/csv", target, defaults={"checks": "off"})
    store = open_store(f"file://{tmp_path}/store")
    size = origin.stat().st_size
    put_reference(store, Reference(f"file://{origin}", "text/csv", size, then.digest, then.bytes))
    with held(cache, store, then.digest) as path:
        assert load(path).column("x").to_pylist() == ["1,5", "2,5"]


def test_what_was_broken_on_its_way_is_made_again(
    cache: Cache, version: tuple[Store, str], parsed: ParsedDataset, tmp_path: Path
) -> None:
    store, digest = version
    (tmp_path / "cache" / "partial").mkdir(parents=True)
    (tmp_path / "cache" / "partial" / f"{digest}.{parsed.bytes}").write_bytes(b"not its bytes")
    with held(cache, store, digest) as path:
        assert load(path).num_rows == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_text(CSV.replace("1.5", "1.6")), "another digest"),
        (lambda path: path.write_text(CSV + "9,a\n"), "had 348 bytes and has 352"),
        (lambda path: path.write_text(CSV.replace("label", '"""""')), "cannot be used as it was"),
        (lambda path: path.unlink(), "there is no file"),
    ],
)
def test_what_is_there_now_is_not_taken_for_it(
    cache: Cache,
    version: tuple[Store, str],
    origin: Path,
    tmp_path: Path,
    change: Callable[[Path], object],
    message: str,
) -> None:
    store, digest = version
    change(origin)
    with pytest.raises(InvalidError, match=message) as caught:
        Copy(cache, store, digest)
    assert "register it as a new version" in caught.value.detail
    assert not any((tmp_path / "cache" / "making").iterdir())


def test_a_machine_that_may_not_read_it_says_so(version: tuple[Store, str], tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="CHAINRULE_DATASET_URLS"):
        Copy(Cache(tmp_path / "cache"), *version)


def test_no_room_is_no_fault_of_the_dataset(
    version: tuple[Store, str], tmp_path: Path, origin: Path
) -> None:
    full = Cache(tmp_path / "cache", 0, 2**62, [f"file://{origin.parent}"])
    with pytest.raises(UnavailableError):
        Copy(full, *version)


def test_what_a_killed_process_left_goes(
    cache: Cache, version: tuple[Store, str], tmp_path: Path
) -> None:
    left = tmp_path / "cache" / "making" / ("0" * 64)
    left.mkdir(parents=True)
    (left / "body").write_bytes(b"half of it")
    with held(cache, *version):
        assert not left.exists()


def test_other_versions_have_no_reference(version: tuple[Store, str]) -> None:
    assert find_reference(version[0], "0" * 64) is None
