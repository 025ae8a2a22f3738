"""Workers that share chunks pull one copy from the store together, and trust no peer's bytes."""

import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TypeAlias

import httpx
import numpy as np
import pyarrow as pa
import pytest
from pydantic import SecretStr, ValidationError

from core.data.storage import local_copy
from core.data.storage.cache import Cache
from core.data.storage.local_copy import Copy, held
from core.data.storage.peers import Near, Peers
from core.data.storage.purge import purge
from core.data.storage.stores import Reading, Store, open_store
from core.data.table import chunks
from core.settings import Settings, forget_secrets
from tests.support.brokers import free_port
from worker.node.chunk_server import ChunkServer, serving_chunks

TOKEN = "a token for the tests"
CHUNKS = 24

Kept: TypeAlias = tuple[Store, chunks.Manifest]


class Counting(Store):
    """A store that counts how often each key is read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store._files, store._root, store.url)
        self.reads: Counter[str] = Counter()

    def open(self, key: str, start: int = 0) -> Reading:
        self.reads[key] += 1
        return super().open(key, start)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A store with a version of many chunks."""
    folder = tmp_path_factory.mktemp("kept")
    table = pa.table({"x": np.random.default_rng(0).random(CHUNKS * 1000)})
    path = folder / "whole.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    manifest = chunks.cut(path, chunks.sha256(path.read_bytes()))
    store = open_store(f"file://{folder / 'store'}")
    store.put_bytes(manifest.dumps(), local_copy.manifest_key(manifest.digest))
    for chunk, content in chunks.contents(path, manifest):
        store.put_bytes(content, local_copy.chunk_key(chunk.digest))
    return store, manifest


class Machine:
    """A worker's cache, and the server that shares it."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.cache, self.store = Cache(folder), Counting(store)
        settings = Settings(peer_url=self.url, peer_token=SecretStr(TOKEN))
        self.server = ChunkServer(settings, self.cache, self.store)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def fetch(self, digest: str, urls: list[str], token: str = TOKEN) -> None:
        """Bring a version here as a job does."""
        with (
            closing(Peers(self.url, token)) as peers,
            held(self.cache, self.store, digest, partial(Near, peers, urls)),
        ):
            pass

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def machines(kept: Kept, tmp_path: Path) -> Iterator[list[Machine]]:
    """Four machines with empty caches."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Machine(tmp_path / str(n), kept[0]))) for n in range(4)]


def chunk_reads(machines: list[Machine]) -> Counter[str]:
    return sum(
        (Counter({k: n for k, n in one.store.reads.items() if k.startswith("chunks")})
         for one in machines),
        Counter(),
    )  # fmt: skip


def test_machines_that_begin_at_once_read_each_chunk_once(
    kept: Kept, machines: list[Machine]
) -> None:
    _, manifest = kept
    urls = [one.url for one in machines]
    with ThreadPoolExecutor(len(machines)) as pool:
        list(pool.map(lambda one: one.fetch(manifest.digest, urls), machines))
    assert chunk_reads(machines) == Counter(
        {local_copy.chunk_key(one.digest): 1 for one in manifest.all()}
    )
    assert all(one.store.reads for one in machines)
    for one in machines:
        copy = Copy(one.cache, one.store, manifest.digest)
        copy.verify()
        copy.close()


def test_erasing_takes_away_what_is_kept_for_others_as_well(
    kept: Kept, machines: list[Machine]
) -> None:
    _, manifest = kept
    one, other, *_ = machines
    other.fetch(manifest.digest, [one.url])
    # One has trained on nothing: it holds its share alone.
    assert 0 < one.cache.bytes() < other.cache.bytes()
    for machine in (one, other):
        assert purge(machine.cache, [manifest.digest]) == 1
        assert machine.cache.bytes() == 0


def test_a_peer_that_is_away_or_says_no_is_passed_by(kept: Kept, machines: list[Machine]) -> None:
    _, manifest = kept
    first, second, *_ = machines
    gone = f"http://127.0.0.1:{free_port()}"
    first.fetch(manifest.digest, [gone])
    second.fetch(manifest.digest, [first.url], "another token")
    for one in (first, second):
        assert chunk_reads([one]).total() == CHUNKS


def test_wrong_bytes_of_a_peer_are_not_kept(kept: Kept, machines: list[Machine]) -> None:
    _, manifest = kept
    liar, honest, *_ = machines
    liar.fetch(manifest.digest, [])
    for one in manifest.all():
        path = liar.cache.fetched(one.digest)
        before = path.stat()
        path.write_bytes(os.urandom(one.size))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    honest.fetch(manifest.digest, [liar.url])
    copy = Copy(honest.cache, honest.store, manifest.digest)
    copy.verify()
    copy.close()
    assert chunk_reads([honest]).total() == CHUNKS


def test_a_peer_gives_no_bits_that_flipped_before_it_started(
    kept: Kept, machines: list[Machine], tmp_path: Path
) -> None:
    store, manifest = kept
    before = machines[0]
    before.fetch(manifest.digest, [])
    for one in manifest.all():
        path = before.cache.fetched(one.digest)
        status, content = path.stat(), bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with closing(Machine(tmp_path / "0", store)) as again:
        for one in manifest.all():
            url = f"{again.url}/versions/{manifest.digest}/chunks/{one.digest}"
            answer = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"})
            assert chunks.sha256(answer.content) == one.digest
        assert chunk_reads([again]).total() == CHUNKS


def test_a_peer_that_has_a_chunk_stands_in_for_a_damaged_store(
    kept: Kept, machines: list[Machine], tmp_path: Path
) -> None:
    _, manifest = kept
    peer, other, *_ = machines
    peer.fetch(manifest.digest, [])
    ruined = open_store(f"file://{tmp_path / 'ruined'}")
    ruined.put_bytes(manifest.dumps(), local_copy.manifest_key(manifest.digest))
    for one in manifest.all():
        ruined.put_bytes(bytes(one.size), local_copy.chunk_key(one.digest))
    given = [one for one in manifest.all() if home(one.digest, peer, other) == peer.url]
    assert given
    with closing(Peers(other.url, TOKEN)) as peers:
        copy = Copy(other.cache, ruined, manifest.digest, partial(Near, peers, [peer.url]))
        with closing(copy):
            for one in given:
                assert chunks.sha256(copy.bring(one).read_bytes()) == one.digest


def home(digest: str, *those: Machine) -> str | None:
    """Which of these machines is asked for a chunk."""
    with closing(Peers("http://127.0.0.1:1", TOKEN)) as peers:
        return peers.home(digest, [one.url for one in those])


def test_a_peer_that_is_cut_off_is_gone_on_from_the_store(
    kept: Kept, machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, manifest = kept
    cut, other, *_ = machines
    cut.fetch(manifest.digest, [])
    monkeypatch.setattr(
        "worker.node.chunk_server.shutil.copyfileobj",
        lambda source, target, _: target.write(source.read(100)),
    )
    other.fetch(manifest.digest, [cut.url])
    copy = Copy(other.cache, other.store, manifest.digest)
    copy.verify()
    copy.close()


def test_strangers_get_nothing(kept: Kept, machines: list[Machine]) -> None:
    _, manifest = kept
    url = machines[0].url
    chunk = manifest.chunks[0].digest
    path = f"/versions/{manifest.digest}/chunks/{chunk}"
    given = {"Authorization": f"Bearer {TOKEN}"}
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": TOKEN}):
        assert httpx.get(url + path, headers=headers).status_code == 401
    assert httpx.get(url + path, headers=given).status_code == 206
    rest = httpx.get(url + path, headers={**given, "Range": "bytes=10-"})
    assert len(rest.content) == manifest.chunks[0].size - 10
    for wrong in (
        f"/versions/{manifest.digest}/chunks/{'0' * 64}",
        f"/versions/{'0' * 64}/chunks/{chunk}",
        f"/versions/{manifest.digest}/chunks/../../../{chunk}",
        "/",
    ):
        assert httpx.get(url + wrong, headers=given).status_code == 404
    assert httpx.get(url + path, headers={**given, "Range": "bytes=-5"}).status_code == 404


def test_the_worker_shares_in_a_process_of_its_own(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = kept
    url = f"http://127.0.0.1:{free_port()}"
    for name, value in {
        "PEER_URL": url, "PEER_TOKEN": TOKEN, "DATA_DIR": str(tmp_path), "STORE_URL": store.url,
        "HOST": "0.0.0.0", "API_TOKEN": secrets.token_urlsafe(32),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CHAINRULE_{name}", value)
    transport = httpx.HTTPTransport(retries=10)
    settings = Settings()
    forget_secrets()
    with serving_chunks(settings), httpx.Client(transport=transport) as client:
        path = f"{url}/versions/{manifest.digest}/chunks/{manifest.chunks[0].digest}"
        answer = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        assert chunks.sha256(answer.content) == manifest.chunks[0].digest
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.parametrize(
    ("url", "token"),
    [("http://10.0.0.5:7475", ""), ("http://10.0.0.5:7475", "short"), ("ftp://h:1", TOKEN),
     ("http://a@b:1", TOKEN), ("http://h", TOKEN)],
)  # fmt: skip
def test_nothing_is_shared_without_address_and_secret(url: str, token: str) -> None:
    with pytest.raises(ValidationError, match="peer_url"):
        Settings(peer_url=url, peer_token=SecretStr(token))
