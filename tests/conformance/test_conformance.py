"""What the simulator does is described; of a server that does otherwise exactly that is said."""

from __future__ import annotations

import asyncio
import json

import pytest

import firmly_nb as fnb
from firmly_nb import sim
from firmly_nb.display.messages import code_of
from firmly_nb.environments import GuardError
from firmly_nb.sim.merchants import merchants
from tests import passing_server
from tests.gateway import STAGING_HOSTS, Authority, at_staging
from tests.servers import serving

ORDER = fnb.Order.example()
NAMES = {
    "creating-cart": "cart.opened",
    "item-added": "cart.item",
    "shipping-updated": "cart.shipped",
    "order-placed": "order.confirmed",
}


@pytest.fixture(scope="module")
def calm():
    """A simulator whose events come one by one."""
    with sim.start(profile="calm") as started:
        yield started


@pytest.fixture(scope="module")
def calm_lab(calm):
    """One lab for all that do not ask of a new one what it does first."""
    with fnb.connect(api_url=calm.url, app_id=calm.app_id, allow_domains=calm.domains) as lab:
        yield lab


@pytest.fixture
def at_calm(calm_lab):
    return calm_lab


@pytest.fixture(scope="module")
def standing(calm):
    """A gateway, and a lab behind it."""
    with (
        serving(passing_server.Gateway(calm.url)) as gateway,
        fnb.connect(api_url=gateway.url, app_id=calm.app_id, allow_domains=calm.domains) as lab,
    ):
        yield gateway, lab


@pytest.fixture
def gateway(standing):
    """The gateway, which changes nothing yet and was told nothing."""
    started, _ = standing
    started.change_nothing()
    return started


@pytest.fixture
def behind(standing):
    _, lab = standing
    return lab


@pytest.fixture
def newly_behind(connect, calm, gateway):
    """A lab behind the gateway that has sent nothing yet."""
    return connect(api_url=gateway.url, app_id=calm.app_id, allow_domains=calm.domains)


def said(found):
    """What deviates: kind, name and status of each."""
    rows = found.deviations[["kind", "name", "status"]].itertuples(index=False)
    return {tuple(row) for row in rows}


def undocumented(*pairs):
    return {(kind, name, "undocumented") for kind, name in pairs}


def missing(*pairs):
    return {(kind, name, "missing") for kind, name in pairs}


@pytest.mark.parametrize("options", [{}, {"event_names": "guide"}, {"statuses": "endpoint"}])
def test_all_that_the_simulator_does_is_described(connect, options):
    found = connect(environment="simulator", profile="calm", **options).conformance()
    assert said(found) == set()
    assert (found.ok, found.complete, found.exit_code, found.to_write) == (True, True, 0, "")
    assert set(found.table["status"]) == {"seen", "not seen", "own"}


def test_an_order_before_it_changes_nothing_of_what_is_said(at_calm):
    at_calm.place(ORDER, progress=False)
    assert said(at_calm.conformance()) == set()
    assert said(at_calm.conformance()) == set()


ABROAD = {
    "JP": {"city": "Kyoto", "state_or_province": "26", "postal_code": "604-8571"},
    "GB": {"city": "London", "state_or_province": "LND", "postal_code": "SW1A 1AA"},
    "DE": {"city": "Berlin", "state_or_province": "BE", "postal_code": "10115"},
}
# What only the simulator sends in v2, by the trait of the merchants that have it.
OWN = {
    "captcha": {"cart.shop_properties"},
    "order-discount": {"cart.cart_discount_breakdown"},
    "members": {"cart.cart_discount_breakdown", "cart.vip_discount"},
    "store-credit": {"cart.store_credit", "cart.available_store_credit"},
    "credit-shown": {
        *("cart.store_credit", "cart.available_store_credit"),
        *("cart.reward_points", "cart.available_reward_points"),
    },
    "front-end": {
        *("cart.merchant_custom_data", "line_item.fixed_quantity", "line_item.recurring"),
    },
}


@pytest.mark.parametrize("merchant", merchants().values(), ids=lambda one: one.domain)
def test_all_that_its_merchants_do_is_described(at_calm, merchant):
    """Two lines at each; one merchant is closed, one needs a captcha and says so."""
    country = "US" if "US" in merchant.countries else min(merchant.countries)
    address = fnb.Address.example(**({"country": country} | ABROAD.get(country, {})))
    variants = [one for one in merchant.variants.values() if one.stock > 3][:2]
    order = fnb.Order.example(
        domain=merchant.domain,
        items=[fnb.Item(variant_id=one.variant_id) for one in variants],
        shipping_info=address,
        captcha_token="a-captcha-token",
    )
    found = at_calm.conformance(order)
    unsent = ["cart.cart_id", "cart.cart_status"] if "front-end" in merchant.traits else []
    assert said(found) == missing(*[("field", name) for name in unsent])
    own = set(found.table.loc[found.table["status"] == "own", "name"])
    assert own == {"x-accel-buffering"}.union(*(OWN.get(each, set()) for each in merchant.traits))


def test_without_an_order_it_is_the_example_of_the_demo_merchant(at_calm, calm):
    before = len({line["order"] for line in calm.truth()})
    found = at_calm.conformance()
    assert found.domain == ORDER.domain
    assert len({line["order"] for line in calm.truth()}) == before + 1
    assert found.recording.outcome == "placed"


def test_one_order_is_sent_and_the_calls_that_it_says(newly_behind, gateway):
    found = newly_behind.conformance()
    posts = [path for method, path in gateway.told if method == "POST"]
    assert sum("place-order" in path for path in posts) == 1
    assert {path.partition("?")[0].rpartition("/")[2] for path in posts} == {
        "browser-session", "search", "place-order",
    }  # fmt: skip
    assert len(posts) == 5, "three sessions: looked at, refused, and the order's own"
    keys = sum(path.endswith("payment/key") for _, path in gateway.told)
    assert len(gateway.told) - keys == len(found.calls) - 1 + 2, "and a session and the order"
    assert said(found) == set()


def test_what_is_not_allowed_is_refused_as_by_an_order(newly_behind, gateway):
    with pytest.raises(GuardError) as caught:
        newly_behind.conformance(fnb.Order.example(domain="shop.example.test"))
    assert code_of(caught.value) == "FNB010"
    assert gateway.told == []


def test_something_else_than_an_order_is_refused(lab):
    with pytest.raises(TypeError, match="FNB102"):
        lab.conformance("staging.luma.gift")


def test_other_names_of_events_are_told_with_the_milestones_to_write(
    behind, gateway, connect, calm
):
    gateway.events = lambda name, data: [(NAMES[name], data)]
    found = behind.conformance()
    assert said(found) == {
        *missing(*(("event", name) for name in NAMES)),
        *undocumented(*(("event", name) for name in NAMES.values())),
    }
    assert found.milestones == list(NAMES.values())
    line = 'milestones=["cart.opened", "cart.item", "cart.shipped", "order.confirmed"]'
    assert found.to_write == line
    assert line in repr(found)
    told = connect(
        api_url=gateway.url,
        app_id=calm.app_id,
        allow_domains=calm.domains,
        milestones=found.milestones,
    )
    rec = told.place(ORDER, progress=False)
    assert rec.outcome == "placed"
    assert rec.stages["to_milestone"].astype("str").tolist()[:4] == found.milestones
    assert told.conformance().to_write == ""


def nested(_path, status, headers, body):
    """Another shape of errors."""
    if status < 400:
        return status, headers, body
    told = json.loads(body)
    other = {"error": {"code": told["error"], "message": "no"}}
    return status, headers, json.dumps(other).encode()


def renumbered(_path, status, headers, body):
    """Another status, and one that the body does not repeat."""
    return (410 if status == 404 else status), headers, body


def page(path, status, headers, body):
    """A gateway's own page for one call."""
    if "domains-products" not in path:
        return status, headers, body
    text = b"<html><head><title>520 Web server is returning an unknown error</title></head></html>"
    return 520, {"content-type": "text/html; charset=UTF-8"}, text


def traced(path, status, headers, body):
    """Headers that no page names, and a key without the one that it has to have."""
    del path
    kept = {name: value for name, value in headers.items() if name != "x-firmly-kid"}
    return status, {**kept, "x-request-id": "r-1", "cf-ray": "8f2a", "ratelimit-limit": "5"}, body


SHAPES = [
    (
        nested,
        undocumented(("error shape", "{error}")),
    ),
    (
        renumbered,
        undocumented(
            ("status", "410"), ("error shape", "{code, error, description} with another code")
        ),
    ),
    (
        page,
        undocumented(
            ("content type", "text/html"),
            ("status", "520"),
            ("error", "without a name"),
            ("error shape", "no JSON"),
        ),
    ),
    (
        traced,
        {
            *undocumented(("header", "x-request-id"), ("header", "ratelimit-limit")),
            *missing(("header", "x-firmly-kid")),
        },
    ),
]


@pytest.mark.parametrize(("edit", "expected"), SHAPES, ids=lambda one: getattr(one, "__name__", ""))
def test_other_responses_are_told(behind, gateway, edit, expected):
    gateway.edit = edit
    found = behind.conformance()
    assert said(found) == expected
    assert found.exit_code == 1
    if edit is page:
        assert not found.complete
        assert "520 Web server is returning an unknown error" in repr(found)


def change(*names, **changes):
    """Change the cart of each event: take fields out, set others."""

    def changed(name, data):
        for cart in data.values():
            for field in names:
                cart.pop(field, None)
            cart.update(changes)
        return [(name, data)]

    return changed


def first_line(**changes):
    def changed(name, data):
        for cart in data.values():
            cart["line_items"][0].update(changes)
        return [(name, data)]

    return changed


def bare(name, data):
    return [(name, next(iter(data.values()), {}))]


CARTS = [
    (change("sub_total"), missing(("field", "cart.sub_total"))),
    (change(loyalty_points=12), undocumented(("field", "cart.loyalty_points"))),
    (change(total="47.70"), undocumented(("type", "cart.total: string"))),
    (change(total={"currency": "USD", "value": "47.70"}),
     undocumented(("type", "money.value: string"))),
    (change(cart_status="open"), undocumented(("value", "cart.cart_status: open"))),
    (change(line_items={}), undocumented(("type", "cart.line_items: object"))),
    (change(shipments=None), undocumented(("type", "cart.shipments: null"))),
    (first_line(quantity="1", extra=[]),
     undocumented(("type", "line_item.quantity: string"), ("field", "line_item.extra"))),
    (first_line(sku=None), undocumented(("type", "line_item.sku: null"))),
    (lambda name, data: [(name, {"message": "working", **data})],
     undocumented(("field", "data.message"))),
    (bare, missing(("field", "data.cart"), ("field", "data.order"))),
]  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), CARTS)
def test_other_data_is_told(behind, gateway, events, expected):
    gateway.events = events
    found = behind.conformance()
    assert said(found) == expected
    assert found.milestones == list(NAMES)


def doubled(name, data):
    return [(name, data)] * 2


def swapped():
    held = []

    def changed(name, data):
        if name == "item-added":
            held.append((name, data))
            return []
        return [(name, data), *held] if name == "shipping-updated" else [(name, data)]

    return changed


ORDERS = [
    (doubled, undocumented(*(("event", f"{name}, 2 times") for name in NAMES))),
    (swapped(), undocumented(
        ("event order", "creating-cart, shipping-updated, item-added, order-placed"))),
    (lambda name, data: [(name, data), ("points", {})],
     undocumented(("event", "points"))),
    (lambda name, data: [] if name == "shipping-updated" else [(name, data)],
     missing(("event", "shipping-updated"))),
    (lambda name, data: [(name, data), ("message", 7)],
     undocumented(("event", "without a name"), ("data", "a JSON number"))),
]  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), ORDERS)
def test_other_events_are_told(behind, gateway, events, expected):
    gateway.events = events
    assert said(behind.conformance()) == expected


def test_a_compressed_stream_is_told(behind, gateway):
    gateway.zips = True
    assert said(behind.conformance()) == undocumented(("encoding", "gzip"))


def test_a_proxy_that_gathers_the_events_is_told(behind, gateway):
    gateway.gathers = True
    found = behind.conformance()
    assert said(found) == missing(("buffering", "events come one by one"))
    assert "a proxy gathers them" in repr(found)


def test_a_header_of_the_stream_alone_is_told(behind, gateway):
    gateway.stream_headers = {"x-odd": "planted-value", "via": "1.1 squid"}
    found = behind.conformance()
    assert said(found) == undocumented(("header", "x-odd"))
    assert "planted" not in json.dumps(found.as_dict())


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("ids-and-retry", undocumented(("stream", "id fields"))),
        ("comments", undocumented(("stream", "heartbeats"))),
        ("half-event", {*undocumented(("stream", "an event that does not end"))}),
    ],
)
def test_what_the_stream_does_beside_its_events_is_told(connect, fault, expected):
    found = connect(environment="simulator", profile="calm", fault=fault).conformance()
    assert expected <= said(found)


def test_a_declined_order_is_no_deviation_but_not_all_is_seen(at_calm):
    found = at_calm.conformance(card=fnb.Card.test(number="4000000000000002"))
    assert said(found) == set()
    assert (found.complete, found.exit_code) == (False, 3)
    errors = found.table[found.table["kind"] == "error"].set_index("name")
    assert errors.loc["ErrorPaymentDeclined", "status"] == "seen"
    placed = found.table[found.table["name"] == "order-placed"]
    assert placed["status"].tolist() == ["not seen"]


def test_an_app_id_that_is_not_known_is_told_in_the_first_lines(connect, calm):
    lab = connect(api_url=calm.url, app_id="not-this-one", allow_domains=calm.domains)
    found = lab.conformance()
    assert found.exit_code == 3
    assert found.line.startswith(f"No order was placed at {found.host}: InvalidAppId")
    assert "app_id=" in found.line
    assert found.recording is None


def test_an_api_that_cannot_be_reached_is_an_error(connect, unused_port):
    lab = connect(
        api_url=f"http://127.0.0.1:{unused_port}", app_id="a", allow_domains=[ORDER.domain]
    )
    with pytest.raises(fnb.FirmlyError, match="FNB224"):
        lab.conformance()


def test_a_session_that_was_revoked_is_renewed_before_the_order(connect):
    lab = connect(environment="simulator", profile="calm")
    lab.place(ORDER, progress=False)
    lab.simulator.revoke_tokens()
    lab.simulator.rotate_key()
    lab.simulator.rotate_key()
    found = lab.conformance()
    assert (said(found), found.exit_code) == (set(), 0)


def test_tokens_that_are_refused_at_once_are_told_without_a_second_order(newly_behind, gateway):
    def refusing(path, status, headers, body):
        if "browser-session" in path or "payment/key" in path:
            return status, headers, body
        told = {"code": 401, "error": "InvalidJWTToken", "description": "no"}
        return 401, headers, json.dumps(told).encode()

    gateway.edit = refusing
    found = newly_behind.conformance()
    assert not found.complete
    assert any(line.startswith("Not looked at: products. InvalidJWTToken")
               for line in repr(found).splitlines())  # fmt: skip
    assert sum("place-order" in path for _, path in gateway.told) == 1


@pytest.mark.parametrize(("off_s", "words"), [(3630, "1.01 h ahead of"), (-3630, "1.01 h behind")])
def test_a_clock_that_is_an_hour_off_is_told_and_is_no_deviation(behind, gateway, off_s, words):
    gateway.clock_off_s = off_s
    found = behind.conformance()
    assert said(found) == set()
    assert found.clock_s == pytest.approx(off_s, abs=30)
    assert f"Its clock is {words} this machine's." in repr(found)


PLANTED = {
    "4111111111111111": 1, "ada@example.test": 2, "10 Sample Way": 3, "Ada": 4,
    "12345678-aaaa-bbbb-cccc-1234567890ab": 5, "<script>alert(1)</script>": 6, "a" * 500: 7,
    "eyJhbGciOiJSUzI1NiJ9.eyJkZXZpY2UiOiJ4In0.c2lnbmF0dXJl": 8,
}  # fmt: skip


def test_nothing_that_is_personal_or_secret_gets_out(behind, gateway, tmp_path):
    def planted(name, data):
        for cart in data.values():
            cart.update(PLANTED)
        return [(name, data), ("ada@example.test", {"Ada": 1})]

    gateway.events = planted
    found = behind.conformance()
    page = found.save(tmp_path / "new" / "page.html").read_text("utf-8")
    whole = page + repr(found) + found._repr_html_() + json.dumps(found.as_dict())
    address = ORDER.shipping_info.model_dump().values()
    for text in [*PLANTED, *(one for one in address if one and len(one) > 3)]:
        assert text not in whole, text
    assert ("field", "cart.[unusual name]", "undocumented") in said(found)
    assert "<script" not in page


def test_the_page_says_it_all_and_needs_no_network(at_calm, tmp_path):
    found = at_calm.conformance()
    page = found.save(str(tmp_path / "page.html")).read_text("utf-8")
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http_", "").partition("</style>")[2].replace("HTTP", "")
    for name in found.table["name"]:
        assert name.split(":")[0].split(",")[0] in page


def test_a_page_that_cannot_be_written_is_an_error_with_a_remedy(at_calm, tmp_path):
    found = at_calm.conformance()
    with pytest.raises(OSError, match="FNB315"):
        found.save(tmp_path)


def test_it_is_awaited_as_well(at_calm):
    assert asyncio.run(at_calm.conformance_async()).ok


def test_the_terminal_shows_it_at_80_columns(behind, gateway):
    gateway.events = lambda name, data: [(NAMES[name], data)]
    lines = repr(behind.conformance()).splitlines()
    assert max(len(line) for line in lines if "milestones" not in line) <= 80
    assert "  event: creating-cart, item-added, shipping-updated, order-placed (in" in lines
    assert lines[-3:-1] == ["or once, in firmly-nb.toml:", "[custom]"]


@pytest.fixture
def staging(calm, tmp_path, monkeypatch):
    """Staging's hosts by TLS and proxy, which pass on to the simulator; and their authority."""
    authority = Authority(tmp_path)
    with (
        serving(passing_server.Gateway(calm.url, authority.server(*STAGING_HOSTS))) as gateway,
        at_staging(monkeypatch, gateway),
    ):
        yield gateway, authority


def through(connect, calm, authority):
    return connect(environment="staging", app_id=calm.app_id, ca_file=authority.file)


# What only the simulator has is no part of staging.
OF_SIMULATOR = undocumented(("header", "x-accel-buffering"))
ON_THE_WAY = {
    "nothing else": ({}, set()),
    "gzip": ({"zips": True}, undocumented(("encoding", "gzip"))),
    "gathered": ({"gathers": True}, missing(("buffering", "events come one by one"))),
    "a clock": ({"clock_off_s": 3600.0}, set()),
    "headers": ({"stream_headers": {"via": "1.1 corp", "x-odd": "1"}},
                undocumented(("header", "x-odd"))),
}  # fmt: skip


@pytest.mark.parametrize("what", ON_THE_WAY)
def test_tls_and_a_proxy_add_nothing_to_what_is_said(connect, calm, staging, what):
    gateway, authority = staging
    changed, expected = ON_THE_WAY[what]
    for name, value in changed.items():
        setattr(gateway, name, value)
    found = through(connect, calm, authority).conformance()
    assert said(found) == expected | OF_SIMULATOR
    assert (found.complete, found.host) == (True, "api.firmly.work")


def test_an_issuer_that_is_not_trusted_is_an_error_and_nothing_is_sent(connect, calm, staging):
    gateway, _ = staging
    lab = connect(environment="staging", app_id=calm.app_id)
    with pytest.raises(fnb.FirmlyError, match="issued by 'Corp Inspection CA"):
        lab.conformance()
    assert gateway.told == []


PAGES = {
    "all": (403, "browser-session", "Blocked by Corp", "HTTP 403: Blocked by Corp. Show these"),
    "busy": (429, "browser-session", "Slow down", "HTTP 429: Slow down. Wait, then"),
    "key": (520, "payment/key", "Origin error", "HTTP 520: Origin error. Show these words"),
    "wifi": (200, "browser-session", "Sign in", "responded with a page: Sign in. Show these"),
    "order": (502, "place-order", "Bad Gateway", "HTTP 502: Bad Gateway. Show these words"),
}


@pytest.mark.parametrize("page", PAGES)
def test_the_first_line_says_why_no_order_was_placed(newly_behind, gateway, page):
    status, path, title, words = PAGES[page]
    gateway.pages[path] = (status, f"<html><title>{title}</title><p>Your request</p></html>")
    found = newly_behind.conformance()
    assert found.line.startswith("No order was placed at 127.0.0.1:")
    assert words in found.line
    assert repr(found).splitlines()[0] == found.line
    assert repr(found).count(title) == 1, "and it is not said again"


def test_the_command_says_the_same_and_ends_with_its_code(
    command, calm, gateway, monkeypatch, tmp_path
):
    monkeypatch.setenv("FIRMLY_APP_ID", calm.app_id)
    here = ("conformance", "--api-url", gateway.url, "--allow", ORDER.domain)
    code, out, _ = command(*here, "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    gateway.events = lambda name, data: [(NAMES[name], data)]
    code, out, _ = command(*here, "-o", tmp_path / "page.html")
    assert code == 1
    assert "milestones=[" in out
    assert (tmp_path / "page.html").stat().st_size > 1000
    code, _, complained = command("conformance", "--api-url", gateway.url)
    assert (code, "--allow staging.luma.gift" in complained) == (2, True)
