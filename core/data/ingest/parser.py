"""Parse an upload into a canonical file, in a sandboxed process."""

import json
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from core.data.ingest.limits import Limits
from core.data.table.column_warnings import ColumnWarning
from core.data.table.schema import DatasetSchema
from core.errors import (
    ChainruleError,
    FieldError,
    InvalidError,
    TooLargeError,
    UnavailableError,
)
from core.sandbox.policy import Policy, command, environment

PARSER = "core.data.ingest.sandbox"
MAX_ANSWER_BYTES = 256 * 2**20
KNOWN = {error.__name__: error for error in (InvalidError, TooLargeError, UnavailableError)}
# The process sees nothing else of our environment, which may hold credentials.
ENVIRONMENT = environment() | {
    "LC_ALL": "C.UTF-8",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


@dataclass(frozen=True)
class ParsedDataset:
    """A canonical file at `path` of `bytes` bytes; `digest` is its SHA-256.

    `options` are the parse options that were given, `warnings` say what is unusual about columns.
    """

    path: Path
    format: str
    schema: DatasetSchema
    digest: str
    bytes: int
    options: dict[str, str] = field(default_factory=dict)
    warnings: tuple[ColumnWarning, ...] = ()


def parse(
    source: Path,
    content_type: str,
    target: Path,
    limits: Limits | None = None,
    defaults: Mapping[str, str] | None = None,
) -> ParsedDataset:
    """Parse the upload in `source` and write its canonical Arrow file to `target`.

    The parameters of the content type are parse options, `defaults` those that it does not give; a
    default that the format does not know is ignored. Raises InvalidError or TooLargeError naming
    row and column where known, UnavailableError when this machine is at fault. After an error
    there is no file at `target`.
    """
    limits = limits or Limits()
    if source.stat().st_size == 0:
        raise InvalidError("the upload is empty")
    partial = target.with_name(f"{target.name}.partial")
    request = {
        "source": str(source.absolute()),
        "content_type": content_type,
        "defaults": dict(defaults or {}),
        "target": str(partial.absolute()),
        "limits": asdict(limits),
    }
    try:
        partial.touch()  # the sandbox lets it write this file, and create no other
    except OSError as error:
        raise UnavailableError(f"the dataset cannot be written: {error.strerror}") from error
    try:
        answer = _ask(request, limits, source.stat().st_size)
        parsed = ParsedDataset(
            path=target,
            format=answer["format"],
            schema=DatasetSchema.model_validate(answer["schema"]),
            digest=answer["digest"],
            bytes=answer["bytes"],
            options=answer["options"],
            warnings=tuple(map(ColumnWarning.model_validate, answer["warnings"])),
        )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return parsed


def _ask(request: dict[str, Any], limits: Limits, source_bytes: int) -> dict[str, Any]:
    """The answer of the sandboxed process to `request`."""
    # The limit of processor time ends an expensive parse; this one is for a busy machine.
    policy = Policy(readable=(request["source"],), writable=(request["target"],))
    patience = 60.0 + 10.0 * limits.seconds(source_bytes)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command(policy, PARSER),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=complaints,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        try:
            process.communicate(json.dumps(request).encode(), timeout=patience)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"parsing the file did not end within {patience:.0f} seconds: the machine is busy"
            ) from error
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            raise _died(process.returncode, complaints, limits.seconds(source_bytes))
        out.seek(0)
        answer: dict[str, Any] = json.loads(out.read(MAX_ANSWER_BYTES))
    if "error" in answer:
        raised = KNOWN.get(answer["error"], InvalidError)
        raise raised(answer["detail"], [FieldError(**entry) for entry in answer["errors"]])
    return answer


def _died(code: int, complaints: IO[bytes], seconds: int) -> ChainruleError:
    """The error for a process that ended without an answer."""
    if code == -signal.SIGXCPU:
        return TooLargeError(f"parsing the file takes more than {seconds} processor seconds")
    if code == -signal.SIGKILL:
        return TooLargeError("parsing the file was stopped: it needs too much memory or time")
    if code < 0:
        return InvalidError(f"the parser crashed on the file (signal {-code})")
    complaints.seek(0)
    last = complaints.read(2**20).decode(errors="replace").strip().rpartition("\n")[2]
    if "MemoryError" in last:
        return TooLargeError("parsing the file needs too much memory")
    return UnavailableError(f"the parsing process did not start: {last[:300]}")
