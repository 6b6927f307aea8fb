"""Recordings answer for their carts: tables built once, from one order or from many."""

from __future__ import annotations

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.carts import schemas
from firmly_nb.carts.explain import explain_in_words
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings

TABLES = {
    "snapshots": schemas.SNAPSHOTS,
    "line_items": schemas.LINE_ITEMS,
    "shipments": schemas.SHIPMENTS,
    "notices": schemas.NOTICES,
    "discounts": schemas.DISCOUNTS,
    "changes": schemas.CHANGES,
}
TWO_LINES = [fnb.Item(variant_id="WS12-XS-Orange"), fnb.Item(variant_id="MH07-XS-Gray", quantity=2)]
by_table = pytest.mark.parametrize("name", TABLES)


def usd(minor):
    return {"currency": "USD", "number": minor, "value": minor / 100}


def cart(*quantities, shipping=0):
    lines = [
        {
            "line_item_id": f"item_{number}",
            "sku": f"SKU{number}",
            "variant_id": f"SKU{number}",
            "description": f"Thing {number}",
            "quantity": quantity,
            "price": usd(1000),
            "line_price": usd(1000 * quantity),
        }
        for number, quantity in enumerate(quantities, 1)
    ]
    sub_total = 1000 * sum(quantities)
    return {
        "cart_id": "cart_1",
        "cart_status": "active",
        "platform_id": "magento",
        "line_items": lines,
        "sub_total": usd(sub_total),
        "shipping_total": usd(shipping),
        "tax_total": usd(0),
        "total": usd(sub_total + shipping),
    }


def order_of(placed):
    return {**placed, "cart_status": "submitted", "platform_order_number": "100"}


def recording(*carts, number=1, asked=None, domain="a.test", latency_ms=500):
    """An order whose stream had these carts; the last one is the order."""
    names = ["item-added", "shipping-updated", "order-placed"]
    events = [
        Event(
            seq=seq,
            event=name,
            data={"order": order_of(each)} if name == "order-placed" else {"cart": each},
            t_ns=seq * 1_000_000,
            wall_ns=1_790_000_000_000_000_000 + seq,
            clock="kernel",
            uncertainty_us=5.0,
            read_no=seq,
            coalesced=False,
            read_delay_us=1.0,
            size=2,
        )
        for seq, (name, each) in enumerate(zip(names, carts, strict=False), 1)
    ]
    begun = Start(
        recording_id=f"r{number}",
        started_at_ns=1_790_000_000_000_000_000 + number * 1_000_000_000,
        environment="custom",
        domain=domain,
        items=asked or [{"variant_id": "SKU1", "quantity": 2}],
        sse=True,
        connection="warm",
        timeout_s=1.0,
    )
    outcome = "placed" if len(carts) == len(names) else "incomplete"
    return Recording([begun, *events, End(outcome, int(latency_ms * 1e6))])


def whole(**options):
    return recording(cart(2), cart(2, shipping=625), cart(2, shipping=625), **options)


@pytest.fixture
def real(lab):
    """An order of two lines at the simulator."""
    return lab.place(fnb.Order.example(items=TWO_LINES), progress=False, isolated=False)


def same_columns(frame, table):
    assert frame.columns.tolist() == table.names
    assert frame.dtypes.astype("str").tolist() == [column.dtype for column in table.columns]


@by_table
def test_each_table_is_built_once(name):
    for face in (whole(), Recordings([whole()])):
        assert getattr(face, name) is getattr(face, name)
        assert face.checks is face.checks


@by_table
def test_columns_are_the_same_with_and_without_rows(name, real):
    empty = Recordings([])
    carts_without_events = recording()
    for face in (real, Recordings([real, whole()]), whole(), carts_without_events, empty):
        same_columns(getattr(face, name), TABLES[name])
    assert len(getattr(empty, name)) == len(getattr(carts_without_events, name)) == 0


@by_table
def test_many_have_the_rows_of_each(name, real):
    one, two = whole(number=2), real
    joined = pd.concat([getattr(each, name).astype(object) for each in (one, two)])
    pd.testing.assert_frame_equal(
        getattr(Recordings([one, two]), name).astype(object), joined.reset_index(drop=True)
    )


def test_rows_join_their_events(real):
    carts = real.events[real.events["event"] != "creating-cart"]
    assert real.snapshots["seq"].tolist() == carts["seq"].tolist()
    assert real.snapshots["total_minor"].tolist() == carts["total_minor"].tolist()
    lines = real.line_items.merge(real.events, on=["recording_id", "seq"], validate="many_to_one")
    assert len(lines) == len(real.line_items) == 1 + 2 + 2 + 2
    last = real.line_items[real.line_items["event"] == "order-placed"]
    assert dict(zip(last["variant_id"], last["quantity"], strict=True)) == {
        "WS12-XS-Orange": 1,
        "MH07-XS-Gray": 2,
    }


def test_what_was_asked_for_is_checked(real):
    assert real.checks.findings.empty
    summary = real.checks.summary.set_index("check")
    assert summary.loc["as-asked", "snapshots"] == 3
    wrong = whole(asked=[{"variant_id": "SKU1", "quantity": 3}])
    assert set(wrong.checks.findings["check"]) == {"as-asked"}
    assert wrong.checks.findings["sentence"].iloc[0] == "3 of SKU1 asked for, 2 in the cart."


def test_each_order_is_held_to_what_was_asked_for_in_it():
    wrong = whole(number=2, asked=[{"variant_id": "SKU1", "quantity": 3}])
    both = Recordings([whole(number=1), wrong])
    assert both.asked() == {"r1": whole().items, "r2": wrong.items}
    assert set(both.checks.findings["recording_id"]) == {"r2"}


def test_without_events_there_is_nothing_to_check():
    assert recording().checks.headline() == "no cart to check"
    assert Recordings([]).checks.headline() == "no cart to check"


def test_a_cart_is_shown_as_a_shopper_sees_it(real):
    shown = real.show_cart()
    assert repr(shown).startswith(f"Luma · order {real.order_number} · submitted")
    assert "Hero Hoodie" in shown._repr_html_()
    first = int(real.snapshots["seq"].iloc[0])
    at_first = repr(real.show_cart(first))
    assert "Radiant Tee" in at_first
    assert "Hero Hoodie" not in at_first


def test_a_cart_that_is_not_there_is_said():
    with pytest.raises(
        LookupError, match=r"^The recording has no cart\. No event has one\. \[FNB301\]$"
    ):
        recording().show_cart()
    with pytest.raises(LookupError, match=r"^Event 9 has no cart\. Events with one: 1, 2, 3\."):
        whole().show_cart(9)


def test_an_event_without_a_cart_has_none_to_show(real):
    with pytest.raises(LookupError, match=r"^Event 1 has no cart\. Events with one: 2, 3, 4, 5\."):
        real.show_cart(1)


def test_changes_are_shown_in_signs_and_colours(real):
    shown = real.show_changes()
    text, html = repr(shown), shown._repr_html_()
    assert "shipping-updated" in text
    assert "→  shipping_total" in text
    assert "rgb(" in html
    assert "→" in html  # a sign beside each colour
    assert repr(recording().show_changes()) == "no changes"
    assert repr(Recordings([]).show_changes()) == "no changes"


def test_a_merchants_markup_is_shown_as_text():
    odd = cart(2)
    odd["line_items"][0]["description"] = "<script>alert(1)</script>"
    shown = recording(odd, cart(2)).show_changes()._repr_html_()
    shown += recording(odd).show_cart()._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_presence_is_told_by_the_domain_that_was_ordered_from():
    other = whole(number=2, domain="b.test")
    presence = Recordings([whole(), other]).field_presence()
    same_columns(presence, schemas.FIELD_PRESENCE)
    assert set(presence["domain"]) == {"a.test", "b.test"}
    assert set(presence["event"]) == {"item-added", "shipping-updated", "order-placed"}
    number = presence[presence["path"] == "platform_order_number"]
    assert set(number["event"]) == {"order-placed"}
    same_columns(Recordings([]).field_presence(), schemas.FIELD_PRESENCE)


def test_presence_as_a_matrix_has_a_column_for_each_event_of_a_merchant():
    recs = Recordings([whole(), whole(number=2, domain="b.test")])
    matrix = recs.field_presence(matrix=True)
    assert ("b.test", "order-placed") in matrix.columns
    number = matrix.loc["platform_order_number"]
    assert number["a.test"].to_dict() == {
        "item-added": 0.0,
        "order-placed": 1.0,
        "shipping-updated": 0.0,
    }


def test_drift_says_what_vanished_appeared_and_changed_its_type():
    changed = cart(2)
    del changed["tax_total"]
    changed |= {"cart_id": 7, "loyalty": {"points": 3}}
    drift = Recordings([whole()]).schema_drift(Recordings([recording(changed, number=2)]))
    same_columns(drift, schemas.SCHEMA_DRIFT)
    told = dict(zip(drift["path"], drift["change"], strict=True))
    assert told == {"cart_id": "changed type", "tax_total": "vanished", "loyalty": "appeared"}


def test_what_cannot_be_compared_has_not_drifted():
    before, elsewhere = Recordings([whole()]), Recordings([whole(domain="b.test")])
    assert before.schema_drift(before).empty
    assert before.schema_drift(elsewhere).empty
    assert before.schema_drift(Recordings([])).empty


def test_a_drift_planted_by_the_simulator_is_seen(lab, real):
    order = fnb.Order.example(items=TWO_LINES)
    headers = {"x-sim-fault": "cart-missing-field"}
    faulty = lab.place(order, progress=False, isolated=False, headers=headers)
    drift = Recordings([real]).schema_drift(Recordings([faulty]))
    assert set(drift["path"]) == {"sub_total"}
    assert set(drift["event"]) == {"shipping-updated", "order-placed"}
    assert set(drift["change"]) == {"vanished"}


def of_size(number, latency_ms, domain="a.test"):
    filled = cart(*[1] * (1 + number % 4))
    asked = [{"variant_id": line["sku"], "quantity": 1} for line in filled["line_items"]]
    options = {"number": number, "asked": asked, "domain": domain, "latency_ms": latency_ms}
    return recording(filled, filled, filled, **options)


def test_the_field_that_slows_orders_is_named():
    """The number of shipments came twice among the candidates, and no recording was explained."""
    recs = Recordings(of_size(n, 500 + 100 * (n % 4) + n) for n in range(60))
    table = recs.explain(resamples=200)
    same_columns(table, schemas.EXPLANATIONS)
    assert table["field"].is_unique
    assert table["field"].iloc[0] in {"n_items", "quantity", "total"}
    assert "n_shipments" in set(table["field"])
    assert "stand" in explain_in_words(table)


def test_chance_alone_does_not_stand_out():
    recs = Recordings(
        of_size(n, 500 + (n * 7919) % 101, domain=f"{'ab'[n // 4 % 2]}.test") for n in range(60)
    )
    words = explain_in_words(recs.explain(resamples=200))
    assert "None stands out: with so many tries" in words


def test_few_orders_are_not_explained():
    recs = Recordings(of_size(n, 500 + 100 * (n % 4)) for n in range(8))
    table = recs.explain()
    assert table["effect"].isna().all()
    assert set(table.loc[table["field"] == "n_items", "sentence"]) == {
        "Not judged: 8 placed orders have it, 20 are needed."
    }
    assert explain_in_words(table) == (
        "No field could be judged: there are too few placed orders, or all are alike."
    )
    assert Recordings([]).explain()["effect"].isna().all()


def test_orders_that_were_not_placed_explain_nothing():
    placed = [of_size(n, 500 + n) for n in range(10)]
    broken = [recording(cart(2), number=n) for n in range(10, 50)]
    table = Recordings([*placed, *broken]).explain()
    assert table["n"].max() == 10


def test_other_targets_can_be_explained():
    recs = Recordings(of_size(n, 500 + n) for n in range(30))
    table = recs.explain("time_to_order_placed_ms", fields=["n_items"], resamples=50)
    assert table["field"].tolist() == ["n_items"]
    with pytest.raises(KeyError):
        recs.explain("no_such_time")


def test_an_order_placed_without_events_has_its_cart_in_the_tables(lab):
    rec = lab.place(fnb.Order.example(), sse=False, progress=False)
    assert len(rec.events) == 0
    assert rec.snapshots["event"].tolist() == ["confirmation"]
    assert rec.line_items["quantity"].tolist() == [1]
    assert rec.checks.findings.empty
    assert rec.checks.headline().startswith("✓")
    both = Recordings([rec, rec])
    assert set(both.field_presence()["domain"]) == {rec.domain}
