"""The state of the server as the API returns it."""

from typing import Literal

from pydantic import Field

from api.resources.base import Read


class Liveness(Read):
    """The process is running."""

    status: Literal["ok"] = "ok"


class Readiness(Read):
    """The state of the dependencies of the server."""

    status: Literal["ready", "degraded", "unavailable"]
    missing: list[str] = Field(description="dependencies that are not available")
    dependencies: dict[str, str] = Field(
        examples=[{"database": "ok", "store": "ok", "broker": "does not answer", "mlflow": "off"}]
    )
