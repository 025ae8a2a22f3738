"""Network namespaces, as if of other machines: each has an end of a link, and a loopback."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def namespace(name: str, link: str, address: str) -> Iterator[None]:
    """A namespace `name` with `address` (`10.0.0.1/24`) on its `e0`, whose other end is our `link`.

    It and the link are gone when the context ends. Raises OSError or CalledProcessError where it
    cannot be made: that takes root and `ip`.
    """
    with ExitStack() as opened:
        ip("netns", "add", name)
        opened.callback(ip, "netns", "del", name)
        ip("link", "add", link, "type", "veth", "peer", "e0", "netns", name)
        ip("link", "set", link, "up")
        ip("-n", name, "addr", "add", address, "dev", "e0")
        for device in ("e0", "lo"):
            ip("-n", name, "link", "set", device, "up")
        yield


def ip(*words: str) -> None:
    """Run the command of that name. Raises OSError or CalledProcessError."""
    subprocess.run(["ip", *words], check=True, capture_output=True)
