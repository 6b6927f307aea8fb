"""A comparison for the eye: the verdict, then a row for the order and for each stage."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from firmly_nb.latency.grid import QUIET, Grid, grid_html, grid_text, page, whole_ms

if TYPE_CHECKING:
    from firmly_nb.latency.compare import Comparison, Difference

HEAD = ("", "A, orders", "B, orders", "A p50, ms", "B p50, ms", "times as long", "B longer", "")


def comparison_text(found: Comparison) -> str:
    """Write a comparison as plain text: the verdict, the table, the notes."""
    notes = [f"! {note}" for note in found.notes]
    return "\n".join([found.verdict, grid_text(_grid(found)), _success(found), _how(found), *notes])


def comparison_html(found: Comparison) -> str:
    """Show a comparison: the verdict, the table, the notes."""
    head = f"<div><b>{escape(found.verdict)}</b></div>"
    under = f'<div>{escape(_success(found))}</div><div style="{QUIET}">{escape(_how(found))}</div>'
    notes = "".join(f"<div>! {escape(note)}</div>" for note in found.notes)
    return page(f"{head}{grid_html(_grid(found))}{under}{notes}")


def _grid(found: Comparison) -> Grid:
    rows = tuple(_row(one) for one in (found.order, *found.differences))
    return Grid(HEAD, rows, bold=(0,))


def _row(one: Difference) -> tuple[str, ...]:
    counts = (one.stage, f"{one.n_a:,}", f"{one.n_b:,}")
    medians = (whole_ms(one.p50_a_ms), whole_ms(one.p50_b_ms))
    if math.isnan(one.ratio):
        return (*counts, *medians, "-", "-", one.verdict)
    ratio = f"{one.ratio:.2f} ({one.ratio_low:.2f} to {one.ratio_high:.2f})"
    chance = f"{one.probability:.0%} ({one.probability_low:.0%} to {one.probability_high:.0%})"
    more = f" ({one.more_orders:,} more?)" if one.more_orders else ""
    return (*counts, *medians, ratio, chance, f"{one.verdict}{more}")


def _success(found: Comparison) -> str:
    a, b = found.success.a, found.success.b
    if not a.of or not b.of:
        return "Placed: one side has no orders."
    low, high = 100 * found.success.low, 100 * found.success.high
    return (
        f"Placed: {a.count:,} of {a.of:,} in A, {b.count:,} of {b.of:,} in B; "
        f"{100 * found.success.difference:+.1f} points ({low:+.1f} to {high:+.1f})."
    )


def _how(found: Comparison) -> str:
    return (
        f"Margin {found.margin:.0%}. All intervals hold together with {found.level:.0%} "
        f"({found.level_each:.1%} each). B longer: in how many pairs B's order takes longer."
    )
