"""Use cases of datasets: keep bytes, register, resolve, list, repair and erase versions."""

from core.datasets.aliases import remove_alias, set_alias
from core.datasets.blobs import keep, key_of, read, refer, strays, unheld
from core.datasets.derivation import derive
from core.datasets.description import describe
from core.datasets.erasure import Uses, erasable, erase, erased_digests, request_erasure, uses
from core.datasets.queries import (
    DatasetSummary,
    get_dataset,
    get_version,
    list_datasets,
    list_versions,
    resolve,
    summary,
    total_bytes,
)
from core.datasets.quotas import Quota
from core.datasets.registration import register
from core.datasets.repair import damaged_versions, repair
from core.datasets.store_locks import keeping
