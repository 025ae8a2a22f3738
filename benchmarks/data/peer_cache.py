"""Machines that fetch the same dataset at once, and share their caches."""

import multiprocessing
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

from pydantic import SecretStr

from benchmarks.data.machines import enter, switched
from benchmarks.data.synthetic import Counting, store_at
from benchmarks.ports import free_port
from core.data.storage import local_copy
from core.data.storage.cache import Cache
from core.data.storage.peers import Near, Peers
from core.settings import Settings
from worker.node.chunk_server import ChunkServer

TOKEN = "a token that all workers of this benchmark have"
PORT = 7475


@contextmanager
def placed(machines: int) -> Iterator[dict[str, str]]:
    """Yield the addresses of machines by name: namespaces, or else ports of this machine."""
    try:
        with switched(machines) as addresses:
            yield {name: f"http://{address}:{PORT}" for name, address in addresses.items()}
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no network namespaces here, so machines are processes: {error}")
        yield {f"process {at}": f"http://127.0.0.1:{free_port()}" for at in range(machines)}


def pulled(folder: Path, digest: str, places: dict[str, str], *, shared: bool) -> int:
    """Bytes that the machines at `places` together read from the store, each in its process."""
    context = multiprocessing.get_context("spawn")
    barrier, given = context.Barrier(len(places)), context.Queue()
    processes = [
        context.Process(target=_fetch, args=(folder, digest, places, name, shared, barrier, given))
        for name in places
    ]
    for process in processes:
        process.start()
    total: int = sum(given.get(timeout=600) for _ in processes)
    for process in processes:
        process.join()
    return total


def _fetch(
    folder: Path,
    digest: str,
    places: dict[str, str],
    name: str,
    shared: bool,
    barrier: Barrier,
    given: "multiprocessing.Queue[int]",
) -> None:
    own, urls = places[name], list(places.values())
    if not own.startswith("http://127."):
        enter(name)
    store, cache = Counting(store_at(folder)), Cache(folder / f"{name}-{shared}")
    settings = Settings(peer_url=own, peer_token=SecretStr(TOKEN))
    peers = Peers(own, TOKEN)
    with ChunkServer(settings, cache, store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        barrier.wait()
        with local_copy.held(cache, store, digest, partial(Near, peers, urls) if shared else None):
            barrier.wait()
            given.put(store.given)
        server.shutdown()
    peers.close()
