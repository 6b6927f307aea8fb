"""What variants cost from order to order, and how the carts of two orders differ."""

from __future__ import annotations

import pytest

import firmly_nb as fnb

ORDER = fnb.Order.example()
RAISED = {"x-sim-fault": "cart-price-change"}


def test_a_price_has_a_row_for_each_order_and_says_what_changed(lab):
    recs = fnb.Recordings(
        [lab.place(ORDER, progress=False), lab.place(ORDER, progress=False, headers=RAISED)]
    )
    table = recs.prices()
    assert table["price_minor"].diff().dropna().tolist() == table["change_minor"].dropna().tolist()
    assert table["recording_id"].nunique() == 2
    (said,) = table["sentence"].dropna()
    assert said.startswith("WS12-XS-Orange at staging.luma.gift costs ")
    assert "it was 22.00 USD" in said


def test_merchants_and_variants_are_told_apart(lab):
    others = [fnb.Order.example(items=[fnb.Item(variant_id="MH07-XS-Gray")]), ORDER]
    others.append(
        fnb.Order.example(domain="brook.example.test", items=[fnb.Item(variant_id="BR00-Sand")])
    )
    table = fnb.Recordings([lab.place(one, progress=False) for one in others]).prices()
    assert len(table) == 3
    assert table["before_minor"].isna().all()


def test_two_orders_of_the_same_have_the_same_cart(lab):
    a, b = (lab.place(ORDER, progress=False) for _ in range(2))
    assert a.compare_cart(b).empty


def test_lines_prices_taxes_and_shipping_of_two_orders_are_compared(lab):
    a = lab.place(ORDER, progress=False)
    two = fnb.Order.example(items=[fnb.Item(variant_id="WS12-XS-Orange", quantity=2)])
    b = lab.place(two, progress=False)
    paths = a.compare_cart(b).set_index("path")
    line = "line_items[WS12-XS-Orange]"
    assert paths.loc[f"{line}.quantity", ["before", "after"]].tolist() == [1, 2]
    assert paths.loc["sub_total", ["before", "after"]].tolist() == [2200, 4400]
    assert "tax_total" in paths.index
    assert not {"cart_id", "platform_order_number"} & set(paths.index)


def test_only_recordings_with_carts_are_compared(lab):
    a = lab.place(ORDER, progress=False)
    none = lab.place(ORDER, progress=False, headers={"x-sim-fault": "bad-gateway"})
    with pytest.raises(LookupError, match="FNB301"):
        a.compare_cart(none)
    with pytest.raises(TypeError, match=r"other must be a fnb\.Recording, got str"):
        a.compare_cart("runs/monday")
