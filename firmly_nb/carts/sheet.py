"""One cart of an order, ready to be drawn: what a buyer sees, what changed, what is wrong.

Nothing is computed here that another module of this room computes: a bill says what a cart holds,
the table of changes what it held before, the table of findings what is wrong. A sheet puts these
beside one another: every change and every finding is on it, beside its line or amount or, where
it has none, in a list of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from firmly_nb.api.personal import is_personal, mask_personal
from firmly_nb.carts.changes import (
    AMOUNT_NAMES,
    amount_or_value,
    labels,
    pair,
    path_in_words,
)
from firmly_nb.carts.paths import Step, below, joined, read_path, split_last
from firmly_nb.carts.show import NOTHING, Bill, BillLine, bill_of
from firmly_nb.carts.tables import cart_tables, find_carts, records
from firmly_nb.display.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.carts.fields import Json
    from firmly_nb.carts.tables import CartTables


# What a sheet is made of: lines, amounts, changes and findings, as texts that are safe to show.
#
# Not frozen: changes and findings are put beside them one by one.


MOST_TEXT = 500
MASKED = "***"


@dataclass(slots=True)
class Value:
    """A text, and what stood there before; ``was`` is None where it did not change."""

    now: str
    was: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """A change: where (as a path and in words), its kind, and both sides in words."""

    path: str
    words: str
    kind: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Note:
    """A finding of a check."""

    path: str
    severity: str
    check: str
    sentence: str


@dataclass(slots=True)
class SheetLine:
    """A line of the cart; ``state`` is added, removed, changed or empty."""

    label: str
    name: str
    detail: str
    quantity: Value
    each: Value
    price: Value
    discount: str
    state: str = ""
    also: list[Changed] = field(default_factory=list)
    findings: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class SheetAmount:
    """A shipment or an amount of the bill; ``label`` is the name that paths use."""

    label: str
    words: Value
    amount: Value
    state: str = ""
    findings: list[Note] = field(default_factory=list)


def short(text: object) -> str:
    """Return what a merchant sent as one line that is safe to show and not too long.

    Examples
    --------
    >>> len(short("x" * 1000))
    500
    """
    return printable(text, MOST_TEXT)


def changed_of(row: Any) -> Changed:
    """Read a row of the table of changes; what names a person is masked."""
    kind, is_personal = str(row.kind), _is_personal(str(row.path))
    old, new = (
        MASKED
        if is_personal and value is not None
        else short(amount_or_value(value, row.currency, MOST_TEXT))
        for value in (row.before, row.after)
    )
    was, now = ("" if kind == "added" else old), ("" if kind == "removed" else new)
    path, words = (short(text) for text in (row.path, path_in_words(row.path)))
    return Changed(path, words, kind, was, now)


def masked(changes: pd.DataFrame) -> pd.DataFrame:
    """Return changes in which everything that names a person is masked.

    Examples
    --------
    >>> import pandas as pd
    >>> changes = pd.DataFrame({"path": ["shipping_info.phone"], "before": [None], "after": ["1"]})
    >>> masked(changes)[["before", "after"]].values.tolist()
    [[None, '***']]
    """
    personal = list(map(_is_personal, changes["path"].tolist()))
    sides = {
        name: [
            value if value is None else MASKED if hidden else mask_personal(value)
            for value, hidden in zip(changes[name].tolist(), personal, strict=True)
        ]
        for name in ("before", "after")
    }
    import pandas as pd

    # An object column keeps None beside numbers.
    columns = {name: pd.Series(each, changes.index, object) for name, each in sides.items()}
    return changes.assign(**columns)


def _is_personal(path: str) -> bool:
    try:
        name = split_last(path)[1].name
    except ValueError:
        name = path
    return is_personal(name.rpartition(".")[2])


def note_of(row: Any) -> Note:
    """Read a row of the table of findings."""
    path, sentence = short(row.path), short(row.sentence)
    return Note(path, str(row.severity), str(row.check), sentence)


# Where a change or a finding belongs: the line, the shipment or the amount that its path names.


# What a sheet compares itself, text with text.
SHIPMENT_WORDS = frozenset(
    {
        *("", "shipping_method", "fulfillment_type", "fulfillment_type.id"),
        *("fulfillment_type.name", "shipping_method.id", "shipping_method.sku"),
        *("shipping_method.description", "shipping_method.price"),
        "shipping_method.estimated_delivery",
    }
)
ELSEWHERE = frozenset({"platform_order_number", "notices", "notice"})


class ByPath:
    """The lines and amounts of a sheet, found by the paths of changes and findings.

    Lines and shipments come by name: under those that the comparison with the snapshot before gave
    them, for changes, and under those they have in their own cart, for findings. The names differ
    where elements of one name changed their order.
    """

    def __init__(
        self,
        lines: tuple[dict[str, SheetLine], dict[str, SheetLine]],
        shipments: tuple[dict[str, SheetAmount], dict[str, SheetAmount]],
        totals: list[SheetAmount],
    ) -> None:
        self.status_was: str | None = None
        self._lines, self._found_lines = lines
        self._shipments, self._found_shipments = shipments
        self._totals = {row.label: row for row in totals}

    def take_change(self, path: str, change: Changed) -> bool:
        """Put a change where it belongs; say whether there is one."""
        head, label, rest = split_path(path)
        if head == "line_items" and label in self._lines:
            _line_changed(self._lines[label], rest, change)
            return True
        if head == "line_items" and not label and not rest:
            return bool(self._lines)  # all at once: each line says so itself
        if head in ("shipments", "shipping_method") and label in self._shipments:
            return (rest if head == "shipments" else joined(head, rest)) in SHIPMENT_WORDS
        if head == "cart_status":
            self.status_was = change.was
            return True
        row = None if label or rest else self._totals.get(AMOUNT_NAMES.get(head, ""))
        if row is not None:
            row.amount.was, row.state = change.was or NOTHING, change.kind
        return row is not None or head in ELSEWHERE

    def take_finding(self, path: str, note: Note) -> bool:
        """Put a finding beside what it concerns; say whether there is one."""
        head, label, _ = split_path(path)
        target: SheetLine | SheetAmount | None = None
        if head == "line_items":
            target = self._found_lines.get(label)
        elif head in ("shipments", "shipping_method"):
            target = self._found_shipments.get(label)
        elif head in AMOUNT_NAMES:
            target = self._totals.get(AMOUNT_NAMES[head])
        if target is not None:
            target.findings.append(note)
        return target is not None


def split_path(path: str) -> tuple[str, str, str]:
    """Split a path into its field, the name of the element that follows, and the rest.

    Examples
    --------
    >>> split_path("line_items[WS12].price"), split_path("total.currency")
    (('line_items', 'WS12', 'price'), ('total', '', 'currency'))
    >>> split_path("somewhere in [the] cart")
    ('', '', 'somewhere in [the] cart')
    """
    try:
        steps = read_path(path)
    except ValueError:  # a check of one's own may say where in words
        return "", "", path
    head = steps[0].name if steps and steps[0].kind == "field" else ""
    begin = 1 if head else 0
    is_element = len(steps) > 1 and steps[1].kind == "element" and bool(head)
    label = steps[1].name if is_element else ""
    return head, label, below("", *steps[begin + is_element :])


def _line_changed(line: SheetLine, field: str, change: Changed) -> None:
    if not field:
        return  # the line was added or removed, and says so itself
    line.state = line.state or "changed"
    values = {"quantity": line.quantity, "line_price": line.price, "price": line.each}
    value = values.get(field)
    # The price of a single piece is that of the line, and is not shown twice.
    if value is not None and (value.now or field != "price"):
        value.was = change.was or NOTHING
    else:
        line.also.append(replace(change, words=short(path_in_words(field))))
    prices = {(each.was, each.now) for each in line.also if each.words == "price"}
    if (line.price.was, line.price.now) in prices:
        line.also = [each for each in line.also if each.words != "price"]


Row = TypeVar("Row", SheetLine, SheetAmount)
ByName = dict[str, Row]
MOST_LINES = 250
MOST_PARTS = 50  # shipments, codes, notices
MOST_NOTES = 200  # changes, or findings, of one event


@dataclass(frozen=True, slots=True)
class Sheet:
    """Content of the drawing of one event; every text is safe to show and bounded."""

    seq: int
    shop: str
    status: Value
    order_number: str
    currency: str
    lines: list[SheetLine]
    lines_left_out: int
    shipments: list[SheetAmount]
    codes: list[str]
    totals: list[SheetAmount]
    notices: list[str]
    changes: list[Changed]
    changes_left_out: int
    findings: list[Note]
    severities: dict[str, int]
    is_first: bool


class Sheets:
    """The sheets of one order, each made when it is asked for.

    Parameters
    ----------
    events
        The events of one recording that carry its carts: ``rec.cart_events``.
    tables
        Their tables, as `firmly_nb.carts.tables.cart_tables` reads them.
    changes, findings
        As `firmly_nb.carts.changes.changes` and `firmly_nb.carts.report.checks` find them.

    Examples
    --------
    >>> import pandas as pd
    >>> from firmly_nb.carts import cart_tables, changes, checks
    >>> def cart(minor):
    ...     return {"cart": {"tax": {"currency": "USD", "number": minor}, "line_items": []}}
    >>> events = pd.DataFrame({
    ...     "recording_id": ["r1", "r1"], "seq": [1, 2], "event": ["item-added"] * 2,
    ...     "data": [cart(0), cart(374)],
    ... })
    >>> sheets = Sheets(events, cart_tables(events), changes(events), checks(events))
    >>> [(row.label, row.amount) for row in sheets.sheet(2).totals if row.state]
    [('tax', Value(now='3.74', was='0.00'))]
    """

    def __init__(
        self,
        events: pd.DataFrame,
        tables: CartTables,
        changes: pd.DataFrame,
        findings: pd.DataFrame,
    ) -> None:
        found = find_carts(events)
        self._carts = dict(sorted(zip(found.seqs, found.carts, strict=True), key=lambda c: c[0]))
        self.seqs = list(self._carts)
        self._before = dict(zip(self.seqs[1:], self.seqs, strict=False))
        self._rows = {row.seq: row for row in records(tables.snapshots)}
        self._lines = _by_seq(tables.line_items)
        self._shipments = _by_seq(tables.shipments)
        self._notices = _by_seq(tables.notices)
        self._discounts = _by_seq(tables.discounts)
        self._changes = _by_seq(changes, "seq_after")
        self._findings = _by_seq(findings)

    def severities(self, seq: int) -> dict[str, int]:
        """Count the findings of an event by their severity."""
        return dict(Counter(row.severity for row in self._findings.get(seq, ())))

    def shown_at(self, seq: int) -> int | None:
        """Return the event whose cart is the one at this moment: its own, or the last before."""
        return next((each for each in reversed(self.seqs) if each <= seq), None)

    def sheet(self, seq: int, *, marks: bool = True) -> Sheet:
        """Draw up the sheet of an event that carries a cart.

        Parameters
        ----------
        seq
            The event's number.
        marks
            Say what changed and what is wrong; without, the cart alone.

        Raises
        ------
        KeyError
            If that event carries none.
        """
        before = self._before.get(seq) if marks else None
        now, was = self._bill(seq), None if before is None else self._bill(before)
        cart, old = self._carts[seq], None if before is None else self._carts[before]
        lines, lines_named = _lines(cart, old, now, was)
        shipments, shipments_named = _shipments(cart, old, now, was)
        totals = _totals(now)
        by_path = ByPath(lines_named, shipments_named, totals)
        changed = self._changes.get(seq, ()) if marks else ()
        found = self._findings.get(seq, ())[:MOST_NOTES] if marks else ()
        changes = [
            change
            for row in changed
            if not by_path.take_change(row.path, change := changed_of(row))
        ]
        findings = [
            note for row in found if not by_path.take_finding(row.path, note := note_of(row))
        ]
        return Sheet(
            seq=seq,
            shop=short(now.shop),
            status=Value(short(now.status), by_path.status_was),
            order_number=short(now.order_number),
            currency=short(now.currency),
            lines=_most_telling(lines),
            lines_left_out=max(len(lines) - MOST_LINES, 0),
            shipments=shipments,
            codes=[short(code) for code in now.codes],
            totals=totals,
            notices=[
                *(short(notice) for notice in now.notices),
                *(short(f"{words}, {total}") for words, total in now.alternatives),
            ],
            changes=changes[:MOST_NOTES],
            changes_left_out=max(len(changes) - MOST_NOTES, 0),
            findings=findings,
            severities=self.severities(seq) if marks else {},
            is_first=before is None,
        )

    def _bill(self, seq: int) -> Bill:
        codes = (row.code for row in self._discounts.get(seq, ()))
        return bill_of(
            self._rows[seq],
            self._lines.get(seq, []),
            self._shipments.get(seq, [])[:MOST_PARTS],
            [code for code in codes if code is not None][:MOST_PARTS],
            self._notices.get(seq, [])[:MOST_PARTS],
            self._carts[seq],
        )


def pair_of_sheets(
    cart: Json, other: Json, differences: pd.DataFrame, findings: pd.DataFrame
) -> tuple[Sheet, Sheet]:
    """Draw up the sheets of two orders' carts; the second marks what differs from the first.

    Parameters
    ----------
    cart, other
        The carts, as the API sent them.
    differences
        As `firmly_nb.carts.prices.compare_carts` finds them.
    findings
        Those of the first cart have the ``seq`` 1, those of the other 2.
    """
    import pandas as pd

    carts = {"seq": [1, 2], "event": [""] * 2, "data": [{"order": cart}, {"order": other}]}
    events = pd.DataFrame({"recording_id": "", **carts})
    sheets = Sheets(events, cart_tables(events), differences, findings)
    return sheets.sheet(1), sheets.sheet(2)


def _by_seq(frame: pd.DataFrame, key: str = "seq") -> dict[int, list[Any]]:
    rows: dict[int, list[Any]] = defaultdict(list)
    for row in records(frame):
        rows[getattr(row, key)].append(row)
    return dict(rows)


def _lines(
    cart: Json, before: Json | None, now: Bill, was: Bill | None
) -> tuple[list[SheetLine], tuple[ByName[SheetLine], ByName[SheetLine]]]:
    """Return the lines in the cart's order, those that were removed where they stood before.

    Then all lines by the names that changes have for them, and by those that findings have.
    """
    new, old = _elements(cart, "line_items"), _elements(before, "line_items")
    bills = dict(zip(_objects(new), now.lines, strict=True))
    bills |= dict(zip(_objects(old), was.lines if was else (), strict=True))
    pairs = [(name, id(a), id(b)) for name, a, b in pair(old, new, "line_items")]
    known = [(name, a, b) for name, a, b in pairs if b in bills]
    lines_of = {
        b: _line(name, bills[b], "added" if was and a not in bills else "") for name, a, b in known
    }
    gone = {
        a: _line(name, bills[a], "removed") for name, a, b in pairs if a in bills and b not in bills
    }
    lines = [lines_of[each] for each in _objects(new)]
    for index, each in enumerate(_objects(old)):
        if each in gone:
            lines.insert(min(index, len(lines)), gone[each])
    named = {name: row for name, a, b in pairs if (row := lines_of.get(b) or gone.get(a))}
    own = _by_own_name(old, "line_items", gone) | _by_own_name(new, "line_items", lines_of)
    return lines, (named, own)


def _most_telling(lines: list[SheetLine]) -> list[SheetLine]:
    """Keep of too many lines those with findings and changes, and of the others the first."""
    if len(lines) <= MOST_LINES:
        return lines
    by_weight = sorted(
        range(len(lines)), key=lambda at: (not lines[at].findings, not lines[at].state, at)
    )
    return [lines[at] for at in sorted(by_weight[:MOST_LINES])]


def _line(label: str, line: BillLine, state: str = "") -> SheetLine:
    return SheetLine(
        label=Step("element", label).written,  # as it is in the paths of changes
        name=short(line.name),
        detail=short(" · ".join(word for word in (line.variant, line.sku) if word)),
        quantity=Value(short(line.quantity)),
        each=Value(short(line.each)),
        price=Value(short(line.price)),
        discount=short(line.discount),
        state=state,
    )


def _shipments(
    cart: Json, before: Json | None, now: Bill, was: Bill | None
) -> tuple[list[SheetAmount], tuple[ByName[SheetAmount], ByName[SheetAmount]]]:
    """Return the shipments, then by the names that changes and that findings have for them."""
    new, old = _elements(cart, "shipments"), _elements(before, "shipments")
    earlier = was.shipments if was else []
    if not _objects(new):  # version 1 of the API: the cart itself has a shipping method
        first = earlier[0] if earlier and not _objects(old) else None
        row = _shipment("", now.shipments[0], first, was) if now.shipments else None
        unnamed = {"": row} if row else {}
        return list(unnamed.values()), (unnamed, unnamed)
    texts = dict(zip(_objects(new), now.shipments, strict=False))
    texts |= dict(zip(_objects(old), earlier, strict=False))
    pairs = {id(b): (name, id(a)) for name, a, b in pair(old, new, "shipments")}
    rows_of = {
        each: _shipment(Step("element", name).written, texts[each], texts.get(earlier_one), was)
        for each in _objects(new)[: len(now.shipments)]
        for name, earlier_one in [pairs[each]]
    }
    named = {pairs[each][0]: row for each, row in rows_of.items()}
    return list(rows_of.values()), (named, _by_own_name(new, "shipments", rows_of))


def _by_own_name(elements: list[Any], field: str, rows: dict[int, Row]) -> ByName[Row]:
    """Find the rows of the elements of one cart by the names they have in it."""
    named = zip(elements, labels(elements, field), strict=True)
    return {name: rows[id(each)] for each, name in named if id(each) in rows}


def _shipment(
    label: str, now: tuple[str, str], was: tuple[str, str] | None, before: Bill | None
) -> SheetAmount:
    if was is None:
        words, amount = (Value(short(text)) for text in now)
        return SheetAmount(label, words, amount, "added" if before else "")
    words, amount = (
        Value(short(new), short(old or NOTHING) if old != new else None)
        for new, old in zip(now, was, strict=True)
    )
    return SheetAmount(label, words, amount, "changed" if now != was else "")


def _totals(now: Bill) -> list[SheetAmount]:
    rows = (*now.totals, ("total", now.total))
    return [SheetAmount(label, Value(label), Value(short(amount))) for label, amount in rows]


def _elements(cart: Json | None, field: str) -> list[Any]:
    """Return a list of the cart, its objects as copies: one that is there twice is two."""
    values = (cart or {}).get(field)
    if type(values) is not list:
        return []
    return [dict(each) if type(each) is dict else each for each in values]


def _objects(elements: list[Any]) -> list[int]:
    return [id(each) for each in elements if type(each) is dict]
