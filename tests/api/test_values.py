"""Whole numbers and texts are read from whatever type they have."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.values import all_whole, plain_text, whole_number


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (0, 0),
        (-7, -7),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), None),
        ("7", 7),
        (" -7 ", -7),
        ("+7", 7),
        ("007", 7),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), None),
        ("1" * 100, None),
        ("7.0", None),
        ("1_000", None),
        ("\u0661", None),
        ("", None),
        (7.0, 7),
        (2.0**53, 2**53),
        (2.0**54, None),
        (7.5, None),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        (None, None),
        ([7], None),
    ],
)
def test_a_whole_number_is_read_or_it_is_none(sent, read):
    assert whole_number(sent) == read


@given(st.lists(st.integers() | st.booleans() | st.none() | st.floats(), max_size=4))
def test_a_column_is_whole_if_each_of_it_is(values):
    each = [type(value) is int and whole_number(value) == value for value in values]
    assert all_whole(values) == (bool(values) and all(each))


@pytest.mark.parametrize(
    ("sent", "read"),
    [("c1", "c1"), ("", ""), (7, "7"), (2**65, None), (7.0, None), (True, None), ([], None)],
)
def test_a_text_is_read_or_it_is_none(sent, read):
    assert plain_text(sent) == read


@given(st.text())
def test_every_text_can_be_stored(text):
    storable = plain_text(text).encode().decode()
    assert len(storable) == len(text)
    if text.isprintable():
        assert storable == text
