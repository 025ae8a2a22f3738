"""`make audit`: known vulnerabilities of the packages that the image contains.

pip-audit asks the Python Package Index. It counts a package that it cannot look up as one without
vulnerabilities, so this looks at what it did: a package that was not looked up is an error.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "runtime.lock"
NONE_KNOWN, VULNERABLE, UNKNOWN = 0, 1, 2
"""The exit codes."""

COMMAND = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]


def verdict(document: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return what to print about a report of pip-audit, and the exit code."""
    packages = document["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    lines = [
        f"{package['name']} {package['version']}: {known['id']}, "
        f"fixed in {', '.join(known['fix_versions']) or 'no version'}"
        for package in packages
        for known in package.get("vulns", ())
    ]
    code = VULNERABLE if lines else NONE_KNOWN
    if skipped:
        lines.append(
            f"{len(skipped)} of {len(packages)} packages could NOT be checked, such as "
            f"{skipped[0]['name']}: {skipped[0]['skip_reason']}"
        )
        return lines, code or UNKNOWN
    if not packages:
        return ["no package was checked"], UNKNOWN
    return lines or [f"no known vulnerability in {len(packages)} packages"], code


def main(command: list[str] = COMMAND, lock: Path = LOCK) -> int:
    """Run pip-audit on a lock file, and print its verdict; the exit code."""
    words = [*command, "--progress-spinner", "off", "--format", "json", "--requirement", str(lock)]
    audit = subprocess.run(words, capture_output=True, text=True)
    try:
        lines, code = verdict(json.loads(audit.stdout))
    except (ValueError, KeyError):
        errors = audit.stderr.strip().splitlines() or [f"exit code {audit.returncode}"]
        lines, code = [f"{lock.name} could NOT be checked: {errors[-1]}"], UNKNOWN
    print(*lines, sep="\n", file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
