"""One description of a table is aligned text of 80 columns, and HTML that a screen reader knows."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.display.table import Bar, Cell, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import printable

LATENCIES = Grid(
    ("stage", "orders", Head("p50", "ms"), "reached"),
    [
        ("creating-cart", "80", Cell("2.45", small="2.29 to 2.67"), "80/80"),
        Row(("order", "80", Cell("1 204", small="1 180 to 1 250"), "80/80"), look="bold"),
    ],
    caption="Times of orders.",
    more="… and 2 more stages",
)


class Cells(HTMLParser):
    """Rows of cells as (tag, attributes, text)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows, self.open = [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append([tag, dict(attrs), ""])
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1][2] += data


def test_text_is_aligned_and_says_intervals_in_brackets():
    assert grid_text(LATENCIES, indent="  ").splitlines() == [
        "  stage          orders                 p50, ms  reached",
        "  creating-cart      80     2.45 (2.29 to 2.67)    80/80",
        "  order              80  1 204 (1 180 to 1 250)    80/80",
        "  … and 2 more stages",
    ]


def test_html_names_columns_rows_and_the_table():
    html = grid_html(LATENCIES)
    head, *rows = Cells(html).rows
    assert [(tag, attrs["scope"]) for tag, attrs, _ in head] == [("th", "col")] * 4
    assert [[tag for tag, _, _ in row] for row in rows] == [["th", "td", "td", "td"]] * 2
    assert rows[0][0][1]["scope"] == "row"
    assert "<caption" in html
    assert 'aria-label="Times of orders."' in html
    assert "… and 2 more stages" in html
    assert html.count("<b>") == 4, "a row stands out without styles too"


def test_columns_that_do_not_fit_come_below_beside_the_first():
    heads = ("stage", *(f"column {n}" for n in range(12)))
    text = grid_text(Grid(heads, [("order", *map(str, range(12)))]))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("stage") == text.count("order") == 2
    assert text.split() == [*heads[0:1], *" ".join(heads[1:8]).split(), *text.split()[15:]]


def test_a_long_text_wraps_in_its_own_column():
    grid = Grid(("check", Head("sentence", left=True, wraps=True)), [("total", "word " * 60)])
    lines = grid_text(grid).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(" " * 7) for line in lines[2:])
    assert " ".join(lines).split().count("word") == 60


def test_a_long_text_in_a_block_of_its_own_has_the_whole_line():
    heads = ("host", "x" * 30, "y" * 30, Head("problem", left=True, wraps=True))
    [*_, first, second] = grid_text(Grid(heads, [("lima", "1", "2", "word " * 20)])).splitlines()
    assert (first, second) == ("lima  " + " ".join(["word"] * 15), " " * 6 + " ".join(["word"] * 5))


def test_a_bar_takes_what_the_other_columns_leave():
    def drawn(name):
        rows = [(name, Cell(bar=Bar(0.0, 0.5, "#0072B2"))), (name, Cell(bar=Bar(0.5, 0.5, "#000")))]
        return grid_text(Grid(("stage", Head(left=True, wraps=True)), rows)).splitlines()

    assert drawn("a")[1:] == [f"a      {'▇' * 20}", f"a      {' ' * 20}{'▇' * 20}"]
    assert max(map(len, drawn("x" * 48))) <= 80


def test_chinese_names_keep_the_columns():
    lines = grid_text(Grid(("merchant", "n"), [("日本の店", "1"), ("a", "2")])).splitlines()
    assert lines == ["merchant  n", "日本の店  1", "a         2"]


@pytest.mark.parametrize("write", [grid_text, grid_html])
def test_a_table_without_rows_is_its_heads(write):
    assert "orders" in write(Grid(("stage", "orders"), []))


def test_a_hint_and_what_was_before_are_in_the_cell():
    cell = Cell("6.25", before="0.00 →", title='a "hint"', look="bold", swatch="#0072B2")
    grid = Grid(("path", "value"), [("shipping", cell)])
    assert "0.00 → 6.25" in grid_text(grid)
    assert "a &quot;hint&quot;" in grid_html(grid)
    assert "background-color:#0072B2" in grid_html(grid)


TEXTS = st.text(max_size=120)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=5))
def test_any_texts_are_shown_as_texts(rows):
    grid = Grid(
        (Head("a", left=True), Head("b", left=True, wraps=True), Head("c")),
        [(first, Cell(second, small=third), third) for first, second, third in rows],
    )
    text = grid_text(grid)
    assert all(char.isprintable() or char in "\n\u202f\u00a0" for char in text)
    cells = [row[1:] for row in Cells(grid_html(grid)).rows[1:]]
    small = [printable(third) for _, _, third in rows]
    wanted = [f"{printable(second)}{end}" for (_, second, _), end in zip(rows, small, strict=True)]
    assert [row[0][2] for row in cells] == wanted
