"""Ten thousand jobs and a thousand faults in a cluster that exists in one process."""

import pytest

from tests.core.jobs import simulation
from tests.core.jobs.model import JobModel
from tests.core.jobs.simulation import FAULTS, Simulation


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_job_ends_once_with_every_step_once(seed: int):
    cluster = Simulation(seed, count=10_000, faults=1_000)
    cluster.run()
    assert sum(cluster.happened.values()) == 1_000
    assert set(cluster.happened) == set(FAULTS)
    assert cluster.reaped
    assert cluster.refused
    assert len(cluster.ends) == 10_000
    assert set(cluster.ends.values()) == {1}
    for job, length in zip(cluster.jobs, cluster.length, strict=True):
        assert job.status == "finished"
        assert job.history() == list(range(1, length + 1))


def test_a_seed_gives_the_same_run_again():
    first, second = (Simulation(7, count=500, faults=100) for _ in range(2))
    assert first.run() == second.run()
    assert first.jobs == second.jobs


def test_without_fencing_it_finds_jobs_that_end_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(JobModel, "own", lambda job, attempt: None)
    cluster = Simulation(1, count=10_000, faults=1_000)
    cluster.run()
    assert set(cluster.ends.values()) != {1}


def test_without_ringing_again_it_finds_jobs_that_never_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulation, "RING_AGAIN", 10**9)
    cluster = Simulation(1, count=2_000, faults=500)
    cluster.run(most_ticks=5_000)
    assert not cluster.over
