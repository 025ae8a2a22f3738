"""What tests do when a tool is not there: in CI they fail, for it installs all of them."""

import os

import pytest


def demand(lacking: str | None) -> None:
    """Go on if nothing is `lacking`; else skip with that reason, or fail in CI."""
    if lacking and os.environ.get("CI"):
        pytest.fail(lacking)
    if lacking:
        pytest.skip(lacking)
