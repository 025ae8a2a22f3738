"""Delivery of one message, to the address that was checked and within a time limit."""

import socket
import ssl
import time
from functools import cache
from typing import NamedTuple

import anyio
import httpx

from core.errors import InvalidError
from core.notices.addresses import check_url, is_public
from core.notices.signatures import headers

SECONDS = 15.0
"""Time limit of a whole attempt, including the answer."""

_CONNECT_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


class Outcome(NamedTuple):
    """Result of an attempt. If `final`, the message must not be sent again."""

    delivered: bool
    status_code: int | None = None
    error: str | None = None
    final: bool = False


def send(url: str, secret: str, message_id: str, body: bytes, *, allow_private: bool) -> Outcome:
    """Send a signed message. Errors become outcomes; redirects and response bodies are ignored."""
    try:
        return anyio.run(_send, url, secret, message_id, body, allow_private)
    except TimeoutError:
        return Outcome(False, error=f"no answer within {SECONDS:g} s")
    except httpx.TimeoutException:
        return Outcome(False, error="no answer in time")
    except httpx.HTTPError as error:
        # The text of the error may contain what the server sent.
        return Outcome(False, error=f"the connection failed ({type(error).__name__})")
    except (OSError, UnicodeError):
        return Outcome(False, error="the host name was not found")
    except InvalidError as error:
        return Outcome(False, error=error.detail[:255])


async def _send(
    url: str, secret: str, message_id: str, body: bytes, allow_private: bool
) -> Outcome:
    parsed = check_url(url, allow_private=allow_private)
    host = parsed.raw_host.decode("ascii")
    with anyio.fail_after(SECONDS):
        address = await _resolve(host, parsed.port or _PORTS[parsed.scheme], allow_private)
        all_headers = {
            "Host": parsed.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "chainrule-webhooks",
            **headers(secret, message_id, int(time.time()), body),
        }
        timeout = httpx.Timeout(SECONDS, connect=_CONNECT_SECONDS)
        async with (
            httpx.AsyncClient(
                verify=_tls_context(), trust_env=False, follow_redirects=False, timeout=timeout
            ) as client,
            client.stream(
                "POST",
                parsed.copy_with(host=address),
                content=body,
                headers=all_headers,
                extensions={"sni_hostname": host},
            ) as response,
        ):
            # The body is not read: it is of no use and may be endless.
            return _outcome(response.status_code)


async def _resolve(host: str, port: int, allow_private: bool) -> str:
    """Return the address to connect to; the name is resolved once, so that it cannot change."""
    entries = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in entries]
    allowed = [a for a in addresses if allow_private or is_public(a)]
    if not allowed:
        raise InvalidError("the host has a private address; messages are not sent there")
    return allowed[0]


def _outcome(code: int) -> Outcome:
    if 200 <= code < 300:
        return Outcome(True, code)
    if 300 <= code < 400:
        return Outcome(False, code, f"answered {code}: redirects are not followed")
    if code == httpx.codes.GONE:
        return Outcome(False, code, "answered 410: it wants no more messages", final=True)
    return Outcome(False, code, f"answered {code}")


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the TLS context, built once: loading certificates takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)
