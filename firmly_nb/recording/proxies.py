"""Which proxy the environment asks for.

HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY mean what they mean to httpx (a transport of one's
own switches httpx's reading of them off), with two differences: what stays on this machine never
goes through a proxy, and NO_PROXY may name a range of addresses (``10.0.0.0/8``).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["proxy_for"]


def proxy_for(url: httpx.URL, settings: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for `url`, or None for a direct connection.

    Parameters
    ----------
    url
        Where a request goes.
    settings
        As ``urllib.request.getproxies()`` returns them: by scheme, ``all``, and ``no``.

    Examples
    --------
    >>> settings = {"https": "proxy.example:8080", "no": "example.org"}
    >>> proxy_for(httpx.URL("https://example.com/"), settings)
    'http://proxy.example:8080'
    >>> proxy_for(httpx.URL("https://www.example.org/"), settings) is None
    True
    """
    if _is_loopback(url.host):
        return None
    entries = [entry.strip() for entry in settings.get("no", "").split(",")]
    if any(_exempts(entry, url) for entry in entries if entry):
        return None
    proxy = settings.get(url.scheme) or settings.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _exempts(entry: str, url: httpx.URL) -> bool:
    """Say whether one entry of NO_PROXY covers `url`."""
    if entry == "*":
        return True
    if "://" in entry:
        pattern = httpx.URL(entry)
        return (
            pattern.scheme in {"all", url.scheme}
            and pattern.host in {"", "*", url.host}
            and pattern.port in {None, url.port}
        )
    address = _ip(url.host)
    try:
        # One address is a network of one.
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return _covers_name(entry, url)
    return address is not None and address in network


def _covers_name(entry: str, url: httpx.URL) -> bool:
    name, _, port = entry.lower().partition(":")
    if port and port != str(url.port):
        return False
    host = url.host.lower()
    if name == "localhost":
        return host == name
    if name.startswith((".", "*.")):
        return host.endswith(name.removeprefix("*"))
    return host == name or host.endswith(f".{name}")


def _is_loopback(host: str) -> bool:
    address = _ip(host)
    if address is None:
        name = host.lower().rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
