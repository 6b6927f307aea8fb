"""No cart that a merchant can send breaks a table: built from the documented fields, with any of
them missing or of a wrong type."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firmly_nb.carts import tables
from firmly_nb.carts.changes import changes, summary
from firmly_nb.carts.conventions import conventions
from firmly_nb.carts.drift import field_presence, schema_drift
from firmly_nb.carts.report import run_checks
from firmly_nb.carts.schemas import (
    CART_MARKS,
    CHANGES,
    CHECK_SUMMARY,
    CONVENTIONS,
    DISCOUNTS,
    FIELD_PRESENCE,
    FINDINGS,
    LINE_ITEMS,
    NOTICES,
    SCHEMA_DRIFT,
    SHIPMENTS,
    SNAPSHOTS,
)
from firmly_nb.carts.sheet import Sheets
from firmly_nb.carts.show import cart_html, cart_text, changes_html, changes_text

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**80)
    | st.floats()
    | st.sampled_from(["", "2", "46.99", "<script>alert(1)</script>", "undefined", "\ud800"])
    | st.text(max_size=6)
)
keys = st.text(max_size=4) | st.sampled_from(["", "a", "a.b", "[]", "{}", '[""]', "?", "\ud800"])
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def or_odd(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, anything)


def some_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    optional = {name: or_odd(strategy) for name, strategy in fields.items()}
    return st.fixed_dictionaries({}, optional=optional)


texts = st.sampled_from(["a", "b", "c"])
currencies = st.sampled_from(["USD", "JPY", "KWD", "XXX"])
moneys = some_of(
    currency=currencies,
    value=st.floats(-1e6, 1e6) | st.integers(-1000, 1000),
    number=st.integers(-(10**9), 10**9),
    symbol=texts,
)
addresses = some_of(country=texts, state_or_province=texts, city=texts)
methods = some_of(id=texts, sku=texts, description=texts, price=moneys, estimated_delivery=texts)
lines = some_of(
    line_item_id=texts,
    platform_line_item_id=texts,
    sku=texts,
    base_sku=texts,
    variant_id=texts,
    description=texts,
    quantity=st.integers(-2, 5),
    price=moneys,
    line_price=moneys,
    msrp=moneys,
    line_discount=moneys,
    discount=moneys,
    discounts=st.lists(moneys, max_size=2),
    requires_shipping=st.booleans(),
    image=some_of(url=texts, src=texts, alt=texts),
)
shipments = some_of(
    shipment_id=texts,
    line_item_ids=st.lists(texts, max_size=3),
    fulfillment_type=some_of(id=texts, name=texts),
    fulfillment_type_options=st.lists(some_of(id=texts), max_size=2),
    shipping_method=methods,
    shipping_method_options=st.lists(methods, max_size=2),
)
carts = some_of(
    cart_id=texts,
    platform_id=texts,
    shop_id=texts,
    cart_status=st.sampled_from(["active", "submitted"]),
    line_items=st.lists(lines, max_size=3),
    shipments=st.lists(shipments, max_size=2),
    sub_total=moneys,
    shipping_total=moneys,
    tax=moneys,
    tax_total=moneys,
    total=moneys,
    cart_discount=moneys,
    coupons=st.lists(texts, max_size=2),
    promo_codes=st.lists(texts, max_size=2),
    notices=st.lists(some_of(code=texts, message=texts), max_size=2),
    notice=st.lists(texts, max_size=2),
    shipping_info=addresses,
    shipping_method=methods,
    shipping_method_options=st.lists(methods, max_size=2),
    platform_order_number=texts,
    submitted_at=st.sampled_from(["2026-01-15T12:34:56.789Z", "0001-01-01", "9999-12-31"]),
)
datas = or_odd(
    st.fixed_dictionaries({}, optional={"cart": or_odd(carts), "order": or_odd(carts)}) | carts
)
names = st.sampled_from(["item-added", "shipping-updated", "order-placed", "what"])
recordings = st.lists(st.tuples(names, datas), max_size=4)
odd = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def assert_declared(frame: Any, table: Any) -> None:
    assert frame.columns.tolist() == table.names
    for column in table.columns:
        assert str(frame[column.name].dtype) == column.dtype, column.name


@odd
@given(st.lists(recordings, max_size=3))
def test_every_table_has_its_columns_and_joins_with_the_snapshots(build, many):
    read = tables.cart_tables(build.events(*many))
    for frame, table in zip(
        read, (SNAPSHOTS, LINE_ITEMS, SHIPMENTS, NOTICES, DISCOUNTS), strict=True
    ):
        assert_declared(frame, table)
    keys = ["recording_id", "seq"]
    counts = read.line_items.groupby(keys).size()
    snapshots = read.snapshots.set_index(keys)
    assert not snapshots.index.duplicated().any()
    assert counts.reindex(snapshots.index, fill_value=0).tolist() == snapshots["n_lines"].tolist()
    pieces = read.line_items.groupby(keys)["quantity"].sum()
    known = snapshots["quantity"].dropna()
    assert pieces.reindex(known.index, fill_value=0).tolist() == known.tolist()
    assert snapshots["n_notices"].sum() == len(read.notices)


@pytest.mark.parametrize("depth", [10, 2000])
def test_a_deep_cart_survives(build, depth):
    deep: Any = "bottom"
    for _ in range(depth):
        deep = {"deeper": [deep]}
    cart = build.cart() | {"addons": deep, "more": deep}
    assert len(tables.line_items(build.events([("item-added", {"cart": cart})]))) == 1


def test_a_currency_that_is_no_text_of_unicode_stops_no_table(build):
    cart = build.cart() | {"cart_discount": {"currency": "\ud800"}}
    events = build.events([("item-added", {"cart": cart})])
    assert tables.snapshots(events)["currency"].tolist() == ["USD"]
    odd_cart = {"cart": {"cart_id": "a", "total": {"currency": "\ud800", "value": 1}}}
    assert tables.snapshots(build.events([("item-added", odd_cart)]))["currency"].tolist() == ["?"]


@odd
@given(st.lists(recordings, max_size=2))
def test_every_check_answers_whatever_the_cart(build, many):
    report = run_checks(build.events(*many), {"r1": [{"variant_id": "a", "quantity": 1}]})
    assert_declared(report.findings, FINDINGS)
    assert_declared(report.summary, CHECK_SUMMARY)
    assert not report.findings["sentence"].str.contains("check itself failed").any()
    looked = report.summary[["snapshots", "skipped", "not_read"]].sum(axis=1)
    assert set(looked) == {len(report.carts)}
    assert_declared(report.carts, CART_MARKS)
    assert report.carts[["checks", "findings"]].sum().tolist() == [
        report.summary["snapshots"].sum(),
        len(report.findings),
    ]


@odd
@given(st.lists(recordings, max_size=3))
def test_every_merchant_of_any_carts_has_a_row_for_each_question(build, many):
    found = conventions(build.events(*many))
    assert_declared(found, CONVENTIONS)
    assert not found.duplicated(["domain", "question"]).any()
    assert found["question"].nunique() * found["domain"].nunique() == len(found)
    assert (found["n_for"] == found["carts_for"].map(len)).all()


@odd
@given(st.lists(recordings, max_size=2), st.booleans())
def test_changes_are_declared_and_a_cart_against_itself_has_none(build, many, quiet):
    found = changes(build.events(*many), ignore_noise=quiet)
    assert_declared(found, CHANGES)
    assert summary(found)
    twice = [recording[:1] * 2 for recording in many]
    assert changes(build.events(*twice), ignore_noise=quiet).empty


@odd
@given(st.lists(recordings, max_size=2), st.lists(recordings, max_size=2))
@example([[("item-added", {"cart": {"": {"": None}}})]], [])
def test_fields_of_any_carts_are_counted_and_compared(build, many, others):
    presence = field_presence(build.events(*many))
    assert_declared(presence, FIELD_PRESENCE)
    assert presence["presence"].between(0, 1, inclusive="right").all()
    assert not presence.duplicated(["event", "domain", "path"]).any()
    assert_declared(schema_drift(build.events(*many), build.events(*others)), SCHEMA_DRIFT)
    assert schema_drift(build.events(*many), build.events(*many)).empty


@settings(odd, max_examples=40)
@given(recordings)
def test_any_cart_and_its_changes_can_be_looked_at(build, recording):
    found = changes(build.events(recording), ignore_noise=False)
    for text in (changes_html(found), changes_text(found)):
        assert text.encode()
    for _, data in recording:
        if isinstance(data, dict):
            html, text = cart_html(data), cart_text(data)
            assert html.encode()
            assert text.encode()
            assert "<script" not in html


@settings(odd, max_examples=40)
@given(recordings)
def test_any_cart_has_a_sheet_with_all_that_was_found_of_it(build, recording):
    events = build.events(recording)
    found, changed = run_checks(events).findings, changes(events)
    sheets = Sheets(events, tables.cart_tables(events), changed, found)
    for seq in sheets.seqs:
        sheet = sheets.sheet(seq)
        assert str(asdict(sheet)).encode()
        rows = (*sheet.lines, *sheet.shipments, *sheet.totals)
        beside = sum(len(row.findings) for row in rows)
        assert beside + len(sheet.findings) == (found["seq"] == seq).sum()
        if (changed["seq_after"] == seq).any():
            marks = [row.state for row in rows] + [sheet.status.was]
            assert any(marks) or sheet.changes or sheet.notices or sheet.order_number
        alone = sheets.sheet(seq, marks=False)
        assert not any(row.state or row.findings for row in (*alone.lines, *alone.totals))
