"""The guard: nothing real is ever bought by accident."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.api.models import TEST_CARDS, Card, Order
from firmly_nb.environments import (
    NOT_PRODUCTION,
    PRODUCTION,
    Environment,
    GuardError,
    check_headers,
    check_host,
    custom,
    guard,
    merchants,
    staging,
)

REAL_CARD = Card.test(number="4012888888881881")
STAGING_SHOP = "staging.luma.gift"


def disguises(host):
    """Ways to write a URL that leads to a host, or that some program may think does."""
    return [
        f"https://{host}",
        f"http://{host}",
        f"https://{host.upper()}",
        f"https://{host}.",
        f"https://{host}:443",
        f"https://{host}:8443/path",
        f"https://api.{host}",
        f"https://a.b.c.{host}/",
        f"https://user:pass@{host}",
        f"https://user@{host}",
        f"https://@{host}",
        f"https://api.firmly.work@{host}",
        f"https://api.firmly.work:443@{host}",
        f"https://127.0.0.1@{host}",
        f"https://{host}#.firmly.work",
        f"https://{host}?.firmly.work",
        f"https://{host}/.firmly.work",
        f"https://{host}\\.firmly.work",
        f"https://{host}\\@api.firmly.work",
        f"https://{host}%2f.firmly.work",
        f"https://{host}%00.firmly.work",
        f"https://{host}\t.firmly.work",
        f"https://{host}\n",
        f" https://{host}",
        f"https:\\\\{host}",
        f"https:/{host}",
        f"https:{host}",
        f"//{host}",
        host,
        f"HTTPS://{host}",
        f"ftp://{host}",
        "https://" + host.replace("firmly", "\uff46irmly"),
        "https://" + host.replace(".", "\u3002"),
        "https://" + host.replace("i", "\u0456"),
    ]  # fmt: skip


# Written out: a host that is lost from the product's own lists must not take its test with it.
PRODUCTION_HOSTS = ["firmly.online", "firmly.live", "firmlyaperture.com"]
STAGING_HOSTS = ["firmly.work", "firmly.tools", "firmlyci.com", "goiaba.art", "lvh.me"]


def test_the_hosts_are_those_that_firmly_names():
    assert list(PRODUCTION) == PRODUCTION_HOSTS
    assert list(NOT_PRODUCTION) == STAGING_HOSTS


@pytest.mark.parametrize("host", PRODUCTION_HOSTS)
def test_a_production_host_is_called_one_and_so_is_all_below_it(host):
    for name in (host, f"api.{host}", f"a.b.{host}", f"firmly.work.{host}"):
        with pytest.raises(GuardError, match=f"{name} is a production host"):
            check_host(f"https://{name}")
    with pytest.raises(GuardError, match="is not a known staging host"):
        check_host(f"https://x{host}")


@pytest.mark.parametrize("host", [*PRODUCTION_HOSTS, "cc.firmly.online", "api.firmly.online"])
def test_a_production_host_is_refused_in_every_disguise(host):
    for url in disguises(host):
        with pytest.raises(GuardError):
            check_host(url)
        with pytest.raises(GuardError):
            custom(url, None, frozenset())
        with pytest.raises(GuardError):
            custom("https://api.firmly.work", url, frozenset())


def test_the_message_for_production_says_that_there_is_no_switch():
    with pytest.raises(
        GuardError, match=r"api\.firmly\.online is a production host, .* always refused"
    ):
        fnb.connect(api_url="https://API.firmly.online.", app_id="x", allow_domains=[STAGING_SHOP])


@pytest.mark.parametrize(
    "host",
    ["example.com", "firmly.work.example.com", "notfirmly.work", "firmly-work.com", "firmly.works",
     "api.firmly.work.", "firmly.wor", "work", "192.168.0.1", "10.0.0.1", "8.8.8.8", "0.0.0.0",
     "2130706433", "0x7f000001", "127.1", "[::]", "[fe80::1]", "localhost.example.com",
     "127.0.0.1.example.com", "", "-.firmly.work", "a..firmly.work", "firmly.work..",
     "x" * 64 + ".firmly.work"],
)  # fmt: skip
def test_a_host_that_is_not_known_is_refused(host):
    if host == "api.firmly.work.":
        check_host(f"https://{host}")  # the same host, written out
        return
    with pytest.raises(GuardError):
        check_host(f"https://{host}")


LONGEST_LABEL = "x" * 63


@pytest.mark.parametrize(
    "label", ["a", "0", "a9", "9a", "a-b", "a--b", LONGEST_LABEL, f"{'x' * 31}-{'9' * 31}"]
)
def test_a_label_of_a_host_is_letters_digits_and_inner_hyphens(label):
    """RFC 1123, section 2.1: 1 to 63 of them, wherever in the name the label stands."""
    for host in (f"{label}.firmly.work", f"a.{label}.firmly.work"):
        check_host(f"https://{host}")


@pytest.mark.parametrize(
    "label", ["", "-", "-a", "a-", f"x{LONGEST_LABEL}", "a_b", "a*", "a+b", "a~b", "a,b", "a!b"]
)
def test_a_host_with_another_label_is_no_host(label):
    for host in (f"{label}.firmly.work", f"a.{label}.firmly.work", f"firmly.{label}.work"):
        with pytest.raises(GuardError, match="Write it like https://host"):
            check_host(f"https://{host}")


@pytest.mark.parametrize("host", STAGING_HOSTS)
def test_a_known_staging_host_is_taken_by_https_only(host):
    for name in (host, f"api.{host}", f"CC.{host.upper()}"):
        check_host(f"https://{name}")
        check_host(f"https://{name}:8899/")
        with pytest.raises(GuardError, match="must be reached by https"):
            check_host(f"http://{name}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_is_taken_by_http_too(host):
    check_host(f"http://{host}:8000")
    check_host(f"https://{host}")


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://127.0.0.1:0", ""]
)
def test_what_is_no_url_is_refused_by_the_guard(url):
    with pytest.raises(GuardError, match="Write it like https://host"):
        check_host(url)


@pytest.mark.parametrize(
    "url",
    ["https://user:pass@{}", "https://user@{}", "https://:pass@{}", "https://@{}", "https://:@{}",
     "https://{0}@{0}", "https://{}/\u00e9", "https://{}/\u200b", "https://{}/a b", "https://{}/a\tb",
     "https://{}\n", "https://{}/\x00", "https://{}/\x7f", " https://{}", "https://{} ",
     "https://{}\\", "https://{}/\\x", "https:\\\\{}", "https://{}:0", "https://{}:65536",
     "https://{}:-1", "https://{}:x", "ftp://{}", "ws://{}", "file://{}/x", "httpss://{}", "//{}",
     "{}", "https:{}", "https:/{}", "https:///{}"],
)  # fmt: skip
@pytest.mark.parametrize("host", ["api.firmly.work", "127.0.0.1", "localhost"])
def test_only_a_plain_url_leads_to_a_host_that_is_allowed(url, host):
    """Another program might read it as leading elsewhere, or repeat the password."""
    check_host(f"https://{host}")
    with pytest.raises(GuardError, match="Write it like https://host") as caught:
        check_host(url.format(host))
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://", "http://:80", "https://.", "https://?x", "https:///"])
def test_a_url_without_a_host_is_no_url(url):
    with pytest.raises(GuardError, match="Write it like https://host"):
        check_host(url)


@pytest.mark.parametrize("port", [1, 80, 443, 8443, 65_535])
def test_every_port_may_be_used(port):
    for url in ("https://api.firmly.work", "http://127.0.0.1", "http://[::1]", "http://localhost"):
        check_host(f"{url}:{port}")
        check_host(f"{url}:{port}/base/path?x=1#y")


@given(st.text(max_size=40), st.sampled_from(["https://", "http://", ""]))
def test_no_text_gets_past_the_guard_but_known_hosts(text, scheme):
    url = scheme + text
    try:
        check_host(url)
    except GuardError:
        return
    host = url.split("//")[1].split("/")[0].split("?")[0].split("#")[0].rpartition(":")
    name = (host[0] or host[2]).rstrip(".").lower()
    assert name == "localhost" or name.startswith(("127.", "[::1")) or name.endswith(NOT_PRODUCTION)


@pytest.mark.parametrize(
    ("api_url", "card_url"),
    [
        ("https://api.firmly.work", "https://cc.firmly.work"),
        ("https://API.firmly.work/", "https://cc.firmly.work/"),
        ("https://api.api.lvh.me", "https://cc.api.lvh.me"),
        ("https://api.lvh.me//api.json", "https://cc.lvh.me//api.json"),
        ("https://apis.lvh.me", "https://apis.lvh.me"),
        ("https://my-api.lvh.me", "https://my-api.lvh.me"),
        ("https://lvh.me/api.json", "https://lvh.me/api.json"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_the_card_host_follows_from_the_api_host(api_url, card_url):
    assert custom(api_url, None, frozenset()).card_url == card_url


def test_staging_is_one_place_with_one_merchant():
    assert staging() == Environment(
        "staging",
        "https://api.firmly.work",
        "https://cc.firmly.work",
        frozenset({"staging.luma.gift"}),
    )
    assert staging(frozenset({"shop.test"})).allow_domains == {"staging.luma.gift", "shop.test"}


def test_urls_of_ones_own_allow_no_merchant_by_themselves():
    here = "http://127.0.0.1:8000"
    assert custom(here, None, frozenset()) == Environment("custom", here, here, frozenset())
    with pytest.raises(GuardError, match=r"not on the allow-list of this lab \(none\)"):
        guard(custom(here, None, frozenset()), STAGING_SHOP, Card.test())


def test_an_environment_is_not_changed_once_it_was_checked():
    environment = staging()
    for name, value in (("api_url", "https://x.test"), ("allow_domains", frozenset({"x.test"}))):
        with pytest.raises(FrozenInstanceError):
            setattr(environment, name, value)


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        (["b.test"], "(b.test)"),
        (["b.test", "a.test", "c.test"], "(a.test, b.test, c.test)"),
        (["d.test", "b.test", "a.test", "c.test"], "(a.test, b.test, c.test and 1 more)"),
        ([f"{letter}.test" for letter in "fedcba"], "(a.test, b.test, c.test and 3 more)"),
    ],
)
def test_the_refusal_says_what_is_allowed(allowed, said):
    here = "http://127.0.0.1:8000"
    with pytest.raises(GuardError) as caught:
        guard(custom(here, None, frozenset(allowed)), "x.test", None)
    assert f"x.test is not on the allow-list of this lab {said}. " in str(caught.value)


@pytest.mark.parametrize(
    "domain",
    ["bestbuy.com", "luma.gift", "staging.luma.gift.evil.com", "xstaging.luma.gift", "a.luma.gift"],
)
def test_a_merchant_that_is_not_named_is_refused(domain):
    with pytest.raises(GuardError) as caught:
        guard(staging(), domain, Card.test())
    assert f'allow_domains=["{domain}"]' in str(caught.value)
    assert "can be real" in str(caught.value)


def test_an_order_whose_card_is_made_later_is_asked_about_its_place_only():
    guard(staging(), STAGING_SHOP, None)
    with pytest.raises(GuardError, match="not on the allow-list"):
        guard(staging(), "bestbuy.com", None)


def test_a_merchant_is_allowed_by_name():
    guard(staging(frozenset({"shop.test"})), "shop.test", Card.test())
    guard(staging(), STAGING_SHOP, Card.test())


@pytest.mark.parametrize("kind", TEST_CARDS)
def test_every_test_card_may_be_used_on_staging(kind):
    guard(staging(), STAGING_SHOP, Card.test(kind))


def test_another_card_may_be_used_on_the_simulator_only():
    here = "http://127.0.0.1:8000"
    allowed = frozenset({STAGING_SHOP})
    guard(Environment("simulator", here, here, allowed), STAGING_SHOP, REAL_CARD)
    for environment in (
        staging(),
        custom(here, None, allowed),
        # Whoever makes an environment by hand: the name alone is no simulator.
        Environment("simulator", "https://api.firmly.work", here, allowed),
        Environment("simulator", here, "https://cc.firmly.work", allowed),
    ):
        with pytest.raises(GuardError, match="is not a well-known test card") as caught:
            guard(environment, STAGING_SHOP, REAL_CARD)
        assert "4012888888881881" not in str(caught.value)


def test_the_guard_asks_again_at_each_order():
    for url in ("https://api.firmly.online", "https://example.com"):
        for urls in ((url, "http://127.0.0.1"), ("http://127.0.0.1", url)):
            with pytest.raises(GuardError):
                guard(Environment("custom", *urls, frozenset({"a.test"})), "a.test", None)


def test_a_refused_order_sends_nothing(connect, simulator):
    lab = connect(allow_domains=["shop.test"])
    before = len(simulator.truth())
    for order, card in ((Order.example(), None), (Order.example(domain="shop.test"), REAL_CARD)):
        with pytest.raises(GuardError):
            lab.place(order, card, progress=False)
    assert len(simulator.truth()) == before
    assert lab.last is None
    assert not lab.journal.exists()


@pytest.mark.parametrize(
    "name",
    ["Host", "host", "HOST ", "x-firmly-authorization", "X-Forwarded-Host", "Content-Length",
     "Transfer-Encoding", "Connection", "Authorization", "Cookie", "Accept", "x-sim-fault\r\nHost",
     "x-sim-\u017fault", "x-sim-", "", ":authority", b"Host", 5],
)  # fmt: skip
def test_no_header_leads_an_order_elsewhere(name, lab, simulator):
    """``Host`` would have gone to a staging address, and named another service behind it."""
    before = len(simulator.truth())
    for isolated in (True, False):
        with pytest.raises(GuardError, match="Use only headers of the simulator") as caught:
            lab.place(Order.example(), headers={name: "cc.firmly.online"}, isolated=isolated)
        assert "cc.firmly.online" not in str(caught.value)
    with pytest.raises(GuardError):
        lab.sweep(Order.example(), count=2, headers={name: "cc.firmly.online"}, progress=False)
    assert len(simulator.truth()) == before


@pytest.mark.parametrize("name", ["x-sim-fault", "X-Sim-Profile", "X-SIM-A-B", "x-sim-a"])
def test_the_simulators_headers_are_taken(name):
    check_headers({name: ""})
    check_headers({name: "stall; after=2 ~!"})


@pytest.mark.parametrize(
    "name", ["x-sim-", "x-sim", "x-simfault", "ax-sim-fault", "x-sim-fault1", "x-sim-\u212aelvin"]
)
def test_what_is_nearly_a_header_of_the_simulator_is_none(name):
    with pytest.raises(GuardError, match="Use only headers of the simulator"):
        check_headers({"x-sim-fault": "stall", name: "x"})


@pytest.mark.parametrize("value", ["a\r\nHost: cc.firmly.online", "\u00e9", None, b"stall"])
def test_no_value_of_a_header_begins_another(value):
    with pytest.raises(GuardError, match="must be one line of ASCII text"):
        check_headers({"X-Sim-Fault": value})
    check_headers({"X-Sim-Fault": "stall"})


@pytest.mark.parametrize(
    "names",
    ["*", "shop.test", ["*"], ["*.luma.gift"], ["luma.*"], [""], ["."], ["https://shop.test"],
     ["shop.test/"], ["shop.test:443"], ["a@shop.test"], ["st\u0430ging.luma.gift"], ["shop"],
     ["shop\u3002test"], ["a b.test"], [".."], ["../shop.test"], [None], [b"shop.test"], [5]],
)  # fmt: skip
def test_an_allow_list_names_each_merchant(names):
    """A text was taken letter by letter, and a wildcard as a merchant that nobody has."""
    with pytest.raises(GuardError, match="allow_domains"):
        fnb.connect("staging", app_id="x", allow_domains=names)


def test_one_text_is_no_list_of_merchants():
    with pytest.raises(
        GuardError, match=r"must be a list of merchants, got a text\. Try \['shop\.test'\]"
    ):
        merchants("shop.test")


def test_an_environment_and_urls_are_not_mixed():
    here = "http://127.0.0.1:8000"
    for urls in ((here, "https://cc.firmly.work"), ("https://api.firmly.work", here)):
        with pytest.raises(GuardError, match="of one environment"):
            custom(*urls, frozenset())
    for wrong in ({"environment": "staging", "api_url": here}, {"card_url": here}):
        with pytest.raises(ValueError, match=r"Pass one of them|Pass both"):
            fnb.connect(**wrong, app_id="x")


def test_only_a_card_is_taken_for_one():
    for thing in ("4111111111111111", {"number": "4111111111111111"}, 4111111111111111):
        with pytest.raises(TypeError, match=r"must be a fnb\.Card") as caught:
            guard(staging(), STAGING_SHOP, thing)
        assert "4111" not in str(caught.value)


def test_a_generator_of_orders_is_asked_about_each(lab, simulator):
    """The first orders of a sweep are known beforehand, the later ones are not."""

    def orders():
        yield Order.example()
        yield Order.example(domain="bestbuy.com")
        yield Order.example()

    before = len(simulator.truth())
    recs = lab.sweep(orders(), concurrency=1, progress=False)
    assert set(recs.orders["domain"]) <= {STAGING_SHOP}
    assert any("bestbuy.com is not on the allow-list" in text for text in recs.warnings)
    domains = {entry["domain"] for entry in simulator.truth()[before:]}
    assert domains <= {STAGING_SHOP}
