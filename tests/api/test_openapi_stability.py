"""What people send, type and store keeps its names and types from release to release."""

import pytest

from tests.support.interfaces import stability


@pytest.mark.parametrize("interface", stability.INTERFACES)
def test_an_interface_is_that_of_its_snapshot(interface: str) -> None:
    assert not stability.explanation(interface), stability.explanation(interface)


def test_a_field_that_disappears_or_changes_its_type_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = set(stability.rest())
    changed = {"Job.step: integer!", "GET /v1/jobs/{job_id}"}
    assert changed <= lines
    replacement = lines - changed | {"Job.step: string!"}
    interfaces = {**stability.INTERFACES, "rest": lambda: iter(replacement)}
    monkeypatch.setattr(stability, "INTERFACES", interfaces)
    assert stability.changes("rest") == (sorted(changed), ["Job.step: string!"])
    assert "- Job.step: integer!" in stability.explanation("rest")
