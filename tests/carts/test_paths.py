"""A path says where something is in a cart: of one place only, and it can be read back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmly_nb.carts.changes import differences, labels, path_in_words
from firmly_nb.carts.checked import amounts_in, checked_carts, path_of
from firmly_nb.carts.drift import field_presence, schema_drift
from firmly_nb.carts.fields import Rows
from firmly_nb.carts.paths import Step, below, joined, read_path, split_last
from firmly_nb.carts.report import checks
from firmly_nb.display.text import printable

ODD = [
    "",
    " ",
    "  ",
    ".",
    "a.b",
    "a",
    "A#2",
    "[",
    "]",
    "[]",
    "{}",
    "]",
    '"',
    "'",
    "\\",
    "\n",
    "\u202e",
]
ODD += ["\ud800", "\\ud800", "?", '[""]', "4", "\U000e0001", "\xa0", "größe", "it's", "a  b", "\\"]
names = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=()), max_size=5)
kinds = st.sampled_from(["field", "element"])
steps = st.builds(Step, kinds, names) | st.sampled_from([Step("any element"), Step("any field")])
short_names = st.sampled_from(ODD) | st.text("ab.[]{}\"'\\ #2", max_size=3)


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=4)
            | st.dictionaries(short_names, inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    )


def carts(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = short_names | st.sampled_from(["line_items", "shipments"])
    return st.dictionaries(fields, trees(leaf), max_size=3)


def at(node: Any, path: str) -> Any:
    """Go where a path leads."""
    field = ""
    for step in read_path(path):
        if step.kind == "field":
            node, field = node[step.name], step.name
        else:
            node, field = node[labels(node, field).index(step.name)], ""
    return node


def leaves(node: Any) -> int:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    return 1 if inner is None else sum(map(leaves, inner))


@given(st.lists(steps, max_size=6))
def test_a_path_is_read_back_as_it_was_written(way):
    path = below("", *way)
    assert read_path(path) == way
    path.encode()  # it can be stored
    assert printable(path, 10**6) == path
    path_in_words(path).encode()


@given(st.lists(steps, max_size=4), st.lists(steps, max_size=4))
def test_a_path_can_be_taken_apart_and_put_together(way, more):
    assert joined(below("", *way), below("", *more)) == below("", *way, *more)
    if way:
        assert split_last(below("", *way)) == (below("", *way[:-1]), way[-1])


@pytest.mark.parametrize(
    ("way", "path"),
    [
        (
            ["line_items", Step("element", "WS12-XS-Orange"), "price"],
            "line_items[WS12-XS-Orange].price",
        ),
        (["shipments", Step("element", "Men's Tee, 5\" #2")], "shipments[Men's Tee, 5\" #2]"),
        (["größe", "_x1"], "größe._x1"),
        (["", ""], '[""][""]'),
        (["a", "b.c", "d"], 'a["b.c"].d'),
        (["a", "gift-wrap"], 'a["gift-wrap"]'),
        (["a", 'say "\\"'], 'a["say \\"\\\\\\""]'),
        (["a", Step("element", "b]")], "a['b]']"),
        (["a", Step("element", "'b'")], "a['\\'b\\'']"),
        (["a", Step("element", "b  c\u202e")], "a['b \\u0020c\\u202e']"),
        (["line_items", Step("any element"), Step("any field"), "id"], "line_items[]{}.id"),
    ],
)
def test_ordinary_paths_are_plain_and_odd_names_are_quoted(way, path):
    assert below("", *way) == path


@pytest.mark.parametrize(
    "text", [".a", "a.", "a..b", "a[b", "a]b", "a[b]c", 'a["b]', "a.[b]", "a b[c[d]]"]
)
def test_what_is_no_path_says_so(text):
    with pytest.raises(ValueError, match="Not a path of a cart"):
        read_path(text)


def test_the_path_of_the_cart_itself_has_no_last_step():
    with pytest.raises(ValueError, match="no last step"):
        split_last("")


@given(carts(st.sampled_from(["x", 1, None, True])))
@example({"": {"": None}})
@example({"a": {"b": 1}, "a.b": 2, "a[b]": 3})
@example({"a": ["A", "A#2", "A", "A"]})
@example({"a": [{}, "1", [1], [2], "3"]})
@example(dict(zip(["\ud800", "\ud801", "?"], "abc", strict=True)))
def test_two_places_of_a_cart_never_have_one_path(cart):
    # Against a cart of the same form each leaf is a difference of its own.
    def changed(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: changed(each) for key, each in node.items()}
        return [changed(each) for each in node] if isinstance(node, list) else "another value"

    def told(before: Any, after: Any) -> list[Any]:
        return differences(before, after, ignore_noise=False)

    found = told(cart, changed(cart))
    paths = [each.path for each in found]
    assert len(set(paths)) == len(paths) >= leaves(cart)
    for each in found:
        if each.kind != "added":
            assert at(cart, each.path) is each.before


moneys = st.builds(lambda number: {"currency": "USD", "number": number}, st.integers(0, 9))


@given(carts(moneys | st.none()))
@example({"x": [{"sku": "A", "price": {"currency": "USD", "number": 1}}] * 3})
def test_two_amounts_of_a_cart_never_have_one_path(cart):
    paths = {path_of(cart, keys): money for keys, money in amounts_in(cart)}
    assert len(paths) == len(list(amounts_in(cart)))
    for path, money in paths.items():
        assert at(cart, path) == money


@given(
    st.lists(
        st.sampled_from(["A", "A#2", "A#2#2", "A#3", "1", "2", 2, None, "\ud800", "?"])
        | st.text(max_size=2)
    )
)
def test_no_two_elements_of_a_list_have_one_name(elements):
    found = labels([{"id": each} for each in elements])
    assert len(set(found)) == len(elements)


@given(carts(st.none()), st.data())
def test_what_vanishes_is_told_of_its_path(build, cart, data):
    def one(of: Any) -> Any:
        return build.events([("item-added", {"cart": of})])

    whole = {"cart_id": "c", "extra": {"inner": cart}}
    fields = [path for path in field_presence(one(whole))["path"] if "inner" in path]
    for path in fields:
        assert read_path(path)[:2] == [Step("field", "extra"), Step("field", "inner")]
    if cart:
        gone = data.draw(st.sampled_from(sorted(cart)))
        left = {"cart_id": "c", "extra": {"inner": {k: v for k, v in cart.items() if k != gone}}}
        drift = schema_drift(one(whole), one(left))
        path = below("extra", "inner", gone)
        assert (path, "vanished") in zip(drift["path"], drift["change"], strict=True)


@given(
    st.dictionaries(short_names | st.just("image.x"), st.none() | st.just(1), max_size=3),
    st.dictionaries(short_names | st.just("x"), st.just(2), max_size=3),
)
def test_no_field_of_others_hides_another(outer, inner):
    rows = Rows([{**outer, "image": inner}], ("image",))
    rows.nested("image", ())
    (found,) = rows.other()
    assert len(found or {}) == len({**outer, "image": 0}) - 1 + len(inner)
    for path, value in (found or {}).items():
        assert at({**outer, "image": inner}, path) == value


def test_lines_of_one_name_have_paths_of_their_own_in_findings(build):
    lines = [build.line("A", number=n) | {"quantity": 0} for n in (1, 2)]
    lines += [build.line("A#2", number=3) | {"quantity": 0}]
    events = build.events([("item-added", {"cart": build.cart(lines)})])
    (view,) = checked_carts(events)
    paths = [line.path for line in view.lines]
    assert paths == ["line_items[A]", "line_items[A#2]", "line_items[A#2#2]"]
    found = checks(events).query("check == 'quantity'")
    assert found["path"].tolist() == [f"{path}.quantity" for path in paths]
