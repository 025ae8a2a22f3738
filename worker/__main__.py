"""`python -m worker`: a worker that trains jobs of CHAINRULE_QUEUES in CHAINRULE_SLOTS slots."""

import os
import sys
import time

from core.errors import ChainruleError
from core.sandbox.process import hide_memory
from core.settings import Settings, forget_secrets
from worker.app import WorkerApp

_AGAIN_SECONDS = 1.0


def main() -> int:
    """Run a worker as the environment says; the exit code."""
    hide_memory()
    try:
        settings = Settings()
        forget_secrets()
        app = WorkerApp(settings)
    except ChainruleError as error:
        print(f"worker: {error.detail}", file=sys.stderr)  # noqa: T201
        return 1
    code = app.run()
    if code and not app.end_requested:
        # Celery gave up on an error nobody foresaw. Its slots have given their jobs back.
        time.sleep(_AGAIN_SECONDS)
        variables = os.environ | settings.secret_variables
        os.execve(sys.executable, [sys.executable, "-m", "worker"], variables)  # noqa: S606  # nosec B606  # no shell
    return code


if __name__ == "__main__":
    sys.exit(main())
