"""Which addresses a message may be sent to: the public internet, unless the operator says more."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx

from core.errors import FieldError, InvalidError

LONGEST_URL = 2048

_SIX_TO_FOUR = IPv6Network("2002::/16")
_SCHEMES = frozenset({"http", "https"})


def public(address: str) -> bool:
    """Whether an IP address is one of the public internet, not of this machine or its networks."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        # These carry an IPv4 address inside, which a router unpacks.
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in _SIX_TO_FOUR:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def check_url(url: str, *, allow_private: bool) -> httpx.URL:
    """The parsed address of a webhook.

    Raises InvalidError for what is no http(s) address, holds a password, or is private as it
    stands. Where a name leads is looked at when something is sent.
    """
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise _refused("is no address") from None
    if parsed.scheme not in _SCHEMES or not host:
        raise _refused("must begin with https:// or http:// and name a host")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise _refused("has no port from 1 to 65535")
    if parsed.userinfo:
        raise _refused("must hold no user or password: messages are signed instead")
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise _refused(f"must have at most {LONGEST_URL} printable characters")
    if not allow_private and _private_as_it_stands(host):
        raise _refused(
            "is private; whoever runs the server may set CHAINRULE_WEBHOOKS_ALLOW_PRIVATE=true"
        )
    return parsed


def _private_as_it_stands(host: str) -> bool:
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return True
    try:
        return not public(host)
    except ValueError:  # a name
        return False


def _refused(what: str) -> InvalidError:
    return InvalidError(f"the address {what}", [FieldError("url", what)])
