"""What each request says of itself: an id of its own for each order, and the toolkit's name."""

from __future__ import annotations

from uuid import UUID

import pytest

import firmly_nb as fnb
from tests.merchant_server import Merchant
from tests.servers import serving

SHOP = "harbor.example.test"
ID = "x-firmly-request-id"


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


@pytest.fixture
def merchant():
    with serving(Merchant()) as server:
        server.events = [("order-placed", '{"order": {"platform_order_number": "7"}}')]
        server.answer = {"products": []}
        yield server


@pytest.fixture
def lab(merchant, connect):
    return connect(api_url=merchant.url, app_id="planted-app-id", allow_domains=[SHOP])


def sent_to(merchant, path):
    return [lower(headers) for asked, headers in merchant.asked if path in asked]


@pytest.mark.parametrize("isolated", [True, False], ids=["own process", "this process"])
def test_each_order_carries_an_id_of_its_own(isolated, lab, merchant, tmp_path):
    order = fnb.Order.example(domain=SHOP)
    made = [lab.place(order, isolated=isolated, progress=False) for _ in range(2)]
    sent = [headers[ID] for headers in sent_to(merchant, "/place-order")]
    assert sent == [rec.request_id for rec in made]
    assert len({UUID(each) for each in sent}) == 2
    recs = fnb.Recordings(made)
    recs.save(tmp_path / "set")
    for of in (recs, fnb.load(tmp_path / "set"), fnb.load(lab.journal)):
        assert of.orders["request_id"].tolist() == sent
        assert of.relation("orders").df()["request_id"].tolist() == sent
    # What does not order says nothing of it.
    others = [lower(headers) for asked, headers in merchant.asked if "/place-order" not in asked]
    assert others
    assert not any(ID in headers for headers in others)


def test_the_orders_of_a_sweep_have_ids_of_their_own(lab, merchant):
    recs = lab.sweep(fnb.Order.example(domain=SHOP), count=4, concurrency=2)
    sent = [headers[ID] for headers in sent_to(merchant, "/place-order")]
    assert len(set(sent)) == 4
    assert set(recs.orders["request_id"]) == set(sent)


def test_every_request_names_the_toolkit_and_its_version(lab, merchant):
    lab.place(fnb.Order.example(domain=SHOP), progress=False)
    lab.session(renew=True)
    lab.search("tee")
    paths = ("/browser-session", "/payment/key", "/place-order", "/discovery/search")
    assert all(sent_to(merchant, path) for path in paths)
    agents = {lower(headers).get("user-agent") for _, headers in merchant.asked}
    assert agents == {f"firmly-nb/{fnb.__version__}"}


def test_the_simulator_keeps_the_id_and_finds_no_repeat():
    with fnb.connect(profile="instant") as lab:
        recs = [lab.place(fnb.Order.example(), progress=False) for _ in range(3)]
        truth = lab.simulator.truth()
    ids = {one["request_id"]: one for one in truth}
    assert set(ids) == {rec.request_id for rec in recs}
    assert not any(one.get("repeats") for one in truth)
