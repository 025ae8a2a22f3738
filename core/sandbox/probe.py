"""Find out which parts of the sandbox hold on this machine."""

import json
import subprocess

from core.sandbox.enforcement import Report
from core.sandbox.policy import PARTS, Policy, command, environment

_SECONDS = 30.0


def probe(policy: Policy) -> Report:
    """What a process that is started with this policy reports. Never raises."""
    try:
        printed = subprocess.run(
            command(policy, ""),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        ).stdout
        report: Report = json.loads(printed)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return dict.fromkeys(PARTS, f"the sandbox cannot be started: {type(error).__name__}")
    return report


def summary(report: Report) -> str:
    """A report in one line: the parts that hold, then those that do not, with reasons."""
    holding = ", ".join(name for name, reason in report.items() if not reason) or "nothing"
    missing = ", ".join(f"{name} ({reason})" for name, reason in report.items() if reason)
    return f"{holding}; without {missing}" if missing else holding
