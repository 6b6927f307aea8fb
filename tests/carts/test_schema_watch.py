"""Fields are counted where they can be, and a drift is said once."""

from __future__ import annotations

import copy
from typing import Any

import pandas as pd

from firmly_nb.carts.schema_watch import field_presence, presence_matrix, schema_drift
from firmly_nb.carts.schemas import FIELD_PRESENCE, SCHEMA_DRIFT


def added(build: Any, *carts: Any) -> pd.DataFrame:
    return build.events(*([("item-added", {"cart": cart})] for cart in carts))


def field(table: pd.DataFrame, path: str) -> dict[str, Any]:
    (row,) = table[table["path"] == path].to_dict("records")
    return row


def test_presence_is_counted_among_the_parents(build):
    one, two = build.cart(), build.cart([build.line(number=1), build.line(number=2)])
    del two["line_items"][0]["variant_id"]
    two["total"] = None
    table = field_presence(added(build, one, two))
    assert field(table, "line_items[].variant_id") | {"presence": None} == {
        "event": "item-added",
        "domain": "staging.luma.gift",
        "path": "line_items[].variant_id",
        "types": "string",
        "presence": None,
        "present": 2,
        "n": 3,
    }
    assert field(table, "total")["types"] == "null|object"
    assert field(table, "total.number")["n"] == 1
    assert field(table, "line_items[]")["n"] == 3


def test_events_and_merchants_stand_side_by_side(build):
    other = [(name, copy.deepcopy(data)) for name, data in build.recording()]
    other[1][1]["cart"]["shop_id"] = "b.test"
    matrix = presence_matrix(field_presence(build.events(build.recording(), other)))
    assert ("b.test", "item-added") in matrix.columns
    assert matrix.loc["platform_order_number"].to_dict() == {
        ("b.test", "item-added"): 0.0,
        ("staging.luma.gift", "item-added"): 0.0,
        ("staging.luma.gift", "order-placed"): 1.0,
        ("staging.luma.gift", "shipping-updated"): 0.0,
    }


def test_the_merchant_is_the_domain_ordered_from_where_that_is_known(build):
    events = added(build, build.cart()).assign(domain="shop.test")
    assert set(field_presence(events)["domain"]) == {"shop.test"}


def test_a_map_from_ids_is_one_field(build):
    cart = build.cart() | {"pricing": {f"item_{n}": {"price": n} for n in range(200)}}
    table = field_presence(added(build, cart))
    assert field(table, "pricing{}.price")["n"] == 200
    assert not table["path"].str.contains("item_1").any()


def test_no_drift_between_sets_of_the_same_fields(build):
    events = build.events(build.recording())
    drift = schema_drift(events, build.events(build.recording(), build.recording()))
    assert drift.empty
    assert drift.columns.tolist() == SCHEMA_DRIFT.names


def test_what_appeared_vanished_and_changed_its_type(build):
    after = build.cart()
    after["gift"] = {"wrapped": True}
    del after["schema_version"]
    after["line_items"][0]["quantity"] = "1"
    drift = schema_drift(added(build, build.cart()), added(build, after))
    assert dict(zip(drift["path"], drift["change"], strict=True)) == {
        "gift": "appeared",
        "line_items[].quantity": "changed type",
        "schema_version": "vanished",
    }
    assert drift["sentence"].tolist() == [
        "gift of item-added at staging.luma.gift is new (object, in 100%).",
        "line_items[].quantity of item-added at staging.luma.gift was number and is string.",
        "schema_version of item-added at staging.luma.gift is gone (it was string, in 100%).",
    ]


def test_a_whole_and_a_decimal_number_are_one_type(build):
    before, after = build.cart(), build.cart()
    before["total"]["value"], after["total"]["value"] = 22, 22.5
    assert schema_drift(added(build, before), added(build, after)).empty


def test_a_rate_drifts_only_where_there_is_enough_to_tell(build):
    rare = [build.cart() for _ in range(40)]
    for cart in rare[:20]:
        del cart["urls"]
    often = [build.cart() for _ in range(40)]
    drift = schema_drift(added(build, *often), added(build, *rare))
    assert drift[["path", "change"]].to_numpy().tolist() == [["urls", "less often"]]
    assert schema_drift(added(build, *often[:4]), added(build, *rare[18:22])).empty


def test_fields_of_what_only_one_set_has_are_no_drift(build):
    with_code = build.cart() | {"coupons": [{"code": "TEN"}]}
    drift = schema_drift(added(build, build.cart()), added(build, with_code))
    assert drift["path"].tolist() == ["coupons[]"]


def test_events_without_carts_give_the_declared_columns(build):
    for table, empty in (
        (field_presence(build.events()), FIELD_PRESENCE),
        (schema_drift(build.events(), build.events()), SCHEMA_DRIFT),
    ):
        pd.testing.assert_frame_equal(table, empty.empty())
