"""Machines that bring the same set here at once, with caches of their own that they share."""

import multiprocessing
import threading
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

from pydantic import SecretStr

from benchmarks.data.stored import Counting, store_at
from benchmarks.ports import free_port
from core.data import copies
from core.data.cache import Cache
from core.data.peers import Near, Peers
from core.settings import Settings
from worker.sharing import Sharing

TOKEN = "a token that all have"


def pulled(folder: Path, digest: str, machines: int, *, shared: bool) -> int:
    """Bytes that all of so many machines together read from the store, each in its process."""
    context = multiprocessing.get_context("spawn")
    ports = [free_port() for _ in range(machines)]
    barrier, given = context.Barrier(machines), context.Queue()
    processes = [
        context.Process(target=_fetch, args=(folder, digest, ports, at, shared, barrier, given))
        for at in range(machines)
    ]
    for process in processes:
        process.start()
    total = sum(given.get(timeout=600) for _ in processes)
    for process in processes:
        process.join()
    return total


def _fetch(
    folder: Path,
    digest: str,
    ports: list[int],
    at: int,
    shared: bool,
    barrier: Barrier,
    given: "multiprocessing.Queue[int]",
) -> None:
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    store, cache = Counting(store_at(folder)), Cache(folder / f"machine-{shared}-{at}")
    settings = Settings(peer_url=urls[at], peer_token=SecretStr(TOKEN))
    peers = Peers(urls[at], TOKEN)
    with Sharing(settings, cache, store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        barrier.wait()
        with copies.held(cache, store, digest, partial(Near, peers, urls) if shared else None):
            barrier.wait()
            given.put(store.given)
        server.shutdown()
    peers.close()
