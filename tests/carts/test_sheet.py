"""A sheet has every change and every finding of its event, beside what it concerns."""

from __future__ import annotations

import pytest

from firmly_nb.carts.changes import changes
from firmly_nb.carts.report import checks
from firmly_nb.carts.sheet import MOST_LINES, Sheets, split_path
from firmly_nb.carts.tables import cart_tables


def sheets_of(events, asked=None):
    found = checks(events, asked)
    return Sheets(events, cart_tables(events), changes(events), found)


def sheet_of(build, before, after):
    events = build.events([("item-added", {"cart": before}), ("shipping-updated", {"cart": after})])
    return sheets_of(events).sheet(1)


def test_the_first_cart_has_no_marks_and_the_next_shows_what_changed(build):
    sheets = sheets_of(build.events(build.recording()))
    first, second, _ = (sheets.sheet(seq) for seq in sheets.seqs)
    assert first.is_first
    assert not any(row.state for row in (*first.lines, *first.totals, *first.shipments))
    amounts = {row.label: (row.amount.was, row.amount.now) for row in second.totals}
    assert amounts == {
        "subtotal": (None, "22.00"),
        "shipping": ("0.00", "6.25"),
        "tax": ("0.00", "2.22"),
        "total": ("22.00", "30.47"),
    }
    (shipment,) = second.shipments
    assert shipment.words.now.startswith("Ground")
    assert shipment.words.was == "Ship to Address"


def test_lines_say_whether_they_came_went_or_changed(build):
    before = build.cart([build.line("A", number=1), build.line("B", number=2)])
    after = build.cart([build.line("B", 2300, 2, number=2), build.line("C", number=3)])
    rows = {line.label: line for line in sheet_of(build, before, after).lines}
    states = {label: line.state for label, line in rows.items()}
    assert states == {"A": "removed", "B": "changed", "C": "added"}
    assert list(rows) == ["A", "B", "C"]
    assert (rows["B"].quantity.was, rows["B"].quantity.now) == ("1", "2")
    assert (rows["B"].price.was, rows["B"].price.now) == ("22.00", "46.00")


def test_the_price_of_one_piece_is_told_once(build):
    before, after = build.cart([build.line(price=2200)]), build.cart([build.line(price=2300)])
    (line,) = sheet_of(build, before, after).lines
    assert (line.price.was, line.price.now, line.also) == ("22.00", "23.00", [])


def test_other_fields_of_a_line_are_told_too(build):
    before, after = build.cart(), build.cart([build.line() | {"description": "Tee, new"}])
    (line,) = sheet_of(build, before, after).lines
    assert [(each.words, each.was, each.now) for each in line.also] == [
        ("description", "Radiant Tee", "Tee, new")
    ]


def test_two_lines_of_one_name_keep_their_own_changes(build):
    before = build.cart([build.line("A", number=1), build.line("A", number=2)])
    after = build.cart([build.line("A", number=1), build.line("A", quantity=3, number=2)])
    first, second = sheet_of(build, before, after).lines
    assert (first.state, second.state) == ("", "changed")


def test_a_line_that_is_there_twice_has_its_finding_beside_it(build):
    before, after = build.cart(), build.cart([build.line(), build.line()])
    sheet = sheet_of(build, before, after)
    assert [line.state for line in sheet.lines] == ["", "added"]
    assert "lines-once" in [note.check for note in sheet.lines[0].findings]


def test_findings_stand_beside_the_line_or_amount_or_else_apart(build):
    before = build.cart([build.line("A", number=1), build.line("B", number=2)])
    after = build.cart([build.line("A", 2500, number=1)])
    after["total"] = build.money(9900)
    after["cart_status"] = "broken"
    sheet = sheet_of(build, before, after)
    beside = {line.label: {note.check for note in line.findings} for line in sheet.lines}
    assert beside == {"A": {"prices-kept"}, "B": {"lines-kept"}}
    assert [n.check for row in sheet.totals if row.label == "total" for n in row.findings] == [
        "total"
    ]
    assert [note.check for note in sheet.findings] == ["status-fits-event"]
    assert sheet.severities == {"error": 3, "warning": 1}


def test_without_marks_a_sheet_is_the_cart_alone(build):
    sheets = sheets_of(build.events(build.recording()))
    sheet = sheets.sheet(2, marks=False)
    assert not any(row.state or row.findings for row in (*sheet.lines, *sheet.totals))
    assert (sheet.changes, sheet.status.was) == ([], None)


def test_the_cart_at_an_event_without_one_is_that_of_the_event_before(build):
    sheets = sheets_of(build.events(build.recording()))
    assert [sheets.shown_at(seq) for seq in range(5)] == [None, 1, 2, 3, 3]


def test_names_of_people_are_masked_in_changes(build):
    before, after = build.cart(), build.cart()
    before["shipping_info"] = {"first_name": "Ada", "email": "ada@example.test", "city": "Seattle"}
    after["shipping_info"] = {"first_name": "Eve", "email": "eve@example.test", "city": "Boise"}
    said = sheet_of(build, before, after).changes
    assert [(each.words, each.was, each.now) for each in said] == [
        ("shipping address, first name", "***", "***"),
        ("shipping address, email", "***", "***"),
        ("shipping address, city", "Seattle", "Boise"),
    ]


def test_names_of_people_are_masked_however_long_the_way_to_them_is(build):
    before, after = build.cart(), build.cart()
    for cart, name in ((before, "Ada"), (after, "Eve")):
        cart["extra"] = {"k" * 600: {"email": name}, "e.mail": {"customer.email": name}}
    said = sheet_of(build, before, after).changes
    assert [(each.was, each.now) for each in said] == [("***", "***")] * 2


ODD_NAMES = ["a].b", "[x]", "'", '"quoted"', "\\", "T  [x].\u202e y", "4", "A#2", "\x07" * 60]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_changes_and_findings_find_a_line_of_any_name(build, name):
    lines = [build.line("A", number=1), build.line(name, 2200, number=2)]
    after = [lines[0], build.line(name, 2300, number=2)]
    first, second = sheet_of(build, build.cart(lines), build.cart(after)).lines
    assert (first.state, first.findings, second.price.was) == ("", [], "22.00")
    assert [note.check for note in second.findings] == ["prices-kept"]


def test_findings_stand_beside_their_own_line_though_lines_of_one_name_changed_places(build):
    before = build.cart([build.line("A", 2200, number=1), build.line("A", 3000, number=2)])
    after = build.cart([build.line("A", 3000, number=2), build.line("A", 2300, number=1)])
    second, first = sheet_of(build, before, after).lines
    assert (second.price.was, first.price.was) == (None, "22.00")
    assert "prices-kept" in {note.check for note in first.findings}
    assert "prices-kept" not in {note.check for note in second.findings}


def test_a_shipping_method_of_version_one_is_a_shipment(build):
    before, after = build.cart(), build.cart()
    for cart in (before, after):
        del cart["shipments"]
    before["shipping_method"] = {"sku": "G", "description": "Ground", "price": build.money(625)}
    after["shipping_method"] = {"sku": "G", "description": "Ground", "price": build.money(700)}
    sheet = sheet_of(build, before, after)
    (shipment,) = sheet.shipments
    assert (shipment.amount.was, shipment.amount.now, shipment.state) == ("6.25", "7.00", "changed")
    assert sheet.changes == []


def test_a_cart_of_a_thousand_lines_is_bounded_and_says_so(build):
    lines = [build.line(f"SKU-{n}", number=n) for n in range(1000)]
    sheet = sheet_of(build, build.cart(), build.cart(lines))
    assert (len(sheet.lines), sheet.lines_left_out) == (MOST_LINES, 1000 - MOST_LINES)


def test_of_too_many_lines_those_that_are_wrong_or_changed_are_kept(build):
    before = [build.line(f"SKU-{n}", number=n) for n in range(1000)]
    after = [build.line(f"SKU-{n}", 2200 + (n == 990), number=n) for n in range(995)]
    sheet = sheet_of(build, build.cart(before), build.cart(after))
    assert [line.label for line in sheet.lines[-6:]] == [
        f"SKU-{n}" for n in (990, *range(995, 1000))
    ]


def test_long_and_odd_texts_are_bounded_and_show_what_cannot_be_seen(build):
    line = build.line() | {"description": "\u202e" + "x" * 9000, "variant_description": "\x07"}
    (row,) = sheets_of(build.events([("item-added", build.cart([line]))])).sheet(0).lines
    assert len(row.name) == 500
    assert row.name.startswith("·xxx")
    assert row.detail.startswith("·")


def test_a_name_with_odd_spaces_and_signs_still_finds_its_line(build):
    before, after = (build.cart([build.line("T  [x].\u202e y", price)]) for price in (100, 200))
    (line,) = sheet_of(build, before, after).lines
    assert line.price.was == "1.00"
    assert [note.check for note in line.findings] == ["prices-kept"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("line_items", ("line_items", "", "")),
        ("line_items[A]", ("line_items", "A", "")),
        ("line_items[A].image.url", ("line_items", "A", "image.url")),
        ("line_items[4].price", ("line_items", "4", "price")),
        ("shipping_method.price", ("shipping_method", "", "price")),
        ("addons.offers[A].price", ("addons", "", "offers[A].price")),
        ("line_items[a.b].price", ("line_items", "a.b", "price")),
        ("line_items['a.b[c]'][\"d.e\"].f", ("line_items", "a.b[c]", '["d.e"].f')),
        ('[""][""]', ("", "", '[""][""]')),
        ("line_items[a", ("", "", "line_items[a")),
        ("", ("", "", "")),
    ],
)
def test_a_path_is_split_into_field_name_and_rest(path, expected):
    assert split_path(path) == expected
