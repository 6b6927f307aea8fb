"""Conventions of merchants: how each counts, learned from its carts.

Each cart says what its own amounts leave no doubt of (`firmly_nb.carts.sums`). What the carts of a
merchant say together is its convention. A question that no cart decides has no answer, and one on
which carts disagree has ``differs``. Docs: docs/carts.md.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.carts.checked import CheckedCart, Told, checked_carts
from firmly_nb.carts.schemas import CONVENTIONS
from firmly_nb.carts.sums import (
    ADDONS,
    CART_DISCOUNT,
    CREDIT,
    INSIDE,
    LINE_DISCOUNT,
    MEMBERSHIP,
    NOT_IN_TOTAL,
    ONCE,
    ROUNDING,
    SHIPPING,
    STATED_TWICE,
    SUM_OF_METHODS,
    TAX,
)
from firmly_nb.display.text import capital, count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd


CANNOT, DIFFERS = "cannot be told", "differs"
BY_PIECE, BY_LINE, BY_ORDER = "by piece", "by line", "by order"
TAX_ROUNDING, HALVES, SHIPPING_TAX = "rounding of tax", "halves", "tax on shipping"
HALF_UP, HALF_EVEN = "half up", "half to even"
TAXED, NOT_TAXED = "taxed", "not taxed"
QUESTIONS = (
    *(TAX, LINE_DISCOUNT, CART_DISCOUNT, STATED_TWICE, ROUNDING, TAX_ROUNDING, HALVES),
    *(SHIPPING_TAX, SHIPPING, CREDIT, ADDONS, MEMBERSHIP),
)
# An answer stands if so many of the carts that decide give it; the others may be wrong.
MOST_AGREE = 0.85
# Other carts are held to it only where so many recordings give it.
FIRM = 5
# A rounding that shows nowhere is taken as absent where chance would hide it this rarely.
BY_CHANCE = 0.02


class Ref(NamedTuple):
    """One snapshot: its recording and its event."""

    recording_id: str
    seq: int


@dataclass(slots=True)
class Votes:
    """The carts that give each answer to one question."""

    by_answer: dict[str, list[Ref]] = field(default_factory=dict)

    def add(self, answer: str, ref: Ref) -> None:
        """Count a cart."""
        self.by_answer.setdefault(answer, []).append(ref)

    def answer(self) -> str:
        """Return what most recordings say, ``differs``, or ``cannot be told``."""
        if not self.by_answer:
            return CANNOT
        best = max(self.by_answer, key=self.n_recordings)
        n_all = sum(map(self.n_recordings, self.by_answer))
        return best if self.n_recordings(best) >= MOST_AGREE * n_all else DIFFERS

    def n_recordings(self, answer: str) -> int:
        """Return the number of recordings that say so."""
        return len({ref.recording_id for ref in self.by_answer.get(answer, ())})


def conventions(events: pd.DataFrame) -> pd.DataFrame:
    """Learn how each merchant counts.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row). The
        merchant is ``domain`` where the table has it, else the cart's ``shop_id``.

    Returns
    -------
    pandas.DataFrame
        One row for each merchant and question; columns as in `CONVENTIONS`.

    Examples
    --------
    >>> import pandas as pd
    >>> def eur(minor):
    ...     return {"currency": "EUR", "number": minor}
    >>> cart = {"shop_id": "a.test", "line_items": [{"price": eur(11900), "quantity": 1,
    ...     "line_price": eur(11900)}], "sub_total": eur(11900), "tax": eur(1900),
    ...     "total": eur(11900)}
    >>> events = pd.DataFrame(
    ...     {"recording_id": ["r1"], "seq": [1], "event": ["item-added"], "data": [{"cart": cart}]}
    ... )
    >>> conventions(events)[["question", "answer"]].iloc[0].tolist()
    ['tax', 'inside']
    """
    rows: list[dict[str, Any]] = []
    for merchant, carts in sorted(_by_merchant(checked_carts(events)).items()):
        usable = [cart for cart in carts if not cart.is_mixed]
        votes = _votes(usable) | {ROUNDING: _price_rounding(usable)} | _tax_rounding(usable)
        rows += [_row(merchant, each, votes.get(each) or Votes()) for each in QUESTIONS]
    return CONVENTIONS.frame(rows)


def hold_to_conventions(carts: Sequence[CheckedCart]) -> None:
    """Tell each cart what the carts of its merchant say clearly, so that checks hold it to that.

    Only carts that are sent to the same country, in the same currency, say something of it: a
    merchant may have the tax inside of its prices in one country and on top in another.
    """
    groups: dict[tuple[Any, ...], list[CheckedCart]] = defaultdict(list)
    by_recording: dict[Any, str | None] = {}
    for cart in carts:
        if cart.row.shipping_country:
            by_recording[cart.row.recording_id] = cart.row.shipping_country
    for cart in carts:
        if not cart.is_mixed:
            country = by_recording.get(cart.row.recording_id)
            groups[cart.merchant, cart.row.currency, country].append(cart)
    for group in groups.values():
        if len({cart.row.recording_id for cart in group}) < FIRM:
            continue
        told = _firm(_votes(group) | {ROUNDING: _price_rounding(group)})
        for cart in group:
            cart.told = told


def _firm(votes: dict[str, Votes]) -> dict[str, Told]:
    found = {}
    for question, each in votes.items():
        answer = each.answer()
        n_for = each.n_recordings(answer)
        if n_for >= FIRM:
            n_against = sum(map(each.n_recordings, each.by_answer)) - n_for
            found[question] = Told(answer, n_for, n_against)
    return found


def _by_merchant(carts: Iterable[CheckedCart]) -> dict[str, list[CheckedCart]]:
    found: dict[str, list[CheckedCart]] = defaultdict(list)
    for cart in carts:
        found[cart.merchant].append(cart)
    return found


def _row(merchant: str, question: str, votes: Votes) -> dict[str, Any]:
    answer = votes.answer()
    wanted = answer if answer != DIFFERS else max(votes.by_answer, key=votes.n_recordings)
    for_it = votes.by_answer.get(wanted, [])
    against = [ref for other, refs in votes.by_answer.items() if other != wanted for ref in refs]
    return {
        "domain": merchant,
        "question": question,
        "answer": answer,
        "n_for": len(for_it),
        "n_against": len(against),
        "carts_for": [tuple(ref) for ref in for_it],
        "carts_against": [tuple(ref) for ref in against],
        "sentence": _sentence(question, answer, votes),
    }


def _sentence(question: str, answer: str, votes: Votes) -> str:
    name = capital(question)
    if answer == CANNOT:
        return f"{name}: no cart decides it."
    by_size = sorted(votes.by_answer.items(), key=lambda pair: -len(pair[1]))
    if answer == DIFFERS:
        words = ", ".join(f"{each} in {count(len(refs), 'cart')}" for each, refs in by_size)
        return f"{name} differs: {words}."
    rest = sum(len(refs) for _, refs in by_size[1:])
    against = f", {rest} against" if rest else ""
    return f"{name}: {answer} ({count(len(votes.by_answer[answer]), 'cart')} for{against})."


def _ref(cart: CheckedCart) -> Ref:
    return Ref(str(cart.row.recording_id), int(cart.row.seq))


def _votes(carts: Iterable[CheckedCart]) -> dict[str, Votes]:
    """Count what each cart says of the questions that its sums decide."""
    votes: dict[str, Votes] = defaultdict(Votes)
    for cart in carts:
        ref = None
        for question, answer in cart.sums.decided().items():
            ref = ref or _ref(cart)
            votes[question].add(answer, ref)
        stated, chosen = cart.row.shipping_total_minor, cart.chosen
        if stated and chosen:
            answer = SUM_OF_METHODS if stated == chosen else "another amount"
            votes[SHIPPING].add(answer, _ref(cart))
    if ONCE not in votes[STATED_TWICE].by_answer:
        del votes[STATED_TWICE]  # two discounts may be of one size by chance
    return dict(votes)


# Where prices are rounded: a price of a piece that is shown rounded, times a quantity, is seldom
# the rounded price of the line; and rounded lines seldom add up to the rounded sum.


@dataclass(slots=True)
class Rounded:
    """Signs of rounding in the lines of all carts, each observation once."""

    exact: dict[tuple[Any, ...], tuple[float, Ref]] = field(default_factory=dict)
    deviating: dict[tuple[Any, ...], Ref] = field(default_factory=dict)
    even_sums: dict[tuple[Any, ...], tuple[float, Ref]] = field(default_factory=dict)
    off_sums: dict[tuple[Any, ...], Ref] = field(default_factory=dict)

    def add(self, cart: CheckedCart) -> None:
        """Look at the lines of a cart and at their sum."""
        sums = cart.sums
        for line in cart.lines:
            price, pieces, cost = line.price_minor, line.pieces, line.line_price_minor
            if None in (price, pieces, cost) or type(pieces) is not int or pieces < 2:
                continue
            off = abs(line.discount_minor or 0)
            # One product at one price is one observation, however often it is ordered.
            key = (line.name, price, pieces, off)
            if price * pieces in (cost, cost + off):
                self.exact.setdefault(key, (1 / min(pieces, 50), _ref(cart)))
            else:
                self.deviating.setdefault(key, _ref(cart))
        if sums.lines_total is None or len(cart.lines) < 2:
            return
        amounts = sorted((line.name, line.line_price_minor) for line in cart.lines)
        whole = (*amounts, cart.row.sub_total_minor)
        if sums.by_rounding:
            self.off_sums.setdefault(whole, _ref(cart))
        elif not sums.reductions:
            self.even_sums.setdefault(whole, (_all_even(len(cart.lines)), _ref(cart)))

    def votes(self) -> Votes:
        """Tell by which unit prices are rounded."""
        votes, few = Votes(), 1 - MOST_AGREE
        is_rounded = len(self.deviating) > few * (len(self.exact) + len(self.deviating))
        if self.off_sums and len(self.off_sums) > few / 2 * len(self.even_sums):
            for ref in self.off_sums.values():
                votes.add(BY_ORDER, ref)
        elif self.deviating and is_rounded:
            # Rounded once for the order, one of so many sums would be off.
            if not self.off_sums and prod(w for w, _ in self.even_sums.values()) <= BY_CHANCE:
                for ref in self.deviating.values():
                    votes.add(BY_LINE, ref)
        elif self.exact and self._by_chance() <= BY_CHANCE:
            for _, ref in self.exact.values():
                votes.add(BY_PIECE, ref)
            for ref in self.deviating.values():
                votes.add(BY_LINE, ref)
        return votes

    def _by_chance(self) -> float:
        """Return how often no line would deviate if the prices shown were rounded."""
        least: dict[tuple[Any, ...], float] = {}
        for key, (weight, _) in self.exact.items():
            least[key[:2]] = min(weight, least.get(key[:2], 1.0))
        return prod(least.values())


def _price_rounding(carts: Iterable[CheckedCart]) -> Votes:
    """Tell by which unit prices are rounded, from the lines of all carts."""
    seen = Rounded()
    for cart in carts:
        sums = cart.sums
        if not (sums.wrong_lines or sums.spread or sums.subtotal_off or sums.is_open):
            seen.add(cart)
    return seen.votes()


# The share of carts of n lines with rounded prices whose sum is that of the exact prices, rounded:
# how often n numbers between -1/2 and 1/2 add up to one between -1/2 and 1/2.
_EVEN = {1: 1.0, 2: 0.75, 3: 2 / 3, 4: 0.599, 5: 0.55, 6: 0.511, 7: 0.479, 8: 0.453}


def _all_even(n_lines: int) -> float:
    return _EVEN.get(n_lines, 0.45)


# How tax is rounded. The rate is not known, so that each way of rounding is tried: the carts of
# one region have one rate, if they are rounded so.

GRID = 100_000  # steps of a rate: thousandths of a percent
HIGHEST_RATE = 40_000
# A rate of one decimal is taken before one beside it that needs three: 20 % before 20.001 %.
PLAIN, BESIDE, ODD = 100, 5, 10
MOST_TRIED = 150  # different carts of a region
FEWEST_TRIED = 3


class Way(NamedTuple):
    """One way of rounding tax, and whether shipping is taxed."""

    unit: str
    halves: str
    shipping: str


WAYS = tuple(
    Way(*each)
    for each in product((BY_ORDER, BY_LINE, BY_PIECE), (HALF_UP, HALF_EVEN), (NOT_TAXED, TAXED))
)


class Taxed(NamedTuple):
    """The amounts of a cart that its tax can depend on."""

    tax: int
    shipping: int
    lines: tuple[tuple[int, int, int], ...]  # price, pieces, line price
    is_inside: bool
    ref: Ref


class Fit(NamedTuple):
    """The rates that give the tax of each cart, and the one that gives most of them."""

    ranges: list[tuple[int, int]]
    rate: int

    def at(self, rate: int) -> list[bool]:
        """Return which carts have the tax that a rate gives."""
        return [low <= rate <= high for low, high in self.ranges]


Fits = dict[Way, list[bool]]
UNITS = tuple(product((BY_ORDER, BY_LINE, BY_PIECE), (HALF_UP, HALF_EVEN)))


def _tax_rounding(carts: Sequence[CheckedCart]) -> dict[str, Votes]:
    """Tell how tax is rounded and whether shipping is taxed, where one rate fits each region."""
    votes = {TAX_ROUNDING: Votes(), HALVES: Votes(), SHIPPING_TAX: Votes()}
    tried: list[tuple[Fits, list[Taxed]]] = []
    for group in _taxed(carts):
        fits = _at_one_rate({way: _fit(way, group) for way in WAYS})
        best = max(map(sum, fits.values()))
        if best >= MOST_AGREE * len(group):
            tried.append((fits, group))
            for answer, ref in _shipping_of(fits, best, group):
                votes[SHIPPING_TAX].add(answer, ref)
    # Whether shipping is taxed may differ by region; how tax is rounded is the merchant's.
    chosen = {
        unit: [
            max((fits[Way(*unit, where)] for where in (NOT_TAXED, TAXED)), key=sum)
            for fits, _ in tried
        ]
        for unit in UNITS
    }
    groups = [group for _, group in tried]
    scores = {unit: sum(map(sum, each)) for unit, each in chosen.items()}
    winners = [unit for unit in UNITS if groups and scores[unit] == max(scores.values())]
    for part, question in enumerate((TAX_ROUNDING, HALVES)):
        for answer, ref in _deciding(winners, chosen, groups, part):
            votes[question].add(answer, ref)
    return votes


def _at_one_rate(tried: dict[Way, Fit]) -> Fits:
    """Return which carts each way fits; a region has one rate, which is plain if it can be."""
    fits = {way: fit.at(fit.rate) for way, fit in tried.items()}
    best = max(map(sum, fits.values()))
    plain = {
        fit.rate for way, fit in tried.items() if sum(fits[way]) == best and fit.rate % PLAIN == 0
    }
    if len(plain) != 1:
        return fits
    rate = plain.pop()
    for way, fit in tried.items():
        if fit.rate % ODD and abs(fit.rate - rate) <= BESIDE:
            fits[way] = fit.at(rate)
    return fits


def _deciding(
    winners: list[tuple[str, str]],
    chosen: dict[tuple[str, str], list[list[bool]]],
    groups: list[list[Taxed]],
    part: int,
) -> Iterable[tuple[str, Ref]]:
    """Yield the carts that fit the best way and not another answer, if all best ways agree."""
    if len({unit[part] for unit in winners}) != 1:
        return
    best = winners[0]
    rivals = [
        unit for unit in UNITS if unit[part] != best[part] and unit[1 - part] == best[1 - part]
    ]
    for number, group in enumerate(groups):
        for at, taxed in enumerate(group):
            if chosen[best][number][at] and not all(chosen[each][number][at] for each in rivals):
                yield best[part], taxed.ref


def _shipping_of(fits: Fits, best: int, group: list[Taxed]) -> Iterable[tuple[str, Ref]]:
    """Yield the carts of a region that tell whether shipping is taxed, if all best ways agree."""
    winners = [way for way, fit in fits.items() if sum(fit) == best]
    if len({way.shipping for way in winners}) != 1:
        return
    best_way = winners[0]
    other = TAXED if best_way.shipping == NOT_TAXED else NOT_TAXED
    rival = fits[best_way._replace(shipping=other)]
    for taxed, fits_best, fits_rival in zip(group, fits[best_way], rival, strict=True):
        if fits_best and not fits_rival:
            yield best_way.shipping, taxed.ref


def _taxed(carts: Sequence[CheckedCart]) -> list[list[Taxed]]:
    """Return the different carts whose tax can be tried, by region."""
    groups: dict[tuple[Any, ...], dict[tuple[Any, ...], Taxed]] = defaultdict(dict)
    for cart in carts:
        row = cart.row
        taxed = _read_taxed(cart)
        if taxed is None:
            continue
        region = (row.shipping_country, row.shipping_region, row.currency, taxed.is_inside)
        if len(groups[region]) < MOST_TRIED:
            groups[region].setdefault(taxed[:3], taxed)
    return [list(each.values()) for each in groups.values() if len(each) >= FEWEST_TRIED]


def _read_taxed(cart: CheckedCart) -> Taxed | None:
    """Return what a cart's tax can depend on; None with discounts, which are taxed in many ways."""
    row, sums = cart.row, cart.sums
    where, tax, shipping = (
        sums.decided().get(TAX),
        row.tax_total_minor,
        row.shipping_total_minor or 0,
    )
    if where is None or tax <= 0 or shipping < 0 or row.addon_total_minor or sums.reductions:
        return None
    # The tax of a membership is not known, unless it is in no sum.
    if sums.membership not in ("", NOT_IN_TOTAL):
        return None
    if sums.is_open or sums.lines_total != row.sub_total_minor:
        return None
    lines = tuple(
        (each.price_minor, each.pieces, each.line_price_minor)
        for each in cart.lines
        if not each.is_apart
    )
    if any(None in line or type(line[1]) is not int or min(line) < 0 for line in lines):
        return None
    return Taxed(tax, shipping, lines, where == INSIDE, _ref(cart))


def _fit(way: Way, group: list[Taxed]) -> Fit:
    """Return the rates that a way needs for each cart, and the one at which most of them fit."""
    ranges = [_rates(way, taxed) for taxed in group]
    ends = sorted(
        [(low, 0) for low, high in ranges if low <= high]
        + [(high, 1) for low, high in ranges if low <= high]
    )
    best, now, found = 0, 0, (1, 0)
    for at, (rate, is_end) in enumerate(ends):
        now += -1 if is_end else 1
        if now > best:
            best, found = now, (rate, ends[at + 1][0])
    return Fit(ranges, _simplest(*found))


def _simplest(low: int, high: int) -> int:
    """Return the rate of a range that has the fewest decimals."""
    for step in (1000, 500, 250, 100, 50, 25, 10, 5, 1):
        rate = -(-low // step) * step
        if rate <= high:
            return rate
    return low


def _rates(way: Way, taxed: Taxed) -> tuple[int, int]:
    """Return the lowest and the highest rate that give the cart's tax; high < low for none."""
    parts = _parts(way, taxed)
    half = way.halves == HALF_EVEN

    def tax(rate: int) -> int:
        under = 2 * (GRID + rate if taxed.is_inside else GRID)
        total = 0
        for amount, times in parts:
            whole, rest = divmod(2 * amount * rate, under)
            up = 2 * rest > under or (2 * rest == under and (not half or whole % 2 == 1))
            total += times * (whole + up)
        return total

    low = _first(lambda rate: tax(rate) >= taxed.tax)
    high = _first(lambda rate: tax(rate) > taxed.tax) - 1
    return low, high


def _first(is_so: Callable[[int], bool]) -> int:
    low, high = 0, HIGHEST_RATE + 1
    while low < high:
        middle = (low + high) // 2
        if is_so(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _parts(way: Way, taxed: Taxed) -> list[tuple[int, int]]:
    """Return the amounts whose tax is rounded each, and how often each counts."""
    shipping = taxed.shipping if way.shipping == TAXED else 0
    if way.unit == BY_ORDER:
        return [(sum(line[2] for line in taxed.lines) + shipping, 1)]
    if way.unit == BY_LINE:
        parts = [(line[2], 1) for line in taxed.lines]
    else:
        parts = [(line[0], line[1]) for line in taxed.lines]
    return [*parts, (shipping, 1)] if shipping else parts
