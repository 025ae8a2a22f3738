"""`python -m core.sandbox POLICY MODULE ARGUMENT...`: run a module in a sandbox.

With an empty MODULE it prints as JSON which parts of the sandbox hold.
"""

import importlib.util
import json
import runpy
import sys

from core.sandbox.enforcement import enforce
from core.sandbox.policy import Policy

PACKAGES = ("core", "chainrule")
"""The packages of ours that every module imports: `core` needs `chainrule.contract`."""


def main() -> None:
    """Apply the policy, then import and run the module."""
    policy, module = Policy.loads(sys.argv[1]), sys.argv[2]
    # Finding them here lists their folder, which is not readable afterwards.
    packages = {*PACKAGES, module.partition(".")[0]} - {""}
    report = enforce(policy, [folder for name in packages for folder in _folders(name)])
    if not module:
        json.dump(report, sys.stdout)
        return
    del sys.argv[:2]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _folders(package: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    return list((spec.submodule_search_locations if spec is not None else None) or ())


if __name__ == "__main__":
    main()
