"""``grid``: one order varied in several ways at once, each recording tagged with how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from firmly_nb.api.models import Address, Card, InvalidOrder, Item, Order
from firmly_nb.sweep.plan import Variant

ORDER_FIELDS = ("domain", "items", "quantity", "shipping_info", "billing_info")
PLACE_OPTIONS = ("sse", "warm", "isolated", "timeout_s", "keep_raw", "headers")
AXES = (*ORDER_FIELDS, "card", *PLACE_OPTIONS)


@dataclass(frozen=True)
class Grid(Sequence[Variant]):
    """Every combination of some values; made by :func:`grid`."""

    variants: tuple[Variant, ...]
    axes: Mapping[str, tuple[str, ...]]
    # Compared with one another, so placed in a random order within each round.
    shuffled: bool = True

    def __getitem__(self, place: Any) -> Any:
        return self.variants[place]

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
    ValueError: grid: 'colour' cannot be varied; there are domain, items, quantity, \
shipping_info, billing_info, card, sse, warm, isolated, timeout_s, keep_raw, headers
    """
    if not isinstance(order, Order):
        raise TypeError(f"grid() varies an Order, got {type(order).__name__}")
    unknown = [name for name in axes if name not in AXES]
    if unknown:
        raise ValueError(f"grid: {unknown[0]!r} cannot be varied; there are {', '.join(AXES)}")
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
        values = _listed(name, given)
        labels = [_label(name, value) for value in values]
        if len(set(labels)) < len(labels):
            # Two addresses, say, have no short name of their own.
            labels = [str(number) for number in range(1, len(values) + 1)]
        pairs = dict(zip(labels, values, strict=True))
    if not pairs:
        raise ValueError(f"grid: {name} has no value")
    return pairs


def _listed(name: str, given: Any) -> list[Any]:
    if isinstance(given, str | bytes | Item | Address | Card) or not hasattr(given, "__iter__"):
        raise ValueError(f"grid: {name} must be a list of values, like {name}=[{given!r}]")
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
    quantity = changes.pop("quantity", None)
    domain = changes.get("domain")
    if domain in items_by_domain:
        changes["items"] = items_by_domain[domain]
    try:
        varied = Order(**{**_fields(order), **changes})
        if quantity is not None:
            varied = Order(**{**_fields(varied), "items": _with_quantity(varied, quantity)})
    except InvalidOrder as error:
        said = "; ".join(f"{field} {text}" for field, text in error.problems)
        raise ValueError(f"grid: {_said(chosen)}: {said}") from None
    tags = {name: label for name, (label, _) in chosen.items()}
    if domain is not None:
        tags.setdefault("items", _label("items", varied.items))
    return Variant(
        varied,
        _card(values.get("card")),
        {name: values[name] for name in PLACE_OPTIONS if name in values},
        tags,
        find_items="items" not in changes and varied.domain != order.domain,
    )


def _with_quantity(order: Order, quantity: Any) -> tuple[Item, ...]:
    return tuple(Item(**{**dict(item), "quantity": quantity}) for item in order.items)


def _fields(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in type(order).model_fields}


def _said(chosen: dict[str, tuple[str, Any]]) -> str:
    return ", ".join(f"{name} {label}" for name, (label, _) in chosen.items())


def _card(value: Any) -> Card | None:
    return Card.test(value) if isinstance(value, str) else value
