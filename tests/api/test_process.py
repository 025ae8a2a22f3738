"""The api as a process: it starts, refuses open doors and busy ports, and ends when told."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress

import httpx
import pytest

from tests.brokers import free_port


def environment(**settings):
    """An environment with nothing but these settings of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {f"CHAINRULE_{name.upper()}": str(value) for name, value in settings.items()}


@pytest.fixture
def started(sqlite_url, tmp_path):
    """A running api and its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "api"],
        env=environment(port=port, database_url=sqlite_url, data_dir=tmp_path / "data"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    give_up_at = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/healthz")
            break
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    yield process, url
    process.kill()
    process.communicate()


def test_it_serves_and_ends_on_sigterm(started):
    process, url = started
    assert httpx.get(f"{url}/readyz", timeout=30).json()["status"] == "ready"
    assert "server" not in httpx.get(f"{url}/healthz").headers
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in log


def test_an_upload_cut_in_the_middle_leaves_nothing(started, tmp_path):
    _, url = started
    port = httpx.URL(url).port
    head = (
        b"POST /v1/datasets/cut/versions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\na,b\n1,2\n"
    )
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(head)
        give_up_at = time.monotonic() + 30
        while not list((tmp_path / "data" / "uploads").glob("*")):
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
    while list((tmp_path / "data" / "uploads").glob("*")):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    assert httpx.get(f"{url}/v1/datasets", timeout=30).json()["items"] == []


def test_a_head_that_never_ends_is_refused(started):
    _, url = started
    with closing(socket.create_connection(("127.0.0.1", httpx.URL(url).port))) as connection:
        connection.settimeout(30)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
        answer = b""
        with suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(b"x" * 65_536)
            answer = connection.recv(100)
    assert b"200" not in answer
    assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200


def run(**settings):
    """The outcome of an api that does not come to serve."""
    return subprocess.run(
        [sys.executable, "-m", "api"],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_token_it_does_not_open_to_other_machines(tmp_path):
    outcome = run(host="0.0.0.0", data_dir=tmp_path)
    assert outcome.returncode == 2
    assert "CHAINRULE_API_TOKEN" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_busy_port_is_one_clear_line(tmp_path, sqlite_url):
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        port = busy.getsockname()[1]
        outcome = run(port=port, data_dir=tmp_path, database_url=sqlite_url)
    assert outcome.returncode != 0
    assert "address already in use" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_database_of_another_kind_is_one_clear_line(tmp_path):
    outcome = run(database_url="mysql://root:canary-pw@localhost/x", data_dir=tmp_path)
    assert outcome.returncode == 2
    assert "mysql" in outcome.stderr
    assert "canary-pw" not in outcome.stderr
    assert "Traceback" not in outcome.stderr
