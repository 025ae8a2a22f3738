"""Framed messages between a child and its runner."""

import socket
import struct
import threading
from collections.abc import Iterator
from typing import TypeAlias

import pytest

from worker.runner.channel import Channel, ChannelClosedError

Ends: TypeAlias = tuple[Channel, Channel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = Channel.pair()
    other = Channel(theirs)
    yield ours, other, theirs
    ours.close()
    other.close()


def test_messages_arrive_whole_and_in_order(ends: Ends) -> None:
    ours, other, _ = ends
    messages = [{"n": n, "text": "ü" * n * 1000, "value": float("inf")} for n in range(50)]

    def send_all() -> None:
        for message in messages:
            ours.send(message)

    sender = threading.Thread(target=send_all)
    sender.start()
    assert [other.receive(10) for _ in messages] == messages
    sender.join()


def test_nothing_within_the_timeout_is_none(ends: Ends) -> None:
    ours, other, _ = ends
    assert other.receive(0) is None
    ours.send({})
    assert other.receive(1) == {}


def test_what_was_sent_before_the_end_is_received(ends: Ends) -> None:
    ours, other, _ = ends
    ours.send({"last": True})
    ours.close()
    assert other.receive(1) == {"last": True}
    with pytest.raises(ChannelClosedError):
        other.receive(1)
    with pytest.raises(ChannelClosedError):
        other.send({"too": "late" * 100_000})


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">I", 2**31) + b"x",
        struct.pack(">I", 3) + b"abc",
        struct.pack(">I", 2) + b"[]",
    ],
)
def test_nonsense_closes(ends: Ends, frame: bytes) -> None:
    ours, _, theirs = ends
    assert isinstance(theirs, socket.socket)
    theirs.sendall(frame)
    with pytest.raises(ChannelClosedError):
        ours.receive(1)
