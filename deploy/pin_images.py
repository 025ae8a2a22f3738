"""`make pin-images`: write the digests of the base images to .env, so that a build uses no other.

A tag such as postgres:17 names another image after each of its releases; a digest names one for
ever. The digests come from the registries, by the first program of docker, skopeo and crane that
is installed.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "docker": ("buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", "{image}"),
    "skopeo": ("inspect", "--format", "{{.Digest}}", "docker://{name}"),
    "crane": ("digest", "{image}"),
}
"""How each program shows the digest of an image, for all platforms."""

_VARIABLE = re.compile(r"\$\{(\w+_IMAGE):-([^}]+)\}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECONDS = 120


class LookupFailedError(Exception):
    """The digest of an image cannot be looked up."""


def images(compose: str) -> dict[str, str]:
    """Return the images that a compose file lets a variable replace, by variable."""
    return dict(_VARIABLE.findall(compose))


def full_name(image: str) -> str:
    """Return an image with its registry, which skopeo requires."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first else f"docker.io/{image}"


def digest(image: str) -> str:
    """Return the digest of an image. Raises LookupFailedError with the reason."""
    program = next((name for name in COMMANDS if shutil.which(name)), None)
    if program is None:
        raise LookupFailedError(f"install one of {', '.join(COMMANDS)} to look up digests")
    words = [word.replace("{image}", image) for word in COMMANDS[program]]
    words = [word.replace("{name}", full_name(image)) for word in words]
    try:
        shown = subprocess.run(
            [str(shutil.which(program)), *words],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise LookupFailedError(f"{program} did not answer for {image}") from error
    if shown.returncode or not _DIGEST.fullmatch(shown.stdout.strip()):
        reason = (shown.stderr or shown.stdout).strip() or f"exit code {shown.returncode}"
        raise LookupFailedError(f"{program} shows no digest of {image}: {reason}")
    return shown.stdout.strip()


def assigned(text: str, values: Mapping[str, str]) -> str:
    """Return the text of an env file with these variables set, each in its place or at the end."""
    lines = text.splitlines()
    for name, value in values.items():
        pattern = re.compile(rf"{name}=")
        kept = [line for line in lines if not pattern.match(line)]
        place = next((n for n, line in enumerate(lines) if pattern.match(line)), len(kept))
        lines = [*kept[:place], f"{name}={value}", *kept[place:]]
    return "\n".join(lines) + "\n"


def main(folder: Path = ROOT) -> int:
    """Look up all digests, then write them to `.env` in the folder; the exit code."""
    path = folder / ".env"
    try:
        pinned = {
            name: f"{image}@{digest(image)}"
            for name, image in images((ROOT / "docker-compose.yml").read_text()).items()
        }
    except LookupFailedError as error:
        print(f"nothing is pinned: {error}", file=sys.stderr)
        return 1
    path.write_text(assigned(path.read_text() if path.exists() else "", pinned))
    for name, image in pinned.items():
        print(f"{name}={image}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
