"""The arithmetic of one cart: every way in which its amounts add up.

Merchants count differently, so a cart is not held to one formula. Its amounts are followed from
the line items over the subtotal to the total, and each known way of counting that gives exactly
the amounts that were sent is a `Solution`. A cart without one does not add up. The way that all
solutions share is what the cart says of its merchant (`Sums.decided`).

All amounts are whole minor units. A *reduction* is a discount that the cart states: at its line
items (``off_line``, ``off_later``), for the whole cart, for members, or with a coupon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.money import currency_code, read_money
from firmly_nb.carts.tables import amounts_of, as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from firmly_nb.carts.fields import Json


# The questions, and the answers that more than one place names.
TAX, LINE_DISCOUNT, CART_DISCOUNT = "tax", "line discount", "cart discount"
STATED_TWICE, ADDONS, CREDIT = "discount stated twice", "add-ons", "store credit"
MEMBERSHIP, SHIPPING, ROUNDING = "membership", "shipping", "rounding"
INSIDE, ON_TOP = "inside", "on top"
IN_LINES, IN_SUBTOTAL, IN_TOTAL = "in the line price", "in the subtotal", "in the total"
NOT_IN_TOTAL, SHOWN_ONLY, TAKEN_OFF = "not in the total", "shown only", "taken off the total"
ONCE, EACH_TIME = "taken off once", "taken off twice"
SUM_OF_METHODS = "the sum of the chosen methods"

# Amounts of a cart that have a place of their own; any other may or may not be in the total.
PLACED = frozenset(
    {
        *("sub_total", "shipping_total", "total", "tax", "tax_total"),
        *("addon_total", "cart_discount", "store_credit"),
    }
)
TOLD_ONLY = (
    *("available", "balance", "saving", "saved", "msrp", "original", "before", "estimat"),
    *("threshold", "minimum", "maximum", "remaining", "earn", "average"),
)
CREDITS = ("gift", "credit", "reward", "points", "loyalty", "voucher", "certificate")
MOST_OTHERS = 5  # further amounts; beyond, no total is judged
CASH = {"CHF": 5}  # minor units to which totals may be rounded


NONE = Fraction(0)


class Solution(NamedTuple):
    """One way in which the amounts give the total.

    Attributes
    ----------
    tax
        Whether the tax is inside of the prices or on top; empty without tax.
    before, after
        Reductions taken off between the line items and the subtotal, and after the subtotal.
    addons, credit
        Where the add-ons are, and whether store credit is taken off; empty without.
    """

    tax: str
    before: int | None
    after: int
    addons: str = ""
    credit: str = ""


@dataclass(slots=True)
class Sums:
    """Ways in which the amounts of one cart add up.

    Attributes
    ----------
    wrong_lines
        Line items whose price is none of the known ways, each with what it should be.
    off_line, off_later, off_cart
        Reductions of line items that are in their prices; those that are not; that of the cart.
    spread
        The part of the cart's reductions that is in the prices of the line items.
    lines_total
        Sum of the line items; None if one cannot be read.
    subtotal_off
        Minor units by which the subtotal differs from all known ways; 0 if it is one of them.
    by_rounding
        Minor units by which the subtotal is off as far as rounding allows.
    solutions, repeated
        Ways to the total; ways that take one reduction off more than once.
    has_open_code, is_open
        Whether a coupon names no amount; whether the amounts depend on what it takes off.
    expected
        The total that the plain way gives; None if it cannot be told.
    """

    wrong_lines: list[tuple[Any, int, int]] = field(default_factory=list)
    rounded_lines: int = 0
    off_line: int = 0
    off_later: int = 0
    off_cart: int = 0
    spread: int = 0
    lines_total: int | None = None
    subtotal_off: int = 0
    by_rounding: int = 0
    membership: str = ""
    solutions: list[Solution] = field(default_factory=list)
    repeated: list[Solution] = field(default_factory=list)
    is_open: bool = False
    has_open_code: bool = False
    expected: int | None = None
    reductions: tuple[int, ...] = ()
    must: int = 0

    def decided(self) -> dict[str, str]:
        """Return the answers that all solutions share, by question."""
        if not self.solutions or self.is_open:
            return {}
        if len(self.solutions) == 1:
            found = self.answers(self.solutions[0])
        else:
            each = [self.answers(way) for way in self.solutions]
            found = {
                question: answer
                for question, answer in each[0].items()
                if all(other.get(question) == answer for other in each[1:])
            }
        return found

    def answers(self, way: Solution) -> dict[str, str]:
        """Return how a solution answers the questions on which this cart has something to say."""
        found: dict[str, str] = {}
        if way.tax:
            found[TAX] = way.tax
        if way.addons:
            found[ADDONS] = way.addons
        if way.credit:
            found[CREDIT] = way.credit
        if self.membership:
            found[MEMBERSHIP] = self.membership
        if self.reductions:
            self._place_discounts(way, found)
        return found

    def _place_discounts(self, way: Solution, found: dict[str, str]) -> None:
        at_lines, at_cart = self.off_line + self.off_later, self.off_cart
        if way.before is None or way.before < 0:
            return
        if at_lines and at_lines == at_cart:
            taken = self.off_line + self.spread + way.before + way.after
            answer = {at_lines: ONCE, 2 * at_lines: EACH_TIME}.get(taken)
            if answer:
                found[STATED_TWICE] = answer
            return
        if at_lines and self.off_line == at_lines:
            found[LINE_DISCOUNT] = IN_LINES
        elif at_lines and self.off_later == at_lines:
            self._place(LINE_DISCOUNT, {at_lines, at_lines + at_cart}, way, found)
        if at_cart and self.spread == at_cart:
            found[CART_DISCOUNT] = IN_LINES
        elif at_cart:
            amounts = {at_cart, at_cart + self.off_later, at_cart - self.off_line}
            self._place(CART_DISCOUNT, amounts - {self.off_later}, way, found)

    def _place(
        self, question: str, amounts: set[int], way: Solution, found: dict[str, str]
    ) -> None:
        """Say where one of the amounts is taken off."""
        if way.before in amounts - {0}:
            found[question] = IN_SUBTOTAL
        elif way.after in amounts - {0}:
            found[question] = IN_TOTAL
        elif not way.before and not way.after:
            found[question] = SHOWN_ONLY


def is_apart(line: Json) -> bool:
    """Return whether a line item as sent is a membership, which may be outside of the sums."""
    return bool(line.get("recurring"))


def slack(pieces: int | Fraction) -> Fraction:
    """Return how far a line's price may be from price x quantity if the price shown is rounded.

    Examples
    --------
    >>> [slack(quantity) for quantity in (1, 3, 7)]
    [Fraction(0, 1), Fraction(3, 2), Fraction(7, 2)]
    """
    if pieces == 1:
        return NONE
    half = Fraction(pieces if pieces > 0 else -pieces) / 2
    return half if half.denominator <= 2 else half + Fraction(1, 2)


def slack_of_sum(n_lines: int) -> int:
    """Return how far a subtotal may be from the sum of line prices that are each rounded.

    Examples
    --------
    >>> [slack_of_sum(n_lines) for n_lines in (1, 2, 3, 4)]
    [0, 1, 2, 2]
    """
    return n_lines // 2 if n_lines < 3 else (n_lines + 1) // 2


def is_mixed(row: Any, lines: Iterable[Any], cart: Json) -> bool:
    """Return whether amounts are in several currencies, and so cannot be added up."""
    said = {row.currency}
    said.update(line.currency for line in lines)
    for name in PLACED:
        sent = cart.get(name)
        if type(sent) is dict:
            said.add(currency_code(sent.get("currency")))
    return len(said - {None}) > 1


def sums_of(
    row: Any, lines: Sequence[Any], cart: Json, lost: int = 0, chosen: int | None = None
) -> Sums:
    """Follow the amounts of a cart; its amounts must be in one currency.

    Parameters
    ----------
    row, lines
        The cart's rows in the tables, lines with ``pieces`` and ``is_apart``.
    cart
        The cart as it was sent.
    lost
        Price of line items that an earlier snapshot had and this one lacks.
    chosen
        Price of the chosen shipping methods; None if not known.
    """
    sums = Sums()
    stated = _stated(row, cart)
    sums.off_cart = stated[0]
    sums.has_open_code = not any(stated) and _has_code(cart)
    rest = _line_stage(sums, lines, row, stated)
    sums.must = _must(sums, lines, (rest[0], rest[2]) if len(rest) == 3 else rest)
    sums.reductions = tuple(filter(None, (sums.off_line, sums.off_later, *stated)))
    befores = _subtotal_stage(sums, row, lines, rest, lost)
    _total_stage(sums, row, cart, rest, befores, chosen)
    return sums


def _stated(row: Any, cart: Json) -> tuple[int, int, int]:
    """Return the reductions of the whole cart: its discount, the members', the coupons'."""
    off = abs(row.cart_discount_minor or 0)
    members = read_money(cart.get("vip_discount"))
    vip = abs(members.minor) if members and members.minor else 0
    codes = 0
    for name in ("coupons", "promo_codes"):
        if cart.get(name):
            codes = codes or abs(amounts_of(as_list(cart[name])) or 0)
    # A coupon's amount mostly says again what the discount of the cart says.
    return off, 0 if vip == off else vip, 0 if off else codes


def _line_stage(
    sums: Sums, lines: Sequence[Any], row: Any, stated: tuple[int, ...]
) -> tuple[int, ...]:
    """Judge each line item; return the reductions of the cart that are not in their prices."""
    odd: list[tuple[Any, int, int]] = []
    gaps = 0
    is_whole = True
    for line in lines:
        price, pieces, line_price = line.price_minor, line.pieces, line.line_price_minor
        if price is None or pieces is None or line_price is None:
            is_whole = False
            continue
        off = abs(line.discount_minor or 0)
        full = price * pieces
        gap = full - line_price
        if gap == 0:
            sums.off_later += off
            continue
        if off and gap == off:
            sums.off_line += off
            continue
        may = slack(pieces)
        if abs(gap) <= may:
            sums.rounded_lines += 1
            sums.off_later += off
            gaps += round(gap)
        elif off and abs(gap - off) <= may:
            sums.rounded_lines += 1
            sums.off_line += off
        else:
            odd.append((line, round(full), off))
            gaps += round(gap)
    if odd:
        return _odd_lines(sums, odd, gaps, row, stated, len(lines) if is_whole else 0)
    return stated


def _odd_lines(
    sums: Sums,
    odd: list[tuple[Any, int, int]],
    gaps: int,
    row: Any,
    stated: tuple[int, ...],
    n_lines: int,
) -> tuple[int, ...]:
    """Explain lines that cost something else than price x quantity, or keep them as wrong."""
    near = slack_of_sum(n_lines)
    less = all(full > line.line_price_minor for line, full, _ in odd)
    tax = row.tax_total_minor or 0
    parts = {sum(some) for some in _some_of(stated) if some}
    if not less and tax and abs(gaps + tax) <= near:
        return stated  # prices of pieces without tax, prices of lines with it
    found = [part for part in parts if abs(gaps - part) <= near] if less and n_lines else []
    if found:
        sums.spread = found[0]
        return _without(stated, sums.spread)
    if less and sums.has_open_code:
        sums.is_open = True
    else:
        sums.wrong_lines = odd
    return stated


def _without(stated: tuple[int, ...], spread: int) -> tuple[int, ...]:
    """Return the reductions that are not those which make up an amount."""
    taken = next(some for some in _some_of(stated) if sum(some) == spread)
    return tuple(0 if each in taken else each for each in stated)


def _some_of(values: Sequence[int]) -> Iterable[tuple[int, ...]]:
    known = [value for value in values if value]
    for size in range(len(known) + 1):
        yield from combinations(known, size)


def _has_code(cart: Json) -> bool:
    return any(as_list(cart.get(name)) for name in ("coupons", "promo_codes"))


def _rightful(sums: Sums, rest: tuple[int, ...]) -> set[int]:
    """Return what may still be taken off after the line items, each reduction at most once."""
    values = (sums.off_later, *rest)
    if not any(values):
        return {0}
    must = sums.must
    others = list(values)
    if must:
        others.remove(must)
    found = {must + sum(some) for some in _some_of(others)}
    if sums.off_line:
        # The discount of the cart may count those of its line items.
        found |= {each - sums.off_line for each in found if each > sums.off_line}
    return found


def _partly(sums: Sums, rest: tuple[int, ...]) -> set[int]:
    """Return what may be taken off between line items and subtotal: some of the reductions."""
    found = {sum(some) for some in _some_of((sums.off_later, *rest))}
    if sums.off_line:
        found |= {each - sums.off_line for each in found if each > sums.off_line}
    return found


def _must(sums: Sums, lines: Sequence[Any], rest: tuple[int, ...]) -> int:
    """Return the reduction of the cart that its total cannot be without; 0 if it can.

    It can where line items have reductions of that size, or prices below their list prices.
    """
    stated = next((each for each in rest if each), 0)
    if not stated or stated <= sums.off_line + sums.off_later:
        return 0
    listed = [
        (line.msrp_minor - line.price_minor) * line.pieces
        for line in lines
        if None not in (line.msrp_minor, line.price_minor, line.pieces)
    ]
    return 0 if listed and sum(listed) == stated else stated


def _subtotal_stage(
    sums: Sums, row: Any, lines: Sequence[Any], rest: tuple[int, ...], lost: int
) -> list[tuple[int, str]] | None:
    """Return what is taken off between line items and subtotal; None if that cannot be told.

    Each with a word for the tax: ``net`` if it is taken off as well, ``gross`` if it is added.
    """
    stated = row.sub_total_minor
    prices = [line.line_price_minor for line in lines]
    if None in prices:
        return None
    apart = sum(line.line_price_minor for line in lines if line.is_apart)
    total = sums.lines_total = sum(prices) - apart
    if stated is None:
        return None
    if not sums.reductions and stated == total and not apart:
        return [(0, "")]
    befores = _exactly(sums, row, [(total, NOT_IN_TOTAL), (total + apart, IN_SUBTOTAL)], rest)
    if befores:
        sums.membership = befores[0][2] if apart else ""
        return [(off, word) for off, word, _ in befores]
    may = slack_of_sum(len(lines))
    wanted = sorted(_partly(sums, rest)) + sorted(_again_at_subtotal(sums))
    near = (some for some in wanted if abs(total - stated - some) <= may)
    best = next(near, min(wanted, key=lambda some: abs(total - stated - some)))
    off = total - stated - best
    # What is lost or there twice is reported by a check of its own.
    whole = slack_of_sum(len(lines) + 1)
    elsewhere = (total + gone - stated for gone in (lost, -_said_again(lines)) if gone)
    if all(abs(each) > whole for each in elsewhere):
        if abs(off) <= may:
            sums.by_rounding = off
            return [(best, "")]
        if total > stated >= 0 and sums.has_open_code:
            sums.is_open = True
        else:
            sums.subtotal_off = off
    return None


def _again_at_subtotal(sums: Sums) -> set[int]:
    """Return what a subtotal lacks that has the discounts of its line items taken off once more."""
    if not sums.off_line:
        return set()
    return {sums.off_line, sums.off_line + sums.off_later, 2 * sums.off_line}


def _said_again(lines: Sequence[Any]) -> int:
    """Return the price of line items whose id an earlier one has."""
    seen: set[str] = set()
    again = 0
    for line in lines:
        if line.line_item_id in seen:
            again += line.line_price_minor
        if line.line_item_id:
            seen.add(line.line_item_id)
    return again


def _exactly(
    sums: Sums, row: Any, totals: Sequence[tuple[int, str]], rest: tuple[int, ...]
) -> list[tuple[int, str, str]]:
    """Return the ways in which the line items give the subtotal to the minor unit."""
    allowed = _partly(sums, rest)
    if sums.off_line:
        # Before the discounts that its lines have, or after one that is taken off once more.
        allowed |= {some - sums.off_line for some in allowed} | _again_at_subtotal(sums)
    if sums.spread:
        allowed |= {sums.spread}
    found: list[tuple[int, str, str]] = []
    for total, word in dict(reversed(totals)).items():
        less = total - row.sub_total_minor
        if less in allowed:
            found.append((less, "", word))
        found += [(off, kind, word) for off, kind in _with_tax(row, less, allowed)]
    exact = [way for way in found if not way[1]]
    return sorted(exact or found, key=lambda way: way[2] != NOT_IN_TOTAL)


def _with_tax(row: Any, less: int, allowed: set[int]) -> Iterable[tuple[int, str]]:
    """Yield the ways in which the subtotal differs by the tax or by the add-ons."""
    stated, tax = row.sub_total_minor, row.tax_total_minor or 0
    if tax:
        # Shipping has its part of the tax; what is left is that of the goods.
        with_shipping = stated + (row.shipping_total_minor or 0)
        goods = tax * stated // with_shipping if with_shipping > 0 else tax
        for some in sorted({0, *allowed}):
            if less - some in (tax, goods, goods + 1):
                yield some, "net"
            if less - some == -tax:
                yield some, "gross"
    if row.addon_total_minor and less == -row.addon_total_minor:
        yield 0, "addons"


def _others(cart: Json) -> list[tuple[int, ...]] | None:
    """Return what each further amount of a cart may add to the total; None if it has too many."""
    found: list[tuple[int, ...]] = []
    for name, sent in cart.items():
        if type(sent) is dict:
            if "currency" not in sent or name in PLACED or "discount" in name:
                continue
            money = read_money(sent)
            minor = money.minor if money else 0
        elif type(sent) is list and sent and any(word in name for word in CREDITS):
            minor = amounts_of(sent) or 0
        else:
            continue
        if not minor or any(word in name for word in TOLD_ONLY):
            continue
        if any(word in name for word in CREDITS):
            found.append((0, -abs(minor)))
        else:
            found.append((0, minor, -minor))
    return found if len(found) <= MOST_OTHERS else None


class Bill(NamedTuple):
    """One choice of what is in the total: words, and what they add to it."""

    tax: str
    addons: str
    credit: str
    added: int


def _bills(row: Any, others: list[tuple[int, ...]], instead: int | None) -> list[Bill]:
    """Return every choice of what beside subtotal, shipping and discounts is in the total."""
    tax, addons = row.tax_total_minor or 0, row.addon_total_minor or 0
    credit = abs(row.store_credit_minor or 0)
    taxes = [(ON_TOP, tax), (INSIDE, 0)] if tax else [("", 0)]
    extras = [(IN_TOTAL, addons), (NOT_IN_TOTAL, 0)] if addons else [("", 0)]
    credits_ = [(TAKEN_OFF, -credit), (SHOWN_ONLY, 0)] if credit else [("", 0)]
    further = sorted({sum(each) for each in product(*others)}, key=abs)
    if instead:
        further += [more + instead for more in further]
    return [
        Bill(a[0], b[0], c[0], a[1] + b[1] + c[1] + more)
        for a, b, c, more in product(taxes, extras, credits_, further)
    ]


def _total_stage(
    sums: Sums,
    row: Any,
    cart: Json,
    rest: tuple[int, ...],
    befores: list[tuple[int, str]] | None,
    chosen: int | None,
) -> None:
    """Find the ways from the subtotal to the total."""
    total, subtotal = row.total_minor, row.sub_total_minor
    if total is None or subtotal is None:
        _repeated_before_subtotal(sums, rest, befores)
        return
    shipping, tax = row.shipping_total_minor or 0, row.tax_total_minor or 0
    sums.expected = subtotal + shipping + tax + (row.addon_total_minor or 0) - sum(rest)
    others = _others(cart)
    if others is None:
        sums.is_open = True
        return
    # If shipping is not what its methods cost, its own check says so; the total may have either.
    instead = chosen - shipping if chosen is not None and shipping else None
    for bill in _bills(row, others, instead):
        after = subtotal + shipping + bill.added - total
        for before, word in befores if befores is not None else [(None, "")]:
            if after >= 0 and (way := _way(bill, before, word, after)) is not None:
                _judge(sums, rest, way)
    if sums.solutions or sums.repeated:
        return
    step = CASH.get(row.currency or "", 1)
    off = min((abs(sums.expected - each - total) for each in {0, tax}), default=0)
    if total % step == 0 and off <= step // 2:
        sums.solutions.append(Solution("", None, 0))
    elif sums.has_open_code and 0 <= total <= sums.expected:
        sums.is_open = True


def _way(bill: Bill, before: int | None, word: str, after: int) -> Solution | None:
    """Return a way to the total; None if its subtotal and total cannot both be so."""
    tax, addons = bill.tax, bill.addons
    if word in ("net", "gross"):
        # A subtotal without the tax of its lines gets it back in the total.
        if tax != (ON_TOP if word == "net" else INSIDE):
            return None
        tax = INSIDE if word == "net" else ON_TOP
    if word == "addons":
        if addons != NOT_IN_TOTAL:
            return None
        addons = IN_SUBTOTAL
    return Solution(tax, before, after, addons, bill.credit)


def _judge(sums: Sums, rest: tuple[int, ...], way: Solution) -> None:
    """Keep a way in which each reduction is taken off once, or one is taken off again."""
    allowed = _rightful(sums, rest)
    if way.before is None:
        if way.after in _partly(sums, rest) or way.after in (sums.off_line, sums.spread):
            sums.solutions.append(way)
    elif way.before + way.after in allowed:
        sums.solutions.append(way)
    elif _is_again(sums, rest, way.before, way.after):
        sums.repeated.append(way)


def _is_again(sums: Sums, rest: tuple[int, ...], before: int, after: int) -> bool:
    """Return whether more is taken off than is stated, and all of it is reductions again."""
    once = [each for each in (sums.off_line, sums.off_later, sums.spread, *rest) if each]
    again = {sum(some) for some in _some_of([*once, *once])}
    is_stated_twice = sums.off_cart and sums.off_line + sums.off_later == sums.off_cart
    most = sums.off_later if is_stated_twice else max(_partly(sums, rest))
    return before + after > most and {before, after} <= again


def _repeated_before_subtotal(
    sums: Sums, rest: tuple[int, ...], befores: list[tuple[int, str]] | None
) -> None:
    allowed = _partly(sums, rest)
    for before, word in befores or ():
        if not word and before > 0 and before not in allowed:
            sums.repeated.append(Solution("", before, 0))


def chosen_methods(shipments: Sequence[Any]) -> int | None:
    """Return the price of the chosen methods of all shipments; None if one cannot be told."""
    prices = [part.method_price_minor for part in shipments if part.method_id is not None]
    return sum(prices) if prices and None not in prices else None
