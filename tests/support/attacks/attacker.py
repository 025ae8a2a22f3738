"""Tries attacks from inside a sandbox: `python -m core.sandbox POLICY` runs this module."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.attacks import on_files, on_system
from tests.support.attacks.attack import Attacks, Target

ATTACKS: Attacks = {**on_system.ATTACKS, **on_files.ATTACKS}


def outcomes(names: Iterable[str], target: Mapping[str, Any]) -> dict[str, str]:
    """The outcome of each of these attacks, one after the other."""
    return {name: ATTACKS[name].outcome(Target(**target)) for name in names}


def main() -> None:
    """Attack as standard input says, and print the outcomes."""
    wanted = json.load(sys.stdin)
    print(json.dumps(outcomes(wanted["names"], wanted["target"])))


if __name__ == "__main__":
    main()
