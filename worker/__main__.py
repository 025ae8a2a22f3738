"""`python -m worker`: a worker that trains jobs of CHAINRULE_QUEUES in CHAINRULE_SLOTS slots."""

import sys

from core.errors import ChainruleError
from core.settings import Settings
from worker.app import WorkerApp


def main() -> int:
    """Run a worker as the environment says; the exit code."""
    try:
        return WorkerApp(Settings()).run()
    except ChainruleError as error:
        print(f"worker: {error.detail}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
