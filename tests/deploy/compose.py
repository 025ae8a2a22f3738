"""docker-compose.yml as a container engine reads it: anchors merged, variables filled in."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<operator>:\?|:-)(?P<rest>[^}]*))?\})"
)


class MissingVariableError(Exception):
    """A variable without a default is not set."""


@dataclass(frozen=True)
class Service:
    """One service: what it runs, with which environment, after which others."""

    name: str
    document: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """The words of its command."""
        return [str(word) for word in self.document["command"]]

    @property
    def environment(self) -> dict[str, str]:
        """Its environment variables."""
        return {name: str(value) for name, value in self.document.get("environment", {}).items()}

    @property
    def health_command(self) -> list[str]:
        """The words of its health check; a shell line is given to `sh -c`."""
        kind, *words = self.document["healthcheck"]["test"]
        return ["sh", "-c", *words] if kind == "CMD-SHELL" else words

    @property
    def needs(self) -> dict[str, str]:
        """The services it waits for, and for what."""
        waits = self.document.get("depends_on", {})
        return {name: wait["condition"] for name, wait in waits.items()}

    @property
    def ours(self) -> bool:
        """Whether it runs Chainrule's own image."""
        return str(self.document["image"]).startswith("chainrule:")

    @property
    def one_shot(self) -> bool:
        """Whether it ends when its work is done."""
        return str(self.document.get("restart", "")).startswith("on-failure")


def interpolate(value: Any, variables: dict[str, str]) -> Any:
    """`value` with `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$` replaced throughout.

    Raises MissingVariableError for `:?` of an empty or absent variable.
    """
    if isinstance(value, dict):
        return {key: interpolate(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [interpolate(one, variables) for one in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        found = variables.get(match["name"], "")
        if not found and match["operator"] == ":?":
            raise MissingVariableError(f"{match['name']}: {match['rest']}")
        return found or (match["rest"] or "" if match["operator"] == ":-" else "")

    return VARIABLE.sub(fill, value)


def read(variables: dict[str, str]) -> dict[str, Any]:
    """The whole compose document with `variables` filled in."""
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return dict(interpolate(document, variables))


def services(variables: dict[str, str]) -> dict[str, Service]:
    """Every service by name."""
    found = read(variables)["services"]
    return {name: Service(name, document) for name, document in found.items()}


def variables_of_example() -> dict[str, str]:
    """The names that .env.example assigns (not those it only mentions), as they stand there."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (line.partition("=")[::2] for line in lines if line and not line.startswith("#"))
    return dict(pairs)


def filled_in() -> dict[str, str]:
    """.env.example as a person might fill it in."""
    return {name: f"{name.lower()}0fortests0123456789" for name in variables_of_example()}
