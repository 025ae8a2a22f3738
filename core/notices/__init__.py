"""Notices: what happened, told to addresses that asked for it, by signed requests.

A change writes what is to be told in its own transaction; somebody else sends it, again and again
until it arrives.
"""

from core.notices.delivery import Outcome, send
from core.notices.outbox import Parcel, due, forget, record, take
from core.notices.publication import EVENTS, Event, announce
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

__all__ = [
    "EVENTS",
    "MOST_WEBHOOKS",
    "Event",
    "Outcome",
    "Parcel",
    "add",
    "announce",
    "deliveries",
    "due",
    "forget",
    "get",
    "list_webhooks",
    "ping",
    "record",
    "remove",
    "replay",
    "send",
    "state",
    "take",
]
