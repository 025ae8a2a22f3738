"""The runner of a slot is replaced when it can no longer do the work."""

from collections.abc import Callable

import pytest

from tests.support.worker_cases import Bench


@pytest.fixture
def bench(make_bench: Callable[..., Bench], sqlite_url: str) -> Bench:
    return make_bench(sqlite_url)


def test_an_idle_runner_is_used_again(bench: Bench) -> None:
    assert bench.equipment.runner() is bench.equipment.runner()


def test_a_runner_whose_sandbox_has_an_old_cache_is_replaced(bench: Bench) -> None:
    runner = bench.equipment.runner()
    cache = bench.settings.data_dir / "cache"
    cache.rename(cache.with_name("old"))
    job_id = bench.submit(epochs=1)
    bench.slot.work(job_id)
    assert bench.job(job_id).status.value == "finished"
    assert runner.exited() is not None
