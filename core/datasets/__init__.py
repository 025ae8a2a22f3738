"""Use cases of datasets: keep bytes, register versions, find them by name, list them."""

from core.datasets.aliases import remove_alias, set_alias
from core.datasets.blobs import keep, key_of, read, strays, unheld
from core.datasets.lookup import (
    DatasetSummary,
    get_dataset,
    get_version,
    list_datasets,
    list_versions,
    resolve,
    summary,
)
from core.datasets.registering import register

__all__ = [
    "DatasetSummary",
    "get_dataset",
    "get_version",
    "keep",
    "key_of",
    "list_datasets",
    "list_versions",
    "read",
    "register",
    "remove_alias",
    "resolve",
    "set_alias",
    "strays",
    "summary",
    "unheld",
]
