"""Settings of every process, from `CHAINRULE_*` environment variables."""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_TOKEN = 16


class Settings(BaseSettings):
    """Where the outside systems are and how long to wait for them.

    Durations are in seconds. Addresses that hold a password are `SecretStr`: they never print.
    """

    model_config = SettingsConfigDict(env_prefix="CHAINRULE_", frozen=True)

    data_dir: Path = Field(Path(".chainrule"), description="folder of the embedded stack")
    database_url: SecretStr = Field(
        SecretStr(""), description="SQLAlchemy URL; empty: SQLite in the data folder"
    )
    broker_url: SecretStr = Field(
        SecretStr(""), description="redis:// or redis+socket:// URL of the broker"
    )
    store_url: str = Field("", description="fsspec URL of the store; empty: the data folder")
    mlflow_url: str = Field("", description="URL of the MLflow server; empty: nothing is mirrored")
    mlflow_public_url: str = Field("", description="the MLflow address a browser uses")
    public_url: str = Field("", description="the api's address for a browser; shown in MLflow")
    host: str = Field("127.0.0.1", description="address the api binds to")
    port: int = Field(8000, ge=0, le=65535, description="port of the api")
    api_token: SecretStr = Field(
        SecretStr(""), description="bearer token; needed to bind beyond loopback"
    )
    node_name: str = Field("", description="name of this machine; empty: its host name")
    queues: str = Field("cpu", description="queues a worker serves, by comma: cpu, gpu")
    slots: int = Field(1, ge=1, le=256, description="jobs a worker trains at once")
    threads: int = Field(0, ge=0, description="BLAS threads a slot; 0: cores / slots")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="where a worker or scheduler shows its metrics; 0: nowhere"
    )
    metrics_host: str = Field("127.0.0.1", description="address of the metrics port")
    pulse_file: Path | None = Field(
        None, description="file that a living worker or scheduler touches, for health checks"
    )

    lease_seconds: float = Field(30.0, gt=0.5, description="how long a silent attempt owns its job")
    dispatch_seconds: float = Field(1.0, gt=0, description="pause between two dispatches")
    ring_again_seconds: float = Field(30.0, gt=0, description="when a waiting job is rung again")
    chunk_seconds: float = Field(1.0, gt=0, description="how long metrics gather before a write")
    system_metrics_seconds: float = Field(
        5.0, ge=0, description="how often a job tells how its machine does; 0: never"
    )
    checkpoint_seconds: float = Field(30.0, gt=0, description="default pause between checkpoints")
    max_attempts: int = Field(3, ge=1, description="attempts lost before a job counts as failed")

    cache_bytes: int = Field(
        0, ge=0, description="most that a worker keeps of datasets on its disk; 0: what fits"
    )
    scrub_bytes_per_second: int = Field(
        4 * 2**20,
        ge=0,
        description="how fast a worker reads its cache again, and the scheduler the store, to find "
        "bits that flipped; 0: never",
    )
    peer_url: str = Field(
        "",
        description="http://HOST:PORT at which a worker shares its chunks with others and listens; "
        "empty: not at all",
    )
    peer_token: SecretStr = Field(
        SecretStr(""), description="secret that workers which share chunks have in common"
    )
    data_memory_bytes: int = Field(
        0,
        ge=0,
        description="memory a slot has for training rows; more are read from the disk as they are "
        "needed; 0: half of its part of the machine",
    )
    max_upload_bytes: int = Field(10 * 2**30, gt=0)
    dataset_urls: str = Field(
        "",
        description="prefixes of URLs that datasets may be read from, by comma: s3://bucket/data",
    )
    max_owner_bytes: int = Field(
        0, ge=0, description="bytes of all dataset versions that are not erased; 0: no limit"
    )
    max_dataset_versions: int = Field(
        0, ge=0, description="versions of one dataset that are not erased; 0: no limit"
    )
    max_weights_bytes: int = Field(4 * 2**30, gt=0, description="weights of one network")
    max_queued_jobs: int = Field(100_000, gt=0)
    runner_memory_bytes: int = Field(0, ge=0, description="address space of a runner; 0: no limit")
    webhooks_allow_private: bool = Field(
        False, description="let webhooks lead to this machine and its private networks"
    )
    webhook_retry_seconds: float = Field(
        5.0, gt=0, description="pause after the first failure of a webhook; later ones grow"
    )

    @property
    def resolved_database_url(self) -> str:
        """The database URL, or SQLite in the data folder."""
        given = self.database_url.get_secret_value()
        return given or f"sqlite:///{self.data_dir.absolute() / 'chainrule.sqlite'}"

    @property
    def resolved_store_url(self) -> str:
        """The store URL, or a folder in the data folder."""
        return self.store_url or f"file://{self.data_dir.absolute() / 'store'}"

    @property
    def renew_seconds(self) -> float:
        """Pause between two renewals of a lease."""
        return self.lease_seconds / 6

    @property
    def self_fence_seconds(self) -> float:
        """How long after its last successful renewal an attempt may act."""
        return self.lease_seconds - self.renew_seconds

    @property
    def reap_seconds(self) -> float:
        """Pause between two looks for attempts whose lease ran out."""
        return min(2.0, self.lease_seconds / 10)

    @model_validator(mode="after")
    def _refuse_open_doors(self) -> Self:
        if self.host not in {"127.0.0.1", "::1", "localhost"} and not (
            self.api_token.get_secret_value()
        ):
            raise ValueError(
                f"host {self.host} is reachable from other machines: set CHAINRULE_API_TOKEN, "
                "or bind to 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _refuse_peers_without_a_secret(self) -> Self:
        if not self.peer_url:
            return self
        if not re.fullmatch(r"http://[^/?#@\s]+:[0-9]{1,5}", self.peer_url):
            raise ValueError("peer_url: must be like http://10.0.0.5:7475")
        if len(self.peer_token.get_secret_value()) < MIN_TOKEN:
            raise ValueError(
                f"peer_url: set CHAINRULE_PEER_TOKEN, {MIN_TOKEN} characters or more, the same on "
                "all workers"
            )
        return self
