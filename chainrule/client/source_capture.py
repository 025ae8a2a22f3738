"""The source code of the current project: commit, changes since then, and new source files.

Git provides them, with external diffs and text conversions turned off. Of the files that are not
under version control, those with the suffix of a programming language are sent, and those that the
caller names. What looks like a secret is left out and listed. Arguments of the command line are
never sent.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from chainrule.contract.secrets import changed_files, secret_in, secret_name, secret_variables

SWITCH = "CHAINRULE_SOURCE"
"""Environment variable: `off` sends no source."""

MOST_BYTES = 2**20
MOST_FILES = 500
"""Limits of the API. Not imported from its specs, so that the command line starts fast."""

SUFFIXES = (
    ".c", ".cc", ".cpp", ".cu", ".cuh", ".cxx", ".f90", ".go", ".h", ".hpp", ".java", ".jl", ".js",
    ".kt", ".m", ".pxd", ".py", ".pyi", ".pyx", ".r", ".rs", ".scala", ".swift", ".ts",
)  # fmt: skip
"""Suffixes of untracked files that are sent without being named."""

MOST_FILE_BYTES = 256 * 2**10
REPORTED = 100
"""Most files left out that are listed."""
FRESH_SECONDS = 5.0
_GIT_SECONDS = 10.0
_TEXT = 2000

_captured: dict[tuple[Path, tuple[str, ...]], tuple[float, dict[str, Any] | None]] = {}


def switched_on() -> bool:
    """Return whether the source is sent with jobs: unless CHAINRULE_SOURCE is `off`."""
    return os.environ.get(SWITCH, "on").strip().lower() not in {"off", "0", "false", "no"}


def capture(folder: Path | None = None, named: Sequence[str] = ()) -> dict[str, Any] | None:
    """Return the source of the project of `folder` (default: the current one), as in a SourceSpec.

    `named` are paths from the root of the project, or patterns such as `configs/*.yaml`, of
    untracked files that are sent although they are not source files. Outside a git repository the
    source is the running script. Returns None if there is neither. The result is cached for some
    seconds, so that a loop of a thousand submissions runs git once.
    """
    place = (folder or Path.cwd()).resolve()
    key = place, tuple(named)
    since, known = _captured.get(key, (0.0, None))
    if since and time.monotonic() - since < FRESH_SECONDS:
        return known
    source = _of_repository(place, named) or _of_script()
    _captured[key] = (time.monotonic(), source)
    return source


def _of_repository(folder: Path, named: Sequence[str]) -> dict[str, Any] | None:
    top = _git(folder, "rev-parse", "--show-toplevel")
    if not top:
        return None
    root = Path(top.strip())
    commit = (_git(root, "rev-parse", "--verify", "--quiet", "HEAD") or "").strip()
    collection = _Collection()
    if commit:
        collection.add_diff(_git(root, *_DIFF, "HEAD") or "")
    listed = ("--others",) if commit else ("--others", "--cached")
    names = _git(root, "ls-files", "-z", "--exclude-standard", *listed) or ""
    for name in sorted(filter(None, names.split("\0"))):
        if _is_source(name) or any(fnmatch(name, pattern) for pattern in named):
            collection.add_file(name, root / name)
        else:
            collection.omit(name, "not a source file, and not named")
    branch = (_git(root, "symbolic-ref", "--short", "--quiet", "HEAD") or "").strip()
    remote = (_git(root, "config", "--get", "remote.origin.url") or "").strip()
    return collection.source(
        repository=_without_password(remote) or root.name, commit=commit, branch=branch
    )


_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")


def _of_script() -> dict[str, Any] | None:
    """Return the running Python file, if it is not an installed command."""
    script = Path(sys.argv[0] or ".")
    if script.suffix != ".py" or not script.is_file():
        return None
    collection = _Collection()
    collection.add_file(script.name, script)
    return collection.source(repository="", commit="", branch="")


class _Collection:
    """Texts within the limits, and the names of files that are left out."""

    def __init__(self) -> None:
        self._diff = ""
        self._files: dict[str, str] = {}
        self._omitted: dict[str, str] = {}
        self._left = MOST_BYTES

    def add_diff(self, diff: str) -> None:
        """Add the changes, file by file."""
        for path, part in changed_files(diff):
            if self._fits(path, part):
                self._diff += part

    def add_file(self, name: str, path: Path) -> None:
        """Add the text of a new file."""
        if len(self._files) == MOST_FILES:
            self.omit(name, f"more than {MOST_FILES} files")
            return
        text, reason = _text(path)
        if text is None:
            self.omit(name, reason)
        elif self._fits(name, text):
            self._files[name] = text

    def source(self, *, repository: str, commit: str, branch: str) -> dict[str, Any]:
        """Return the collection as a SourceSpec."""
        omitted = [{"path": path, "reason": why} for path, why in self._omitted.items()]
        return {
            "repository": _line(repository),
            "commit": commit,
            "branch": _line(branch),
            "command": _command(),
            "diff": self._diff,
            "files": self._files,
            "omitted": omitted[:REPORTED],
        }

    def _fits(self, name: str, text: str) -> bool:
        size = len(text.encode())
        if secret_name(name):
            self.omit(name, "looks like a file of secrets")
        elif "\0" in text:
            self.omit(name, "no text")
        elif size > min(self._left, MOST_FILE_BYTES):
            self.omit(name, f"{size:,} bytes are too many")
        elif secret := secret_in(text, name) or _known_secret(text):
            self.omit(name, f"looks like {secret}")
        elif not _is_storable(name):
            self.omit(name, "a name that is not kept")
        else:
            self._left -= size
            return True
        return False

    def omit(self, name: str, reason: str) -> None:
        """List a file as left out."""
        self._omitted[name if _is_storable(name) else ascii(name).replace("\\", "?")[:400]] = reason


def _text(path: Path) -> tuple[str | None, str]:
    """Return the text of a file, or None and the reason."""
    if path.is_symlink() or not path.is_file():
        return None, "no regular file"
    try:
        size = path.stat().st_size
        if size > MOST_FILE_BYTES:
            return None, f"{size:,} bytes are too many"
        return path.read_bytes().decode("utf-8"), ""
    except UnicodeDecodeError:
        return None, "no text"
    except OSError as error:
        return None, f"cannot be read ({type(error).__name__})"


def _known_secret(text: str) -> str | None:
    """Return which secret of this process's environment is in a text, or None."""
    held = (name for name, value in secret_variables(os.environ) if value in text)
    return next((f"the value of {name}" for name in held), None)


def _is_source(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _is_storable(name: str) -> bool:
    return len(name) <= 400 and "\\" not in name and name.isprintable()


def _without_password(url: str) -> str:
    """Return the URL of a remote without user and password."""
    return re.sub(r"://[^/@]*@", "://", url)


def _command() -> str:
    """Return the name of the running program, without arguments, which may hold a token."""
    return _line(Path(sys.argv[0]).name) if sys.argv else ""


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_TEXT]


def _git(folder: Path, *words: str) -> str | None:
    """Return the output of git, or None if git is missing, slow or fails."""
    git = shutil.which("git")
    if git is None:
        return None
    quiet: Mapping[str, str] = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        result = subprocess.run(
            [git, "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", *words],
            cwd=folder,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.decode("utf-8", "replace") if result.returncode == 0 else None
