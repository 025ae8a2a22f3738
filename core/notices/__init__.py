"""Webhooks: signed messages about events, sent to the URLs that subscribed to them.

A change adds its messages in its own transaction. The scheduler sends them, with retries until
they are delivered.
"""

from core.notices.delivery import Outcome, send
from core.notices.outbox import ClaimedMessage, claim, due, record
from core.notices.publication import EVENTS, Event, announce, announce_sweep_end
from core.notices.webhooks import (
    MOST_WEBHOOKS,
    add,
    deliveries,
    get,
    list_webhooks,
    ping,
    remove,
    replay,
    state,
)
