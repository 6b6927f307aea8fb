"""Every check of a cart: what it sees, what it may say, and the rules that the toolkit brings.

A check is a name, a severity and a function that looks at one `CheckedCart`: the cart's rows in
the tables, the snapshot before it, and what was asked for. `firmly_nb.carts.report` runs them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from firmly_nb.api.event_names import ERROR, GUIDE, REFERENCE, SUCCESS
from firmly_nb.api.money import contradicts, currency_code, format_minor
from firmly_nb.carts.changes import AMOUNT_NAMES, LINE_LABELS, label_of, labels
from firmly_nb.carts.fields import Json, read_text, read_whole
from firmly_nb.carts.paths import below, element_path
from firmly_nb.carts.tables import (
    Batch,
    column_values,
    find_carts,
    parts,
    records,
    tables_of,
    unread,
)
from firmly_nb.display.messages import UnknownName, coded_error, quoted, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pandas as pd

    Asked = pd.DataFrame | Mapping[str, Iterable[Mapping[str, Any]]]
    Look = Callable[["CheckedCart"], Iterable["Finding"] | None]


ADDED = "item-added"
# Events that fill a cart: of a stream, and of calls about one line item each.
FILLS = re.compile(r"item-added$|(add|update|remove)-line-item(-\d+)?$")


@dataclass(eq=False)
class CheckedCart:
    """One snapshot, ready to be checked.

    Attributes
    ----------
    row
        The row of `SNAPSHOTS`: ``row.total_minor``, ``row.cart_status``, ...; nulls are None.
    lines, shipments
        The rows of `LINE_ITEMS` and `SHIPMENTS`, in the same form. A line also has a ``name``,
        what a person would call it, and its ``path``, which no other line of the cart has.
    data
        The cart as the merchant sent it.
    before
        The snapshot of the same order before this one; None if there is none, or if a cart between
        them was not read.
    asked
        Pieces asked for, by variant id; None where that is not known.
    is_partial
        Whether the cart is still being filled: it is one of an ``item-added``, and another such
        event follows or no other snapshot does, as where the order failed on the way.
    """

    row: Any
    data: Json
    lines: list[Any] = field(default_factory=list)
    shipments: list[Any] = field(default_factory=list)
    before: CheckedCart | None = None
    asked: Counter[str] | None = None
    is_partial: bool = False

    @property
    def was_filled(self) -> bool:
        """True if a call about a line item made this cart: a changed line is what it asked for."""
        event = str(self.row.event)
        return event != ADDED and FILLS.match(event) is not None

    @property
    def is_order(self) -> bool:
        """True if this is the order that a cart became."""
        return bool(self.row.kind == "order")

    @property
    def last_cart(self) -> CheckedCart | None:
        """Last snapshot before this one that was a cart; None if there is none."""
        cart = self.before
        while cart is not None and cart.is_order:
            cart = cart.before
        return cart

    @cached_property
    def amounts(self) -> list[tuple[tuple[Any, ...], Json]]:
        """Every money object anywhere in the cart; `path_of` writes where it is."""
        return list(amounts_in(self.data))

    @cached_property
    def currencies(self) -> Counter[str]:
        """Number of amounts anywhere in the cart, by currency."""
        found = (currency_code(money["currency"]) for _, money in self.amounts)
        return Counter(currency for currency in found if currency is not None)


def checked_carts(events: pd.DataFrame, asked: Asked | None = None) -> list[CheckedCart]:
    """Prepare every snapshot of a table of events for its checks.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    asked
        What was asked for: a table with ``recording_id``, ``variant_id`` and ``quantity``, or for
        each recording_id a list of mappings with the last two.
    """
    found = find_carts(events)
    read = tables_of(found)
    rows = records(read.snapshots)
    carts = [CheckedCart(row, data) for row, data in zip(rows, found.carts, strict=True)]
    paths = [path for data in found.carts for path in _line_paths(data)]
    lines = records(read.line_items.assign(name=_names(read.line_items), path=paths))
    shipments = records(read.shipments)
    for cart, n_shipments in zip(carts, map(len, Batch(found).shipments), strict=True):
        cart.lines = [next(lines) for _ in range(cart.row.n_lines)]
        cart.shipments = [next(shipments) for _ in range(n_shipments)]
    wanted, last_added = _asked_by_recording(asked), _last_added(events)
    gaps: dict[str, list[int]] = {}
    for event in unread(events):
        gaps.setdefault(event["recording_id"], []).append(event["seq"])
    for indices in found.by_recording():
        own = [carts[index] for index in indices]
        _connect(own, wanted, last_added, gaps.get(own[0].row.recording_id, []))
    return carts


def amounts_in(cart: Json) -> Iterator[tuple[tuple[Any, ...], Json]]:
    """Yield every money object of a cart, however deep, with the keys that lead to it."""
    stack: list[tuple[tuple[Any, ...], Any]] = [((), cart)]
    while stack:
        keys, node = stack.pop()
        if type(node) is dict:
            if "currency" in node and ("value" in node or "number" in node):
                yield keys, node
                continue
            items: Iterable[tuple[Any, Any]] = node.items()
        else:
            items = enumerate(node)
        # Where it came from is a linked pair: a tuple that grew would cost its length each time.
        stack += [((keys, key), value) for key, value in items if type(value) in (dict, list)]


def path_of(cart: Json, keys: tuple[Any, ...]) -> str:
    """Write the keys of `amounts_in` as a path, lines by their names.

    Examples
    --------
    >>> cart = {"line_items": [{"sku": "MUG", "price": {"currency": "USD", "value": 1}}]}
    >>> [path_of(cart, keys) for keys, _ in amounts_in(cart)]
    ['line_items[MUG].price']
    """
    flat: list[Any] = []
    while keys:
        keys, key = keys
        flat.append(key)
    node: Any = cart
    path, field = "", ""
    for key in reversed(flat):
        if isinstance(node, dict):
            path, field = below(path, str(key)), str(key)
        else:
            path, field = element_path(path, labels(node, field)[key]), ""
        node = node[key]
    return path


def _names(lines: pd.DataFrame) -> list[str]:
    columns = (column_values(lines[name]) for name in (*LINE_LABELS, "line_no"))
    return [
        label_of(next((value for value in row if value), "")) for row in zip(*columns, strict=True)
    ]


def _line_paths(cart: Json) -> list[str]:
    """Write the path of each line that the tables have."""
    lines = cart.get("line_items")
    if type(lines) is not list:
        return []
    named = zip(lines, labels(lines, "line_items"), strict=True)
    return [element_path("line_items", label) for line, label in named if type(line) is dict]


def _connect(
    carts: list[CheckedCart],
    wanted: dict[str, Counter[str]],
    last_added: dict[str, int],
    gaps: list[int],
) -> None:
    """Tell each cart of an order what was before it; across a cart that was not read, nothing."""
    for cart in carts:
        if FILLS.match(str(cart.row.event)):
            # What was seen last says nothing of what was still to be added.
            last = last_added.get(str(cart.row.recording_id), cart.row.seq)
            cart.is_partial = cart is carts[-1] or cart.row.seq < last
    before = None
    for cart in carts:
        if before is not None and not any(before.row.seq < gap < cart.row.seq for gap in gaps):
            cart.before = before
        before = cart
        cart.asked = wanted.get(cart.row.recording_id)


def _last_added(events: pd.DataFrame) -> dict[str, int]:
    """Find each recording's last ``item-added``, also one whose cart could not be read.

    Of an order that is made call by call it is the last call about a line item.
    """
    names = [name for name in events["event"].unique() if FILLS.match(str(name))]
    added = events[events["event"].isin(names)]
    return {str(name): seq for name, seq in added.groupby("recording_id")["seq"].max().items()}


def _asked_by_recording(asked: Asked | None) -> dict[str, Counter[str]]:
    if asked is None:
        return {}
    wanted: dict[str, Counter[str]] = {}
    for recording_id, item in _asked_items(asked):
        pieces = read_whole(item.get("quantity", 1))
        if isinstance(pieces, int):
            wanted.setdefault(recording_id, Counter())[str(item["variant_id"])] += pieces
    return wanted


def _asked_items(asked: Asked) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pandas as pd

    if isinstance(asked, pd.DataFrame):
        columns = (asked[name].tolist() for name in ("recording_id", "variant_id", "quantity"))
        for recording_id, variant_id, pieces in zip(*columns, strict=True):
            yield recording_id, {"variant_id": variant_id, "quantity": pieces}
    else:
        for recording_id, items in asked.items():
            for item in items:
                yield recording_id, item


Severity = Literal["error", "warning", "info"]


class Finding(NamedTuple):
    """One thing that should be true of a cart and is not.

    ``severity`` is that of the check unless it is given here.
    """

    path: str
    expected: str
    found: str
    sentence: str
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check; ``look`` returns findings, or None where the cart lacks what it looks at."""

    name: str
    severity: Severity
    meaning: str
    look: Look


CHECKS: dict[str, Check] = {}


def check(*, name: str, severity: Severity = "error") -> Callable[[Look], Look]:
    """Add a check of one's own; from then on it runs with the others.

    The function gets a `CheckedCart` and returns findings (none for a cart that is right), or None
    where the cart lacks what it looks at. The first line of its docstring (without ``Check that``)
    is its meaning. A check of the same name is replaced, so that a notebook cell can be run again.

    Raises
    ------
    ValueError
        If the severity is none of error, warning and info.

    Examples
    --------
    >>> @check(name="few-pieces", severity="warning")
    ... def few_pieces(cart):
    ...     "Check that a cart holds at most ten pieces."
    ...     if cart.row.quantity is None:
    ...         return None
    ...     if cart.row.quantity <= 10:
    ...         return []
    ...     pieces = f"{cart.row.quantity} pieces"
    ...     return [Finding("line_items", "at most 10", pieces, f"The cart holds {pieces}.")]
    >>> CHECKS["few-pieces"].meaning
    'A cart holds at most ten pieces.'
    >>> remove_check("few-pieces")
    """
    if severity not in get_args(Severity):
        text = f"severity must be error, warning or info, got {quoted(severity)}."
        raise coded_error(ValueError, "FNB313", text)

    def register(look: Look) -> Look:
        first = (look.__doc__ or name).strip().partition("\n")[0].removeprefix("Check that ")
        meaning = first[:1].upper() + first[1:]
        CHECKS[name] = Check(name, severity, meaning, look)
        return look

    return register


def remove_check(name: str) -> None:
    """Take a check out; those of the toolkit come back when Python starts again.

    Raises
    ------
    KeyError
        If there is no check of this name.
    """
    del CHECKS[known_check(name)]


def known_check(name: str) -> str:
    """Return the name of a check that exists.

    Raises
    ------
    KeyError
        If there is no check of this name.
    """
    if name not in CHECKS:
        raise coded_error(UnknownName, "FNB318", unknown("check", name, CHECKS))
    return name


# Checks of the amounts: that a cart's sums are right, to the minor unit.


MOST_FINDINGS = 20  # of one kind in one cart: a cart of 5,000 wrong lines is wrong once
COSTS = ("shipping_total", "tax_total", "addon_total")


@check(name="line-price", severity="error")
def line_price(cart: CheckedCart) -> list[Finding] | None:
    """Check that a line's price is its price x quantity, before or after the line's discount."""
    looked = [
        line
        for line in cart.lines
        if None not in (line.price_minor, line.quantity, line.line_price_minor)
    ]
    if not looked:
        return None
    findings = []
    for line in looked:
        full = line.price_minor * line.quantity
        off = abs(line.discount_minor or 0)
        if line.line_price_minor in (full, full - off):
            continue
        name, money = line.name, _form(line.currency)
        less = f" - {money(off)}" if off else ""
        expected = f"{line.quantity} x {money(line.price_minor)}{less} = {money(full - off)}"
        found = money(line.line_price_minor)
        sentence = f"The line {name} costs {found}, but {expected}."
        findings.append(Finding(f"{line.path}.line_price", expected, found, sentence))
    return findings[:MOST_FINDINGS]


@check(name="subtotal", severity="error")
def subtotal(cart: CheckedCart) -> list[Finding] | None:
    """Check that the subtotal is the sum of the lines, before or after the lines' discounts."""
    lines = [line.line_price_minor for line in cart.lines]
    stated = cart.row.sub_total_minor
    if stated is None or None in lines or _is_mixed(cart):
        return None
    full, off = sum(lines), sum(abs(line.discount_minor or 0) for line in cart.lines)
    if stated in (full, full - off):
        return []
    money = _form(cart.row.currency)
    sentence = f"The subtotal is {money(stated)}, but the lines add up to {money(full)}."
    return [Finding("sub_total", money(full), money(stated), sentence)]


@check(name="total", severity="error")
def total(cart: CheckedCart) -> list[Finding] | None:
    """Check that the total is subtotal + shipping + tax + addons - discounts."""
    row = cart.row
    if row.total_minor is None or row.sub_total_minor is None or _is_mixed(cart):
        return None
    costs = {AMOUNT_NAMES[name]: getattr(row, f"{name}_minor") or 0 for name in COSTS}
    expected = row.sub_total_minor + sum(costs.values()) - abs(row.cart_discount_minor or 0)
    off = sum(abs(line.discount_minor or 0) for line in cart.lines)
    credit = abs(row.store_credit_minor or 0)
    # A line's discount is in the subtotal of some merchants, and credit in the total of some.
    if row.total_minor in {expected - a - b for a in (0, off) for b in (0, credit)}:
        return []
    money = _form(row.currency)
    terms = [f"{name} {money(minor)}" for name, minor in costs.items() if minor]
    sum_of = " + ".join([f"subtotal {money(row.sub_total_minor)}", *terms])
    if row.cart_discount_minor:
        sum_of += f" - discount {money(abs(row.cart_discount_minor))}"
    sentence = (
        f"The total is {money(row.total_minor)}, but {sum_of} = {money(expected)}"
        f"{_hint(expected - row.total_minor, costs)}."
    )
    return [Finding("total", money(expected), money(row.total_minor), sentence)]


@check(name="one-currency", severity="error")
def one_currency(cart: CheckedCart) -> list[Finding] | None:
    """Check that all amounts of a cart are in one currency, that of the snapshot before."""
    seen = cart.currencies
    if not seen:
        return None
    usual = cart.row.currency or seen.most_common(1)[0][0]
    before = cart.before.row.currency if cart.before else None
    findings = [
        Finding(path, usual, other, f"{path} is in {other}, the total in {usual}.")
        for path, other in _in_other_currencies(cart, usual)
    ]
    if before and usual != before:
        sentence = f"The total is in {usual}; in the snapshot before it was in {before}."
        findings.append(Finding("total.currency", before, usual, sentence))
    return findings


@check(name="number-agrees-with-value", severity="error")
def number_agrees_with_value(cart: CheckedCart) -> list[Finding] | None:
    """Check that an amount's number (minor units) and value (decimal) say the same.

    One that contradicts itself is null in every table.
    """
    looked = False
    findings: list[Finding] = []
    for keys, money in cart.amounts:
        if None in (money.get("number"), money.get("value"), currency_code(money["currency"])):
            continue
        looked = True
        if contradicts(money) and len(findings) < MOST_FINDINGS:
            path = path_of(cart.data, keys)
            expected, found = _plain(money["number"]), _plain(money["value"])
            currency = _plain(money["currency"])
            sentence = f"{path} says number {expected} and value {found} {currency}: not read."
            findings.append(Finding(path, f"number {expected}", f"value {found}", sentence))
    return findings if looked else None


@check(name="order-total", severity="error")
def order_total(cart: CheckedCart) -> list[Finding] | None:
    """Check that the order's total is the total of the last cart before it."""
    last = cart.last_cart
    if not cart.is_order or last is None:
        return None
    paid, shown = cart.row.total_minor, last.row.total_minor
    if paid is None or shown is None or cart.row.currency != last.row.currency:
        return None
    if paid == shown:
        return []
    money = _form(cart.row.currency)
    sentence = f"The order costs {money(paid)}, the cart before it {money(shown)}."
    return [Finding("total", money(shown), money(paid), sentence)]


def _form(currency: str | None) -> Callable[[int], str]:
    """Return what writes amounts of one currency."""
    return partial(format_minor, currency=currency or "")


def _plain(value: Any) -> str:
    text = str(read_text(value)) if isinstance(value, str) else type(value).__name__
    if isinstance(value, (int, float)):
        text = format(value, ".15g") if abs(value) < 1e300 else "a huge number"
    return text[:40]


def _is_mixed(cart: CheckedCart) -> bool:
    """Return whether amounts cannot be added up; `one_currency` says so, not the sums."""
    totals = ("sub_total", "shipping_total", "tax_total", "tax", "addon_total", "total")
    moneys = [cart.data.get(name) for name in (*totals, "cart_discount")]
    said = [currency_code(money.get("currency")) for money in moneys if isinstance(money, dict)]
    said += [line.currency for line in cart.lines]
    return len(set(said) - {None}) > 1


def _in_other_currencies(cart: CheckedCart, usual: str) -> Iterator[tuple[str, str]]:
    if set(cart.currencies) == {usual}:
        return
    said = ((keys, currency_code(money["currency"])) for keys, money in cart.amounts)
    others = [(keys, code) for keys, code in said if code is not None and code != usual]
    for keys, currency in others[:MOST_FINDINGS]:
        yield path_of(cart.data, keys), _plain(currency)


def _hint(missing: int, costs: Json) -> str:
    """Return what the difference is, where it is a part of the bill."""
    for name, minor in costs.items():
        if minor and missing == minor:
            return f" (the difference is the {name}; prices may include it)"
    return ""


# Checks of what a cart must say at all, and of the status it says it has.


# Fields that both versions of the API document, and from when on.
ALWAYS_FIELDS = ("cart_id", "cart_status", "line_items")
FILLED_FIELDS = ("sub_total", "total")
PRICED_FIELDS = ("shipping_total", "tax_total")
LINE_FIELDS = ("line_item_id", "sku", "quantity", "price", "line_price")
SPELLINGS = {"tax_total": ("tax_total", "tax"), "sku": ("sku", "id", "variant_id")}
AMOUNTS = frozenset({"sub_total", "total", "shipping_total", "tax_total", "price", "line_price"})
OPEN_EVENTS = frozenset({"item-added", "shipping-updated"})
BEFORE_SUCCESS = frozenset({*REFERENCE, *GUIDE, ERROR}) - SUCCESS


@check(name="required-fields", severity="error")
def required_fields(cart: CheckedCart) -> list[Finding] | None:
    """Check that every field that all carts are documented to have is there and can be read."""
    names = list(ALWAYS_FIELDS)
    if cart.lines:
        names += FILLED_FIELDS
    if cart.lines and (cart.is_order or cart.row.event == "shipping-updated"):
        names += PRICED_FIELDS
    findings = [_lacking(name, name, cart.row, cart.data) for name in names]
    if cart.is_order and cart.row.order_number is None:
        findings.append(_without_number(cart))
    for line, raw in zip(cart.lines, parts(cart.data, "line_items"), strict=True):
        findings += [_lacking(f"{line.path}.{f}", f, line, raw) for f in LINE_FIELDS]
    return [finding for finding in findings if finding][:MOST_FINDINGS]


@check(name="status-fits-event", severity="error")
def status_fits_event(cart: CheckedCart) -> list[Finding] | None:
    """Check that a cart is active while it is filled; an order is submitted."""
    status = cart.row.cart_status
    if status is None or not (cart.is_order or cart.row.event in OPEN_EVENTS):
        return None
    expected = "submitted" if cart.is_order else "active"
    if status == expected:
        return []
    event = cart.row.event
    if status in ("submitted", "active"):
        sentence = f"The status at {event} is {status}; it should be {expected}."
        return [Finding("cart_status", expected, status, sentence)]
    sentence = f"The merchant says {status} at {event}."
    return [Finding("cart_status", expected, status, sentence, "warning")]


@check(name="one-order", severity="error")
def one_order(cart: CheckedCart) -> list[Finding] | None:
    """Check that one request makes one order: a later order number is the first one."""
    number, earlier, before = _placed_number(cart), [], cart.before
    if number is None:
        return None
    while before is not None:
        earlier.append(_placed_number(before))
        before = before.before
    numbers = list(dict.fromkeys([*filter(None, reversed(earlier)), number]))
    if len(numbers) == 1 or number in earlier:  # a repeat, or said already
        return []
    sentence = f"{len(numbers)} orders: {' and '.join(numbers)}."
    return [Finding("platform_order_number", numbers[0], number, sentence)]


def _placed_number(cart: CheckedCart) -> str | None:
    """Return the number of an order that a cart says was placed; None if it does not say so."""
    is_on_the_way = cart.row.event in BEFORE_SUCCESS or cart.row.cart_status == "active"
    return None if is_on_the_way or not cart.is_order else cart.row.order_number


def _without_number(cart: CheckedCart) -> Finding:
    path = "platform_order_number"
    if cart.data.get(path) is None:
        return Finding(path, "a value", "nothing", f"{path} is missing.")
    return Finding(path, "a number", "no number", f"{path} is there, but is no order number.")


def _lacking(path: str, name: str, row: Any, raw: dict[str, Any]) -> Finding | None:
    spellings = SPELLINGS.get(name, (name,))
    sent = [raw[each] for each in spellings if raw.get(each) is not None]
    if not sent:
        return Finding(path, "a value", "nothing", f"{path} is missing.")
    if name in AMOUNTS and getattr(row, f"{name}_minor") is None:
        if any(map(contradicts, sent)):
            return None  # the check of numbers and values says it better
        return Finding(path, "an amount", "no amount", f"{path} is there, but is no amount.")
    if name == "line_items" and not isinstance(sent[0], list):
        return Finding(path, "a list", "no list", f"{path} is there, but is no list.")
    if name == "quantity" and row.quantity is None:
        return Finding(path, "a number", "no number", f"{path} is there, but is no whole number.")
    return None


# Checks of the lines: that the cart holds what was asked for, once, at one price.


@check(name="quantity", severity="error")
def quantity(cart: CheckedCart) -> list[Finding] | None:
    """Check that every line holds at least one piece."""
    looked = [line for line in cart.lines if line.quantity is not None]
    if not looked:
        return None
    return [
        Finding(
            f"{line.path}.quantity",
            "at least 1",
            str(line.quantity),
            f"The line {line.name} holds {line.quantity} pieces.",
        )
        for line in looked
        if line.quantity < 1
    ]


@check(name="lines-once", severity="error")
def lines_once(cart: CheckedCart) -> list[Finding] | None:
    """Check that no line is in the cart twice."""
    if not cart.lines:
        return None
    ids = Counter(line.line_item_id for line in cart.lines if line.line_item_id)
    first = {line.line_item_id: line.path for line in reversed(cart.lines)}
    first_of_name = {line.name: line.path for line in reversed(cart.lines)}
    twice = [
        Finding(
            first[line_id],
            f"{line_id} once",
            f"{count} times",
            f"The line {line_id} is in the cart {count} times.",
        )
        for line_id, count in ids.items()
        if count > 1
    ]
    variants = Counter(
        line.name
        for line in cart.lines
        if (line.variant_id or line.sku) and ids[line.line_item_id] <= 1
    )
    split = [
        Finding(
            first_of_name[name],
            "one line",
            f"{count} lines",
            f"{name} is in {count} lines of its own.",
            "warning",
        )
        for name, count in variants.items()
        if count > 1
    ]
    return twice + split


@check(name="lines-kept", severity="error")
def lines_kept(cart: CheckedCart) -> list[Finding] | None:
    """Check that every line of the snapshot before is still in the cart, with as many pieces."""
    if cart.before is None or not cart.before.lines or cart.was_filled:
        return None
    return list(_lost(cart, cart.before))


@check(name="prices-kept", severity="error")
def prices_kept(cart: CheckedCart) -> list[Finding] | None:
    """Check that a line's price is what it was in the snapshot before."""
    if cart.before is None:
        return None
    pairs = [
        (old, new)
        for old, new in _pairs(cart.before, cart)
        if new is not None
        and None not in (old.price_minor, new.price_minor)
        and old.currency == new.currency
    ]
    if not pairs:
        return None
    findings = []
    for old, new in pairs:
        if old.price_minor == new.price_minor:
            continue
        name, currency = new.name, new.currency or ""
        was, now = (format_minor(line.price_minor, currency) for line in (old, new))
        sentence = f"The price of {name} went from {was} to {now}."
        findings.append(Finding(f"{new.path}.price", was, now, sentence))
    return findings


@check(name="as-asked", severity="error")
def as_asked(cart: CheckedCart) -> list[Finding] | None:
    """Check that the cart holds what was asked for, as many pieces, and nothing else."""
    if cart.asked is None or cart.is_partial:
        return None
    held: Counter[str] = Counter()
    for line in cart.lines:
        known = [each for each in (line.variant_id, line.sku) if each is not None]
        name = next((each for each in known if each in cart.asked), known[0] if known else "?")
        held[name] += line.quantity or 0
    if cart.asked.keys().isdisjoint(held) and not any(line.variant_id for line in cart.lines):
        return _as_many(cart.asked.total(), held.total())  # the merchant names no variants
    return [
        Finding(
            below(element_path("line_items", name), "quantity"),
            str(cart.asked[name]),
            str(held[name]),
            f"{cart.asked[name]} of {name} asked for, {held[name]} in the cart.",
        )
        for name in dict.fromkeys([*cart.asked, *held])
        if cart.asked[name] != held[name]
    ]


@check(name="shipments-cover-lines", severity="error")
def shipments_cover_lines(cart: CheckedCart) -> list[Finding] | None:
    """Check that every line to be sent is in exactly one shipment, and no other is."""
    shipments = [each for each in cart.shipments if each.shipment_id or each.line_item_ids]
    lines = {line.line_item_id: line for line in cart.lines if line.line_item_id}
    named = [line_id for each in shipments for line_id in each.line_item_ids]
    if not lines or not named:
        return None
    times = Counter(line_id for line_id in named if isinstance(line_id, str))
    findings = []
    for line_id, line in lines.items():
        allowed = (0, 1) if line.requires_shipping is False else (1,)
        if times[line_id] not in allowed:
            name = line.name
            sentence = f"The line {name} is in {times[line_id]} shipments."
            findings.append(Finding(line.path, "1 shipment", str(times[line_id]), sentence))
    for line_id in times.keys() - lines.keys():
        sentence = f"A shipment names the line {line_id}, which is not in the cart."
        findings.append(Finding("shipments.line_item_ids", "a line of the cart", line_id, sentence))
    return findings


def _as_many(asked: int, held: int) -> list[Finding]:
    if asked == held:
        return []
    sentence = f"{asked} pieces asked for, {held} in the cart."
    return [Finding("line_items", f"{asked} pieces", f"{held} pieces", sentence)]


def _pairs(before: CheckedCart, after: CheckedCart) -> Iterator[tuple[Any, Any | None]]:
    """Match lines by their ids or, where those were made anew, by their names."""
    by_id = {line.line_item_id: line for line in after.lines if line.line_item_id}
    by_name = {line.name: line for line in reversed(after.lines)}
    for line in before.lines:
        yield line, by_id.get(line.line_item_id) or by_name.get(line.name)


def _lost(cart: CheckedCart, before: CheckedCart) -> Iterator[Finding]:
    for old, new in _pairs(before, cart):
        name = old.name
        if new is None:
            pieces = f"{old.quantity} of {name}" if old.quantity is not None else name
            sentence = f"{pieces} was in the cart before and is not in it now."
            yield Finding(old.path, pieces, "not there", sentence)
        elif None in (old.quantity, new.quantity) or old.quantity == new.quantity:
            continue
        elif new.quantity < old.quantity or not before.is_partial:
            sentence = f"The quantity of {name} went from {old.quantity} to {new.quantity}."
            path = f"{new.path}.quantity"
            yield Finding(path, str(old.quantity), str(new.quantity), sentence)
