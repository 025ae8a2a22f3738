"""The process that parses untrusted uploads: little memory, no network, no credentials.

It runs in a sandbox that lets it read the upload and write its target. Reads one JSON request from
standard input and writes one JSON answer to standard output.
"""

import errno
import hashlib
import json
import os
import resource
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
from core.sandbox.process import limit

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def limit_resources(limits: Limits, source_bytes: int) -> None:
    """Limit memory, time and files of this process for good."""
    if sys.platform == "linux":
        limit(resource.RLIMIT_AS, limits.memory_bytes)
    seconds = limits.seconds(source_bytes)
    # The soft limit ends the process by SIGXCPU, the hard one by SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    limit(resource.RLIMIT_FSIZE, limits.max_bytes)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, 256)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


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
    limit_resources(limits, source.stat().st_size)
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
