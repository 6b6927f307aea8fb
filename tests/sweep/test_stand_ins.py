"""What a sweep orders at a merchant that a grid names without items: found, said, kept."""

from dataclasses import asdict

import pytest

import firmly_nb as fnb
from firmly_nb.sweep.plan import StandIn, _found, settled

ORDER = fnb.Order.example()
BROOK = "brook.example.test"
HERE = {"progress": False, "isolated": False}  # a recorder's own process is 0.2 s, and no matter
GRID = {"domain": [ORDER.domain, BROOK], "quantity": [1, 5]}
FOUND = f"{BROOK} does not sell WS12-XS-Orange: the first of its catalogue is ordered there, "


def test_a_second_merchant_needs_no_more_than_its_name(lab):
    recs = lab.sweep(fnb.grid(ORDER, **GRID), count=8, concurrency=2, seed=1, **HERE)
    orders = recs.orders
    assert set(orders["outcome"]) == {"placed"}
    ordered = {
        (row.domain, row.quantity, row.tags["items"], row.tags["quantity"])
        for row in orders.itertuples()
    }
    assert ordered == {
        (ORDER.domain, 1, "WS12-XS-Orange", "1"),
        (ORDER.domain, 5, "WS12-XS-Orange", "5"),
        (BROOK, 1, "BR00-Sand", "1"),
        (BROOK, 5, "BR00-Sand", "5"),
    }
    there = recs.line_items[recs.line_items["variant_id"] == "BR00-Sand"]
    assert set(there["recording_id"]) == set(orders.loc[orders["domain"] == BROOK, "recording_id"])
    said = f"{FOUND}BR00-Sand (Stoneware Mug)"
    assert recs.warnings == [said]
    assert lab.last_sweep.progress.notes == (said,)
    assert said in lab.last_sweep._repr_html_()


def test_what_was_found_is_ordered_again_when_it_is_resumed(lab, monkeypatch):
    grid = fnb.grid(ORDER, **GRID)
    lab.sweep(grid, count=4, run_id="two-shops", **HERE)

    async def no_catalogue(*_, **__):
        raise AssertionError("the catalogue is not asked again")

    client = lab._bench.client()
    monkeypatch.setattr(client, "products", no_catalogue)
    monkeypatch.setattr(client, "product", no_catalogue)
    recs = lab.sweep(grid, resume="two-shops", count=8, **HERE)
    assert [rec.outcome for rec in recs] == ["placed"] * 8
    assert {rec.tags["items"] for rec in recs.where(domain=BROOK)} == {"BR00-Sand"}
    assert recs.warnings == [f"{FOUND}BR00-Sand (Stoneware Mug)"]


def test_what_a_generator_brings_is_looked_up_when_it_comes(lab):
    recs = lab.sweep(iter(fnb.grid(ORDER, **GRID)), **HERE, run_id="as-they-come")
    assert set(recs.orders["outcome"]) == {"placed"}
    assert {rec.tags["items"] for rec in recs.where(domain=BROOK)} == {"BR00-Sand"}
    assert recs.warnings == [f"{FOUND}BR00-Sand (Stoneware Mug)"]


def test_a_merchant_that_sells_the_same_is_ordered_the_same_from(lab):
    grid = fnb.grid(ORDER, domain=["closed.luma.gift"])
    recs = lab.sweep(grid, **HERE)
    assert recs[0].tags["items"] == "WS12-XS-Orange"
    assert recs.warnings == ["closed.luma.gift sells WS12-XS-Orange"]


def test_as_many_lines_and_pieces_are_ordered_as_the_order_has(lab):
    lines = [
        fnb.Item(variant_id=f"WS12-{size}-Blue", quantity=n) for n, size in [(2, "S"), (3, "M")]
    ]
    grid = fnb.grid(fnb.Order.example(items=lines), domain=[BROOK])
    recs = lab.sweep(grid, **HERE)
    [order] = recs.orders.itertuples()
    assert (order.n_items, order.quantity, order.outcome) == (2, 5, "placed")
    assert order.tags["items"] == "BR00-Sand + BR01-Sand"
    assert "BR00-Sand (Stoneware Mug) and BR01-Sand (Serving Bowl)" in recs.warnings[0]
    assert recs.warnings[0].startswith(f"whether {BROOK} sells WS12-S-Blue and WS12-M-Blue is not")


def test_where_nothing_can_be_found_nothing_is_sent(lab):
    many = [fnb.Item(variant_id=f"MH07-{size}-Red") for size in ("XS", "S", "M", "L", "XL")] * 4
    grid = fnb.grid(fnb.Order.example(items=many), domain=[ORDER.domain, BROOK])
    with pytest.raises(ValueError, match=rf"was found at {BROOK}\..*pass items="):
        lab.sweep(grid, **HERE)
    assert not list(lab.journal.glob("*/*.jsonl"))


def test_a_merchant_that_may_not_be_ordered_from_is_not_even_asked(lab, monkeypatch):
    monkeypatch.setattr(lab._bench, "client", lambda: pytest.fail("nobody is asked"))
    grid = fnb.grid(ORDER, domain=["shop.example.com"])
    with pytest.raises(fnb.GuardError, match=r"shop\.example\.com"):
        lab.sweep(grid, **HERE)


def test_a_merchant_that_a_generator_brings_is_not_asked_either_if_it_may_not_be(lab, monkeypatch):
    asked = []
    monkeypatch.setattr(lab._bench.client(), "product", lambda *given: asked.append(given))
    with pytest.raises(fnb.GuardError, match=r"shop\.example\.com"):
        lab.sweep(iter(fnb.grid(ORDER, domain=["shop.example.com"])), **HERE)
    assert asked == []


@pytest.mark.parametrize(
    "variant",
    [
        None,
        "WS12",
        {},
        {"add_to_cart_ref": None},
        {"add_to_cart_ref": {"variant_id": ""}},
        {"add_to_cart_ref": {"variant_id": ["a"]}},
        {"add_to_cart_ref": {"variant_id": "a", "variant_handles": {"a": 1}}},
        {"add_to_cart_ref": {"variant_id": "a"}, "available": False},
    ],
)
def test_what_cannot_be_ordered_is_passed_over(variant):
    assert _found({"title": "A"}, variant) is None


def test_what_a_catalogue_says_cannot_write_to_the_terminal():
    found = _found(
        {"title": "\x1b[2J Mug\n" + "x" * 500}, {"add_to_cart_ref": {"variant_id": "a\x1b"}}
    )
    assert found.named.isprintable()
    assert len(found.named) < 100


def test_what_was_written_down_is_read_back():
    [variant] = fnb.grid(ORDER, domain=[BROOK])
    items = ({"variant_id": "BR00-Sand", "product_id": None, "variant_handles": None},)
    one = StandIn(BROOK, ("WS12-XS-Orange",), items, "found")
    assert StandIn.read(asdict(one)) == one
    assert settled(variant, [one]).order.items == (fnb.Item(variant_id="BR00-Sand"),)
    other = StandIn("fern.example.test", ("WS12-XS-Orange",), items, "found")
    assert settled(variant, [other]) is variant
