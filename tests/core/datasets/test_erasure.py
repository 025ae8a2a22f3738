"""A version is erased once it is unused; shared bytes stay, and the row keeps who erased it."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus
from core import datasets, jobs, models
from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage.cache import Cache
from core.data.storage.inplace import Reference, reference_key
from core.data.storage.local_copy import held
from core.data.storage.purge import purge
from core.data.storage.stores import Store, open_store
from core.datasets.store_locks import erasing
from core.db.session import reading, transaction
from core.db.tables import DatasetVersion
from core.errors import ConflictError, NotFoundError
from tests.support import single
from tests.support.job_cases import do, spec

LINES = ["x,label", *(f"{number}.5,{'ab'[number % 2]}" for number in range(200))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path / 'store'}")


@pytest.fixture
def kept(engine: Engine, store: Store, tmp_path: Path) -> list[ParsedDataset]:
    """`digits@1` and `digits@2`, which share nothing; `twin@1` has the bytes of `digits@2`."""
    files = []
    for number, rows in enumerate((100, 200)):
        source = tmp_path / f"{number}.csv"
        source.write_text("\n".join(LINES[: rows + 1]))
        files.append(parse(source, "text/csv", tmp_path / f"{number}.arrow"))
    for name, parsed in (("digits", files[0]), ("digits", files[1]), ("twin", files[1])):
        with datasets.keeping(engine):
            datasets.keep(store, parsed)
            do(engine, datasets.register, name, parsed)
    return files


def submitted(engine: Engine, version: int = 1) -> str:
    with transaction(engine) as session:
        row = datasets.resolve(session, f"digits@{version}")
        return jobs.submit(session, spec(dataset=f"digits@{version}"), row, owner="local").id


def end(engine: Engine, job_id: str, status: JobStatus = JobStatus.FINISHED) -> None:
    claim = do(engine, jobs.claim, job_id, node="n", worker="w", lease_seconds=30)
    assert claim is not None
    result = {"model_key": "k", "model_digest": "d" * 64, "weights_digest": "d" * 64}
    do(engine, single.finish, job_id, claim.attempt, status, result=result)


def request(engine: Engine, version: int = 1, reason: str = "") -> DatasetVersion:
    return do(engine, datasets.request_erasure, "digits", version, actor="ann", reason=reason)


def erase_all(engine: Engine, store: Store) -> int:
    with reading(engine) as session:
        waiting = datasets.erasable(session)
    return sum(datasets.erase(engine, store, one) for one in waiting)


def test_a_version_is_not_erased_while_a_job_uses_it(
    engine: Engine, store: Store, kept: list[ParsedDataset]
) -> None:
    job_id = submitted(engine)
    row = request(engine, reason="wrong labels")
    assert row.erase_cause == {"actor": "ann", "reason": "wrong labels"}
    again = request(engine).erase_cause
    assert again is not None
    assert again["reason"] == "wrong labels"
    with reading(engine) as session, pytest.raises(NotFoundError, match="is being erased"):
        datasets.resolve(session, "digits@1")
    with reading(engine) as session:
        assert datasets.uses(session, "digits", 1).holding == [job_id]
    assert erase_all(engine, store) == 0
    assert b"".join(datasets.read(store, kept[0].digest)) == kept[0].path.read_bytes()
    end(engine, job_id)
    assert erase_all(engine, store) == 1
    with reading(engine) as session:
        assert datasets.get_version(session, "digits", 1).erased_at is not None
        assert datasets.erased_digests(session) == {kept[0].digest}
        with pytest.raises(NotFoundError, match="was erased at"):
            datasets.resolve(session, "digits@1")
        assert datasets.resolve(session, "digits").version == 2
    with pytest.raises(NotFoundError):
        list(datasets.read(store, kept[0].digest))
    assert b"".join(datasets.read(store, kept[1].digest)) == kept[1].path.read_bytes()
    assert erase_all(engine, store) == 0


def test_bytes_of_another_dataset_stay(
    engine: Engine, store: Store, kept: list[ParsedDataset]
) -> None:
    request(engine, 2)
    assert erase_all(engine, store) == 1
    assert b"".join(datasets.read(store, kept[1].digest)) == kept[1].path.read_bytes()
    with reading(engine) as session:
        assert datasets.erased_digests(session) == set()
        assert datasets.resolve(session, "twin").digest == kept[1].digest
        assert datasets.resolve(session, "digits").version == 1


@pytest.mark.usefixtures("kept")
def test_a_version_with_an_alias_is_not_erased(engine: Engine) -> None:
    do(engine, datasets.set_alias, "digits", "production", 1)
    with pytest.raises(ConflictError, match="digits@production points at version 1"):
        request(engine)
    do(engine, datasets.set_alias, "digits", "production", 2)
    request(engine)
    with pytest.raises(NotFoundError, match="about to be"):
        do(engine, datasets.set_alias, "digits", "production", 1)


@pytest.mark.usefixtures("kept")
def test_all_models_trained_on_it_are_listed(engine: Engine) -> None:
    trained = [submitted(engine) for _ in range(3)]
    other = submitted(engine, 2)
    for job_id in (*trained, other):
        end(engine, job_id)
    for name, job_id in (("b", trained[0]), ("a", trained[1]), ("a", other), ("b", trained[1])):
        do(engine, models.register, name, job_id, owner="local")
    with reading(engine) as session:
        uses = datasets.uses(session, "digits", 1)
    assert uses.models == [("a@1", trained[1]), ("b@1", trained[0]), ("b@2", trained[1])]
    assert (uses.jobs, uses.holding) == ({"finished": 3}, [])


@pytest.mark.usefixtures("kept")
def test_keeping_and_erasing_exclude_each_other(engine: Engine, store: Store) -> None:
    request(engine)
    with datasets.keeping(engine), datasets.keeping(engine):
        assert erase_all(engine, store) == 0
    started, done = threading.Event(), threading.Event()

    def keep() -> None:
        started.set()
        with datasets.keeping(engine):
            done.set()

    with erasing(engine) as free:
        assert free
        thread = threading.Thread(target=keep)
        thread.start()
        started.wait(10)
        assert not done.wait(0.3)
    thread.join(10)
    assert done.is_set()
    assert erase_all(engine, store) == 1


def test_caches_drop_erased_versions_that_are_not_in_use(
    store: Store, kept: list[ParsedDataset], tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    digests = [one.digest for one in kept]
    for digest in digests:
        with held(cache, store, digest):
            assert purge(cache, [digest]) == 0
    assert cache.versions() == set(digests)
    full = cache.bytes()
    assert purge(cache, [digests[0], "0" * 64]) == 1
    assert cache.versions() == {digests[1]}
    assert 0 < cache.bytes() < full
    with held(cache, store, digests[1]):
        pass


def test_the_file_of_a_version_in_place_is_kept(
    engine: Engine, store: Store, tmp_path: Path
) -> None:
    source = tmp_path / "theirs.csv"
    source.write_text("\n".join(LINES))
    parsed = parse(source, "text/csv", tmp_path / "one.arrow")
    size = source.stat().st_size
    datasets.refer(store, Reference(f"file://{source}", "", size, parsed.digest, parsed.bytes))
    do(engine, datasets.register, "digits", parsed)
    assert len(store.keys()) == 1
    assert datasets.strays(store, [parsed.digest]) == []
    request(engine)
    assert erase_all(engine, store) == 1
    assert (store.keys(), source.exists()) == ([], True)


def test_a_kept_version_needs_no_reference(store: Store, kept: list[ParsedDataset]) -> None:
    parsed = kept[0]
    datasets.refer(store, Reference("file:///gone", "", 1, parsed.digest, parsed.bytes))
    assert not store.exists(reference_key(parsed.digest))
