"""Webhooks: URLs that receive events as signed requests."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Paging, WebhookId
from api.resources.base import Read
from api.resources.pages import Page, page
from core import notices
from core.db import tables
from core.db.session import reading, transaction

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=problems(*ALWAYS))

DeliveryId = Annotated[int, Path(ge=1, le=2**63 - 1, description="`id` of the delivery")]


class NewWebhook(BaseModel):
    """The URL that receives messages, and the events to send."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://example.com/chainrule", "events": ["job.finished"]}]
        },
    )

    url: Annotated[
        str, Field(min_length=1, max_length=2048, examples=["https://example.com/chainrule"])
    ]
    events: Annotated[list[notices.Event], Field(min_length=1, max_length=50)] = list(
        notices.EVENTS
    )
    description: Annotated[str, Field(max_length=4096)] = ""


class Webhook(Read):
    """A URL that receives events."""

    id: str
    url: str
    events: list[str]
    description: str
    owner: str
    created_at: datetime


class WebhookWithSecret(Webhook):
    """A new webhook with the secret that signs its messages; the secret is returned once."""

    secret: Annotated[str, Field(description="`whsec_` and 32 bytes in base64")]


class Delivery(Read):
    """A message to a webhook and the state of its delivery."""

    id: int
    message_id: Annotated[str, Field(description="the `webhook-id` header of every attempt")]
    event: str
    data: dict[str, Any]
    state: Literal["delivered", "waiting", "failed"]
    attempts: int
    status_code: int | None = Field(None, description="status of the last response")
    error: str | None = Field(None, description="error of the last attempt")
    created_at: datetime
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None


@router.post("", status_code=201, responses=problems(403, 409, 413, 415, 422))
def create_webhook(body: NewWebhook, here: Here, owner: Owner) -> WebhookWithSecret:
    """Create a webhook. The response contains its secret, which is not shown again.

    A message is a POST of `{"type", "timestamp", "data"}` with the headers `webhook-id`,
    `webhook-timestamp` and `webhook-signature` of the Standard Webhooks specification.
    """
    with transaction(here.engine) as session:
        row = notices.add(
            session,
            body.url,
            events=body.events,
            description=body.description,
            owner=owner,
            allow_private=here.settings.webhooks_allow_private,
        )
    return WebhookWithSecret(**_fields(row), secret=row.secret)


@router.get("", responses=problems(422))
def list_webhooks(paging: Annotated[Paging, Query()], here: Here, _: Owner) -> Page[Webhook]:
    """List webhooks by id."""
    with reading(here.engine) as session:
        rows = notices.list_webhooks(session, after=paging.cursor, limit=paging.limit + 1)
        return page(rows, paging.limit, _webhook, lambda row: row.id)


@router.get("/{webhook_id}", responses=problems(404, 422))
def read_webhook(webhook_id: WebhookId, here: Here, _: Owner) -> Webhook:
    """Return a webhook."""
    with reading(here.engine) as session:
        return _webhook(notices.get(session, webhook_id))


@router.delete("/{webhook_id}", status_code=204, responses=problems(403, 404, 422))
def remove_webhook(webhook_id: WebhookId, here: Here, _: Owner) -> None:
    """Delete a webhook and its pending deliveries."""
    with transaction(here.engine) as session:
        notices.remove(session, webhook_id)


@router.post("/{webhook_id}/ping", status_code=202, responses=problems(403, 404, 422))
def ping_webhook(webhook_id: WebhookId, here: Here, _: Owner) -> Delivery:
    """Send a message of type `ping` to test a webhook."""
    with transaction(here.engine) as session:
        return _delivery(notices.ping(session, webhook_id))


@router.get("/{webhook_id}/deliveries", responses=problems(404, 422))
def list_deliveries(
    webhook_id: WebhookId, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[Delivery]:
    """List the deliveries of a webhook, newest first. Old deliveries are deleted."""
    before = paging.number(2**63 - 1)
    with reading(here.engine) as session:
        rows = notices.deliveries(session, webhook_id, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, _delivery, lambda row: row.id)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    responses=problems(403, 404, 422),
)
def replay_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, here: Here, _: Owner
) -> Delivery:
    """Send a message again, with its original `webhook-id`."""
    with transaction(here.engine) as session:
        return _delivery(notices.replay(session, webhook_id, delivery_id))


def _fields(row: tables.Webhook) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Webhook.model_fields}


def _webhook(row: tables.Webhook) -> Webhook:
    return Webhook(**_fields(row))


def _delivery(row: tables.Delivery) -> Delivery:
    columns = {name: getattr(row, name) for name in Delivery.model_fields if name != "state"}
    return Delivery(**columns, state=notices.state(row))
