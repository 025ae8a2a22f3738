"""MLflow's model registry: registered models, their versions and aliases."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.errors import NotFoundError
from core.tracking.mlflow import ExistsError, MlflowServer
from core.tracking.runs import JOB_TAG

_ALIAS = re.compile(r"(?!latest$|v\d+$)[\w-]+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class ShownVersion:
    """A version in MLflow's registry that came from a job of ours."""

    version: str
    job_id: str
    run_id: str


@dataclass(frozen=True)
class ShownModel:
    """A registered model in MLflow: its versions that are ours, and all aliases."""

    versions: tuple[ShownVersion, ...]
    aliases: Mapping[str, str]


def is_alias(name: str) -> bool:
    """Whether MLflow takes an alias of this name; it refuses dots, `latest` and `v1`."""
    return _ALIAS.fullmatch(name) is not None


class ModelRegistry:
    """The registry of an MLflow server. Methods raise as MlflowServer does.

    `name` is always the name of a registered model.
    """

    def __init__(self, server: MlflowServer) -> None:
        self._server = server

    def ensure(self, name: str) -> ShownModel:
        """A registered model as MLflow shows it, created if missing."""
        with suppress(ExistsError):
            self._server.request("POST", "registered-models/create", {"name": name})
        shown = self._server.request("GET", "registered-models/get", query={"name": name})
        aliases = shown["registered_model"].get("aliases", [])
        return ShownModel(
            tuple(self._versions(name)),
            {str(alias["alias"]): str(alias["version"]) for alias in aliases},
        )

    def create_version(
        self,
        name: str,
        *,
        run_id: str,
        model_id: str | None,
        description: str,
        tags: Mapping[str, str],
    ) -> str:
        """Create a version of a logged model, or else of the run's artifact `model`; its number."""
        body: dict[str, Any] = {
            "name": name,
            "run_id": run_id,
            "source": f"runs:/{run_id}/model",
            "description": description,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        if model_id is not None:
            body |= {"model_id": model_id, "source": f"models:/{model_id}"}
        answer = self._server.request("POST", "model-versions/create", body)
        return str(answer["model_version"]["version"])

    def delete_version(self, name: str, version: str) -> None:
        """Delete a version, if it is there; its aliases go with it."""
        with suppress(NotFoundError):
            body = {"name": name, "version": version}
            self._server.request("DELETE", "model-versions/delete", body)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        body = {"name": name, "alias": alias, "version": version}
        self._server.request("POST", "registered-models/alias", body)

    def delete_alias(self, name: str, alias: str) -> None:
        """Delete an alias, if it is there."""
        with suppress(NotFoundError):
            body = {"name": name, "alias": alias}
            self._server.request("DELETE", "registered-models/alias", body)

    def _versions(self, name: str) -> list[ShownVersion]:
        """The versions with the tag of a job, lowest number first."""
        versions: list[ShownVersion] = []
        query = {"filter": f"name = '{name}'", "max_results": "1000"}
        while True:
            answer = self._server.request("GET", "model-versions/search", query=query)
            for version in answer.get("model_versions", []):
                tags = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
                if JOB_TAG in tags:
                    number, run_id = str(version["version"]), str(version.get("run_id", ""))
                    versions.append(ShownVersion(number, tags[JOB_TAG], run_id))
            if not answer.get("next_page_token"):
                return sorted(versions, key=lambda version: int(version.version))
            query["page_token"] = answer["next_page_token"]
