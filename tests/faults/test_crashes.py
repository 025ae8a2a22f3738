"""Attempts that end at random moments and at every named place: exactly once, bit for bit."""

from collections.abc import Iterator

import pytest

from tests.faults.crash_site import CrashSite, crash_points, random_kills

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashSite]:
    """Workers that are harmed where a test says."""
    site = CrashSite(tmp_path_factory.mktemp("crashes"))
    yield site
    site.close()


def test_twenty_kills_at_random_moments_change_nothing(site: CrashSite) -> None:
    results = list(site.run(random_kills(20, seed=1, steps=site.steps)))
    assert len(results) == 20
    assert [broken for one in results for broken in one.broken] == []


def test_a_kill_or_an_unknown_outcome_at_any_named_place_changes_nothing(site: CrashSite) -> None:
    wanted = (("kill", "before"), ("kill", "after"), ("unknown", "after"))
    plans = [one for one in crash_points() if (one.what["how"], one.what["moment"]) in wanted]
    results = list(site.run(plans))
    assert len(results) == 27
    assert [broken for one in results for broken in one.broken] == []
