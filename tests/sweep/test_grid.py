"""A grid: every combination, each tagged, and clear words for what cannot be varied."""

import pytest

import firmly_nb as fnb

ORDER = fnb.Order.example()
MUG = fnb.Item(variant_id="mug-1")


def test_every_combination_is_there_once_with_its_tags():
    grid = fnb.grid(ORDER, quantity=[1, 5], sse=[True, False], timeout_s=[30])
    assert len(grid) == 4
    assert len({tuple(v.tags.items()) for v in grid}) == 4
    for variant in grid:
        assert variant.order.quantity == int(variant.tags["quantity"])
        assert str(variant.options["sse"]) == variant.tags["sse"]
        assert variant.options["timeout_s"] == 30


def test_other_merchants_sell_other_items():
    grid = fnb.grid(
        ORDER,
        domain=[ORDER.domain, "brook.example.test"],
        items={"brook.example.test": MUG},
        quantity=[1, 3],
    )
    found = {(v.order.domain, v.order.items[0].variant_id, v.order.quantity) for v in grid}
    assert found == {
        (ORDER.domain, ORDER.items[0].variant_id, 1),
        (ORDER.domain, ORDER.items[0].variant_id, 3),
        ("brook.example.test", "mug-1", 1),
        ("brook.example.test", "mug-1", 3),
    }
    assert all(v.tags["items"] == v.order.items[0].variant_id for v in grid)
    assert not any(v.find_items for v in grid)


def test_what_to_order_at_another_merchant_may_be_left_to_the_sweep_and_the_grid_says_so():
    grid = fnb.grid(ORDER, domain=[ORDER.domain, "brook.example.test"], quantity=[1, 5])
    assert {v.order.domain for v in grid if v.find_items} == {"brook.example.test"}
    assert "what to order at brook.example.test is looked up when a sweep begins" in repr(grid)


def test_items_that_are_named_are_ordered_everywhere():
    grid = fnb.grid(ORDER, domain=[ORDER.domain, "brook.example.test"], items=[MUG])
    assert {v.order.items[0].variant_id for v in grid} == {"mug-1"}
    assert not any(v.find_items for v in grid)


def test_values_may_have_names_of_their_own():
    fast, slow = {"x-sim-profile": "calm"}, {"x-sim-profile": "slow-shipping"}
    grid = fnb.grid(ORDER, headers={"before": fast, "after": slow})
    assert [v.tags for v in grid] == [{"headers": "before"}, {"headers": "after"}]
    assert [v.options["headers"] for v in grid] == [fast, slow]


def test_a_header_is_no_label_unless_it_is_the_simulators():
    grid = fnb.grid(ORDER, headers=[{"x-sim-fault": "stall"}, {"x-token": "hush"}])
    assert [v.tags["headers"] for v in grid] == ["stall", "none"]
    assert "hush" not in repr(grid) + repr(list(grid))


def test_cards_are_named_and_never_shown():
    grid = fnb.grid(ORDER, card=["visa", "mastercard"])
    assert [v.tags["card"] for v in grid] == ["visa", "mastercard"]
    assert grid[1].card == fnb.Card.test("mastercard")
    assert "4111111111111111" not in repr(grid) + repr(list(grid))


def test_two_values_without_a_short_name_are_numbered():
    homes = [fnb.Address.example(address1=street) for street in ("1 A St", "2 B St")]
    grid = fnb.grid(ORDER, shipping_info=homes)
    assert [v.tags["shipping_info"] for v in grid] == ["1", "2"]
    assert [v.order.shipping_info for v in grid] == homes


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"colour": ["red"]}, r"^Unknown axis 'colour' for grid\(\)\. Use domain, items"),
        ({"quantity": 5}, r"must be a list of values, got int\. Example: quantity="),
        ({"domain": "a.test"}, "must be a list of values"),
        ({"quantity": []}, r"quantity of grid\(\) must have at least one value"),
        ({"quantity": [0]}, r"quantity 0: items\[0\]\.quantity|quantity 0: quantity"),
        ({"card": ["mine"]}, "Unknown test card 'mine'"),
    ],
)
def test_what_cannot_be_varied_is_said(axes, words):
    with pytest.raises(ValueError, match=words):
        fnb.grid(ORDER, **axes)


def test_only_orders_are_varied():
    with pytest.raises(TypeError, match=r"order must be a fnb.Order, got str"):
        fnb.grid("order", quantity=[1])
