"""A change is said once, where it is, and in words; what means nothing is left out."""

from __future__ import annotations

import copy
from typing import Any
from unittest import mock

import pytest

from firmly_nb.carts.changes import ABSENT, changes, differences, label_of, labels, pair, summary
from firmly_nb.carts.schemas import CHANGES


def told(build: Any, before: Any, after: Any, **options: Any) -> list[tuple[Any, ...]]:
    return [tuple(each)[:4] for each in differences(before, after, **options)]


def test_an_order_in_words(build):
    lines = [build.line("MUG-BLUE-S", 1850, 2)]
    events = build.events(build.recording(lines, shipping=625, tax=374))
    found = changes(events)
    shipping = found[found["event"] == "shipping-updated"]
    assert summary(shipping[shipping["currency"].notna() & (shipping["kind"] == "changed")]) == (
        "shipping-updated: shipping 0.00 -> 6.25, tax 0.00 -> 3.74, total 37.00 -> 46.99"
    )
    first, second = summary(found).splitlines()
    assert first.startswith("shipping-updated: shipping method Ground, shipping 0.00 -> 6.25, tax")
    assert second == "order-placed: order 100004711, status active -> submitted"


def test_each_snapshot_is_compared_with_the_one_before_in_its_own_recording(build):
    found = changes(build.events(build.recording(), build.recording()))
    assert set(zip(found["seq_before"], found["seq_after"], strict=True)) == {(1, 2), (2, 3)}
    halves = [rows.drop(columns="recording_id") for _, rows in found.groupby("recording_id")]
    assert halves[0].reset_index(drop=True).equals(halves[1].reset_index(drop=True))


def test_events_out_of_order_are_put_in_order(build):
    events = build.events(build.recording())
    assert changes(events.iloc[::-1]).equals(changes(events))


def test_a_price_is_one_change_and_lines_are_found_wherever_they_stand(build):
    before = build.cart([build.line("A", number=1), build.line("B", number=2)])
    after = copy.deepcopy(before)
    after["line_items"].reverse()
    after["line_items"][0]["price"] = build.money(2300)
    assert told(build, before, after) == [("line_items[B].price", "changed", 2200, 2300)]


def test_a_line_added_and_a_line_removed(build):
    before, after = build.cart([build.line("A", number=1)]), build.cart([build.line("B", number=2)])
    after["shipments"] = before["shipments"]
    found = told(build, before, after)
    assert [(path, kind) for path, kind, *_ in found] == [
        ("line_items[A]", "removed"),
        ("line_items[B]", "added"),
    ]
    assert found[1][3]["sku"] == "B"


def test_lines_with_ids_made_anew_are_the_same_lines(build):
    before = build.cart([build.line("A", number=1), build.line("B", number=2)])
    after = build.cart([build.line("A", number=8), build.line("B", number=9)])
    after["shipments"][0]["shipment_id"] = "ship_2"
    assert told(build, before, after) == []
    loud = told(build, before, after, ignore_noise=False)
    assert ("line_items[B].line_item_id", "changed", "item_2", "item_9") in loud
    assert ("shipments[SHIP_TO_ADDRESS].shipment_id", "changed", "ship_1", "ship_2") in loud


def test_two_lines_of_one_name_are_told_apart(build):
    before = build.cart([build.line("A", number=1), build.line("A", number=2)])
    after = copy.deepcopy(before)
    after["line_items"][1]["quantity"] = 3
    after["line_items"].append(build.line("A", number=3))
    assert [path for path, *_ in told(build, before, after)] == [
        "line_items[A#2].quantity",
        "line_items[A#3]",
    ]


def test_signatures_of_urls_and_times_of_submission_are_noise(build):
    before = build.cart() | {"submitted_at": "2026-01-15T12:34:56Z", "coupons": []}
    after = copy.deepcopy(before) | {"submitted_at": "2026-01-15T12:34:57Z"}
    after["line_items"][0]["image"]["url"] = "https://cdn.example.test/tee.jpg?sig=2"
    del after["coupons"]
    assert told(build, before, after) == []
    assert len(told(build, before, after, ignore_noise=False)) == 3
    after["line_items"][0]["image"]["url"] = "https://cdn.example.test/other.jpg?sig=2"
    assert len(told(build, before, after)) == 1


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"currency": "USD", "value": 37.0}, {"currency": "USD", "number": 3700}, []),
        (
            {"currency": "JPY", "value": 37},
            {"currency": "JPY", "value": 38},
            [("x", "changed", 37, 38, "JPY")],
        ),
        (
            {"currency": "USD", "value": 37.0},
            {"currency": "EUR", "value": 37.0},
            [("x", "changed", "37.00 USD", "37.00 EUR", None)],
        ),
        (None, {"currency": "USD", "value": 1.5}, [("x", "added", None, 150, "USD")]),
        ({"currency": "USD", "value": 1.5}, None, [("x", "removed", 150, None, "USD")]),
        (
            {"currency": "USD", "value": "free"},
            {"currency": "USD", "value": "FREE"},
            [("x.value", "changed", "free", "FREE", None)],
        ),
        (float("nan"), float("nan"), []),
        (float("nan"), 1, [("x", "changed", mock.ANY, 1, None)]),
        (1, float("nan"), [("x", "changed", 1, mock.ANY, None)]),
        ({"a": [1]}, [1], [("x", "changed", {"a": [1]}, [1], None)]),
        ([1, 2, 2], [2, 1], [("x[2#2]", "removed", 2, None, None)]),
        ([{"q": 1}], [{"q": 2}], [("x[1].q", "changed", 1, 2, None)]),
    ],
)
def test_one_value_against_another(before, after, expected):
    assert [tuple(each) for each in differences({"x": before}, {"x": after})] == expected


def test_pairs_lose_no_element_and_use_none_twice():
    before = [{"id": 1}, {"sku": "A"}, "x", ["deep"], None, {"sku": "A"}, {}]
    after = [["deeper"], {"sku": "A"}, "x", "x", {"id": 2}, {}]
    pairs = pair(before, after)
    names = [label for label, _, _ in pairs]
    assert len(set(names)) == len(names)
    assert sum("ABSENT" not in repr(old) for _, old, _ in pairs) == len(before)
    assert sum("ABSENT" not in repr(new) for _, _, new in pairs) == len(after)


def test_one_snapshot_or_none_has_no_changes(build):
    for events in (build.events(), build.events(build.recording()[:2])):
        found = changes(events)
        assert found.empty
        assert found.dtypes.equals(CHANGES.empty().dtypes)
        assert summary(found) == "no changes"


def test_a_thousand_levels_are_compared_level_by_level():
    def deep(bottom: int) -> Any:
        node: Any = bottom
        for _ in range(1500):
            node = {"a": [node]}
        return node

    gone, come = differences(deep(1), deep(2))
    assert (gone.kind, gone.before, come.kind, come.after) == ("removed", 1, "added", 2)
    assert gone.path.startswith("a[1].a[1].a[1]")


def test_five_thousand_lines_are_compared(build):
    before = build.cart([build.line(f"S-{n}", number=n) for n in range(5000)])
    after = copy.deepcopy(before)
    after["line_items"][4321]["quantity"] = 2
    assert [d.path for d in differences(before, after)] == ["line_items[S-4321].quantity"]


def test_words_shorten_what_is_long_and_count_the_rest(build):
    before = {"cart_id": "c", "line_items": []}
    after = before | {f"field_{n}": "x" * 100 for n in range(12)}
    events = build.events([("item-added", {"cart": before}), ("order-placed", {"order": after})])
    text = summary(changes(events), most=2)
    assert text.endswith("and 10 more")
    assert "x" * 39 + "…" in text


LINE_NAMES = ("sku", "id", "variant_id", "base_sku", "description", "line_item_id")
OTHER_NAMES = ("sku", "id", "code", "type", "name", "date", "addon_id", "description")


@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize("first", range(len(LINE_NAMES)))
def test_a_line_is_called_by_the_first_name_it_has(first, nothing):
    line = {name: f"its {name}" for name in reversed(LINE_NAMES[first:])}
    nameless = dict.fromkeys(LINE_NAMES[:first], nothing)
    assert label_of(line | nameless, "line_items") == f"its {LINE_NAMES[first]}"


@pytest.mark.parametrize("first", range(len(OTHER_NAMES) + 1))
def test_an_element_of_another_list_is_called_by_the_first_name_it_has(first):
    names = (*OTHER_NAMES, "shipment_id")
    element = {name: f"its {name}" for name in reversed(names[first:])}
    for field in ("", "coupons"):
        assert label_of(element, field) == f"its {names[first]}"


@pytest.mark.parametrize(
    ("shipment", "label"),
    [
        ({"fulfillment_type": {"id": "PICKUP"}, "shipment_id": "s"}, "PICKUP"),
        ({"fulfillment_type": "PICKUP", "shipment_id": "s"}, "PICKUP"),
        ({"fulfillment_type": {"id": ""}, "shipment_id": "s"}, "s"),
        ({"fulfillment_type": {"id": 7}, "shipment_id": "s"}, "s"),
        ({"fulfillment_type": "", "shipment_id": "s"}, "s"),
        ({"fulfillment_type": None, "shipment_id": "s"}, "s"),
        ({"shipment_id": "s"}, "s"),
        ({}, ""),
    ],
)
def test_a_shipment_is_called_by_the_way_it_goes(shipment, label):
    assert label_of(shipment, "shipments") == label


@pytest.mark.parametrize(
    ("element", "label"),
    [
        ("TEN", "TEN"),
        (7, "7"),
        (0, "0"),
        ({"sku": 0}, "0"),
        ({"sku": 1.5, "id": "A"}, "A"),
        ({"sku": ["A"]}, ""),
        (["A"], ""),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "\u2026"),
        ("a\nb", "a b"),
        (2**64 - 1, str(2**64 - 1)),
        (2**64, "a huge number"),
        (-(2**64), "a huge number"),
        ("M\u00fctze", "M\u00fctze"),
        ("\ud800", "?"),
    ],
)
def test_a_label_is_short_and_of_one_line(element, label):
    assert label_of(element) == label


def test_what_has_no_name_is_called_by_its_place_and_a_name_is_given_once():
    elements = [{}, {"sku": "A"}, ["x"], {"sku": "A"}, {"sku": "A"}, {}]
    assert labels(elements, "line_items") == ["1", "A", "3", "A#2", "A#3", "6"]


def test_each_pair_has_the_label_of_the_element_before_or_of_the_new_one():
    """Labels of what came new go on counting where those before ended."""
    before = [{"q": 1}, {"sku": "A", "line_item_id": 1}, {"sku": "B"}, {"sku": "A"}]
    after = [
        {"sku": "C"},
        {"sku": "Z", "line_item_id": 1},
        {"sku": "A"},
        {"sku": "A"},
        ["new"],
        {"q": 2},
    ]
    assert pair(before, after, "line_items") == [
        ("1", before[0], after[5]),
        ("A", before[1], after[1]),
        ("B", before[2], ABSENT),
        ("A#2", before[3], after[2]),
        ("C", ABSENT, after[0]),
        ("A#3", ABSENT, after[3]),
        ("5", ABSENT, after[4]),
    ]


@pytest.mark.parametrize(
    "name", ["line_item_id", "shipment_id", "addon_id", "slot_id", "window_id", "id", "code"]
)
@pytest.mark.parametrize("ids", [("x", "y"), (0, 1), (2**64 - 1, 2**64 - 2)])
def test_an_identity_counts_more_than_a_name_or_a_place(name, ids):
    one, other = ids
    before = [{"sku": "A", name: one}, {"sku": "B", name: other}]
    after = [{"sku": "A", name: other}, {"sku": "B", name: one}]
    assert pair(before, after) == [("A", before[0], after[1]), ("B", before[1], after[0])]


@pytest.mark.parametrize("identity", ["", None, 1.5, [1], 2**64])
def test_what_cannot_be_an_identity_leaves_it_to_the_names(identity):
    before = [{"sku": "A", "line_item_id": identity}, {"sku": "B", "line_item_id": identity}]
    after = before[::-1]
    assert pair(before, after) == [("A", before[0], after[1]), ("B", before[1], after[0])]


def test_an_identity_is_of_one_kind_and_one_type():
    before = [{"sku": "A", "id": 1}, {"sku": "B", "code": "x"}]
    after = [{"sku": "C", "id": "1"}, {"sku": "D", "id": "x"}]
    assert [old is not ABSENT and new is not ABSENT for _, old, new in pair(before, after)] == [
        False
    ] * 4


def test_of_elements_that_are_alike_the_first_is_the_first():
    before = [{"sku": "A", "n": 1}, {"sku": "A", "n": 2}, [1], [2], {"n": 3}, {"n": 4}, "x", "x"]
    after = [["a"], {"n": 5}, {"sku": "A", "n": 6}, ["b"], {"n": 7}, {"sku": "A", "n": 8}, "x"]
    assert [(old, new) for _, old, new in pair(before, after)] == [
        (before[0], after[2]),
        (before[1], after[5]),
        ([1], ["a"]),
        ([2], ["b"]),
        ({"n": 3}, {"n": 5}),
        ({"n": 4}, {"n": 7}),
        ("x", "x"),
        ("x", ABSENT),
    ]


GENERATED = ("line_item_id", "platform_line_item_id", "shipment_id", "submitted_at", "handle",
             "payment_handle", "session", "symbol")  # fmt: skip


@pytest.mark.parametrize("field", GENERATED)
def test_what_is_made_anew_for_each_answer_is_noise_wherever_it_stands(build, field):
    before, after = ({"x": [{"sku": "A", field: value}], field: value} for value in ("p", "q"))
    assert told(build, before, after) == []
    assert told(build, before, {"x": [{"sku": "A"}]}) == []
    loud = told(build, {field: "p"}, {field: "q"}, ignore_noise=False)
    assert loud == [(field, "changed", "p", "q")]
    assert told(build, {f"my_{field}": "p"}, {f"my_{field}": "q"}) != []


@pytest.mark.parametrize(
    "field",
    ["line_item_ids", "applicable_line_items", "eligible_line_item_ids", "selected_line_item_ids",
     "deselected_line_item_ids"],
)  # fmt: skip
def test_lists_of_lines_are_compared_by_the_lines_they_mean(build, field):
    def cart(ids: str, *listed: Any) -> Any:
        lines = [{"line_item_id": ids[0], "sku": "A"}, {"line_item_id": ids[1], "sku": "B"}]
        return {"line_items": lines, "x": {field: list(listed)}}

    assert told(build, cart("12", "1", "2", 7, "gone"), cart("89", "8", "9", 7, "gone")) == []
    assert told(build, cart("12", "1"), cart("89", "9")) == [
        (f"x.{field}[A]", "removed", "A", None),
        (f"x.{field}[B]", "added", None, "B"),
    ]
    loud = told(build, cart("12", "1"), cart("89", "8"), ignore_noise=False)
    assert (f"x.{field}[1]", "removed", "1", None) in loud


def test_other_lists_of_texts_are_compared_as_they_are(build):
    def cart(line_id: str) -> Any:
        return {"line_items": [{"line_item_id": line_id, "sku": "A"}], "coupons": [line_id]}

    assert [each[:2] for each in told(build, cart("1"), cart("2"))] == [
        ("coupons[1]", "removed"),
        ("coupons[2]", "added"),
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("end", ["", "?sig=1", "#top", "?sig=1#top", "?", "#", "?a=b?c"])
def test_of_a_url_only_what_is_before_its_query_counts(build, scheme, end):
    url = f"{scheme}://cdn.test/tee.jpg"
    assert told(build, {"x": url}, {"x": url + end}) == []
    assert len(told(build, {"x": url}, {"x": f"{url}x{end}"})) == 1
    loud = told(build, {"x": url}, {"x": url + end}, ignore_noise=False)
    assert len(loud) == bool(end)


@pytest.mark.parametrize("text", ["ftp://x", "see https://x", "x", "httpsx://x", "https:/x"])
def test_what_is_no_url_of_the_web_is_compared_whole(build, text):
    assert told(build, {"x": f"{text}?1"}, {"x": f"{text}?2"}) == [
        ("x", "changed", f"{text}?1", f"{text}?2")
    ]


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_an_empty_field_is_as_if_it_were_not_there(build, nothing):
    for other in (None, "", [], {}):
        assert told(build, {"a": 1, "x": nothing}, {"a": 1, "x": other}) == []
    assert told(build, {"a": 1, "x": nothing}, {"a": 1}) == []
    assert told(build, {"a": 1}, {"a": 1, "x": nothing}) == []
    assert told(build, {"x": nothing}, {"x": 0}) == [("x", "added", None, 0)]
    assert told(build, {"x": False}, {"x": nothing}) == [("x", "removed", False, None)]
    assert len(told(build, {}, {"x": nothing}, ignore_noise=False)) == 1


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # Two ways to write one amount are no change; its words in another field are.
        (
            {"currency": "USD", "number": 100, "value": 1},
            {"currency": "USD", "value": "1.00"},
            [],
        ),
        # One that contradicts itself is no amount.
        (
            {"currency": "USD", "number": 100, "value": 1},
            {"currency": "USD", "number": 100, "value": 2},
            [("x.value", "changed", 1, 2, None)],
        ),
        (
            {"currency": "JPY", "number": 1100},
            {"currency": "KWD", "number": 1100},
            [("x", "changed", "1\u202f100 JPY", "1.100 KWD", None)],
        ),
        ({"currency": "USD", "number": 0}, None, [("x", "removed", 0, None, "USD")]),
        # One that has no currency or cannot be read is an object like any other.
        ({"number": 1}, {"number": 2}, [("x.number", "changed", 1, 2, None)]),
        (
            {"currency": "USD", "number": 1},
            {"currency": "USD"},
            [("x.number", "removed", 1, None, None)],
        ),
        ({"currency": "USD", "number": 1}, 1, [("x", "changed", mock.ANY, 1, None)]),
        ({"currency": 7, "number": 1}, {"currency": 7, "number": 2}, [mock.ANY]),
    ],
)
def test_an_amount_is_one_value(before, after, expected):
    assert [tuple(each) for each in differences({"x": before}, {"x": after})] == expected


def test_fields_come_in_the_order_of_the_cart_and_new_ones_last(build):
    before = {"c": 1, "a": {"z": 1, "y": 1}, "b": [{"id": 2, "q": 1}, {"id": 1, "q": 1}]}
    after = {"n": 1, "b": [{"id": 1, "q": 2}, {"id": 2, "q": 2}], "a": {"y": 2, "z": 2}, "c": 2}
    assert [path for path, *_ in told(build, before, after)] == [
        "c",
        "a.z",
        "a.y",
        "b[2].q",
        "b[1].q",
        "n",
    ]
