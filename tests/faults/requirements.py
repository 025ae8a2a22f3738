"""Skip tests that need what this machine does not have; in CI, where it is installed, fail."""

import os

import pytest


def require(missing: str | None) -> None:
    """Skip the test for the reason `missing`, if there is one. In CI the test fails instead."""
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
