"""URLs that messages may be sent to: public addresses only, unless the operator allows others."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx

from core.errors import FieldError, InvalidError

LONGEST_URL = 2048

_SIX_TO_FOUR = IPv6Network("2002::/16")
_SCHEMES = frozenset({"http", "https"})


def is_public(address: str) -> bool:
    """Return whether an IP address is public: not of this machine and not of a private network."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        # Both forms contain an IPv4 address, which a router extracts.
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in _SIX_TO_FOUR:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def check_url(url: str, *, allow_private: bool) -> httpx.URL:
    """Return the parsed URL of a webhook.

    Raises InvalidError for a URL that is not http(s), contains a password, or names a private
    address. Host names are resolved and checked when a message is sent.
    """
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise _refused("is not a valid URL") from None
    if parsed.scheme not in _SCHEMES or not host:
        raise _refused("must begin with https:// or http:// and name a host")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise _refused("has no port from 1 to 65535")
    if parsed.userinfo:
        raise _refused("must not contain a user or password: messages are signed instead")
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise _refused(f"must have at most {LONGEST_URL} printable characters")
    if not allow_private and _is_private(host):
        raise _refused("is private; the operator can set CHAINRULE_WEBHOOKS_ALLOW_PRIVATE=true")
    return parsed


def _is_private(host: str) -> bool:
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return True
    try:
        return not is_public(host)
    except ValueError:  # a host name
        return False


def _refused(what: str) -> InvalidError:
    return InvalidError(f"the address {what}", [FieldError("url", what)])
