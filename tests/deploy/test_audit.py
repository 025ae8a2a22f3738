"""An audit never calls a package free of vulnerabilities that it could not look up."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import audit

CHECKED = {"name": "a", "version": "1.0", "vulns": []}
VULNERABLE = {
    "name": "b",
    "version": "2.0",
    "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}, {"id": "CVE-2", "fix_versions": []}],
}
SKIPPED = {"name": "c", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([CHECKED], audit.NONE_KNOWN, ["no known vulnerability in 1 packages"]),
        ([CHECKED, SKIPPED], audit.UNKNOWN, ["1 of 2 packages could NOT be checked, such as c"]),
        ([VULNERABLE], audit.VULNERABLE, ["b 2.0: CVE-1, fixed in 2.1", "fixed in no version"]),
        ([VULNERABLE, SKIPPED], audit.VULNERABLE, ["CVE-2", "could NOT be checked"]),
        ([], audit.UNKNOWN, ["no package was checked"]),
    ],
)
def test_report_is_summarized(packages: list[dict[str, Any]], code: int, words: list[str]) -> None:
    lines, returned = audit.verdict({"dependencies": packages, "fixes": []})
    assert returned == code
    assert all(any(word in line for line in lines) for word in words)
    assert ("no known vulnerability" in "\n".join(lines)) is (code == audit.NONE_KNOWN)


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        (f"print({json.dumps({'dependencies': [CHECKED]})!r})", audit.NONE_KNOWN, "no known"),
        ("raise SystemExit('no route to the index')", audit.UNKNOWN, "no route to the index"),
        ("pass", audit.UNKNOWN, "could NOT be checked: exit code 0"),
    ],
)
def test_an_audit_that_fails_says_so(
    program: str, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main([sys.executable, "-c", program], tmp_path / "runtime.lock") == code
    shown = capsys.readouterr()
    assert words in (shown.err if code else shown.out)
