"""Send one message: to the very address that was looked at, in bounded time, no further."""

import socket
import ssl
import time
from functools import cache
from typing import NamedTuple

import anyio
import httpx

from core.errors import InvalidError
from core.notices.addresses import check_url, public
from core.notices.signatures import headers

SECONDS = 15.0
"""For all of an attempt, whatever the other side does."""

_CONNECT_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


class Outcome(NamedTuple):
    """What became of an attempt; `final`: sending it again would be of no use."""

    delivered: bool
    status_code: int | None = None
    error: str | None = None
    final: bool = False


def send(url: str, secret: str, message_id: str, body: bytes, *, allow_private: bool) -> Outcome:
    """Send a signed message. No error, redirect or answer of the other side gets out of here."""
    try:
        return anyio.run(_send, url, secret, message_id, body, allow_private)
    except TimeoutError:
        return Outcome(False, error=f"no answer within {SECONDS:g} s")
    except httpx.TimeoutException:
        return Outcome(False, error="no answer in time")
    except httpx.HTTPError as error:
        # Not its text: that may repeat what the other side sent.
        return Outcome(False, error=f"the connection failed ({type(error).__name__})")
    except (OSError, UnicodeError):
        return Outcome(False, error="the name of the host was not found")
    except InvalidError as error:
        return Outcome(False, error=error.detail[:255])


async def _send(
    url: str, secret: str, message_id: str, body: bytes, allow_private: bool
) -> Outcome:
    parsed = check_url(url, allow_private=allow_private)
    host = parsed.raw_host.decode("ascii")
    with anyio.fail_after(SECONDS):
        address = await _resolve(host, parsed.port or _PORTS[parsed.scheme], allow_private)
        stamped = {
            "Host": parsed.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "chainrule-webhooks",
            **headers(secret, message_id, int(time.time()), body),
        }
        timeout = httpx.Timeout(SECONDS, connect=_CONNECT_SECONDS)
        async with (
            httpx.AsyncClient(
                verify=_trusted(), trust_env=False, follow_redirects=False, timeout=timeout
            ) as client,
            client.stream(
                "POST",
                parsed.copy_with(host=address),
                content=body,
                headers=stamped,
                extensions={"sni_hostname": host},
            ) as response,
        ):
            # The body of the answer is nobody's business, and may be endless.
            return _judged(response.status_code)


async def _resolve(host: str, port: int, allow_private: bool) -> str:
    """The address to connect to. A name is asked for once: it must not lead elsewhere later."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    allowed = [one for one in addresses if allow_private or public(one)]
    if not allowed:
        raise InvalidError("the host has a private address; messages are not sent there")
    return allowed[0]


def _judged(code: int) -> Outcome:
    if 200 <= code < 300:
        return Outcome(True, code)
    if 300 <= code < 400:
        return Outcome(False, code, f"answered {code}: redirects are not followed")
    if code == httpx.codes.GONE:
        return Outcome(False, code, "answered 410: it wants no more of this", final=True)
    return Outcome(False, code, f"answered {code}")


@cache
def _trusted() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)
