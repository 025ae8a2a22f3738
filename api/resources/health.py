"""The state of the server as the API returns it."""

from typing import Literal

from pydantic import Field

from api.resources.base import Read


class Liveness(Read):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Read):
    """Whether everything this server needs answers."""

    status: Literal["ready", "degraded", "unavailable"]
    missing: list[str] = Field(description="what does not answer; empty: nothing")
    dependencies: dict[str, str] = Field(
        examples=[{"database": "ok", "store": "ok", "broker": "does not answer", "mlflow": "off"}]
    )
