"""The public face: what is named, that it is there, and that nothing else is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import firmly_nb as fnb

# design.md, section 7. A name that is here is kept; new ones are added here when they are made.
KEPT = {
    "Address",
    "Budget",
    "Card",
    "CartView",
    "FirmlyError",
    "GuardError",
    "InvalidOrder",
    "Item",
    "Lab",
    "Order",
    "OrderForm",
    "Recording",
    "Recordings",
    "Sweep",
    "SweepPanel",
    "Timeline",
    "allow_nested_loops",
    "connect",
    "grid",
    "load",
    "report",
}
LAB = {
    "place", "place_async", "session", "session_async", "public_key", "public_key_async",
    "products", "products_async", "search", "search_async", "cart", "cart_async", "close", "last",
    "sweep", "sweep_async", "start_sweep", "last_sweep",
}  # fmt: skip
RECORDING = {
    "outcome", "order_number", "error", "events", "stages", "orders", "waterfall", "warnings",
}  # fmt: skip


def type_checked_names():
    tree = ast.parse(Path(fnb.__file__).read_text())
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    found = [node for block in guarded for node in ast.walk(block)]
    return {a.name for n in found if isinstance(n, ast.ImportFrom) for a in n.names}


def test_what_was_promised_is_there():
    assert set(fnb.__all__) >= KEPT


def test_the_list_is_sorted_and_says_each_name_once():
    assert fnb.__all__ == sorted(set(fnb.__all__))


def test_all_places_name_the_same():
    assert set(fnb.__all__) == set(fnb._HOMES) == type_checked_names()
    assert set(fnb.__all__) <= set(dir(fnb))


@pytest.mark.parametrize("name", fnb.__all__)
def test_each_name_can_be_used_and_is_described(name):
    assert getattr(fnb, name).__doc__


def test_the_tour_names_everything():
    for name in fnb.__all__:
        assert name in fnb.__doc__, name


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        fnb.nothing  # noqa: B018


@pytest.mark.parametrize(("kind", "names"), [("Lab", LAB), ("Recording", RECORDING)])
def test_what_an_analyst_holds_has_its_verbs(kind, names):
    held = getattr(fnb, kind)
    assert names <= set(dir(held)) | set(held.__init__.__code__.co_names)


@pytest.mark.parametrize("name", ["events", "orders", "stages", "where"])
def test_many_recordings_have_the_tables_of_one(name):
    assert hasattr(fnb.Recordings, name)
