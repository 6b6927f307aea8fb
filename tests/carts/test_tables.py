"""Every cart becomes the same tables, whatever its version, spelling or state of repair."""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd
import pytest

from firmly_nb.carts import tables
from firmly_nb.carts.schemas import DISCOUNTS, LINE_ITEMS, NOTICES, SHIPMENTS, SNAPSHOTS
from tests.odd_amounts import AMOUNTS

ALL = {
    "snapshots": SNAPSHOTS,
    "line_items": LINE_ITEMS,
    "shipments": SHIPMENTS,
    "notices": NOTICES,
    "discounts": DISCOUNTS,
}

NOTHING_SAID = ({"currency": "USD"}, {"currency": "USD", "value": None, "number": None})


def one(table: pd.DataFrame) -> dict[str, Any]:
    assert len(table) == 1
    return {name: None if _is_null(v) else v for name, v in table.iloc[0].to_dict().items()}


def _is_null(value: Any) -> bool:
    return not isinstance(value, (list, dict)) and bool(pd.isna(value))


def from_cart(build: Any, cart: Any, event: str = "item-added") -> pd.DataFrame:
    return build.events([(event, {"cart": cart})])


def test_three_snapshots_of_one_order(build):
    table = tables.snapshots(build.events(build.recording()))
    assert table["event"].tolist() == ["item-added", "shipping-updated", "order-placed"]
    assert table["seq"].tolist() == [1, 2, 3]
    assert table["kind"].tolist() == ["cart", "cart", "order"]
    assert table["total_minor"].tolist() == [2200, 3047, 3047]
    assert table["tax_total_minor"].tolist() == [0, 222, 222]
    assert table["order_number"].tolist()[2] == "100004711"
    assert table["submitted_at"].iloc[2] == pd.Timestamp("2026-01-15T12:34:56.789Z")
    assert table["shipping_region"].tolist()[1:] == ["WA", "WA"]
    assert table["shipping_method"].tolist()[1:] == ["GROUND", "GROUND"]
    assert table["other"].isna().all()


def test_lines_and_shipments_join_with_their_snapshot(build):
    lines = [build.line(number=1), build.line("MUG-BLUE", 1850, 2, number=2)]
    all_of_them = tables.cart_tables(build.events(build.recording(lines), build.recording()))
    keys = ["recording_id", "seq", "event"]
    joined = all_of_them.line_items.merge(all_of_them.snapshots, on=keys, validate="many_to_one")
    assert len(joined) == len(all_of_them.line_items) == 9
    sums = joined.groupby(keys[:2])["line_price_minor"].sum()
    assert sums.to_list() == all_of_them.snapshots["sub_total_minor"].tolist()
    assert all_of_them.line_items["line_no"].tolist() == [1, 2] * 3 + [1] * 3
    assert all_of_them.shipments["n_lines"].tolist() == [2] * 3 + [1] * 3


def test_each_table_alone_is_the_table_of_the_whole(build):
    events = build.events(build.recording(), build.recording())
    for name, table in tables.cart_tables(events)._asdict().items():
        pd.testing.assert_frame_equal(table, getattr(tables, name)(events))


@pytest.mark.parametrize("name", ALL)
def test_no_events_give_the_declared_columns(build, name):
    table = getattr(tables, name)(build.events())
    pd.testing.assert_frame_equal(table, ALL[name].empty())


@pytest.mark.parametrize(("sent", "read"), AMOUNTS.items())
def test_an_amount_that_cannot_be_read_is_kept(build, sent, read):
    money = orjson.loads(sent)
    row = one(tables.snapshots(from_cart(build, {"cart_id": "c", "total": money})))
    assert (row["total_minor"], row["currency"]) == (read or (None, None))
    said = money not in (None, {}) and money not in NOTHING_SAID
    kept = said and (read is None or "more" in money)
    assert row["other"] == ({"total": money} if kept else None)


def test_a_currency_stands_beside_amounts_that_were_read(build):
    """Beside 10.00 USD stood the EUR of a total that could not be read: 10.00 EUR."""
    total = {"currency": "EUR", "value": "free"}
    cart = {"cart_id": "c", "total": total, "sub_total": build.money(1000)}
    row = one(tables.snapshots(from_cart(build, cart)))
    assert (row["total_minor"], row["sub_total_minor"], row["currency"]) == (None, 1000, "USD")


def test_of_discounts_that_cannot_all_be_read_there_is_no_sum(build):
    ten, free = build.money(1000), {"currency": "USD", "value": "free"}
    lists = {
        1500: [ten, {"amount": build.money(500)}, {"code": "TEN"}],
        -1: [ten, free],
        -2: [ten, {"code": "TEN", "value": 10}],
        -3: [ten, build.money(5, "EUR")],
        -4: [{"code": "TEN"}],
    }
    lines = [{"discounts": each} for each in lists.values()]
    table = tables.line_items(from_cart(build, {"line_items": lines}))
    assert table["discount_minor"].fillna(0).tolist() == [1500, 0, 0, 0, 0]


def test_number_beyond_an_int64_is_kept_but_not_read(build):
    total = {"currency": "USD", "number": 2**63}
    row = one(tables.snapshots(from_cart(build, {"cart_id": "c", "total": total})))
    assert row["total_minor"] is None
    assert row["other"] == {"total": total}


def test_amounts_beside_each_other_are_read_each_by_its_own_form(build):
    moneys = [{"currency": "USD", "value": 1.1}, None, {"currency": "USD", "number": 7}, "free"]
    cart = {"line_items": [{"line_price": money} for money in moneys]}
    table = tables.line_items(from_cart(build, cart))
    assert table["line_price_minor"].fillna(-1).tolist() == [110, -1, 7, -1]
    assert table["other"].tolist() == [None, None, None, {"line_price": "free"}]


def test_both_spellings_give_the_same_tables(build):
    v1 = {
        "cart_id": "c1",
        "tax": build.money(222),
        "promo_codes": ["SAVE10"],
        "notice": ["CART_ITEMS_REMOVED"],
        "line_items": [{"id": "MUG", "image": {"src": "https://x.test/a.jpg", "alt": "mug"}}],
        "shipping_method": {"sku": "GROUND", "description": "Ground", "price": build.money(625)},
        "shipping_method_options": [{"sku": "GROUND"}, {"sku": "AIR"}],
    }
    v2 = {
        "cart_id": "c1",
        "tax_total": build.money(222),
        "coupons": ["SAVE10"],
        "notices": [{"code": "CART_ITEMS_REMOVED"}],
        "line_items": [{"sku": "MUG", "image": {"url": "https://x.test/a.jpg", "alt": "mug"}}],
        "shipments": [
            {
                "shipping_method": {
                    "id": "GROUND",
                    "description": "Ground",
                    "price": build.money(625),
                },
                "shipping_method_options": [{"id": "GROUND"}, {"id": "AIR"}],
            }
        ],
    }
    old, new = (tables.cart_tables(from_cart(build, cart)) for cart in (v1, v2))
    assert one(old.snapshots)["tax_total_minor"] == one(new.snapshots)["tax_total_minor"] == 222
    assert one(old.snapshots)["shipping_method"] == one(new.snapshots)["shipping_method"]
    pd.testing.assert_frame_equal(old.line_items, new.line_items)
    pd.testing.assert_frame_equal(old.shipments, new.shipments)
    pd.testing.assert_frame_equal(old.notices, new.notices)
    assert one(old.discounts) | {"field": "coupons"} == one(new.discounts)
    assert one(new.shipments)["method_price_minor"] == 625
    assert one(new.shipments)["n_methods"] == 2


def test_discounts_are_found_wherever_they_stand(build):
    cart = {
        "cart_discount": build.money(-500),
        "coupons": [{"code": "SAVE10", "description": "Ten off", "amount": build.money(1000)}],
        "line_items": [
            {"line_item_id": "a", "line_discount": build.money(100)},
            {"line_item_id": "b", "discounts": [build.money(30), {"amount": build.money(20)}]},
        ],
    }
    found = tables.discounts(from_cart(build, cart))
    assert found["amount_minor"].tolist() == [-500, 1000, 100, 30, 20]
    assert found["field"].tolist() == [
        "cart_discount",
        "coupons",
        "line_discount",
        "discounts",
        "discounts",
    ]
    assert found["line_item_id"].fillna("").tolist() == ["", "", "a", "b", "b"]
    lines = tables.line_items(from_cart(build, cart))
    assert lines["discount_minor"].tolist() == [100, 50]


def test_unknown_fields_are_kept(build):
    cart = build.cart()
    cart["loyalty"] = {"points": 7}
    cart["line_items"][0]["gift"] = True
    cart["line_items"][0]["image"]["width"] = 80
    cart["line_items"][0]["price"]["formatted"] = "$22"
    both = tables.cart_tables(from_cart(build, cart))
    assert one(both.snapshots)["other"] == {"loyalty": {"points": 7}}
    other = one(both.line_items)["other"]
    assert other["gift"] is True
    assert other["image.width"] == 80
    assert other["price"]["formatted"] == "$22"
    assert one(both.line_items)["price_minor"] == 2200


def test_what_has_the_wrong_type_becomes_null_and_is_kept(build):
    cart = {
        "cart_id": ["c"],
        "line_items": [{"sku": 7, "quantity": "2", "requires_shipping": "true"}, None, "text"],
        "shipments": {"a": 1},
        "coupons": "SAVE10",
        "submitted_at": "yesterday",
    }
    both = tables.cart_tables(from_cart(build, cart))
    assert one(both.snapshots)["cart_id"] is None
    assert one(both.snapshots)["other"] == {
        "cart_id": ["c"],
        "line_items": [None, "text"],
        "shipments": {"a": 1},
        "coupons": "SAVE10",
        "submitted_at": "yesterday",
    }
    row = one(both.line_items)
    assert (row["sku"], row["quantity"], row["requires_shipping"]) == ("7", 2, True)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        ({"cart": {"cart_id": "c"}}, 1),
        ({"order": {"cart_id": "c"}}, 1),
        ({"cart_id": "c"}, 1),
        ({"line_items": []}, 1),
        ({"cart": {}}, 0),
        ({"order": {"id": 1}, "cart": {"cart_id": "c"}}, 1),
        ({"cart": None}, 0),
        ({"cart": []}, 0),
        ({}, 0),
        (None, 0),
        ("text", 0),
        ([1], 0),
        (float("nan"), 0),
    ],
)
def test_a_cart_is_found_where_it_may_stand(build, data, count):
    assert len(tables.snapshots(build.events([("item-added", data)]))) == count


def test_a_lone_surrogate_does_not_stop_a_table(build):
    table = tables.line_items(from_cart(build, {"line_items": [{"sku": "\ud800"}, {"sku": "B"}]}))
    assert table["sku"].tolist() == ["?", "B"]


def test_five_thousand_lines(build):
    cart = build.cart([build.line(number=number) for number in range(5000)])
    both = tables.cart_tables(from_cart(build, cart))
    assert one(both.snapshots)["quantity"] == len(both.line_items) == 5000


def test_many_batches_keep_their_order(build):
    orders = [build.recording([build.line(price=100 + number)]) for number in range(120)]
    lines = tables.line_items(build.events(*orders))
    assert lines["price_minor"].tolist() == [100 + n for n in range(120) for _ in range(3)]


EVENT = {"recording_id": "r1", "seq": 0, "event": "item-added"}


def texts(*names: str) -> dict[str, str]:
    return {name: f"the {name}" for name in names}


def test_each_column_of_a_snapshot_is_its_own_field(build):
    names = ("cart_id", "platform_id", "shop_id", "display_name", "cart_status", "schema_version")
    amounts = ("sub_total", "shipping_total", "tax_total", "addon_total", "cart_discount",
               "store_credit", "total")  # fmt: skip
    cart = texts(*names) | {name: build.money(n) for n, name in enumerate(amounts, 1)}
    cart |= {
        "platform_order_number": 77,
        "submitted_at": "2026-01-15T12:34:56Z",
        "shipping_info": {"country": "US", "state_or_province": "WA"},
        "line_items": [{"quantity": 2}, {"quantity": "3"}, {}],
        "shipments": [
            {"shipping_method": {"id": "A"}},
            {"shipping_method": {"sku": "B"}},
            {"shipping_method": {"id": "A"}},
            {"shipping_method": {"id": 7}},
            {},
        ],
        "shipping_method": {"id": "C", "sku": "D"},
        "notices": [{"code": "x"}, "y"],
        "notice": ["z"],
    }
    assert one(tables.snapshots(from_cart(build, cart))) == {
        **EVENT,
        **texts(*names),
        **{f"{name}_minor": n for n, name in enumerate(amounts, 1)},
        # What has an order number is an order, wherever it stands.
        "kind": "order",
        "order_number": "77",
        "submitted_at": pd.Timestamp("2026-01-15T12:34:56Z"),
        "shipping_country": "US",
        "shipping_region": "WA",
        "shipping_method": "A + B + C",
        "n_lines": 3,
        "quantity": 5,
        "n_shipments": 5,
        "n_notices": 3,
        "currency": "USD",
        "other": None,
    }


def test_an_empty_snapshot_has_nothing_and_counts_none(build):
    row = one(tables.snapshots(build.events([("order-placed", {"order": {"cart_id": "c"}})])))
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {
        **EVENT,
        "event": "order-placed",
        "kind": "order",
        "cart_id": "c",
        "n_lines": 0,
        "quantity": 0,
        "n_shipments": 0,
        "n_notices": 0,
    }


def test_each_column_of_a_line_is_its_own_field(build):
    names = ("line_item_id", "platform_line_item_id", "base_sku", "variant_id", "description",
             "variant_description", "sku")  # fmt: skip
    line = texts(*names) | {
        "id": "another",
        "quantity": 3,
        "price": build.money(1),
        "line_price": build.money(2),
        "msrp": build.money(4),
        "line_discount": build.money(5),
        "discount": build.money(6),
        "requires_shipping": False,
        "image": {"url": "u", "src": "s"},
    }
    table = tables.line_items(from_cart(build, {"line_items": [{}, line]}))
    assert one(table.iloc[1:]) == {
        **EVENT,
        **texts(*names),
        "line_no": 2,
        "quantity": 3,
        "price_minor": 1,
        "line_price_minor": 2,
        "msrp_minor": 4,
        "discount_minor": 5,
        "currency": "USD",
        "requires_shipping": False,
        "image_url": "u",
        "other": None,
    }
    empty = one(table.iloc[:1])
    assert {name for name, value in empty.items() if value is not None} == {*EVENT, "line_no"}


def test_the_second_spelling_counts_where_the_first_is_not_there(build):
    line = {"id": "A", "image": {"src": "s"}, "discount": build.money(6)}
    row = one(tables.line_items(from_cart(build, {"line_items": [line]})))
    assert (row["sku"], row["image_url"], row["discount_minor"]) == ("A", "s", 6)
    address = {"country_code": "DE", "state_code": "BE"}
    row = one(tables.snapshots(from_cart(build, {"cart_id": "c", "shipping_info": address})))
    assert (row["shipping_country"], row["shipping_region"]) == ("DE", "BE")


def test_each_column_of_a_shipment_is_its_own_field(build):
    shipment = texts("shipment_id", "selected_date", "notes") | {
        "fulfillment_type": {"id": "PICKUP", "name": "Pick up", "description": "there"},
        "fulfillment_type_options": [{}, {}, {}],
        "shipping_method": {
            "id": "A",
            "sku": "B",
            "description": "Air",
            "price": build.money(9),
            "estimated_delivery": "soon",
        },
        "shipping_method_options": [{}, {}],
        "line_item_ids": ["a", 7],
    }
    table = tables.shipments(from_cart(build, {"cart_id": "c", "shipments": [{}, shipment]}))
    assert one(table.iloc[1:]) == {
        **EVENT,
        **texts("shipment_id", "selected_date", "notes"),
        "shipment_no": 2,
        "fulfillment_type": "PICKUP",
        "fulfillment_name": "Pick up",
        "method_id": "A",
        "method_description": "Air",
        "method_price_minor": 9,
        "currency": "USD",
        "estimated_delivery": "soon",
        "n_methods": 2,
        "n_fulfillment_types": 3,
        "n_lines": 2,
        "line_item_ids": ["a", 7],
        "other": None,
    }
    empty = one(table.iloc[:1])
    assert (empty["n_methods"], empty["n_fulfillment_types"], empty["n_lines"]) == (0, 0, 0)
    assert empty["line_item_ids"] == []


def test_each_column_of_a_notice_is_its_own_field(build):
    notices = [
        {"code": "A", "id": "B", "message": "m", "description": "d", "line_item_ids": ["x", "y"]},
        {"id": "B", "description": "d", "line_item_id": "z"},
        {"code": "C", "line_item_id": "z", "line_item_ids": ["x"]},
        {"code": "D", "line_item_ids": "x", "more": 1},
        {"code": "E", "line_item_id": ""},
    ]
    table = tables.notices(from_cart(build, {"cart_id": "c", "notices": notices}))
    assert table["notice_no"].tolist() == [1, 2, 3, 4, 5]
    assert table["code"].tolist() == ["A", "B", "C", "D", "E"]
    assert table["message"].tolist()[:2] == ["m", "d"]
    assert table["line_item_ids"].tolist() == [["x", "y"], ["z"], ["x"], [], []]
    assert table["other"].tolist() == [None] * 3 + [{"line_item_ids": "x", "more": 1}, None]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-15T12:34:56.789Z", "2026-01-15T12:34:56.789Z"),
        ("2026-01-15T12:34:56", "2026-01-15T12:34:56Z"),
        ("2026-01-15T12:34:56+02:00", "2026-01-15T10:34:56Z"),
        ("2026-01-15", "2026-01-15T00:00:00Z"),
        ("1701-01-01T00:00:00Z", "1701-01-01T00:00:00Z"),
        ("2249-12-31T23:59:59Z", "2249-12-31T23:59:59Z"),
        ("1700-12-31T23:59:59Z", None),
        ("2250-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_is_read_as_utc_or_kept_as_it_is(build, text, time):
    row = one(tables.snapshots(from_cart(build, {"cart_id": "c", "submitted_at": text})))
    assert row["submitted_at"] == (None if time is None else pd.Timestamp(time))
    assert row["other"] == ({"submitted_at": text} if time is None else None)


def test_more_pieces_than_a_column_can_hold_are_not_added_up(build):
    def quantity(*pieces: int) -> int | None:
        lines = [{"quantity": each} for each in pieces]
        return one(tables.snapshots(from_cart(build, {"cart_id": "c", "line_items": lines})))[
            "quantity"
        ]

    assert quantity(2**62, 2**62 - 1) == 2**63 - 1
    assert quantity(2**62, 2**62) is None
    assert quantity(-(2**62), -(2**62)) is None
    assert quantity(-(2**62), -(2**62) + 1) == -(2**63) + 1


def test_the_pieces_are_those_of_each_cart(build):
    carts = [{"line_items": [{"quantity": n}] * n} for n in range(4)]
    table = tables.snapshots(build.events([("item-added", {"cart": cart}) for cart in carts]))
    assert table["quantity"].tolist() == [0, 1, 4, 9]


@pytest.mark.parametrize(
    ("line", "minor"),
    [
        ({"line_discount": 1, "discount": 2, "discounts": [3]}, 1),
        ({"discount": 2, "discounts": [3]}, 2),
        ({"discounts": [3, 4]}, 7),
        ({"discounts": {"amount": 3}}, None),
        (
            {"discounts": [{"discount": 3}, {"value": 4}, {"price": 5}, {"amount": 6, "value": 7}]},
            18,
        ),
        ({"discounts": [3, {"code": "TEN"}, -4]}, -1),
        ({"discounts": [{"code": "TEN"}]}, None),
        ({"discounts": []}, None),
        ({"discounts": [2**62, 2**62 - 1]}, 2**63 - 1),
        ({"discounts": [2**62, 2**62]}, None),
        ({}, None),
    ],
)
def test_a_lines_discount_is_the_first_that_is_there(build, line, minor):
    def moneyed(value: Any) -> Any:
        if isinstance(value, int):
            return {"currency": "USD", "number": value}
        if isinstance(value, list):
            return [moneyed(each) for each in value]
        if isinstance(value, dict):
            return {name: moneyed(each) for name, each in value.items()}
        return value

    # The line beside it has none: each keeps its own.
    cart = {"line_items": [{"discounts": []}, moneyed(line)]}
    table = tables.line_items(from_cart(build, cart))
    assert [None if pd.isna(each) else each for each in table["discount_minor"]] == [None, minor]


def test_each_column_of_a_discount_is_its_own_field(build):
    described = {"code": "TEN", "description": "Ten off", "price": build.money(10)}
    cart = {
        "cart_discount": build.money(1),
        "promo_codes": ["OLD"],
        "coupons": [described, "NEW"],
        "line_items": [{"line_item_id": "a", "discount": described, "discounts": ["LINE"]}],
    }
    table = tables.discounts(from_cart(build, cart))
    rows = table[["field", "line_item_id", "code", "description", "amount_minor", "currency"]]
    assert rows.astype(object).where(rows.notna(), None).to_numpy().tolist() == [
        ["cart_discount", None, None, None, 1, "USD"],
        ["coupons", None, "TEN", "Ten off", 10, "USD"],
        ["coupons", None, "NEW", None, None, None],
        ["promo_codes", None, "OLD", None, None, None],
        ["discount", "a", "TEN", "Ten off", 10, "USD"],
        ["discounts", "a", "LINE", None, None, None],
    ]
    assert (table["recording_id"] == "r1").all()


def test_discounts_that_are_nothing_are_no_rows(build):
    cart = {
        "cart_discount": None,
        "coupons": [],
        "promo_codes": None,
        "line_items": [{"line_discount": None, "discounts": [None, ""]}],
    }
    assert tables.discounts(from_cart(build, cart)).empty


def test_what_is_documented_is_not_kept_as_something_else(build):
    """Also where no column is made of it."""
    image = {"url": "u", "src": "s", "alt": "a", "type": "t"}
    method = {"id": "A", "sku": "B", "description": "d", "price": build.money(1),
              "estimated_delivery": "soon", "applicable_line_items": []}  # fmt: skip
    kind = {"id": "A", "name": "n", "description": "d"}
    discount = {"code": "TEN", "amount": build.money(1), "line_item_id": "a"}
    cart = {
        "cart_id": "c",
        "line_items": [{"line_item_id": "a", "image": image}],
        "shipments": [{"shipping_method": method, "fulfillment_type": kind}],
        "coupons": [discount],
        "notices": [{"code": "x", "id": "y", "message": "m", "description": "d"}],
    }
    for name, table in tables.cart_tables(from_cart(build, cart))._asdict().items():
        assert one(table)["other"] is None, name
    more = {
        "line_items": [{"image": image | {"width": 1}}],
        "shipments": [{"shipping_method": method | {"x": 1}, "fulfillment_type": kind | {"y": 2}}],
    }
    lines, shipments = (
        tables.line_items(from_cart(build, more)),
        tables.shipments(from_cart(build, more)),
    )
    assert one(lines)["other"] == {"image.width": 1}
    assert one(shipments)["other"] == {"shipping_method.x": 1, "fulfillment_type.y": 2}
