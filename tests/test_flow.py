"""Orders that are made call by call: stages, times, errors, devices, journals, sweeps."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

import pytest

import firmly_nb as fnb
from tests import merchant_server
from tests.servers import serving

MERCHANT = "staging.luma.gift"
ITEM = fnb.Item(variant_id="WS12-XS-Orange")
ADA = fnb.Address.example()


def names(rec):
    return rec.events["event"].astype("str").tolist()


def journal_of(lab, rec):
    return next(lab.journal.rglob(f"{rec.recording_id}.jsonl"))


@pytest.fixture
def flow(lab):
    """A flow that is recorded here: a process takes 0.2 s."""
    with lab.flow(progress=False, isolated=False) as opened:
        yield opened


def test_a_flow_is_one_recording_with_a_stage_for_each_call(lab, flow):
    flow.add_line_item(ITEM)
    flow.add_line_item(fnb.Item(variant_id="WJ06-S-Blue"))
    flow.update_line_item(ITEM, 3)
    flow.remove_line_item("WJ06-S-Blue")
    flow.set_shipping_info(ADA)
    flow.set_shipping_method("TWO_DAY")
    flow.add_promo_code("LUMA10")
    rec = flow.complete_order(card=fnb.Card.test(), billing_info=ADA)
    assert names(rec) == [
        *("add-line-item", "add-line-item-2", "update-line-item", "remove-line-item"),
        *("set-shipping-info", "set-shipping-method", "add-promo-code", "complete-order"),
    ]
    assert rec.stages["stage"].tolist() == names(rec)
    assert (rec.outcome, rec.order_exists, rec.evidence) == ("placed", "yes", "order number")
    order = rec.summary()
    assert (order["endpoint"], order["n_items"], order["quantity"]) == ("complete-order", 1, 3)
    assert rec.stages["duration_ms"].sum() == pytest.approx(order["time_to_order_placed_ms"])
    assert order["wall_time_ms"] >= order["time_to_order_placed_ms"]
    assert rec.cart["platform_order_number"] == rec.order_number
    assert rec.checks.findings.empty, rec.checks
    assert lab.last is rec or lab.last.recording_id == rec.recording_id


def test_pauses_between_calls_are_in_the_wall_time_only(lab, flow, until):
    flow.add_line_item(ITEM)
    flow.set_shipping_info(ADA)
    other = lab.place(fnb.Order.example(), progress=False)
    order = flow.complete_order().summary()
    paused_ms = order["wall_time_ms"] - order["order_latency_ms"]
    assert paused_ms > other.summary()["order_latency_ms"]


def test_a_saved_set_has_the_same_tables(flow, tmp_path):
    flow.add_line_item(ITEM)
    flow.set_shipping_info(ADA)
    rec = flow.complete_order()
    recs = fnb.Recordings([rec])
    recs.save(tmp_path / "set")
    again = fnb.load(tmp_path / "set")
    assert again.stages["stage"].tolist() == rec.stages["stage"].tolist()
    assert again.orders["endpoint"].tolist() == ["complete-order"]
    assert again.orders["wall_time_ms"].tolist() == rec.orders["wall_time_ms"].tolist()
    assert "complete-order" in rec.curl()
    assert "items" not in rec.curl()


ERRORS = [
    (lambda f: f.add_line_item(fnb.Item(variant_id="NONE")), "ErrorProductNotFound"),
    (lambda f: f.add_line_item(fnb.Item(variant_id="WS12-XL-Purple")), "ErrorNotEnoughStock"),
    (lambda f: f.update_line_item("none", 2), "ErrorLineItemNotFound"),
    (lambda f: f.set_shipping_method("GROUND", "none"), "ErrorShipmentNotFound"),
    (lambda f: f.add_promo_code("NOPE"), "ErrorInvalidPromoCode"),
    (lambda f: f.add_promo_code("SUMMER19"), "ErrorPromoNotAvailable"),
    (
        lambda f: f.set_shipping_info(ADA.example(country="JP")),
        "ErrorCountryNotSupported",
    ),
]


@pytest.mark.parametrize(("call", "error"), ERRORS, ids=[name for _, name in ERRORS])
def test_a_call_that_fails_says_so_and_the_flow_goes_on(flow, call, error):
    flow.add_line_item(ITEM)
    with pytest.raises(fnb.FirmlyError) as raised:
        call(flow)
    assert raised.value.error == error
    flow.set_shipping_info(ADA)
    rec = flow.complete_order()
    assert rec.outcome == "placed"
    assert names(rec) == ["add-line-item", "error", "set-shipping-info", "complete-order"]
    assert rec.stages["stage"].tolist() == names(rec)
    assert rec.events["data"][1]["error"]["error"] == error


@pytest.mark.parametrize(
    ("fault", "outcome", "error", "exists"),
    [
        ("payment-declined", "http_error", "ErrorPaymentDeclined", "no"),
        ("invalid-input", "http_error", "ErrorInvalidInputBody", "no"),
        ("store-unavailable", "http_error", "ErrorStoreUnavailable", "no"),
        ("not-enough-stock", "http_error", "ErrorNotEnoughStock", "no"),
        ("bad-gateway", "http_error", "HTTP 502", "unknown"),
        ("reset-at-once", "transport_error", "ReadError", "unknown"),
    ],
)
def test_an_order_that_fails_is_judged_like_any(lab, fault, outcome, error, exists):
    lab.add_line_item(MERCHANT, ITEM)
    lab.set_shipping_info(MERCHANT, ADA)
    rec = lab.complete_order(MERCHANT, headers={"x-sim-fault": fault})
    assert (rec.outcome, rec.error.error, rec.order_exists) == (outcome, error, exists)
    # The cart is still there.
    assert lab.complete_order(MERCHANT).outcome == "placed"


ORDERED = {"order": {"platform_order_number": "T-1", "cart_status": "submitted"}}
DECLINED = {"code": 422, "error": "ErrorPaymentDeclined"}


@pytest.mark.parametrize(
    ("events", "outcome", "exists", "number"),
    [
        ([("creating-cart", {}), ("order-placed", ORDERED)], "placed", "yes", "T-1"),
        ([("receipt", ORDERED)], "placed", "yes", "T-1"),
        ([("order-placed", {})], "placed", "unknown", None),
        ([("error", DECLINED)], "error_event", "no", None),
        ([("note", {})], "incomplete", "unknown", None),
    ],
)
def test_a_stream_in_response_to_complete_order_is_read(connect, events, outcome, exists, number):
    with serving(merchant_server.Merchant()) as merchant:
        lab = connect(api_url=merchant.url, app_id="an-app", allow_domains=[MERCHANT])
        merchant.answer = {"cart_id": "c1", "cart_status": "active", "line_items": []}
        text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
        merchant.raw = 200, {"content-type": "text/event-stream"}, text.encode()
        lab.add_line_item(MERCHANT, ITEM)
        rec = lab.complete_order(MERCHANT, billing_info=ADA)
    assert (rec.outcome, rec.order_exists, rec.order_number) == (outcome, exists, number)
    assert ("complete-order" in names(rec)) == (outcome == "placed")
    assert not any("milestones=" in words for words in rec.warnings)


@pytest.mark.parametrize(
    ("fault", "failing"),
    [
        ("product-not-found", ["add-line-item"]),
        ("store-unavailable", ["add-line-item"]),
        ("error-event", ["set-shipping-info"]),
    ],
)
def test_a_fault_of_a_stage_fails_the_call_that_stands_for_it(lab, fault, failing):
    failed = []
    with lab.flow(MERCHANT, progress=False) as flow:
        for name, call in (
            ("add-line-item", lambda: flow.add_line_item(ITEM)),
            ("set-shipping-info", lambda: flow.set_shipping_info(ADA)),
        ):
            flow._calls.headers["x-sim-fault"] = fault
            try:
                call()
            except fnb.FirmlyError:
                failed.append(name)
                flow._calls.headers.clear()
                call()
    assert failed == failing


def test_what_complete_order_needs_is_said_by_the_merchant(lab):
    missing = lab.complete_order(MERCHANT, billing_info=ADA)
    assert (missing.error.error, missing.order_exists) == ("ErrorCartNotFound", "no")
    lab.add_line_item(MERCHANT, ITEM)
    unshipped = lab.complete_order(MERCHANT, billing_info=ADA)
    assert unshipped.error.error == "ErrorMissingRequiredParameters"
    with pytest.raises(fnb.FirmlyError, match="ErrorStoreUnavailable"):
        lab.add_line_item("closed.luma.gift", ITEM)


def test_a_flow_that_is_left_has_no_order(lab):
    with lab.flow(progress=False) as flow:
        flow.add_line_item(ITEM)
    rec = lab.last
    assert (rec.outcome, rec.order_exists) == ("cancelled", "no")
    assert rec.evidence == "complete-order was not sent"
    [twin] = fnb.load(journal_of(lab, rec))
    assert (twin.outcome, twin.evidence) == (rec.outcome, rec.evidence)
    with pytest.raises(RuntimeError, match="has ended"):
        flow.add_line_item(ITEM)


def test_a_flow_that_ends_with_an_error_is_that_error(lab):
    with pytest.raises(fnb.FirmlyError), lab.flow(progress=False) as flow:
        flow.add_line_item(fnb.Item(variant_id="NONE"))
    assert (lab.last.outcome, lab.last.error.error) == ("http_error", "ErrorProductNotFound")
    assert lab.last.order_exists == "no"


def test_nothing_personal_and_no_card_is_in_the_journal(lab, flow):
    flow.add_line_item(ITEM)
    flow.set_shipping_info(ADA.example(first_name="Wilhelmina", address1="77 Hidden Court"))
    rec = flow.complete_order()
    text = journal_of(lab, rec).read_text("utf-8")
    for secret in ("Wilhelmina", "77 Hidden", ADA.email, "4111111111111111"):
        assert secret not in text


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_in_the_middle_it_loads_and_says_what_may_exist(lab, flow):
    flow.add_line_item(ITEM)
    flow.set_shipping_info(ADA)
    path = journal_of(lab, flow.recording)
    [before] = fnb.load(path)
    assert before.cut_off
    assert (before.order_exists, before.evidence) == ("no", "complete-order was not sent")
    rec = flow.complete_order()
    # What the disk holds where both processes die while complete-order is on its way.
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    [during] = fnb.load(path)
    assert (during.outcome, during.order_exists) == ("incomplete", "unknown")
    assert rec.outcome == "placed"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_flow_outlives_its_recorder(lab):
    flow = lab.flow(progress=False)
    flow.add_line_item(ITEM)
    os.kill(lab._bench.worker().pid, signal.SIGKILL)
    # Whether the death is noticed before the call or during it, nothing is recorded twice.
    with suppress(fnb.FirmlyError, RuntimeError):
        flow.set_shipping_info(ADA)
    flow.set_shipping_info(ADA)
    rec = flow.complete_order()
    assert names(rec)[0] == "add-line-item"
    assert names(rec)[-2:] in (
        ["set-shipping-info", "complete-order"],
        ["set-shipping-info-2", "complete-order"],
    )
    assert rec.events["seq"].tolist() == list(range(1, len(rec.events) + 1))
    [twin] = fnb.load(journal_of(lab, rec))
    assert names(twin) == names(rec)


def test_the_guard_is_asked(connect, simulator):
    lab = connect(allow_domains=["brook.example.test"])
    for ask in (
        lambda: lab.flow(MERCHANT),
        lambda: lab.add_line_item(MERCHANT, ITEM),
        lambda: lab.complete_order(MERCHANT, billing_info=ADA),
    ):
        with pytest.raises(fnb.GuardError):
            ask()
    other = fnb.Card.test(number="4000056655665556")
    with lab.flow("brook.example.test", progress=False) as flow:
        flow.add_line_item(fnb.Item(variant_id="BR00-Sand"))
        flow.set_shipping_info(ADA)
        with pytest.raises(fnb.GuardError):
            flow.complete_order(card=other)


def test_the_async_twins_do_the_same(lab):
    async def main():
        async with lab.flow(progress=False) as flow:
            await flow.add_line_item_async(ITEM)
            await flow.set_shipping_info_async(ADA)
            return await flow.complete_order_async()

    assert names(asyncio.run(main())) == ["add-line-item", "set-shipping-info", "complete-order"]


@pytest.mark.parametrize("isolated", [True, False])
def test_one_call_and_step_by_step_in_one_study(lab, isolated):
    order = fnb.Order.example()
    recs = lab.sweep(
        [order, fnb.Flow.of(order)], count=8, concurrency=2, progress=False, isolated=isolated
    )
    assert set(recs.orders["outcome"]) == {"placed"}
    assert recs.orders["endpoint"].value_counts().to_dict() == {
        "place-order": 4,
        "complete-order": 4,
    }
    grid = fnb.grid(fnb.Flow.of(order), quantity=[1, 3])
    swept = lab.sweep(grid, progress=False).orders
    assert sorted(swept["quantity"]) == [1, 3]
    placed = lab.place(fnb.Flow.of(order), progress=False)
    assert (placed.outcome, placed.summary()["endpoint"]) == ("placed", "complete-order")


def test_a_flow_in_a_sweep_stops_at_its_first_error(lab):
    steps = [("add_line_item", ITEM), ("set_shipping_info", ADA), ("add_promo_code", "NOPE")]
    [rec] = lab.sweep(fnb.Flow(steps), count=1, progress=False)
    assert (rec.outcome, rec.error.error) == ("http_error", "ErrorInvalidPromoCode")
    assert rec.order_exists == "no"


def test_a_reference_of_the_catalogue_is_sent_as_it_came():
    ref = {"variant_id": 41, "variant_handles": ["eyJ0eXBlIjoiU2l6ZSJ9"], "plan": {"a": None}}
    assert fnb.Item.of({"add_to_cart_ref": ref}, 2).wire() == {
        "add_to_cart_ref": ref,
        "quantity": 2,
    }
    assert fnb.Item(**ref).wire()["add_to_cart_ref"] == ref
    with pytest.raises(fnb.InvalidOrder, match="quantity"):
        fnb.Item(variant_id="a", quantitiy=2)


def test_an_item_is_found_in_the_catalogue(lab):
    row = lab.variants("juno-jacket").iloc[0]
    assert fnb.Item.of(row).variant_id == "WJ06-XS-Blue"
    assert lab.item("radiant-tee", quantity=2).quantity == 2
    product = lab.products().iloc[0]
    assert lab.place(fnb.Order.example(items=[lab.item(product)]), progress=False).order_number
    assert "radiant-tee" in lab.search("orange shirt")["handle"].tolist()


def test_a_reference_survives_each_way_in_which_an_item_is_copied():
    ref = {"variant_id": "WS12-XS-Orange", "selling_plan": {"id": 7}, "variant_handles": [{"a": 1}]}
    item = fnb.Item.of(ref, quantity=2)
    copies = [
        fnb.Item.model_validate(item.model_dump()),
        fnb.Item.model_validate_json(item.model_dump_json()),
        fnb.Order.model_validate(fnb.Order.example(items=[item]).model_dump()).items[0],
        fnb.Item(**dict(item)),
        eval(repr(item), {"Item": fnb.Item}),
    ]
    for copy in copies:
        assert copy == item
        assert copy.wire() == {"add_to_cart_ref": ref, "quantity": 2}


def test_a_reference_survives_the_form_and_its_code(lab):
    ref = {"variant_id": "WS12-XS-Orange", "selling_plan": 3}
    form = fnb.OrderForm(lab)
    form.order = fnb.Order.example(items=[fnb.Item.of(ref, quantity=2)])
    assert form.order.items[0].wire() == {"add_to_cart_ref": ref, "quantity": 2}
    assert f"fnb.Item(add_to_cart_ref={ref!r}, quantity=2)" in form.code()


def test_an_item_is_made_of_any_row_of_the_catalogue(lab):
    variants = lab.variants("radiant-tee", MERCHANT)
    first = fnb.Item.of(variants.iloc[0])
    assert fnb.Item.of(next(variants.itertuples())) == first
    assert fnb.Item.of(variants.to_dict("records")[0]) == first
    assert lab.item(lab.products(MERCHANT).to_dict("records")[0]) == first
    with pytest.raises(TypeError, match=r"or lab\.item\(row\) for a product"):
        fnb.Item.of(lab.products(MERCHANT).iloc[0])
    with pytest.raises(TypeError, match="product must be a handle"):
        lab.item(7)
