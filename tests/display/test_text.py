"""Numbers have one form everywhere, and no stranger's text can do harm where it is shown."""

from __future__ import annotations

import math
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import firmly_nb
from firmly_nb.display.text import (
    THIN_SPACE,
    UNIT_SPACE,
    and_more,
    as_hover,
    as_html,
    as_plotly,
    cut,
    cut_middle,
    duration,
    encodable,
    interval,
    number,
    percent,
    plotly_lines,
    printable,
    short_name,
    uncertainty,
)

# Of every kind, and those that do harm more often than chance would have them.
HARMFUL = (
    "\x00\x1b\x07\n\r\t\x85\u2028\u200b\u202e\u2066\u2069\ufeff\u00ad\ud800\udfff\ue000\U000e0001"
)
HARMFUL += "<>&\"'$%{}\\`" + "e\u0301\u0300" + "\u3000\u2009\u202f\u00a0" + "日本\U0001f600\u200d"
ANY = st.text(st.one_of(st.characters(codec=None), st.sampled_from(HARMFUL)), max_size=80)
LENGTH = st.integers(1, 60)


class Read(HTMLParser):
    """The text and the tags that a browser would make of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_data(self, data):
        self.text += data


@given(ANY, LENGTH)
@example("\u202eevil", 10)
@example("a" + "\u0301" * 40, 8)
@example(" \u00a0 a \x1f b\u2029", 8)
@example("x " * 300, 4)
def test_any_text_becomes_one_bounded_line_that_steers_nothing(text, longest):
    shown = printable(text, longest)
    assert len(shown) <= longest
    assert shown.splitlines() in ([], [shown])
    assert shown == shown.strip()
    kept = {THIN_SPACE, UNIT_SPACE}
    assert all(char.isprintable() or char in kept for char in shown)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn"}
    assert shown.encode().decode() == shown


@given(ANY, LENGTH)
def test_what_is_harmless_stays_as_it_is(text, longest):
    shown = printable(text, longest)
    assert printable(shown, longest) == shown
    assert cut(shown, longest) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
def test_letters_digits_and_signs_of_any_language_are_not_touched(text):
    assert printable(text, 60) == text


@given(ANY, LENGTH)
def test_html_reads_as_the_same_text_and_has_no_tag_of_its_own(text, longest):
    read = Read(as_html(text, longest))
    assert read.tags == [("bdi", [])]
    assert read.text == printable(text, longest)


@given(ANY, LENGTH)
def test_plotly_finds_no_markup_no_template_and_no_tex(text, longest):
    shown = as_plotly(text, longest)
    assert not set(shown) & set("<>$")
    assert "%{" not in shown
    assert Read(shown).text == short_name(text, longest)


@given(ANY, st.integers(5, 60))
def test_lines_for_plotly_are_as_harmless(text, width):
    for line in plotly_lines(text, width):
        assert not set(line) & set("<>$\n")
        assert len(Read(line).text) <= 2 * width


@given(ANY, LENGTH)
def test_a_cut_is_shown_and_parts_no_mark_from_its_letter(text, longest):
    shown = cut(text, longest)
    if len(text) <= longest:
        assert shown == text
        return
    assert len(shown) <= longest
    assert shown.endswith("…")
    kept = shown[:-1]
    assert text.startswith(kept)
    follows = text[len(kept)]
    assert not kept or not unicodedata.category(follows).startswith("M")


@given(ANY, LENGTH)
def test_a_name_keeps_its_begin_and_its_end(text, longest):
    shown = cut_middle(text, longest)
    if len(text) <= longest:
        assert shown == text
        return
    assert len(shown) <= longest
    parts = [(shown[:at], shown[at + 1 :]) for at, letter in enumerate(shown) if letter == "…"]
    begin, end = next(two for two in parts if text.startswith(two[0]) and text.endswith(two[1]))
    assert begin or longest <= 1
    assert not unicodedata.category(end[:1] or " ").startswith("M")


def test_long_names_that_differ_in_their_ends_look_different():
    names = [f"{'payment-authorised-by-' * 5}bank-{bank}" for bank in "ab"]
    assert len(set(map(short_name, names))) == len(set(map(as_plotly, names))) == 2
    assert [as_hover(name).replace("<br>", "") for name in names] == names
    assert max(map(len, as_hover(names[0]).split("<br>"))) <= 40


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0.00"), (0.004, "0.00"), (-0.004, "0.00"), (0.126, "0.13"), (5.678, "5.68"),
        (9.994, "9.99"), (9.996, "10.0"), (12.34, "12.3"), (99.94, "99.9"), (99.96, "100"),
        (999.6, "1_000"), (1204.31, "1_204"), (-5.678, "-5.68"), (-99.96, "-100"),
        (1e9, "1_000_000_000"), (math.nan, "-"), (None, "-"), (math.inf, "∞"),
    ],
)  # fmt: skip
def test_a_number_has_three_digits_decided_after_rounding(value, written):
    assert number(value).replace(THIN_SPACE, "_") == written


@given(st.floats(0, 1e6))
@example(9.995)
@example(99.95)
def test_a_number_is_off_by_half_its_last_digit_at_most(value):
    written = number(value).replace(THIN_SPACE, "")
    decimals = len(written.partition(".")[2])
    assert abs(float(written) - value) <= 0.5 * 10**-decimals * (1 + 1e-9)
    digits = written.replace(".", "")
    assert len(digits) == 3 if float(written) < 1000 else decimals == 0


@given(st.floats(0.001, 1e7))
def test_a_time_reads_the_same_wherever_it_stands(value):
    text = number(value)
    assert duration(value) == f"{text}{UNIT_SPACE}ms"
    assert duration(value, signed=True) == f"+{text}{UNIT_SPACE}ms"
    assert interval(value, math.inf) == f"{text}{UNIT_SPACE}ms or more"
    assert interval(-math.inf, value) == f"at most {text}{UNIT_SPACE}ms"
    assert interval(value, value).startswith(f"{text} to {text}{UNIT_SPACE}")


@pytest.mark.parametrize(
    ("value_us", "written"),
    [(0.0, "0.00 µs"), (34.21, "34.2 µs"), (999.4, "999 µs"), (999.6, "1.00 ms"),
     (2917, "2.92 ms"), (1e9, "1_000_000 ms"), (math.nan, "-")],
)  # fmt: skip
def test_an_uncertainty_is_said_in_microseconds_below_a_millisecond(value_us, written):
    assert uncertainty(value_us).replace(THIN_SPACE, "_").replace(UNIT_SPACE, " ") == written


@given(st.floats(0, 1))
@example(1 - 1e-5)
@example(1e-5)
def test_a_share_looks_like_none_or_all_only_where_it_is(share):
    written = percent(share)
    assert (written in {"0%", "100%"}) == (share < 5e-9 or share > 1 - 5e-9)
    assert float(written.removesuffix("%")) == pytest.approx(100 * share, abs=0.0501)


def test_what_is_left_out_is_counted():
    assert and_more(4950, "line") == f"… and 4{THIN_SPACE}950 more lines"
    assert and_more(-3, "line") == ""


def test_thousands_are_grouped_in_one_place():
    # Plotly's own formats follow the separators of the chart's layout.
    package = Path(firmly_nb.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"(?<![{%])\{[^{}]*:,[.\w]*\}", path.read_text("utf-8"))
    }
    assert found == {"display/text.py"}


def test_a_stream_gets_what_it_can_write():
    said = f"1{THIN_SPACE}204{UNIT_SPACE}ms ▇ é"
    assert encodable(said, "utf-8") == said
    assert encodable(said, "latin-1") == "1 204 ms ? é"
