"""The settings of every process, from `CHAINRULE_*` environment variables."""

import os
import re
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chainrule.contract.tokens import weakness
from core.sandbox.policy import PARTS

MIN_TOKEN = 16
"""Characters of the secret of workers that share chunks on one machine."""
MOST_DAYS = 36_500
"""Days of the longest retention."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _days(default: float, what: str, since: str = "after the end of the job") -> Any:
    """A setting of retention: for how many days `what` is kept."""
    text = f"days for which {what} are kept {since}; 0: for ever"
    return Field(default, ge=0, le=MOST_DAYS, allow_inf_nan=False, description=text)


class Settings(BaseSettings):
    """Addresses of the outside systems, limits and timeouts.

    Durations are in seconds. Addresses that contain a password are `SecretStr`, which never prints.
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
    mlflow_url: str = Field("", description="URL of the MLflow server; empty: no mirror")
    mlflow_token: SecretStr = Field(
        SecretStr(""), description="bearer token of the MLflow server; empty: it needs none"
    )
    mlflow_public_url: str = Field("", description="URL of MLflow for a browser")
    mlflow_source: bool = Field(
        False, description="copy the source code of jobs to MLflow, where it cannot be erased"
    )
    public_url: str = Field("", description="URL of the api for a browser; linked from MLflow")
    host: str = Field("127.0.0.1", description="address that the api binds to")
    port: int = Field(8000, ge=0, le=65535, description="port of the api")
    api_token: SecretStr = Field(
        SecretStr(""), description="bearer token; required to bind to other addresses than loopback"
    )
    token_guesses_per_minute: int = Field(
        20,
        ge=0,
        description="wrong tokens after which an address is refused for a minute; 0: no limit",
    )
    max_connections_per_address: int = Field(
        250,
        gt=0,
        description="open connections of one client of the api; raise it behind a proxy",
    )
    node_name: str = Field("", description="name of this machine; empty: its host name")
    queues: str = Field(
        "cpu", description="queues that a worker serves, separated by commas: cpu, gpu"
    )
    slots: int = Field(1, ge=1, le=256, description="jobs that a worker runs at once")
    threads: int = Field(0, ge=0, description="BLAS threads of a slot; 0: cores / slots")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="port for Prometheus metrics of a worker or scheduler; 0: none",
    )
    metrics_host: str = Field("127.0.0.1", description="address of the metrics port")
    pulse_file: Path | None = Field(
        None, description="file that a healthy worker or scheduler touches, for health checks"
    )

    lease_seconds: float = Field(
        30.0, gt=0.5, description="how long an attempt owns its job without renewing its lease"
    )
    dispatch_seconds: float = Field(
        1.0, gt=0, description="pause between two dispatches of queued jobs"
    )
    ring_again_seconds: float = Field(
        30.0, gt=0, description="pause before another message is sent for a queued job"
    )
    chunk_seconds: float = Field(
        1.0, gt=0, description="how long metrics are collected before they are written"
    )
    system_metrics_seconds: float = Field(
        5.0,
        ge=0,
        description="interval between two measurements of the machine during a job; 0: never",
    )
    checkpoint_seconds: float = Field(30.0, gt=0, description="default pause between checkpoints")
    max_attempts: int = Field(3, ge=1, description="lost attempts after which a job fails")

    cache_bytes: int = Field(
        0, ge=0, description="largest size of a worker's dataset cache on disk; 0: as much as fits"
    )
    scrub_bytes_per_second: int = Field(
        4 * 2**20,
        ge=0,
        description="how fast a worker reads its cache, and the scheduler the store, to detect "
        "damaged bytes; 0: never",
    )
    peer_url: str = Field(
        "",
        description="http://HOST:PORT at which a worker serves the chunks of its cache to others; "
        "empty: not at all",
    )
    peer_token: SecretStr = Field(
        SecretStr(""),
        description="secret of the workers that share chunks, the same on all of them",
    )
    data_memory_bytes: int = Field(
        0,
        ge=0,
        description="memory of a slot for training rows; larger tables are read from disk during "
        "training; 0: half of the slot's share of the machine",
    )
    max_upload_bytes: int = Field(10 * 2**30, gt=0)
    dataset_urls: str = Field(
        "",
        description="URL prefixes from which datasets may be read in place, separated by commas: "
        "s3://bucket/data",
    )
    max_owner_bytes: int = Field(
        0,
        ge=0,
        description="limit for the bytes of all dataset versions that are not erased; 0: none",
    )
    max_dataset_versions: int = Field(
        0, ge=0, description="limit for the versions of one dataset that are not erased; 0: none"
    )
    max_weights_bytes: int = Field(
        4 * 2**30, gt=0, description="limit for the weights of one network"
    )
    max_queued_jobs: int = Field(
        100_000, gt=0, description="queued jobs beyond which no job or sweep is accepted"
    )
    max_running_sweeps: int = Field(
        1000, gt=0, description="running sweeps beyond which no sweep is accepted"
    )
    runner_memory_bytes: int = Field(
        0, ge=0, description="limit for the address space of a runner; 0: none"
    )
    sandbox_without: str = Field(
        "",
        description="parts of the sandbox of runners to switch off, separated by commas, when "
        "they keep a device or a library from working: landlock, seccomp",
    )
    keep_jobs_days: float = _days(
        0, "jobs with all that they left, unless a sweep, a model or an evaluation needs them,"
    )
    keep_events_days: float = _days(90, "events of jobs")
    keep_logs_days: float = _days(30, "logs of jobs")
    keep_metrics_days: float = _days(
        90, "points of curves of jobs; at least 1,000 of each curve are kept for ever"
    )
    keep_checkpoints_days: float = _days(7, "checkpoints of jobs")
    keep_models_days: float = _days(0, "models of jobs, unless they are registered")
    keep_predictions_days: float = _days(0, "prediction files of jobs")
    keep_orphans_days: float = _days(7, "files of jobs that no row names", "after the job ended")
    keep_idempotency_keys_days: float = _days(7, "idempotency keys", "after their first use")
    keep_deliveries_days: float = _days(30, "messages to webhooks", "after their creation")
    keep_sources_days: float = _days(7, "source code that no job names", "after it was sent")
    keep_uploads_days: float = _days(7, "uploads in parts", "after the last part was received")
    keep_mlflow_days: float = _days(
        0, "runs of jobs in MLflow, with their files, unless the model is registered"
    )
    keep_workers_days: float = _days(7, "rows of workers", "after the last heartbeat")

    webhooks_allow_private: bool = Field(
        False, description="allow webhooks to this machine and its private networks"
    )
    webhook_retry_seconds: float = Field(
        5.0,
        gt=0,
        description="pause after the first failure of a webhook; it grows with each further one",
    )

    @property
    def resolved_database_url(self) -> str:
        """The database URL, or SQLite in the data folder."""
        url = self.database_url.get_secret_value()
        return url or f"sqlite:///{self.data_dir.absolute() / 'chainrule.sqlite'}"

    @property
    def resolved_store_url(self) -> str:
        """The store URL, or a folder in the data folder."""
        return self.store_url or f"file://{self.data_dir.absolute() / 'store'}"

    @property
    def secret_variables(self) -> dict[str, str]:
        """The variables of secret settings, for a process of ours that has to read them again."""
        values = {key: getattr(self, name).get_secret_value() for key, name in _SECRETS.items()}
        return {key: value for key, value in values.items() if value}

    @property
    def renew_seconds(self) -> float:
        """The pause between two renewals of a lease."""
        return self.lease_seconds / 6

    @property
    def self_fence_seconds(self) -> float:
        """How long an attempt may act after its last successful renewal."""
        return self.lease_seconds - self.renew_seconds

    @property
    def reap_seconds(self) -> float:
        """The pause between two checks for leases that ran out."""
        return min(2.0, self.lease_seconds / 10)

    @model_validator(mode="after")
    def _refuse_open_doors(self) -> Self:
        if self.host in LOOPBACK:
            return self
        token = self.api_token.get_secret_value()
        if not token:
            raise ValueError(
                f"host {self.host} is reachable from other machines: set CHAINRULE_API_TOKEN, "
                "or bind to 127.0.0.1"
            )
        if reason := weakness(token):
            raise ValueError(
                f"host {self.host} is reachable from other machines, and CHAINRULE_API_TOKEN "
                f"{reason}"
            )
        return self

    @property
    def parts_without(self) -> tuple[str, ...]:
        """The parts of the sandbox of runners that are switched off."""
        return tuple(name.strip() for name in self.sandbox_without.split(",") if name.strip())

    @model_validator(mode="after")
    def _refuse_unknown_parts(self) -> Self:
        if unknown := set(self.parts_without) - set(PARTS):
            raise ValueError(
                f"sandbox_without: there is no part {', '.join(sorted(unknown))}; the parts are "
                f"{', '.join(PARTS)}"
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
        host = self.peer_url.removeprefix("http://").rpartition(":")[0].strip("[]")
        if host not in LOOPBACK and (reason := weakness(self.peer_token.get_secret_value())):
            raise ValueError(f"peer_url: CHAINRULE_PEER_TOKEN {reason}")
        return self


def forget_secrets() -> None:
    """Remove the variables of secret settings from the environment, after they were read.

    Programs that this process starts do not inherit them.
    """
    for variable in list(os.environ):
        if variable.upper() in _SECRETS:
            del os.environ[variable]


_SECRETS = {
    f"CHAINRULE_{name.upper()}": name
    for name, field in Settings.model_fields.items()
    if field.annotation is SecretStr
}
"""The names of secret settings, by variable."""
