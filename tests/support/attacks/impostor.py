"""A process in a sandbox that attacks what it is sent, instead of training or parsing.

It takes the place of the runner, when it is started with the descriptor of a channel, or of the
parser, which reads one request from standard input.
"""

import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.data.ingest.limits import Limits
from core.data.ingest.sandbox import limit_resources as limit_parser
from tests.support.attacks.attacker import outcomes
from worker.runner.channel import Channel
from worker.runner.sandbox import limit_resources as limit_runner

MEMORY_BYTES = 2**34
"""The limit of this process as a runner."""


def answer(wanted: dict[str, Any]) -> dict[str, Any]:
    """The outcomes of the attacks, and what this process has."""
    return {
        "outcomes": outcomes(wanted["names"], wanted["target"]),
        "files": inherited_files(),
        "variables": dict(os.environ),
        "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "memory_bytes": resource.getrlimit(resource.RLIMIT_AS)[1],
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    }


def inherited_files() -> list[str]:
    """The open files of this process beyond the standard three."""
    files = []
    for number in range(3, 1024):
        with suppress(OSError):
            files.append(str(Path(f"/proc/self/fd/{number}").readlink()))
    return files


def as_runner(descriptor: int) -> None:
    """Answer one message of the channel."""
    limit_runner(MEMORY_BYTES)
    channel = Channel.inherited(descriptor)
    wanted = channel.receive()
    assert wanted is not None
    channel.send({"say": "attacked", **answer(wanted)})


def as_parser() -> None:
    """Answer the request in the way in which the parser reports a wrong file."""
    request = json.load(sys.stdin)
    limit_parser(Limits(**request["limits"]), 1)
    document = answer(json.loads(request["content_type"]))
    report = {"error": "InvalidError", "detail": json.dumps(document), "errors": []}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        as_runner(int(sys.argv[1]))
    else:
        as_parser()
