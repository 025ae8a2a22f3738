"""Errors of commands: the one place that turns exceptions into text for people."""

import errno
import sys
import tempfile
import traceback

from rich.markup import escape

from chainrule.cli.views import ERRORS
from chainrule.client.problem import (
    AbsentFieldError,
    ArgumentError,
    DeadlineError,
    ProblemError,
    UnreachableError,
)
from chainrule.fitting import FitError
from chainrule.stack import MissingServerError, StackError

FAILED = 1
"""Exit code of a command that failed."""

WRONG_ARGUMENTS = 2
"""Exit code of a command whose arguments are wrong."""

_REMEDIES = {
    errno.EACCES: "change its permissions, or name another path",
    errno.EPERM: "change its permissions, or name another path",
    errno.EROFS: "name a path on a disk that can be written",
    errno.ENOENT: "check its name, and create its folder first",
    errno.ENOTDIR: "a part of the path is a file: name another path",
    errno.EISDIR: "name a file",
    errno.EEXIST: "name another path",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENOSPC: "free space on the disk",
    errno.EDQUOT: "free space on the disk",
    errno.EMFILE: "close programs, or raise the limit of open files (ulimit -n)",
}
"""What to do about an error of the operating system."""


def check_text(words: list[str]) -> None:
    """Check that the words of a command are text. Raises ArgumentError."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ArgumentError(
                f"{word!a} is not UTF-8 text: rename the file, or write another value"
            ) from None


def show_error(error: Exception) -> int:
    """Print an error of a command on standard error, and return the exit code of the command.

    An error that no command expects is a bug. Its traceback goes to a file, which is named.
    """
    if isinstance(error, ProblemError):
        _show_problem(error)
        return FAILED
    _show(_text(error) or _bug(error))
    return WRONG_ARGUMENTS if isinstance(error, ArgumentError) else FAILED


def _text(error: Exception) -> str:
    """Describe an expected error and the way out; empty for another error."""
    if isinstance(error, UnreachableError | AbsentFieldError):
        return f"{error}. Start a server with `chainrule up`, or name one with --url"
    if isinstance(
        error, StackError | MissingServerError | DeadlineError | FitError | ArgumentError
    ):
        return str(error)
    if isinstance(error, OSError):
        return _file_error(error)
    if isinstance(error, UnicodeEncodeError):
        return _encoding_error(error)
    if isinstance(error, UnicodeDecodeError):
        return f"what was read is not {error.encoding} text (byte {error.start}): save it as UTF-8"
    return ""


def _file_error(error: OSError) -> str:
    """Describe an error of the operating system, with the file that it is about."""
    reason = error.strerror or str(error) or type(error).__name__
    shown = f"{error.filename}: {reason}" if error.filename else reason
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{shown}: {remedy}" if remedy else shown


def _encoding_error(error: UnicodeEncodeError) -> str:
    text = error.object[error.start : error.end]
    if error.encoding == "utf-8":
        return f"{text!a} is half of a character, which no text can hold: write it in full"
    return f"cannot write {text!a} as {error.encoding}: use UTF-8 (PYTHONUTF8=1)"


def _bug(error: Exception) -> str:
    """Describe an error that is a bug, with the file that has the traceback."""
    lines = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="chainrule-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(f"{sys.argv}\n{lines}")
        details = f"please report it with {file.name}"
    except OSError:
        details = "please report it with the command"
    return f"a bug in Chainrule, {type(error).__name__}: {error}. {details}"


def _show(text: str) -> None:
    ERRORS.print(f"[bold red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _show_problem(problem: ProblemError) -> None:
    if not problem.errors:
        _show(problem.detail)
        return
    _show(f"{problem.title} ({problem.status})")
    for error in problem.errors:
        where = f"[bold]{escape(error.path)}[/]: " if error.path else ""
        ERRORS.print(f"  {where}{escape(error.message)}", highlight=False, soft_wrap=True)
