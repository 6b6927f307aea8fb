"""Which requests go through a proxy."""

from __future__ import annotations

import httpx
import pytest

from firmly_nb.wire.transport import proxy_for

PROXY = "http://proxy.test:3128"
ALL = {"http": PROXY, "https": "http://secure.test:3128"}


@pytest.mark.parametrize(
    ("settings", "url", "expected"),
    [
        (ALL, "http://shop.test/", PROXY),
        (ALL, "https://shop.test/", "http://secure.test:3128"),
        ({"all": PROXY}, "https://shop.test/", PROXY),
        ({"all": "socks5://proxy.test", "http": PROXY}, "http://shop.test/", PROXY),
        ({"https": PROXY}, "http://shop.test/", None),
        ({"https": "proxy.test:3128"}, "https://shop.test/", PROXY),
        ({"ftp": PROXY}, "http://shop.test/", None),
        ({"http": ""}, "http://shop.test/", None),
        ({}, "http://shop.test/", None),
    ],
)
def test_the_scheme_chooses_the_proxy(settings, url, expected):
    assert proxy_for(httpx.URL(url), settings) == expected


LOOPBACK = ["127.0.0.1", "127.8.9.10", "[::1]", "[::ffff:7f00:1]"]
LOOPBACK_NAMES = ["localhost", "LocalHost", "localhost.", "sim.localhost"]


@pytest.mark.parametrize("host", [*LOOPBACK, *LOOPBACK_NAMES])
def test_what_stays_on_this_machine_never_goes_through_a_proxy(host):
    assert proxy_for(httpx.URL(f"http://{host}:8080/"), ALL) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        ("*", "shop.test", True),
        ("other.test, *", "shop.test", True),
        ("shop.test", "shop.test", True),
        ("shop.test", "www.shop.test", True),
        ("shop.test", "www.SHOP.test", True),
        ("shop.test", "workshop.test", False),
        ("shop.test", "shop.test.example", False),
        (".shop.test", "www.shop.test", True),
        (".shop.test", "shop.test", False),
        ("*.shop.test", "www.shop.test", True),
        ("a.test,,shop.test", "shop.test", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("10.0.0.0/8", "10.1.2.4", True),
        ("10.0.0.0/8", "11.1.2.4", False),
        ("10.0.0.0/8", "shop.test", False),
        ("fd00::/8", "[fd00::5]", True),
        ("[fd00::5]", "[fd00::5]", True),
        ("fd00::5", "10.1.2.3", False),
        ("shop.test:8443", "shop.test:8443", True),
        ("shop.test:8443", "shop.test:9443", False),
        ("localhost", "notlocalhost", False),
        ("https://shop.test", "shop.test", False),
        ("http://shop.test", "shop.test", True),
        ("all://shop.test", "shop.test", True),
        ("all://shop.test:99", "shop.test", False),
        ("http://", "shop.test", True),
        ("", "shop.test", False),
    ],
)
def test_no_proxy_exempts_hosts(no_proxy, host, exempt):
    settings = {**ALL, "no": no_proxy}
    assert proxy_for(httpx.URL(f"http://{host}/"), settings) == (None if exempt else PROXY)
