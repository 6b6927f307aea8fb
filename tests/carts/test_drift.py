"""Fields are counted where they can be, and a drift is said once."""

from __future__ import annotations

import copy
from typing import Any

import pandas as pd
import pytest

from firmly_nb.carts.drift import ORIGINS, field_presence, presence_matrix, schema_drift
from firmly_nb.carts.paths import read_path
from firmly_nb.carts.schemas import FIELD_PRESENCE, SCHEMA_DRIFT

NAMED = "It is documented."
UNNAMED = "No page names it; 1 of 1 merchant sent it."


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
        "origin": "documented",
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
    gift, quantity, version = drift["sentence"]
    assert gift == f"gift of item-added at staging.luma.gift is new (object, in 100%). {UNNAMED}"
    where = "item-added at staging.luma.gift"
    assert quantity == f"line_items[].quantity of {where} was number and is string. {NAMED}"
    assert version == f"schema_version of {where} is gone (it was string, in 100%). {NAMED}"


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


def presences(build: Any, path: str, present: int, n: int) -> pd.DataFrame:
    carts = [{"cart_id": "c", "shop_id": "a.test", path: 1} for _ in range(present)]
    return added(build, *carts, *[{"cart_id": "c", "shop_id": "a.test"}] * (n - present))


@pytest.mark.parametrize(
    ("before", "after", "change", "sentence"),
    [
        ((40, 40), (32, 40), None, ""),
        ((40, 40), (31, 40), "less often", "was in 100%, is in 77.5%."),
        ((32, 40), (40, 40), None, ""),
        ((31, 40), (40, 40), "more often", "was in 77.5%, is in 100%."),
        ((20, 20), (10, 20), "less often", "was in 100%, is in 50.0%."),
        ((19, 19), (10, 20), None, ""),
        ((20, 20), (9, 19), None, ""),
    ],
)
def test_a_rate_drifts_by_more_than_a_fifth_among_twenty(build, before, after, change, sentence):
    drift = schema_drift(presences(build, "x", *before), presences(build, "x", *after))
    rates = [before[0] / before[1], after[0] / after[1]]
    row = ["item-added", "a.test", "x", change, "number", "number", *rates]
    columns = ["event", "domain", "path", "change", "types_before", "types_after"]
    columns += ["presence_before", "presence_after"]
    assert drift[columns].to_numpy().tolist() == ([row] if change else [])
    assert drift["sentence"].tolist() == (
        [f"x of item-added at a.test {sentence} {UNNAMED}"] if change else []
    )


def test_what_is_new_was_in_none_before(build):
    without, some = presences(build, "x", 0, 4), presences(build, "x", 1, 4)
    (came,) = schema_drift(without, some).to_dict("records")
    (went,) = schema_drift(some, without).to_dict("records")
    assert (came["presence_before"], came["presence_after"]) == (0.0, 0.25)
    assert (went["presence_before"], went["presence_after"]) == (0.25, 0.0)
    assert (came["types_after"], went["types_before"]) == ("number", "number")
    assert pd.isna(came["types_before"])
    assert pd.isna(went["types_after"])


def test_only_events_and_merchants_of_both_sets_are_compared(build):
    one, other = {"cart_id": "c", "shop_id": "a.test"}, {"cart_id": "c", "shop_id": "b.test"}
    assert schema_drift(added(build, one), added(build, other | {"new": 1})).empty
    drift = schema_drift(added(build, one, other), added(build, other | {"new": 1}))
    assert drift[["domain", "path"]].to_numpy().tolist() == [["b.test", "new"]]


@pytest.mark.parametrize(
    ("value", "types"),
    [("x", "string"), (True, "boolean"), (1, "number"), (1.5, "number"), (None, "null"),
     ({}, "object"), ([], "array")],
)  # fmt: skip
def test_a_field_has_the_types_of_json(build, value, types):
    table = field_presence(added(build, {"cart_id": "c", "x": value}))
    assert field(table, "x")["types"] == types


@pytest.mark.parametrize(("n_keys", "is_map"), [(99, False), (100, False), (101, True)])
def test_an_object_with_more_than_a_hundred_keys_is_a_map(build, n_keys, is_map):
    cart = {"cart_id": "c", "by_id": {f"k{n}": n for n in range(n_keys)}}
    paths = set(field_presence(added(build, cart))["path"])
    assert ("by_id{}" in paths) == is_map
    assert ("by_id.k7" in paths) != is_map


def test_a_field_of_a_map_is_compared_where_both_have_the_map(build):
    cart = {"cart_id": "c", "by_id": {f"k{n}": {"a": n} for n in range(101)}}
    other = {"cart_id": "c", "by_id": {f"k{n}": {"b": n} for n in range(101)}}
    drift = schema_drift(added(build, cart), added(build, other))
    assert drift[["path", "change"]].to_numpy().tolist() == [
        ["by_id{}.a", "vanished"],
        ["by_id{}.b", "appeared"],
    ]


def test_thirty_two_levels_are_looked_into(build):
    node: Any = "bottom"
    for _ in range(40):
        node = {"a": node}
    table = field_presence(added(build, {"cart_id": "c"} | node))
    assert max(path.count("a") for path in table["path"] if path != "cart_id") == 32
    assert field(table, ".".join("a" * 32))["types"] == "object"


def test_lists_in_lists_have_paths_of_their_own(build):
    table = field_presence(added(build, {"cart_id": "c", "x": [[1, 2], ["a"], {"b": 1}]}))
    assert table[["path", "types", "present", "n"]].to_numpy().tolist() == [
        ["cart_id", "string", 1, 1],
        ["x", "array", 1, 1],
        ["x[]", "array|object", 3, 3],
        ["x[].b", "number", 1, 1],
        ["x[][]", "number|string", 3, 3],
    ]


@pytest.mark.parametrize(
    ("shop_id", "domain", "sentence"),
    [
        ("a.test", "a.test", f"x of item-added at a.test is new (number, in 100%). {UNNAMED}"),
        (None, "", f"x of item-added is new (number, in 100%). {UNNAMED}"),
        (7, "", f"x of item-added is new (number, in 100%). {UNNAMED}"),
    ],
)
def test_without_a_merchant_the_sentence_names_none(build, shop_id, domain, sentence):
    cart = {"cart_id": "c", "shop_id": shop_id}
    drift = schema_drift(added(build, cart), added(build, cart | {"x": 1}))
    assert drift[["domain", "sentence"]].to_numpy().tolist() == [[domain, sentence]]


def test_a_merchant_that_was_not_noted_is_that_of_the_cart(build):
    events = added(build, {"cart_id": "c", "shop_id": "a.test"}, {"cart_id": "c"})
    events["domain"] = ["noted.test", None]
    assert sorted(set(field_presence(events)["domain"])) == ["", "noted.test"]


def test_what_lies_in_a_field_that_only_one_set_has_is_not_told_as_well(build):
    plain = {"cart_id": "c"}
    for value in ([1], [[1]], {"a": {"b": 1}}, {f"k{n}": n for n in range(101)}):
        drift = schema_drift(added(build, plain), added(build, plain | {"x": value}))
        assert drift["path"].tolist() == ["x"]
        drift = schema_drift(added(build, plain | {"x": value}), added(build, plain))
        assert drift["path"].tolist() == ["x"]


def test_fields_are_in_order_of_event_merchant_and_path(build):
    carts = [{"shop_id": shop, "b": 1, "a": {"c": 1}} for shop in ("b.test", "a.test")]
    events = [("z", {"cart": carts[0]}), ("y", {"cart": carts[0]}), ("y", {"cart": carts[1]})]
    table = field_presence(build.events(events))
    keys = list(zip(table["event"], table["domain"], table["path"], strict=True))
    assert keys == sorted(keys)
    assert len(keys) == 12


# Where a field comes from: firmly's pages, firmly's code, the simulator, or merchants.


def on_staging(build: Any, before: Any, after: Any) -> pd.DataFrame:
    old, new = (added(build, cart).assign(environment="staging") for cart in (before, after))
    return schema_drift(old, new)


def origins(drift: pd.DataFrame) -> dict[str, str]:
    return dict(zip(drift["path"], drift["origin"], strict=True))


@pytest.mark.parametrize(
    ("path", "value", "origin"),
    [
        ("cart_discount", {"currency": "USD", "value": 1}, "documented"),
        ("billing_info", {"first_name": "Ada"}, "documented"),
        ("vip_discount", {"currency": "USD", "value": 1}, "firmly's code"),
        ("store_credit", {"currency": "USD", "value": 1}, "firmly's code"),
        ("tax", {"currency": "USD", "value": 1}, "documented"),
        ("loyalty_tier", "gold", "this merchant"),
    ],
)
def test_a_new_field_is_documented_or_of_this_merchant_alone(build, path, value, origin):
    after = build.cart() | {path: value}
    assert origins(on_staging(build, build.cart(), after)) == {path: origin}


@pytest.mark.parametrize(
    ("where", "path", "origin"),
    [
        ("line_items", "line_items[].line_discount", "firmly's code"),
        ("line_items", "line_items[].engraving", "this merchant"),
        ("line_items", 'line_items[]["gift.wrap"]', "this merchant"),
        ("shipments", "shipments[].notes", "documented"),
        ("shipments", "shipments[].driver", "this merchant"),
        ("shipping_info", "shipping_info.company", "documented"),
        ("shipping_info", "shipping_info.state_name", "firmly's code"),
        ("shipping_info", "shipping_info.district", "this merchant"),
        ("total", "total.rounded", "this merchant"),
    ],
)
def test_what_is_inside_of_a_cart_has_an_origin_of_its_own(build, where, path, origin):
    before, after = ({**build.cart(shipping=5), "shipping_info": {}} for _ in range(2))
    name = read_path(path)[-1].name
    old, new = (
        cart[where][0] if isinstance(cart[where], list) else cart[where] for cart in (before, after)
    )
    old.pop(name, None)
    new[name] = "x"
    assert origins(on_staging(build, before, after)) == {path: origin}


def test_a_field_of_two_merchants_is_not_of_one_alone(build):
    carts = [{"cart_id": "c", "shop_id": shop} for shop in ("a.test", "b.test", "c.test")]
    before = added(build, *carts)
    after = added(build, carts[0] | {"x": 1, "y": 1}, carts[1] | {"x": 1}, carts[2])
    drift = schema_drift(before, after)
    assert drift[["domain", "path", "origin"]].to_numpy().tolist() == [
        ["a.test", "x", "several merchants"],
        ["a.test", "y", "this merchant"],
        ["b.test", "x", "several merchants"],
    ]
    assert drift["sentence"].iloc[1].endswith("No page names it; 1 of 3 merchants sent it.")


def test_a_field_that_a_merchant_had_before_is_known_of_it(build):
    """One merchant always sent it, another begins to."""
    one, other = {"cart_id": "c", "shop_id": "a.test"}, {"cart_id": "c", "shop_id": "b.test"}
    drift = schema_drift(
        added(build, one | {"x": 1}, other), added(build, one | {"x": 1}, other | {"x": 1})
    )
    assert drift[["domain", "path", "origin"]].to_numpy().tolist() == [
        ["b.test", "x", "several merchants"]
    ]


@pytest.mark.parametrize(
    ("before", "after", "origin"),
    [
        ("staging", "simulator", "simulator"),
        ("simulator", "simulator", "simulator"),
        ("simulator", "staging", "firmly's code"),
        ("staging", "staging", "firmly's code"),
    ],
)
def test_what_the_description_calls_the_simulators_own_is_if_only_it_sends_it(
    build, before, after, origin
):
    cart = build.cart()
    with_captcha = cart | {"shop_properties": {"captcha": {"type": "x"}}}
    old = added(build, cart).assign(environment=before)
    new = added(build, with_captcha).assign(environment=after)
    assert origins(schema_drift(old, new)) == {"shop_properties": origin}


@pytest.mark.parametrize(
    ("before", "after", "origin"),
    [
        ("staging", "simulator", "simulator"),
        ("simulator", "staging", "this merchant"),
        ("simulator", "simulator", "this merchant"),
    ],
)
def test_what_is_described_nowhere_is_the_simulators_if_staging_is_without(
    build, before, after, origin
):
    old = added(build, build.cart()).assign(environment=before)
    new = added(build, build.cart() | {"x": 1}).assign(environment=after)
    drift = schema_drift(old, new)
    assert origins(drift) == {"x": origin}
    assert ("Only the simulator sends it." in drift["sentence"].iloc[0]) == (origin == "simulator")


def test_each_origin_is_one_of_those_that_are_named(build):
    seen = set(field_presence(build.events(build.recording()))["origin"])
    assert "documented" in seen
    assert seen <= set(ORIGINS)
