"""The checks of what is in a cart: its fields and status, its identity, its line items, notices."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from firmly_nb.api.event_names import ERROR, GUIDE, REFERENCE, SUCCESS
from firmly_nb.api.money import contradicts, format_minor
from firmly_nb.carts.checked import FILLS, SPELLINGS, CheckedCart, Finding, Skipped, check
from firmly_nb.carts.fields import read_text
from firmly_nb.carts.paths import below, element_path
from firmly_nb.carts.tables import parts
from firmly_nb.display.text import full_stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmly_nb.carts.checked import Severity


MOST_FINDINGS = 20  # of one kind in one cart: a cart of 5,000 wrong lines is wrong once


def plain(value: Any) -> str:
    """Return what was sent as a short text for a finding."""
    text = str(read_text(value)) if isinstance(value, str) else type(value).__name__
    if isinstance(value, (int, float)):
        text = format(value, ".15g") if abs(value) < 1e300 else "a huge number"
    return text[:40]


# What a cart must say at all, and the status it says it has.


# Fields that both versions of the API document, and from when on.
ALWAYS_FIELDS = ("cart_id", "cart_status", "line_items")
FILLED_FIELDS = ("sub_total", "total")
PRICED_FIELDS = ("shipping_total", "tax_total")
LINE_FIELDS = ("line_item_id", "sku", "quantity", "price", "line_price")
AMOUNTS = frozenset({"sub_total", "total", "shipping_total", "tax_total", "price", "line_price"})
OPEN_EVENTS = frozenset({"item-added", "shipping-updated"})
SETS_SHIPPING = "set-shipping-info"  # a call of a flow, perhaps with a number behind it
BEFORE_SUCCESS = frozenset({*REFERENCE, *GUIDE, ERROR}) - SUCCESS


@check(name="required-fields", severity="error")
def required_fields(cart: CheckedCart) -> list[Finding] | None:
    """Check that every field that all carts are documented to have is there and can be read."""
    # A confirmation may leave out what the carts before it said, or all but its number.
    names = [] if cart.is_bare else list(ALWAYS_FIELDS[2 if cart.is_order else 0 :])
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
    if name == "quantity" and row.pieces is None:
        return Finding(path, "a number", "no number", f"{path} is there, but is no number.")
    return None


# What must stay the same within an order.


@check(name="same-order", severity="error")
def same_order(cart: CheckedCart) -> list[Finding] | None:
    """Check that the ids of cart and shop and the country are those of the snapshots before."""
    if cart.before is None:
        return None
    findings = []
    looked = False
    for name in ("cart_id", "shop_id"):
        was, now = _last_said(cart, name), getattr(cart.row, name)
        if was is None or now is None:
            continue
        looked = True
        # The name of a host is one in any case.
        if was != now and not (name == "shop_id" and was.casefold() == now.casefold()):
            sentence = f"The {name} is {now}; in the snapshot before it was {was}."
            findings.append(Finding(name, was, now, sentence))
    pair = _countries(cart)
    if pair is not None:
        looked = True
        was, now = pair
        if _country(was) != _country(now) and not _is_new_address(cart):
            sentence = f"The country is {now}; in the snapshot before it was {was}."
            findings.append(Finding("shipping_info.country", was, now, sentence))
    return findings if looked else None


def _last_said(cart: CheckedCart, name: str) -> str | None:
    before = cart.before
    while before is not None:
        value = getattr(before.row, name)
        if value is not None:
            return str(value)
        before = before.before
    return None


def _countries(cart: CheckedCart) -> tuple[str, str] | None:
    """Return the country before and now, in the form in which both say it."""
    was, now = _last_said(cart, "shipping_country"), cart.row.shipping_country
    return None if was is None or now is None else (was, now)


# Names that the API's samples have beside the codes; other names are compared as they are.
COUNTRY_CODES = {
    "united states": "us",
    "united states of america": "us",
    "usa": "us",
    "u.s.": "us",
    "united kingdom": "gb",
    "great britain": "gb",
    "uk": "gb",
    "canada": "ca",
    "japan": "jp",
    "germany": "de",
    "deutschland": "de",
    "france": "fr",
    "kuwait": "kw",
    "italy": "it",
    "spain": "es",
    "austria": "at",
    "switzerland": "ch",
    "netherlands": "nl",
    "mexico": "mx",
    "australia": "au",
    "ireland": "ie",
    "belgium": "be",
    "sweden": "se",
    "norway": "no",
    "denmark": "dk",
    "poland": "pl",
    "india": "in",
    "china": "cn",
    "brazil": "br",
}
ALPHA_3 = {
    "usa": "us",
    "gbr": "gb",
    "can": "ca",
    "jpn": "jp",
    "deu": "de",
    "fra": "fr",
    "kwt": "kw",
    "ita": "it",
    "esp": "es",
    "aut": "at",
    "che": "ch",
    "nld": "nl",
    "mex": "mx",
    "aus": "au",
}


def _country(said: str) -> str:
    """Return one form of a country that is said by code or by name."""
    text = said.strip().casefold()
    return COUNTRY_CODES.get(text) or ALPHA_3.get(text) or text


def _is_new_address(cart: CheckedCart) -> bool:
    """Return whether a country may differ: another address was set, or a name cannot be read.

    Until shipping is set, a cart may have the address that the merchant knows or guesses.
    """
    before = cart.before
    while before is not None and before.row.shipping_country is None:
        before = before.before
    if before is None or str(cart.row.event).startswith(SETS_SHIPPING):
        return True
    was, now = (_country(each.row.shipping_country) for each in (before, cart))
    if (len(was) == 2) != (len(now) == 2):
        return True  # a code, and a name that the table above lacks
    if before.row.event != "creating-cart" and not FILLS.match(str(before.row.event)):
        return False
    old, new = (each.data.get("shipping_info") or {} for each in (before, cart))
    names = ("address1", "city", "postal_code", "state_or_province")
    return any(
        old.get(name) is not None and new.get(name) is not None and old[name] != new[name]
        for name in names
    )


# Notices that say that something is wrong, by words in their codes.
_SERIOUS = re.compile(r"OUT_OF_STOCK|NOT_SHIPPABLE|NOT_AVAILABLE|UNAVAILABLE|BLOCKED|INVALID|ERROR")
_WARNING = re.compile(
    r"EXPIRED|NOT_|CANNOT|INCREASED|DECREASED|CHANGED|REMOVED|FAILED|INSUFFICIENT|LIMIT|EXCEED"
    r"|MISSING|DECLINED|DELAY|BACKORDER|REQUIRED|WARNING"
)
_GRADES = ("severity", "level", "type")


@check(name="notices-of-order", severity="error")
def notices_of_order(cart: CheckedCart) -> list[Finding] | None:
    """Check that the order that was placed has no notice that warns of something."""
    if not cart.is_order:
        return None
    findings = []
    for number, notice in enumerate(cart.notices, 1):
        grade = _grade(notice)
        if grade:
            said = plain(notice.code or notice.message or "a notice")
            path = below(element_path("notices", said if notice.code else str(number)))
            words = f": {plain(notice.message)}" if notice.code and notice.message else ""
            sentence = full_stop(f"The order was placed with the notice {said}{words}")
            findings.append(Finding(path, "no warning", said, sentence, grade))
    return findings[:MOST_FINDINGS]


def _grade(notice: Any) -> Severity | None:
    """Return how serious a notice is; None for one that only informs."""
    code = re.sub("[^A-Z]+", "_", (notice.code or "").upper())
    said = " ".join(str((notice.other or {}).get(name, "")) for name in _GRADES).casefold()
    if _SERIOUS.search(code) or "error" in said:
        return "error"
    return "warning" if _WARNING.search(code) or "warn" in said else None


# The lines: that the cart holds what was asked for, once, at one price.


@check(name="quantity", severity="error")
def quantity(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that the quantity of every line item is above zero."""
    looked = [line for line in cart.lines if line.pieces is not None]
    if not looked:
        return cart.unread_lines("quantity")
    return [
        Finding(
            f"{line.path}.quantity",
            "at least 1",
            written(line.pieces),
            f"Line item {line.name} has quantity {written(line.pieces)}.",
        )
        for line in looked
        if line.pieces <= 0
    ]


def written(pieces: Any) -> str:
    """Write a quantity, whole or not."""
    return str(pieces) if pieces is None or type(pieces) is int else f"{float(pieces):.9g}"


@check(name="lines-once", severity="error")
def lines_once(cart: CheckedCart) -> list[Finding] | None:
    """Check that no line item is in the cart twice."""
    if not cart.lines:
        return None
    ids = Counter(_contents(line) for line in cart.lines if line.line_item_id)
    first = {line.line_item_id: line.path for line in reversed(cart.lines)}
    first_of_name = {line.name: line.path for line in reversed(cart.lines)}
    twice = [
        Finding(
            first[line_id],
            f"{line_id} once",
            f"{count} times",
            f"Line item {line_id} is in the cart {count} times.",
        )
        for (line_id, *_), count in ids.items()
        if count > 1
    ]
    variants = Counter(
        line.name
        for line in cart.lines
        if (line.variant_id or line.sku) and cart.ids[line.line_item_id] <= 1
    )
    split = [
        Finding(
            first_of_name[name],
            "one line item",
            f"{count} line items",
            f"{name} is in {count} line items of its own.",
            "warning",
        )
        for name, count in variants.items()
        if count > 1 and not _are_told_apart(cart, name)
    ]
    return twice + split


def _contents(line: Any) -> tuple[Any, ...]:
    """Return what two lines that are one line have in common."""
    named = (line.sku, line.variant_id, line.description, line.variant_description)
    return (line.line_item_id, *named, line.pieces, line.price_minor, line.line_price_minor)


def _are_told_apart(cart: CheckedCart, name: str) -> bool:
    """Return whether lines of one variant are so on purpose: at another price, or for a gift."""
    prices = Counter(line.price_minor for line in cart.lines if line.name == name)
    return max(prices.values()) == 1


@check(name="line-ids-differ", severity="error")
def line_ids_differ(cart: CheckedCart) -> list[Finding] | None:
    """Check that no two different line items have one line_item_id."""
    if not cart.ids:
        return None
    findings = []
    for line_id, times in cart.ids.items():
        if times < 2:
            continue
        lines = [line for line in cart.lines if line.line_item_id == line_id]
        different = list(dict.fromkeys(map(_contents, lines)))
        if len(different) > 1:
            said = list(dict.fromkeys(_with_quantity(line) for line in lines))
            names = " and ".join(said) if len(said) > 1 else f"{said[0]}, with other contents"
            sentence = f"The id {line_id} is that of {len(different)} line items: {names}."
            found = f"{len(different)} line items"
            findings.append(
                Finding(f"{lines[0].path}.line_item_id", "one line item", found, sentence)
            )
    return findings[:MOST_FINDINGS]


def _with_quantity(line: Any) -> str:
    price = line.line_price_minor
    cost = "" if price is None else f" at {format_minor(price, line.currency or '')}"
    return f"{written(line.pieces) if line.pieces is not None else '?'} of {line.name}{cost}"


@check(name="lines-kept", severity="error")
def lines_kept(cart: CheckedCart) -> list[Finding] | None:
    """Check that every line item of the snapshot before is still there, in the same quantity."""
    if cart.before is None or not cart.before.lines or not _has_lines(cart) or cart.was_filled:
        return None
    return list(_lost(cart, cart.before))


def _has_lines(cart: CheckedCart) -> bool:
    """Return whether a cart says which lines it has, if only that it has none."""
    return type(cart.data.get("line_items")) is list


@check(name="prices-kept", severity="error")
def prices_kept(cart: CheckedCart) -> list[Finding] | None:
    """Check that a line item's price is what it was in the snapshot before."""
    if cart.before is None:
        return None
    both = [
        (old, new)
        for old, new in pairs(cart.before, cart)
        if new is not None
        and None not in (old.price_minor, new.price_minor)
        and old.currency == new.currency
    ]
    if not both:
        return None
    findings = []
    for old, new in both:
        if old.price_minor == new.price_minor:
            continue
        name, currency = new.name, new.currency or ""
        was, now = (format_minor(line.price_minor, currency) for line in (old, new))
        sentence = f"The price of {name} went from {was} to {now}."
        findings.append(Finding(f"{new.path}.price", was, now, sentence))
    return findings


@check(name="as-asked", severity="error")
def as_asked(cart: CheckedCart) -> list[Finding] | Skipped | None:
    """Check that the cart holds what was ordered, in the same quantity, and nothing else."""
    if cart.asked is None or cart.is_partial or not _has_lines(cart):
        return None
    if any(line.pieces is None for line in cart.lines):
        return cart.unread_lines("quantity")
    # A missing line is reported once, where it went missing, and a second one of a line likewise.
    gone = {each for line in cart.lost for each in (line.variant_id, line.sku) if each}
    held: Counter[str] = Counter()
    given: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for line in cart.lines:
        if (line.line_item_id, line.name) in seen:
            continue
        if line.line_item_id:
            seen.add((line.line_item_id, line.name))
        known = [each for each in (line.variant_id, line.sku) if each is not None]
        name = next((each for each in known if each in cart.asked), known[0] if known else "?")
        if name not in cart.asked and _is_added_by_merchant(line):
            given[name] += line.pieces
        else:
            held[name] += line.pieces
    if cart.asked.keys().isdisjoint(held) and not any(line.variant_id for line in cart.lines):
        if cart.lost:
            return []
        return _as_many(cart.asked.total(), held.total())  # the merchant names no variants
    return [
        Finding(
            below(element_path("line_items", name), "quantity"),
            written(cart.asked[name]),
            written(held[name]),
            f"{written(cart.asked[name])} of {name} asked for, {written(held[name])} in the cart.",
        )
        for name in dict.fromkeys([*cart.asked, *held])
        if cart.asked[name] != held[name] and not (name in gone and not held[name])
    ]


def _is_added_by_merchant(line: Any) -> bool:
    """Return whether a line is none of the goods: a membership, a discount, a free gift."""
    price = line.line_price_minor
    return bool(line.is_apart or (price is not None and price <= 0))


@check(name="shipments-cover-lines", severity="error")
def shipments_cover_lines(cart: CheckedCart) -> list[Finding] | None:
    """Check that every line item to be sent is in exactly one shipment, and no other is."""
    shipments = [each for each in cart.shipments if each.shipment_id or each.line_item_ids]
    lines = {line.line_item_id: line for line in cart.lines if line.line_item_id}
    named = [line_id for each in shipments for line_id in each.line_item_ids]
    if not lines or not named or len(lines) < cart.ids.total():
        return None  # an id that stands twice is reported by its own check
    times = Counter(line_id for line_id in named if isinstance(line_id, str))
    lost = {line.line_item_id for line in cart.lost}
    findings = []
    for line_id, line in lines.items():
        is_sent = line.requires_shipping is not False and not _is_added_by_merchant(line)
        if times[line_id] not in ((1,) if is_sent else (0, 1)):
            name = line.name
            sentence = f"Line item {name} is in {times[line_id]} shipments."
            findings.append(Finding(line.path, "1 shipment", str(times[line_id]), sentence))
    for line_id in times.keys() - lines.keys() - lost:
        sentence = f"A shipment names line item {line_id}, which is not in the cart."
        findings.append(
            Finding("shipments.line_item_ids", "a line item of the cart", line_id, sentence)
        )
    return findings


def _as_many(asked: Any, held: Any) -> list[Finding]:
    if asked == held:
        return []
    wanted, found = f"quantity {written(asked)}", f"quantity {written(held)}"
    sentence = f"The order has {wanted}, the cart {found}."
    return [Finding("line_items", wanted, found, sentence)]


def pairs(before: CheckedCart, after: CheckedCart) -> Iterator[tuple[Any, Any | None]]:
    """Match lines by their ids or, where those were made anew, by their names."""
    by_id = {line.line_item_id: line for line in after.lines if after.ids[line.line_item_id] == 1}
    by_name = {line.name: line for line in reversed(after.lines)}
    for line in before.lines:
        own = by_id.get(line.line_item_id) if before.ids[line.line_item_id] == 1 else None
        other = own or by_name.get(line.name)
        # Of two lines with one id, nobody can say which of them another one was.
        n_before, n_after = (
            before.ids[line.line_item_id],
            after.ids[other.line_item_id if other else ""],
        )
        if other is None or (n_before < 2 and n_after < 2):
            yield line, other


def _lost(cart: CheckedCart, before: CheckedCart) -> Iterator[Finding]:
    for old, new in pairs(before, cart):
        name = old.name
        if new is None:
            pieces = f"{written(old.pieces)} of {name}" if old.pieces is not None else name
            held = "" if old.pieces is None else f"; before, it held {written(old.pieces)}"
            sentence = f"The cart has lost {name}{held}."
            yield Finding(old.path, pieces, "not there", sentence)
        elif None in (old.pieces, new.pieces) or old.pieces == new.pieces:
            continue
        elif new.pieces < old.pieces or not before.is_partial:
            was, now = written(old.pieces), written(new.pieces)
            sentence = f"The quantity of {name} went from {was} to {now}."
            yield Finding(f"{new.path}.quantity", was, now, sentence)
