"""Sessions that end: what an order says of it, and that the next one goes through."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

import firmly_nb as fnb
from firmly_nb import sim
from firmly_nb.api.errors import seconds_to_wait
from firmly_nb.outcomes import NO
from firmly_nb.recorder.records import End
from firmly_nb.sweep.pace import Setbacks
from tests import merchant_server
from tests.servers import serving

ORDER = fnb.Order.example()
HOUR_S = 3600.0


def place(lab, **options):
    """Record here: a process of its own for each test takes 0.2 s, and has no session."""
    return lab.place(ORDER, progress=False, isolated=False, **options)


@pytest.fixture
def own():
    """A simulator of this test alone, whose tokens and keys it may end."""
    with sim.start(profile="instant") as started:
        yield started


@pytest.fixture
def at_own(connect, own):
    """A lab on it."""
    return connect(api_url=own.url, app_id=own.app_id, allow_domains=own.domains)


class Desk(merchant_server.Answering):
    """Gives out tokens t1, t2, ... by a clock of its own, and refuses those that were revoked."""

    def do_POST(self):
        server, token = self.server, self.headers["x-firmly-authorization"]
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        server.told.append((self.path.rpartition("/")[2], token))
        now = time.time() + server.clock_off_s
        if not self.path.endswith("/browser-session"):
            if token in server.revoked:
                return self.send(
                    {"code": 401, "error": server.name, "description": "no"}, status=401
                )
            return self.send({"order": {"platform_order_number": "T-1"}})
        old = json.loads(body)["access_token"] if body else None
        server.sessions += 1
        session = {"access_token": f"t{server.sessions}", "expires": now + HOUR_S}
        session["device_id"] = "d1" if old and server.renews else f"d{server.sessions}"
        if server.tells_lifetime:
            session["expires_in"] = HOUR_S
        return self.send(session)

    def date_time_string(self, timestamp=None):  # noqa: ARG002 - http.server's own
        return formatdate(time.time() + self.server.clock_off_s, usegmt=True)


@pytest.fixture
def desk():
    server = merchant_server.Merchant()
    server.RequestHandlerClass, server.told, server.sessions = Desk, [], 0
    server.revoked, server.renews, server.name = set(), True, "TokenExpired"
    server.clock_off_s, server.tells_lifetime = 0.0, True
    with serving(server):
        yield server


@pytest.fixture
def at_desk(connect, desk):
    return connect(api_url=desk.url, app_id="an-app", allow_domains=[ORDER.domain])


def test_an_order_whose_token_was_revoked_is_refused_and_the_next_one_goes_through(at_own, own):
    assert place(at_own).outcome == "placed"
    own.revoke_tokens()
    refused = place(at_own)
    assert (refused.outcome, refused.error.http_status) == ("http_error", 401)
    assert refused.order_exists == NO
    assert "The lab renews the session before its next order." in str(refused.error)
    assert place(at_own).outcome == "placed"
    assert len({line["order"] for line in own.truth()}) == 2


@pytest.mark.parametrize("name", ["TokenExpired", "SomethingElse"])
def test_an_order_is_sent_once_and_the_session_renewed_for_the_next(at_desk, desk, name):
    desk.name = name
    place(at_desk, sse=False)
    desk.revoked.add("t1")
    assert place(at_desk, sse=False).error.http_status == 401
    assert place(at_desk, sse=False).outcome == "placed"
    assert desk.told == [
        ("browser-session", None),
        ("place-order", "t1"),
        ("place-order", "t1"),
        ("browser-session", None),
        ("place-order", "t2"),
    ]


def test_a_device_that_is_renewed_keeps_the_carts_of_its_orders(at_desk, desk):
    rec = place(at_desk, sse=False)
    desk.revoked.add("t1")
    place(at_desk, sse=False)
    place(at_desk, sse=False)
    desk.answer = {"cart_id": "c1"}
    assert at_desk.cart(rec) == {"cart_id": "c1"}


def test_the_cart_of_a_device_that_is_no_more_is_not_that_of_another(at_own, own):
    """A new device has an empty cart: nothing follows from it."""
    rec = place(at_own, headers={"x-sim-fault": "lost-confirmation"})
    own.revoke_tokens()
    for ask in (at_own.settle, at_own.cart):
        with pytest.raises(LookupError, match=r"has ended, and no other one sees its cart.*FNB109"):
            ask(rec)


@pytest.mark.parametrize(
    "ask",
    [
        lambda lab: lab.products(),
        lambda lab: lab.variants("radiant-tee"),
        lambda lab: lab.search("tee"),
        lambda lab: lab.cart(),
    ],
)
def test_what_costs_nothing_is_asked_once_more(at_own, own, ask):
    place(at_own)
    own.revoke_tokens()
    assert len(ask(at_own))


def test_a_sweep_goes_on_after_its_sessions_have_ended(at_own, own):
    def orders():
        for number in range(30):
            if number == 12:
                own.revoke_tokens()
            yield ORDER

    recs = at_own.sweep(orders(), concurrency=8, progress=False)
    assert len(recs) == 30
    statuses = recs.orders["http_status"].tolist()
    assert set(statuses) == {200, 401}
    assert statuses.count(401) <= 8 + 4, "those in flight, and the next of each that was ready"
    assert at_own.last_sweep.progress.state == "finished"


def test_orders_in_flight_when_sessions_end_are_one_setback():
    setbacks = Setbacks()
    row = {"http_status": 401, "outcome": "http_error", "error_code": "TokenExpired"}
    assert [setbacks.ended(row, End("http_error", 0), 5) for _ in range(20)] == [""] * 20
    assert setbacks.in_a_row == 1
    renewed = [setbacks.token_refused_ns + 10**18 * n for n in range(1, 5)]
    said = [setbacks.ended(row, End("http_error", 0), made_ns) for made_ns in renewed]
    assert said[-1].startswith("5 failures in a row")


def test_a_budget_of_money_outlives_a_session(at_own, own):
    def orders():
        for number in range(3):
            if number:
                own.revoke_tokens()
            yield ORDER if number < 2 else fnb.Order.example(items=[TWO])

    budget = {"total_minor": {"USD": 10**7}}
    recs = at_own.sweep(orders(), concurrency=1, budget=budget, progress=False)
    assert len(recs) == 3
    assert not at_own.last_sweep.problems


TWO = fnb.Item(variant_id="WS12-XS-Orange", quantity=2)


@pytest.mark.parametrize("tells_lifetime", [True, False])
@pytest.mark.parametrize("clock_off_s", [-HOUR_S, HOUR_S, -30 * HOUR_S])
def test_a_session_lasts_as_long_as_it_is_told_whatever_the_clock_says(
    at_desk, desk, clock_off_s, tells_lifetime
):
    desk.clock_off_s, desk.tells_lifetime = clock_off_s, tells_lifetime
    for _ in range(3):
        assert place(at_desk, sse=False).outcome == "placed"
    assert desk.sessions == 1
    if tells_lifetime:
        assert abs(at_desk.session()["expires"].timestamp() - time.time() - HOUR_S) < 60


def test_a_wall_clock_that_is_set_ends_no_session(at_desk, desk, monkeypatch):
    place(at_desk, sse=False)
    clock = time.time
    for step_s in (HOUR_S, -HOUR_S):
        monkeypatch.setattr(time, "time", lambda step_s=step_s: clock() + step_s)
        place(at_desk, sse=False)
    assert desk.sessions == 1


def test_a_date_to_wait_for_is_one_of_the_clock_that_told_it():
    there = time.time() + HOUR_S
    until, date = (formatdate(at, usegmt=True) for at in (there + 2, there))
    assert seconds_to_wait(until, date) == pytest.approx(2, abs=1)


def test_a_key_that_was_rotated_is_fetched_anew(at_own, own):
    place(at_own)
    for _ in range(2):  # the key before the present one still opens cards
        own.rotate_key()
    assert place(at_own).outcome == "placed"


def test_a_sweep_fetches_a_rotated_key_anew(at_own, own, monkeypatch):
    monkeypatch.setattr("firmly_nb.sweep.run.KEPT_S", 1e6)

    def orders():
        for number in range(6):
            if number == 3:
                own.rotate_key()
                own.rotate_key()
            yield ORDER

    recs = at_own.sweep(orders(), concurrency=1, progress=False)
    statuses = recs.orders.sort_values("started_at")["http_status"].tolist()
    assert statuses.count(400) == 1
    assert statuses[-1] == 200
