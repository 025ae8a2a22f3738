"""The process that parses untrusted uploads: little memory, no network, no credentials.

Reads one JSON request from standard input and writes one JSON answer to standard output.
"""

import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from core.data.ingest.canonical import write
from core.data.ingest.column_checks import check_columns
from core.data.ingest.formats import choose, options_of, texts
from core.data.ingest.limits import Limits
from core.data.ingest.profile import describe
from core.errors import ChainruleError, InvalidError, TooLargeError, UnavailableError

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def confine(limits: Limits, source_bytes: int) -> None:
    """Drop everything that parsing does not need, for the rest of this process."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # An empty network namespace; not every machine allows it.
        if libc.unshare(CLONE_NEWNET) != 0:
            libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
        _limit(resource.RLIMIT_AS, limits.memory_bytes)
    seconds = limits.seconds(source_bytes)
    # The soft limit ends the process by SIGXCPU, the hard one by SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    _limit(resource.RLIMIT_FSIZE, limits.max_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 256)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def _limit(which: int, value: int) -> None:
    """Lower a limit unless it is lower already."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def parse(
    source: Path,
    content_type: str,
    target: Path,
    limits: Limits,
    defaults: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write the canonical file of `source`. Returns the fields of a ParsedDataset.

    Raises a ChainruleError when the source or the machine is at fault.
    """
    try:
        form = choose(content_type, source, defaults)
        write(form.read(source, limits), target, limits)
        schema = describe(target)
        options = options_of(content_type)
        warnings = check_columns(target, schema, texts(options))
        with target.open("rb+") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except ChainruleError:
        raise
    except MemoryError as error:
        raise TooLargeError(
            f"parsing the file needs more than {limits.memory_bytes:,} bytes of memory"
        ) from error
    except OSError as error:
        raise _explained(error, limits) from error
    except Exception as error:
        # An unexpected error of a parser is the file's fault; its own message may mislead.
        raise InvalidError(f"the file cannot be parsed ({type(error).__name__})") from error
    return {
        "format": form.kind,
        "schema": schema.model_dump(mode="json"),
        "digest": digest,
        "bytes": target.stat().st_size,
        "options": options,
        "warnings": [warning.model_dump(mode="json") for warning in warnings],
    }


def _explained(error: OSError, limits: Limits) -> ChainruleError:
    """An error of the operating system as one of ours."""
    if error.errno in NO_SPACE:
        return UnavailableError("no space left on the disk for the dataset")
    if error.errno == errno.EFBIG:
        return TooLargeError(f"the dataset grows beyond {limits.max_bytes:,} bytes")
    return InvalidError(f"the file cannot be read: {error.strerror or error}")


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    limits = TypeAdapter(Limits).validate_python(request["limits"])
    source = Path(request["source"])
    confine(limits, source.stat().st_size)
    try:
        target, defaults = Path(request["target"]), request["defaults"]
        answer = parse(source, request["content_type"], target, limits, defaults)
    except ChainruleError as error:
        answer = {
            "error": type(error).__name__,
            "detail": error.detail,
            "errors": [asdict(entry) for entry in error.errors],
        }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
