"""Fixtures of the worker's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.data.ingest.parser import ParsedDataset
from tests.support.brokers import Broker
from tests.support.worker_cases import Bench, parse_digits
from tests.support.worker_sites import Site


@pytest.fixture(scope="session")
def parsed_digits(tmp_path_factory: pytest.TempPathFactory) -> ParsedDataset:
    """The shipped digits as a canonical file."""
    return parse_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def make_bench(tmp_path: Path, parsed_digits: ParsedDataset) -> Iterator[Callable[..., Bench]]:
    """Makes benches on a database that it is given."""
    benches: list[Bench] = []

    def make(database_url: str, **settings: Any) -> Bench:
        bench = Bench(database_url, tmp_path / f"bench-{len(benches)}", parsed_digits, **settings)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(database_url: str, make_bench: Callable[..., Bench]) -> Bench:
    """A bench on SQLite and one on PostgreSQL in turn."""
    return make_bench(database_url)


@pytest.fixture
def site(bench: Bench, broker: Broker, tmp_path: Path) -> Iterator[Site]:
    """A bench with a broker, whose workers are real processes."""
    made = Site(bench, broker, tmp_path)
    yield made
    for process in made.processes:
        process.kill()
