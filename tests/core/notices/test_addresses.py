"""Messages may go to public addresses, not to this machine or private networks."""

import pytest

from core.errors import InvalidError
from core.notices.addresses import check_url, is_public

PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "::127.0.0.1",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_recognized(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_recognized(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com", "https://", "http://user:pw@example.com/",
        "https://example.com:99999/", "https://exa mple.com/", "https://[::1", "file:///etc/passwd",
        "http://127.0.0.1/", "http://[::1]:80/", "http://localhost:8000/", "http://a.localhost./",
        "http://[::ffff:10.0.0.1]/", "https://example.com/" + "a" * 2048,
    ],
)  # fmt: skip
def test_invalid_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_url(url, allow_private=False)
    assert refused.value.errors[0].path == "url"
    assert "pw" not in refused.value.detail


def test_the_operator_may_allow_private_addresses() -> None:
    assert check_url("http://127.0.0.1:8000/hook", allow_private=True).port == 8000
    assert check_url("https://example.com/hook", allow_private=False).host == "example.com"
