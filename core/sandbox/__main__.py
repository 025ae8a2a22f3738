"""`python -m core.sandbox POLICY MODULE ARGUMENT...`: run a module in a sandbox.

Without a module it prints as JSON which parts of the sandbox hold.
"""

import importlib.util
import json
import runpy
import sys

from core import __path__ as core_folders
from core.sandbox.enforcement import enforce
from core.sandbox.policy import Policy


def main() -> None:
    """Apply the policy, then import and run the module."""
    policy, module = Policy.loads(sys.argv[1]), "".join(sys.argv[2:3])
    # Finding it here lists its folder, which is not readable afterwards.
    package = importlib.util.find_spec(module.partition(".")[0]) if module else None
    folders = (package.submodule_search_locations if package is not None else None) or ()
    report = enforce(policy, [*core_folders, *folders])
    if not module:
        json.dump(report, sys.stdout)
        return
    del sys.argv[:2]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
