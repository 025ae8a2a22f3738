"""Versions are kept as chunks: shared, verified, and one file again, byte for byte."""

import hashlib
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core import datasets
from core.data.ingest import canonical
from core.data.ingest.limits import Limits
from core.data.ingest.parser import ParsedDataset
from core.data.ingest.profile import describe
from core.data.storage import local_copy
from core.data.storage.cache import Cache
from core.data.storage.local_copy import Copy
from core.data.storage.stores import Store, open_store
from core.data.table import chunks
from core.data.table.reader import load
from core.errors import InvalidError, NotFoundError

WIDTH = 4096


def images(folder: Path, rows: int, *, seed: int = 0) -> ParsedDataset:
    """A parsed set of `rows` images with label and text; smaller ones are its first rows."""

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, 1000):
            rng = np.random.default_rng((seed, start))
            flat = pa.array(rng.integers(0, 255, 1000 * WIDTH, dtype=np.uint8))
            batch = pa.record_batch(
                {
                    "image": pa.FixedSizeListArray.from_arrays(flat, WIDTH),
                    "label": pa.array(rng.integers(0, 10, 1000)),
                    "site": pa.array(rng.choice(["a", "bc"], 1000)),
                }
            )
            yield batch.slice(0, min(1000, rows - start))

    path = folder / f"{rows}-{seed}.arrow"
    canonical.write(batches(), path, Limits())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ParsedDataset(path, "npz", describe(path), digest, path.stat().st_size)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParsedDataset, ParsedDataset]:
    folder = tmp_path_factory.mktemp("sets")
    return images(folder, 20_000), images(folder, 20_200)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path / 'store'}")


def kept(store: Store) -> int:
    found = store.keys()
    return sum(map(store.size, found))


def test_a_hundredth_more_rows_store_about_a_hundredth_more(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store
) -> None:
    first, second = sets
    datasets.keep(store, first)
    before = kept(store)
    assert before < first.bytes * 1.02
    datasets.keep(store, second)
    added = kept(store) - before
    one_block = chunks.cut(first.path, first.digest).chunks[0].size
    assert added < (second.bytes - first.bytes) * 1.05 + one_block + 20_000


def test_chunks_are_the_canonical_file_again(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store
) -> None:
    datasets.keep(store, sets[0])
    assert b"".join(datasets.read(store, sets[0].digest)) == sets[0].path.read_bytes()
    manifest = chunks.cut(sets[0].path, sets[0].digest)
    assert chunks.Manifest.loads(manifest.dumps()) == manifest
    content = [content for chunk, content in chunks.contents(sets[0].path, manifest)]
    assert {chunks.sha256(one) for one in content} == {one.digest for one in manifest.all()}
    assert manifest.rows == 20_000


def test_the_copy_on_a_machine_is_the_table(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store, tmp_path: Path
) -> None:
    datasets.keep(store, sets[0])
    cache = Cache(tmp_path / "cache")
    with local_copy.held(cache, store, sets[0].digest) as path:
        assert load(path).equals(load(sets[0].path))


def test_a_second_start_and_a_second_version_move_only_what_is_new(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store, tmp_path: Path
) -> None:
    for one in sets:
        datasets.keep(store, one)
    with local_copy.held(Cache(tmp_path / "cache"), store, sets[0].digest):
        pass
    for key in store.keys("chunks"):
        if key not in {local_copy.chunk_key(c.digest) for c in _missing(sets)}:
            store.delete(key)
    # A cache of a new process, and a store that has only what the first version has not.
    for one in sets:
        with local_copy.held(Cache(tmp_path / "cache"), store, one.digest) as path:
            assert load(path).num_rows == one.schema.rows


def _missing(sets: tuple[ParsedDataset, ParsedDataset]) -> set[chunks.Chunk]:
    first, second = (set(chunks.cut(one.path, one.digest).all()) for one in sets)
    return second - first


def test_versions_kept_whole_stay_readable(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store, tmp_path: Path
) -> None:
    digest = sets[0].digest
    store.put_file(sets[0].path, local_copy.whole_key(digest))
    with local_copy.held(Cache(tmp_path / "cache"), store, digest) as path:
        assert load(path).equals(load(sets[0].path))
    assert hashlib.sha256(b"".join(datasets.read(store, digest))).hexdigest() == digest
    assert datasets.unheld(store, digest) == [local_copy.whole_key(digest)]


def test_only_chunks_nobody_holds_are_freed(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store
) -> None:
    for one in sets:
        datasets.keep(store, one)
    first, second = sets
    freed = datasets.unheld(store, second.digest)
    assert {local_copy.chunk_key(one.digest) for one in _missing(sets)} == set(freed[:-1])
    assert freed[-1] == datasets.key_of(second.digest)
    store.delete(freed[0])
    assert datasets.unheld(store, second.digest) == freed[1:]
    for key in freed:
        store.delete(key)
    assert datasets.unheld(store, second.digest) == []
    assert b"".join(datasets.read(store, first.digest)) == first.path.read_bytes()
    assert datasets.strays(store, [first.digest]) == []
    assert sorted(datasets.strays(store, [])) == store.keys()


def test_a_manifest_of_other_bytes_is_refused(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store, tmp_path: Path
) -> None:
    datasets.keep(store, sets[0])
    key = datasets.key_of(sets[0].digest)
    content = store.get_bytes(key)
    store.put_bytes(content.replace(b'"rows":2', b'"rows":3', 1), key)
    with pytest.raises(InvalidError, match="damaged"):
        Copy(Cache(tmp_path / "cache"), store, sets[0].digest)
    manifest = chunks.Manifest.loads(content)
    swapped = chunks.Manifest(
        manifest.digest, manifest.size, manifest.head, manifest.tail, manifest.chunks[::-1]
    )
    store.put_bytes(swapped.dumps(), key)
    with (
        pytest.raises(InvalidError, match="do not make up"),
        local_copy.held(Cache(tmp_path / "cache"), store, sets[0].digest),
    ):
        pass


def test_what_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Copy(Cache(tmp_path / "cache"), store, "0" * 64)


def test_pinned_chunks_stay_and_others_make_room(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store, tmp_path: Path
) -> None:
    other = images(tmp_path, 9_000, seed=1)
    for one in (sets[0], other):
        datasets.keep(store, one)
    limit = sets[0].bytes * 11 // 10
    cache = Cache(tmp_path / "cache", limit)
    with local_copy.held(cache, store, sets[0].digest) as path:
        table = load(path)
        with (
            pytest.raises(Exception, match="in use"),
            local_copy.held(Cache(tmp_path / "cache", limit), store, other.digest),
        ):
            pass
        assert table.equals(load(sets[0].path))
    with local_copy.held(cache, store, other.digest) as path:
        assert load(path).equals(load(other.path))
    assert cache.bytes() <= limit


def _fetch(url: str, root: Path, digest: str, found: Any) -> None:
    with local_copy.held(Cache(root), open_store(url), digest) as path:
        found.put(load(path).num_rows)


def test_eight_processes_fetch_each_chunk_once(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store, tmp_path: Path
) -> None:
    datasets.keep(store, sets[0])
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    given = (store.url, tmp_path / "cache", sets[0].digest, found)
    runners = [context.Process(target=_fetch, args=given) for _ in range(8)]
    for one in runners:
        one.start()
    assert [found.get(timeout=60) for _ in runners] == [20_000] * 8
    for one in runners:
        one.join()
    held = {one.name for one in (tmp_path / "cache" / "objects").rglob("*") if one.is_file()}
    assert held == {one.digest for one in chunks.cut(sets[0].path, sets[0].digest).all()}


def test_damage_on_the_machine_is_found_and_repaired(
    sets: tuple[ParsedDataset, ParsedDataset], store: Store, tmp_path: Path
) -> None:
    datasets.keep(store, sets[0])
    cache = Cache(tmp_path / "cache")
    with local_copy.held(cache, store, sets[0].digest):
        pass
    chunk = chunks.cut(sets[0].path, sets[0].digest).chunks[1]
    place = cache.fetched(chunk.digest)
    place.write_bytes(b"x" + place.read_bytes()[1:])
    with local_copy.held(Cache(tmp_path / "cache"), store, sets[0].digest) as path:
        assert load(path).equals(load(sets[0].path))
    assert [one.name for one in (tmp_path / "cache" / "quarantine").iterdir()] == [chunk.digest]
