"""JSON for the page: exact where it is small, bounded and honest about it where it is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.display.text import count
from firmly_nb.widgets.cart_view import (
    DEEPEST,
    LONGEST_TEXT,
    MARKS,
    MOST_BYTES,
    NOTE,
    NUMBER,
    TEXT,
    event_json,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def unmarked(value):
    if isinstance(value, dict):
        return {unmarked(key): unmarked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [unmarked(each) for each in value]
    if isinstance(value, str) and value.startswith(TEXT):
        return value[1:]
    return value


@given(values)
def test_what_is_small_arrives_whole(value):
    text, left_out = event_json(value)
    assert left_out == ""
    assert unmarked(json.loads(text)) == value


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        (22, 22),
        (0.5, 0.5),
        (22.0, f"{NUMBER}22.0"),
        (12345678901234567890, f"{NUMBER}12345678901234567890"),
        (1e300, f"{NUMBER}1e+300"),
        (float("nan"), f"{NUMBER}nan"),
        (10**5000, f"{NOTE}a number of more than 4\u202f000 digits"),
    ],
    ids=["whole", "half", "float", "long", "huge", "nan", "too-long"],
)
def test_a_number_is_written_as_it_was_sent(number, sent):
    assert json.loads(event_json(number).text) == sent


@pytest.mark.parametrize("mark", MARKS)
def test_a_text_that_begins_like_a_mark_is_still_a_text(mark):
    assert json.loads(event_json({mark: mark}).text) == {TEXT + mark: TEXT + mark}


def test_a_long_text_is_cut_and_says_how_long_it_was():
    text, left_out = event_json({"note": "x" * 50_000, "city": "Seattle"})
    note = json.loads(text)["note"]
    assert note == "x" * LONGEST_TEXT + "… (50\u202f000 characters)"
    assert left_out == "This JSON is not whole: 1 long text was cut. The recording has all of it."


def test_many_parts_are_cut_off_and_counted():
    text, left_out = event_json({"lines": list(range(80_000)), "after": 1})
    shown = json.loads(text)
    *numbers, last = shown["lines"]
    assert numbers == list(range(len(numbers)))
    assert last == f"{NOTE}{count(80_000 - len(numbers))} more left out"
    assert f"{count(80_000 - len(numbers) + 1)} parts left out" in left_out


def test_ten_megabytes_become_two():
    text, left_out = event_json({str(n): "word " * 2000 for n in range(1000)})
    assert len(text) < MOST_BYTES * 1.1
    assert "left out" in left_out


def test_depth_ends_in_words():
    deep = "bottom"
    for _ in range(900):
        deep = [deep]
    text, left_out = event_json(deep)
    assert text.count("[") == DEEPEST
    assert "nested too deeply" in text
    assert "1 part left out" in left_out


def test_half_a_surrogate_pair_can_be_sent():
    assert json.loads(event_json({"name": "\ud800"}).text) == {"name": "?"}


def test_fields_that_look_alike_once_they_are_sent_are_all_there():
    fields = ["\ud800", "?", "\ud801", "x" * 30_000, "x" * 30_000 + "y", ""]
    odd = {name: number for number, name in enumerate(fields)}
    assert list(json.loads(event_json(odd).text).values()) == [0, 1, 2, 3, 4, 5]
