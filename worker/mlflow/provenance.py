"""What MLflow is told of the code a job was submitted from."""

import json

from core.db.tables import Source
from core.tracking import Artifact


def source_tags(source: Source | None) -> dict[str, str]:
    """Tags by MLflow's own names, which its pages show as the source of a run."""
    if source is None:
        return {}
    return {
        "mlflow.source.name": source.command or source.repository,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.repoURL": source.repository,
        "mlflow.source.git.commit": source.commit,
        "mlflow.source.git.branch": source.branch,
        "chainrule.source": source.digest,
        "chainrule.source_dirty": "true" if source.dirty else "false",
    }


def source_files(source: Source | None) -> list[Artifact]:
    """The changes and new files below `source/`; under names that MLflow shows as text."""
    if source is None:
        return []
    document = source.document
    texts = {f"new/{path}": text for path, text in document["files"].items()}
    if document["diff"]:
        texts["changes.diff.txt"] = document["diff"]
    told = {name: document[name] for name in ("repository", "commit", "branch", "command")}
    texts["source.json"] = json.dumps({**told, "omitted": document["omitted"]}, indent=2)
    return [Artifact(f"source/{name}", text.encode()) for name, text in texts.items()]
