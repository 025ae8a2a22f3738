"""Lines carry the name of who speaks; a listener that leaves disturbs nobody."""

import io

from chainrule.stack.logs import Logs


def test_lines_are_prefixed_and_remembered() -> None:
    stream = io.StringIO()
    logs = Logs(stream)
    logs.say("api", "hello")
    logs.say("scheduler", "there")
    assert stream.getvalue() == "api       | hello\nscheduler | there\n"
    assert logs.tail("api") == ["hello"]
    assert logs.tail("nobody") == []


def test_each_name_has_its_colour() -> None:
    stream = io.StringIO()
    logs = Logs(stream, colour=True)
    logs.say("api", "a")
    logs.say("worker", "b")
    logs.say("api", "c")
    starts = [line.partition("m")[0] for line in stream.getvalue().splitlines()]
    assert starts[0] == starts[2] != starts[1]


def test_a_closed_stream_only_silences() -> None:
    stream = io.StringIO()
    logs = Logs(stream)
    stream.close()
    logs.say("api", "hello")
    assert logs.tail("api") == ["hello"]
