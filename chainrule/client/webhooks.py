"""Webhooks of a server, as methods of the client."""

from collections.abc import Iterator, Sequence

from chainrule.client.records import Record
from chainrule.client.transport import Document, Transport, segment


class Webhooks:
    """Webhooks: addresses that receive events."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(
        self, url: str, *, events: Sequence[str] | None = None, description: str = ""
    ) -> Record:
        """Send events (None: all) to `url`. Only this answer holds the `secret`."""
        body: Document = {"url": url, "description": description}
        if events is not None:
            body["events"] = list(events)
        return self._transport.post("/v1/webhooks", body)

    def list(self) -> Iterator[Record]:
        """Yield all webhooks."""
        return self._transport.items("/v1/webhooks")

    def get(self, webhook_id: str) -> Record:
        """Return a webhook."""
        return self._transport.get(_path(webhook_id))

    def remove(self, webhook_id: str) -> None:
        """Remove a webhook, with its waiting messages."""
        self._transport.delete(_path(webhook_id))

    def ping(self, webhook_id: str) -> Record:
        """Send an empty message, to test whether it arrives."""
        return self._transport.post(f"{_path(webhook_id)}/ping")

    def deliveries(self, webhook_id: str) -> Iterator[Record]:
        """Yield the deliveries, newest first."""
        return self._transport.items(f"{_path(webhook_id)}/deliveries")

    def replay(self, webhook_id: str, delivery_id: int) -> Record:
        """Send a message again, with the same id."""
        path = f"{_path(webhook_id)}/deliveries/{delivery_id}/replay"
        return self._transport.post(path, repeatable=True)


def _path(webhook_id: str) -> str:
    return f"/v1/webhooks/{segment(webhook_id)}"
