"""Orders of a sweep: some, a grid, or what a merchant sells; and the plan on disk.

What is compared is interleaved: one of each in a random order, then again one of each, so that a
merchant that grows slower by the minute is not mistaken for a difference between them.

Merchants sell different items. Where a grid names a merchant without items, its own catalogue is
asked before the sweep's first order: what the order has where that is sold there, else the first
things that can be ordered. What was found is said, tagged and written down.

The plan is written beside the journals, so that a sweep can be resumed. It names no address and
holds no secret, so an order itself is not in it: who resumes brings the orders again, and what they
are is compared.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Self

import orjson

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.flow import Flow
from firmly_nb.api.models import Address, Card, InvalidOrder, Item, Order
from firmly_nb.disk import Lock, lock, write_whole
from firmly_nb.display.messages import coded_error, tells_names, unknown, without_code, wrong_type
from firmly_nb.display.text import count as counted
from firmly_nb.display.text import printable
from firmly_nb.options import check_tags, checked_run_id
from firmly_nb.recorder.journal import JournalError, read_journal
from firmly_nb.recorder.records import Start, checked_fields, decode
from firmly_nb.sweep.budget import Budget
from firmly_nb.sweep.pace import SCHEDULED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from _typeshed import DataclassInstance

    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.engine import Bench
    from firmly_nb.recorder.records import Record


ORDER_FIELDS = ("domain", "items", "quantity", "shipping_info", "billing_info")
PLACE_OPTIONS = ("sse", "warm", "isolated", "timeout_s", "keep_raw", "headers")
AXES = (*ORDER_FIELDS, "card", *PLACE_OPTIONS)
# A merchant whose first products are all sold out is better asked by a person.
LOOKED_AT = 20
PAGE = 100  # the smallest there is
LONGEST_TITLE = 60
LONGEST_SAID = 500  # of a stand-in
FOLDER = "sweeps"
CLOSED = "closed"  # an arrival without a rate
NAMED_RUN = re.compile(rb'"run_id":"([A-Za-z0-9._-]+)"')

# What is ordered where, whoever it is for: what a recording tells of its order, too.
Kind = tuple[str, tuple[tuple[str, int], ...]]


def kind_of(order: Order) -> Kind:
    """Return the merchant, the items and how many."""
    return order.domain, tuple((item.variant_id, item.quantity) for item in order.items)


@dataclass(frozen=True, slots=True)
class Variant:
    """Order with its own options and tags.

    Attributes
    ----------
    order
        What is ordered.
    card
        Its card; None for the sweep's.
    options
        Options of ``lab.place`` for it.
    tags
        What its recordings are tagged with.
    find_items
        Whether its items are those of another merchant: what stands in for them at its own is
        looked up before the sweep's first order.
    lab
        Which lab of the sweep places it: 0, or 1 for the other one of a comparison.
    """

    order: Order
    card: Card | None = None
    options: dict[str, Any] = field(default_factory=dict, repr=False)  # headers may hold anything
    tags: dict[str, str] = field(default_factory=dict)
    find_items: bool = False
    lab: int = 0


# What a sweep takes: one, several, or as they come.
Orders = Order | Variant | Iterable[Order | Variant]


@dataclass(frozen=True, slots=True)
class Planned:
    """Order of a plan with its number, from 1."""

    number: int
    variant: Variant


class Plan:
    """Orders of a sweep in sequence; a plan from a generator can be iterated once only.

    Attributes
    ----------
    size
        How many there are; None where only going through them tells.

    Examples
    --------
    >>> plan = Plan([Order.example(), Order.example(quantity=5)], count=4, seed=7)
    >>> [planned.variant.order.quantity for planned in plan], plan.size
    ([5, 1, 5, 1], 4)
    """

    def __init__(self, orders: Any, count: int | None, seed: int, *, endless: bool = False) -> None:
        self._one_pass: Iterator[Any] | None = None
        self._variants: Sequence[Variant] = ()
        self._seed = seed
        self.shuffled = False
        self.size: int | None = count
        if isinstance(orders, Iterator):
            self._one_pass = orders
            return
        self._variants = variants_of(orders)
        if not self._variants:
            text = "There are no orders: the list is empty. Pass at least one order."
            raise coded_error(ValueError, "FNB501", text)
        if count is None and not endless:
            self.size = self._default_size(orders)
        several = self.size is None or self.size > len(self._variants)
        self.shuffled = len(self._variants) > 1 and (several or getattr(orders, "shuffled", False))

    @property
    def variants(self) -> Sequence[Variant]:
        """Orders known beforehand; empty for a generator."""
        return self._variants

    def settle(self, settled: Callable[[Variant], Variant]) -> None:
        """Replace each variant that is known beforehand by what it is found to be."""
        self._variants = tuple(settled(variant) for variant in self._variants)

    def __iter__(self) -> Iterator[Planned]:
        found = self._from_generator() if self._one_pass is not None else self._in_blocks()
        for number, variant in enumerate(islice(found, self.size), start=1):
            yield Planned(number, variant)

    def _default_size(self, orders: Any) -> int:
        if isinstance(orders, Order | Variant):
            text = "The number of orders is missing. Pass count=20, or duration=600 (seconds)."
            raise coded_error(ValueError, "FNB502", text)
        return len(self._variants)

    def _from_generator(self) -> Iterator[Variant]:
        for order in self._one_pass or ():
            yield as_variant(order)

    def _in_blocks(self) -> Iterator[Variant]:
        draw = random.Random(f"{self._seed}: blocks")  # noqa: S311 - a seeded draw, no secret
        block = list(self._variants)
        while True:
            if self.shuffled:
                draw.shuffle(block)
            yield from block


def variants_of(orders: Any) -> Sequence[Variant]:
    """Return what a sweep was given as a list of variants."""
    if isinstance(orders, Order | Variant):
        return (as_variant(orders),)
    if isinstance(orders, str | bytes | dict) or not isinstance(orders, Iterable):
        wanted = "a fnb.Order, a list or generator of them, or fnb.grid(order, ...)"
        raise wrong_type("orders", wanted, orders, "fnb.Order.example()")
    return tuple(as_variant(order) for order in orders)


def as_variant(order: Any) -> Variant:
    """Return an order as a variant."""
    if isinstance(order, Variant):
        return order
    if not isinstance(order, Order):
        raise wrong_type("each order", "a fnb.Order", order, "fnb.Order.example()")
    return Variant(order)


@tells_names
@dataclass(frozen=True)
class Grid(Sequence[Variant]):
    """Combinations of some values; made by :func:`grid`."""

    variants: tuple[Variant, ...]
    axes: Mapping[str, tuple[str, ...]]
    # Compared with one another, so placed in a random order within each round.
    shuffled: bool = True

    def __getitem__(self, index: Any) -> Any:
        return self.variants[index]

    def __len__(self) -> int:
        return len(self.variants)

    def __iter__(self) -> Iterator[Variant]:
        return iter(self.variants)

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}: {' | '.join(labels)}" for name, labels in self.axes.items())
        return f"Grid({len(self)} variants; {axes}{self._to_be_found()})"

    def _to_be_found(self) -> str:
        domains = dict.fromkeys(v.order.domain for v in self.variants if v.find_items)
        if not domains:
            return ""
        return f"; what to order at {', '.join(domains)} is looked up when a sweep begins"


def grid(order: Order, **axes: Any) -> Grid:
    """Vary an order: every combination of the values given.

    Each recording is tagged with its values (``rec.tags["quantity"] == "5"``). A sweep places one
    of each in a random order, then again one of each.

    Parameters
    ----------
    order
        What everything else is taken from.
    **axes
        By name, a list of values, or a dict of label and value: ``domain``, ``items``,
        ``quantity`` (of every line), ``shipping_info``, ``billing_info``, ``card`` (a test card's
        name), and the options of ``lab.place``: ``sse``, ``warm``, ``timeout_s``, ``headers``, ...
        Other merchants sell other items: with ``domain`` name them by merchant,
        ``items={"brook.example.test": fnb.Item(...)}``, or leave it to the sweep. Before its first
        order it looks for the order's own items there and takes, where they are not sold, the first
        of the merchant's catalogue, the same number of lines and of pieces. It says so in
        ``recs.warnings``, and each recording is tagged with its ``items``.

    Returns
    -------
    Grid
        A sequence of variants; ``lab.sweep`` takes it.

    Raises
    ------
    ValueError
        If a name cannot be varied, has no value, or a value is not valid there.

    Examples
    --------
    >>> grid(Order.example(), quantity=[1, 5], warm=[True, False])
    Grid(4 variants; quantity: 1 | 5, warm: True | False)
    >>> grid(Order.example(), colour=["red"])
    Traceback (most recent call last):
    ...
    ValueError: Unknown axis 'colour' for grid(). Use domain, items, quantity, shipping_info, \
billing_info, card, sse, warm, isolated, timeout_s, keep_raw, headers. [FNB508]
    """
    if not isinstance(order, Order):
        raise wrong_type("order", "a fnb.Order", order, "fnb.Order.example()")
    for name in axes:
        if name not in AXES:
            raise coded_error(ValueError, "FNB508", unknown("axis", name, AXES, "grid()"))
    items_by_domain = _items_by_domain(axes)
    values = {name: _labelled(name, given) for name, given in axes.items()}
    combinations = product(*(pairs.items() for pairs in values.values()))
    variants = tuple(
        _variant(order, dict(zip(values, pairs, strict=True)), items_by_domain)
        for pairs in combinations
    )
    return Grid(variants, {name: tuple(pairs) for name, pairs in values.items()})


def _items_by_domain(axes: dict[str, Any]) -> dict[str, Any]:
    """Take out of the axes what to order at which merchant."""
    items = axes.get("items")
    return dict(axes.pop("items")) if "domain" in axes and isinstance(items, Mapping) else {}


def _labelled(name: str, given: Any) -> dict[str, Any]:
    """Return the values of an axis by their labels."""
    if isinstance(given, Mapping):
        pairs = {str(label): value for label, value in given.items()}
    else:
        values = _as_list(name, given)
        labels = [_label(name, value) for value in values]
        if len(set(labels)) < len(labels):
            # Two addresses, say, have no short name of their own.
            labels = [str(number) for number in range(1, len(values) + 1)]
        pairs = dict(zip(labels, values, strict=True))
    if not pairs:
        text = f"{name} of grid() must have at least one value. Example: {name}=[...]."
        raise coded_error(ValueError, "FNB508", text)
    return pairs


def _as_list(name: str, given: Any) -> list[Any]:
    if isinstance(given, str | bytes | Item | Address | Card) or not hasattr(given, "__iter__"):
        # Not quoted: the value may be an address.
        text = f"{name} of grid() must be a list of values, got {type(given).__name__}."
        raise coded_error(ValueError, "FNB508", f"{text} Example: {name}=[...].")
    return list(given)


def _label(name: str, value: Any) -> str:
    if isinstance(value, Address):
        return f"{value.city}, {value.state_or_province}"
    if isinstance(value, Item):
        return value.variant_id
    if isinstance(value, Card):
        return repr(value)
    if name == "items":
        return " + ".join(item.variant_id for item in value)
    if name == "headers":
        # A header can be a secret; the fault and the profile of the simulator are none.
        shown = [str(v) for k, v in value.items() if k.lower().startswith("x-sim-")]
        return " ".join(shown) or "none"
    return str(value)


def _variant(
    order: Order, chosen: dict[str, tuple[str, Any]], items_by_domain: dict[str, Any]
) -> Variant:
    values = {name: value for name, (_, value) in chosen.items()}
    changes = {name: values[name] for name in ORDER_FIELDS if name in values}
    quantity, card = changes.pop("quantity", None), values.get("card")
    domain = changes.get("domain")
    if domain in items_by_domain:
        changes["items"] = items_by_domain[domain]
    try:
        varied = _changed(order, **changes)
        if quantity is not None:
            items = [Item(**{**dict(item), "quantity": quantity}) for item in varied.items]
            varied = _changed(varied, items=items)
    except InvalidOrder as error:
        said = " ".join(f"{field}: {text}" for field, text in error.problems)
        text = f"grid() makes an order that is not valid, at {_said(chosen)}: {said}"
        raise coded_error(ValueError, "FNB508", text) from None
    tags = {name: label for name, (label, _) in chosen.items()}
    if domain is not None:
        tags.setdefault("items", _label("items", varied.items))
    return Variant(
        varied,
        Card.test(card) if isinstance(card, str) else card,
        {name: values[name] for name in PLACE_OPTIONS if name in values},
        tags,
        find_items="items" not in changes and varied.domain != order.domain,
    )


def _changed(order: Order, **changes: Any) -> Order:
    """Return an order with some fields changed, checked as if it had been written so."""
    if isinstance(order, Flow):
        return order.changed(**changes)
    return Order(**{**{name: getattr(order, name) for name in type(order).model_fields}, **changes})


def _said(chosen: dict[str, tuple[str, Any]]) -> str:
    return ", ".join(f"{name} {label}" for name, (label, _) in chosen.items())


@dataclass(frozen=True, slots=True)
class _WrittenStandIn:
    domain: str
    instead_of: list[str]
    items: list[dict[str, Any]]
    said: str


@dataclass(frozen=True, slots=True)
class StandIn:
    """Items ordered at a merchant in place of an order's own, one for one."""

    domain: str
    instead_of: tuple[str, ...]
    items: tuple[dict[str, Any], ...]
    said: str

    @classmethod
    def read(cls, written: dict[str, Any]) -> StandIn:
        """Return it from what was written down.

        Raises
        ------
        ValueError
            If that is no stand-in.
        """
        # As JSON has it, and as it was before.
        written = {n: [*v] if isinstance(v, tuple) else v for n, v in written.items()}
        try:
            found = _WrittenStandIn(**checked_fields(_WrittenStandIn, written))
            for item in found.items:
                Item(**item)
        except (TypeError, ValueError) as error:
            raise ValueError(f"a stand-in is none: {without_code(str(error))}") from None
        return cls(found.domain, tuple(found.instead_of), tuple(found.items), found.said)

    def fits(self, variant: Variant) -> bool:
        """Return whether this stand-in fits such an order."""
        return variant.find_items and _key(variant.order) == (self.domain, self.instead_of)

    def settle(self, variant: Variant) -> Variant:
        """Return an order with the items found, as many pieces of each line as it had."""
        lines = zip(self.items, variant.order.items, strict=True)
        items = [Item(**{**found, "quantity": line.quantity}) for found, line in lines]
        order = _changed(variant.order, items=items)
        tags = {**variant.tags, "items": _label("items", items)}
        return replace(variant, order=order, tags=tags, find_items=False)


def settled(variant: Variant, found: Iterable[StandIn]) -> Variant:
    """Return an order as it is to be placed."""
    return next((one.settle(variant) for one in found if one.fits(variant)), variant)


async def find_stand_ins(bench: Bench, variants: Iterable[Variant]) -> list[StandIn]:
    """Look up what is to be ordered where it is not known yet; nothing is ordered.

    Raises
    ------
    ValueError
        If a merchant has nothing that can be ordered instead.
    FirmlyError
        If the catalogue cannot be asked.
    """
    missing = {_key(v.order): v.order for v in variants if v.find_items}
    async with bench.devices().take() as device:
        shop = _Shop(bench, device.session.access_token)
        return [await shop.find(order) for order in missing.values()]


@dataclass(frozen=True, slots=True)
class _Found:
    item: Item
    named: str


@dataclass
class _Shop:
    bench: Bench
    token: SecretStr

    async def find(self, order: Order) -> StandIn:
        domain, wanted = _key(order)
        sells = await self._sells(order)
        if sells:
            items = order.items
            said = f"{domain} sells {_listed(wanted)}"
        else:
            found = [one async for one in self._first(domain, len(order.items))]
            if len(found) < len(order.items):
                raise coded_error(ValueError, "FNB509", _nothing_found(order))
            items = tuple(one.item for one in found)
            why = f"{domain} does not sell {_listed(wanted)}"
            if sells is None:
                why = f"whether {domain} sells {_listed(wanted)} is not known without handles"
            there = _listed(one.named for one in found)
            said = f"{why}: the first of its catalogue is ordered there, {there}"
        kept = tuple(item.model_dump(exclude={"quantity"}, mode="json") for item in items)
        return StandIn(domain, wanted, kept, said)

    async def _sells(self, order: Order) -> bool | None:
        """Return whether a merchant sells all items of an order; None if one has no handles."""
        if not all(item.variant_handles for item in order.items):
            return None
        for item in order.items:
            handles = item.variant_handles or ()
            there = await self._variants(order.domain, handles[0])
            if item.variant_id not in {one.item.variant_id for one in there}:
                return False
        return True

    async def _first(self, domain: str, number: int) -> AsyncIterator[_Found]:
        """Give out one variant each of a merchant's first products that can be ordered."""
        client = self.bench.client()
        listed = await client.products(domain, self.token, size=PAGE)
        for entry in listed[:LOOKED_AT]:
            handle = entry.get("handle") if isinstance(entry, dict) else None
            there = await self._variants(domain, handle) if isinstance(handle, str) else []
            if there and number > 0:
                number -= 1
                yield there[0]
            if not number:
                return

    async def _variants(self, domain: str, handle: str) -> list[_Found]:
        """Return the variants of a product that can be ordered now."""
        try:
            product = await self.bench.client().product(domain, handle, self.token)
        except FirmlyError as error:
            if error.http_status == 404:
                return []
            raise
        variants = product.get("variants")
        found = [_found(product, one) for one in variants] if isinstance(variants, list) else []
        return [one for one in found if one]


def _found(product: dict[str, Any], variant: Any) -> _Found | None:
    """Return a variant of the catalogue as an item; None if it cannot be ordered."""
    reference = variant.get("add_to_cart_ref") if isinstance(variant, dict) else None
    if not isinstance(reference, dict) or variant.get("available") is False:
        return None
    if not reference.get("variant_id"):
        return None
    try:
        item = Item.of(reference)
    except InvalidOrder:
        return None
    variant_id, title = (
        printable(str(text or ""), LONGEST_TITLE)
        for text in (item.variant_id, product.get("title"))
    )
    return _Found(item, f"{variant_id} ({title})" if title else variant_id)


def _key(order: Order) -> tuple[str, tuple[str, ...]]:
    return order.domain, tuple(item.variant_id for item in order.items)


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)


def _nothing_found(order: Order) -> str:
    wanted, domain = _listed(item.variant_id for item in order.items), order.domain
    return (
        f"Neither {wanted} nor a stand-in among the first {LOOKED_AT} products was found at "
        f'{domain}. Choose an item from lab.products("{domain}") and pass '
        f'items={{"{domain}": fnb.Item(variant_id=...)}}. Nothing was sent.'
    )


@tells_names
@dataclass(frozen=True, slots=True, repr=False)
class PlanFile:
    """Plan of a sweep as it is on disk; ``lab.last_sweep.plan`` has it in a few lines.

    Examples
    --------
    >>> PlanFile(
    ...     run_id="r-1", name="nightly", tags={}, environment="simulator", began_at_ns=0,
    ...     arrival="poisson", rate_per_s=0.5, concurrency=4, duration_s=None, count=20, seed=7,
    ...     budget={"orders": 20},
    ... )
    run r-1, nightly: 20 orders
    poisson, 30 a minute, at most 4 in flight
    within Budget(20 orders), seed 7
    """

    run_id: str
    name: str
    tags: dict[str, str]
    environment: str
    began_at_ns: int
    arrival: str
    rate_per_s: float | None
    concurrency: int
    duration_s: float | None
    count: int | None
    seed: int
    budget: dict[str, Any]
    kinds: list[Any] = field(default_factory=list)  # merchant, items and quantity; no address
    message: str = ""  # why it stopped, once it has
    # What was found to be ordered where the order's own items are not sold.
    stand_ins: list[dict[str, Any]] = field(default_factory=list)
    hosts: list[dict[str, Any]] = field(default_factory=list)  # of a sweep from several machines

    def __repr__(self) -> str:
        name = f", {printable(self.name, LONGEST_TITLE)}" if self.name else ""
        lines = [f"run {self.run_id}{name}: {self._what()}"]
        lines += [self._pace(), f"within {Budget.of(self.budget)!r}, seed {self.seed}"]
        lines += [printable(one["said"], LONGEST_SAID) for one in self.stand_ins]
        return "\n".join(lines)

    def _what(self) -> str:
        of = f" of {len(self.kinds)} kinds" if len(self.kinds) > 1 else ""
        return f"{counted(self.count)} orders{of}" if self.count is not None else f"orders{of}"

    def _pace(self) -> str:
        for_s = f" for {self.duration_s:g} s" if self.duration_s is not None else ""
        if self.rate_per_s is None:
            return f"closed loop, {self.concurrency} in flight{for_s}"
        rate = f"{self.rate_per_s:g} a second"
        if self.rate_per_s < 1:
            rate = f"{self.rate_per_s * 60:g} a minute"
        return f"{self.arrival}, {rate}{for_s}, at most {self.concurrency} in flight"

    def check(self) -> None:
        """Refuse what no sweep wrote down: of each thing what is refused as an argument, too.

        Raises
        ------
        ValueError
            If there is any.
        """
        Budget.of(self.budget)
        check_tags(self.tags)
        for name, check in SCHEDULED.items():
            if (value := getattr(self, name)) is not None:
                check(value)
        if (self.rate_per_s is None) != (self.arrival == CLOSED):
            raise ValueError(f"arrival {self.arrival} and its rate contradict each other")
        if self.began_at_ns < 0:
            raise ValueError("it began before 1970")
        for one in self.stand_ins:
            StandIn.read(one)

    def write(self, journal: Path) -> None:
        """Write it; whoever reads it finds the old one or the new one whole.

        Raises
        ------
        JournalError
            If it cannot be written; nothing was sent.
        """
        write_plan(_path(journal, self.run_id), self, "The sweep's plan")

    @classmethod
    def read(cls, journal: Path, run_id: str) -> Self:
        """Read it back.

        Raises
        ------
        LookupError
            If there is no such sweep here.
        ValueError
            If the file is damaged.
        """
        path = _path(journal, checked_run_id(run_id))
        if there := instead_of(path):
            text = f"No sweep {run_id} in {path.parent}. {there}"
            raise coded_error(LookupError, "FNB512", text)
        try:
            values = orjson.loads(path.read_bytes())
            # What an earlier version did not write down has its default.
            found = cls(**checked_fields(cls, values))
            found.check()
            problem = "" if found.run_id == run_id else "it is that of another sweep"
        except (TypeError, ValueError) as error:
            problem = str(error)
        if problem:
            problem = without_code(problem).rstrip(".")
            text = f"The sweep's plan {path} is damaged: {problem}. Begin a new sweep."
            raise coded_error(ValueError, "FNB513", text)
        return found


def write_plan(path: Path, plan: DataclassInstance, what: str) -> None:
    """Write a plan; whoever reads it finds the old one or the new one whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, orjson.dumps(asdict(plan), option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise cannot_be_written(f"{what} {path}", error) from error


def instead_of(path: Path) -> str:
    """Return what to do if a plan is missing; empty if it is there."""
    if path.is_file():  # what else is there cannot be read, or has no end
        return ""
    known = sorted(one.stem for one in path.parent.glob("*.json"))[-5:]
    return f"Use one such as {', '.join(known)}." if known else "Begin one without resume."


def is_known(journal: Path, run_id: str) -> bool:
    """Return whether a sweep of this id was begun here."""
    return _path(journal, run_id).exists()


def kinds_of(plan: Plan) -> list[Any]:
    """Return what a plan orders where, as JSON can hold it."""
    return [
        [domain, [list(item) for item in items], variant.tags]
        for variant in plan.variants
        for domain, items in [kind_of(variant.order)]
    ]


def recorded(
    journal: Path, run_ids: Iterable[str], *, to_resume: bool = False
) -> Iterator[tuple[list[Record], list[str]]]:
    """Give out the recordings of some runs that are in the journals, with their warnings.

    Every journal is looked at: after a clock was set back, a file of the run can be older than it.

    Raises
    ------
    JournalError
        To resume a run, if a journal cannot be read that may be of it: its order was sent.
    """
    wanted = set(run_ids)
    for path in sorted(journal.glob("*/*.jsonl")):
        if not path.is_file() or path.parent.name == FOLDER:
            continue
        try:
            with path.open("rb") as file:
                # Its start is the first line: enough to see whose it is.
                line = file.readline()
            named = {found.decode() for found in NAMED_RUN.findall(line)}
            if not named & wanted and not (to_resume and _is_damaged(line)):
                continue
            records, warnings = read_journal(path)
        except OSError as error:
            if to_resume:
                why = getattr(error, "strerror", None) or "its start is damaged"
                text = (
                    f"The journal {path} cannot be read: {why}. The run may have sent its order, "
                    "and would send it again. Move the file out of the folder, or restore it. "
                    "Nothing was sent."
                )
                raise coded_error(JournalError, "FNB522", text) from error
            continue
        # The same text may stand in a tag.
        if isinstance(records[0], Start) and records[0].run_id in wanted:
            yield records, warnings


def _is_damaged(line: bytes) -> bool:
    """Say whether a journal's first line cannot be read; one without end is of no order sent."""
    try:
        return line.endswith(b"\n") and not decode(line)
    except ValueError:
        return True


def _path(journal: Path, run_id: str) -> Path:
    return journal / FOLDER / f"{run_id}.json"


def claim(folder: Path, run_id: str) -> Lock:
    """Hold a run id: two sweeps that placed the same plan would order everything twice.

    Raises
    ------
    ValueError
        If a sweep with this id is running.
    JournalError
        If the folder cannot be written.
    """
    path = folder / f"{run_id}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return lock(path, wait=False)
    except BlockingIOError:
        text = f"Sweep {run_id} is still running, here or in another process. Stop it first."
        raise coded_error(ValueError, "FNB515", text) from None
    except OSError as error:
        raise cannot_be_written(str(path), error) from error


def cannot_be_written(what: str, error: OSError) -> JournalError:
    """Return the error for a file of a sweep that could not be written."""
    return coded_error(
        JournalError,
        "FNB514",
        f"{what} cannot be written: {error.strerror or error}. Free space, or set FIRMLY_NB_HOME "
        "to a writable folder.",
    )
