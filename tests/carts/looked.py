"""What a check found in a cart, and carts with a fault planted in them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from firmly_nb.carts.report import run_checks

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

Json = dict[str, Any]

ASKED = [{"variant_id": "A", "quantity": 2}, {"variant_id": "B", "quantity": 1}]


def carts_of(recording: list[tuple[str, Json]]) -> list[Json]:
    return [data.get("cart") or data.get("order") for _, data in recording if data]


def plant(recording: Any, fault: Callable[[Json], None], since: int = 1) -> Any:
    """Break the snapshots from the second on."""
    spoilt = copy.deepcopy(recording)
    for cart in carts_of(spoilt)[since:]:
        fault(cart)
    return spoilt


def clean(build: Any, **options: Any) -> Any:
    lines = [
        build.line("A", 1850, 2, 1, options.get("currency", "USD")),
        build.line("B", 2200, 1, 2, options.get("currency", "USD")),
    ]
    return build.recording(lines, **options)


COLUMNS = ["path", "expected", "found", "sentence", "severity"]


def of(events: pd.DataFrame, name: str) -> list[tuple[Any, ...]]:
    """Return what one check found: path, expected, found, sentence and severity."""
    found = run_checks(events, only=[name]).findings
    return list(found[COLUMNS].itertuples(index=False, name=None))


def of_each(
    build: Any, carts: list[Json], name: str, event: str = "item-added"
) -> list[list[tuple[Any, ...]]]:
    """Return what one check found in each of many carts, every one of a recording of its own."""
    found = run_checks(build.events(*(one(cart, event) for cart in carts)), only=[name]).findings
    per_cart: list[list[tuple[Any, ...]]] = [[] for _ in carts]
    for number, *row in found[["recording_id", *COLUMNS]].itertuples(index=False, name=None):
        per_cart[int(number.removeprefix("r")) - 1].append(tuple(row))
    return per_cart


def counted(events: pd.DataFrame, name: str, asked: Any = None) -> tuple[int, int, int]:
    """Return on how many snapshots a check looked, how many it skipped, and what it found."""
    row = run_checks(events, asked, only=[name]).summary.iloc[0]
    return int(row["snapshots"]), int(row["skipped"]), int(row["findings"])


def one(cart: Json, event: str = "item-added") -> list[tuple[str, Json]]:
    return [(event, {"order" if event == "order-placed" else "cart": cart})]


def then(build: Any, before: list[Json], after: list[Json], event: str = "shipping-updated") -> Any:
    """Events of two carts, one after the other; the first is complete."""
    return build.events([*one(build.cart(before), "x"), *one(build.cart(after), event)])
