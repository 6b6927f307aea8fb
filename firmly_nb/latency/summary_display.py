"""The latency summary for the eye: outcomes, the table with intervals, then what to know."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from firmly_nb.latency.grid import QUIET, Grid, grid_html, grid_text, page, whole_ms
from firmly_nb.latency.quantiles import values_needed
from firmly_nb.latency.table import ORDER, SHOWN
from firmly_nb.outcomes import CANCELLED, outcome, stage_colour

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.latency.summary import LatencySummary

HEADS = (
    "ms", "orders", *(f"p{100 * p:.0f}" for p in SHOWN), "max", "of order time", "reached",
    "coalesced", "± p99",
)  # fmt: skip


def summary_text(found: LatencySummary) -> str:
    """Write a summary as plain text."""
    if not len(found.table):
        return "no orders"
    lines = [
        outcomes_words(found.outcomes),
        found.where,
        "",
        grid_text(summary_grid(found)),
        _how(found),
    ]
    return "\n".join([*lines, *(f"! {sentence}" for sentence in found.sentences)])


def summary_html(found: LatencySummary) -> str:
    """Show a summary."""
    if not len(found.table):
        return page("no orders")
    return page(
        f"<div><b>{escape(outcomes_words(found.outcomes))}</b></div>"
        f'<div style="{QUIET}">{escape(found.where)}</div>{strip_html(found.table)}'
        f'{grid_html(summary_grid(found))}<div style="{QUIET}">{escape(_how(found))}</div>'
        f"{sentences_html(found.sentences)}"
    )


def strip_html(table: pd.DataFrame) -> str:
    """Show where the time of placed orders goes, as one bar.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"stage": ["<b>", "order"], "share_of_order": [1.0, 1.0]})
    >>> "&lt;b&gt; 100%" in strip_html(table)
    True
    """
    parts = [
        (str(stage), float(share))
        for stage, share in zip(table["stage"], table["share_of_order"], strict=True)
        if stage != ORDER and share > 0
    ]
    names = [stage for stage, _ in parts]
    whole = sum(share for _, share in parts)
    bars = "".join(
        f'<div style="width:{share / whole:.2%};height:14px;'
        f'background-color:{_colour(stage, names)}"></div>'
        for stage, share in parts
    )
    words = "".join(
        f'<span style="margin-right:18px;white-space:nowrap"><span style="display:inline-block;'
        f"width:9px;height:9px;margin-right:5px;background-color:{_colour(stage, names)}"
        f'"></span>{escape(stage)} {share:.0%}</span>'
        for stage, share in parts
    )
    if not parts:
        return ""
    return (
        f'<div style="display:flex;max-width:700px;margin:8px 0 2px">{bars}</div><div>{words}</div>'
    )


def _colour(stage: str, stages: list[str]) -> str:
    milestone = stage.rpartition("->")[2]
    return stage_colour(milestone, stages)


def sentences_html(sentences: tuple[str, ...]) -> str:
    """Show what the rules said, each on a line of its own."""
    return "".join(
        '<div style="margin-top:4px;padding:2px 8px;border-left:3px solid '
        f'var(--jp-warn-color1,#e08a00);background:rgba(224,138,0,.12)">{escape(sentence)}</div>'
        for sentence in sentences
    )


def outcomes_words(outcomes: pd.DataFrame) -> str:
    """Say how orders ended, each outcome with its interval.

    Examples
    --------
    >>> import pandas as pd
    >>> from firmly_nb.latency.outcomes import outcome_table
    >>> outcomes_words(outcome_table(pd.DataFrame({"outcome": ["placed"] * 9 + ["timeout"]})))
    '10 orders: 9 placed, 90% (60% to 98%); 1 timeout, 10% (2% to 40%)'
    """
    rows = outcomes.to_dict("records")
    total = sum(row["count"] for row in rows)
    told = "; ".join(_outcome(row) for row in rows)
    return f"{total:,} {'order' if total == 1 else 'orders'}: {told}"


def _outcome(row: dict[Any, Any]) -> str:
    counted = f"{row['count']:,} {outcome(row['outcome']).word}"
    if row["outcome"] == CANCELLED or math.isnan(row["share"]):
        return counted
    digits = 0 if row["attempted"] < 200 else 1
    share, low, high = (f"{row[name]:.{digits}%}" for name in ("share", "low", "high"))
    return f"{counted}, {share} ({low} to {high})"


def summary_grid(found: LatencySummary) -> Grid:
    """Return the table of a summary as texts."""
    rows = found.table.to_dict("records")
    bold = tuple(i for i, row in enumerate(rows) if row["stage"] == ORDER)
    return Grid(HEADS, tuple(_row(row, found.level) for row in rows), bold)


def _row(row: dict[Any, Any], level: float) -> tuple[str, ...]:
    reached = f"{row['reached']:,}/{row['attempted']:,}"
    if row["attempted"]:
        reached += f" [{row['reached_low']:.0%}, {row['reached_high']:.0%}]"
    return (
        row["stage"],
        f"{row['n']:,}",
        *(_quantile(row, p, level) for p in SHOWN),
        whole_ms(row["max_ms"]),
        _percent(row["share_of_order"]),
        reached,
        _percent(row["coalesced_share"]),
        _bound(row["uncertainty_p99_us"]),
    )


def _quantile(row: dict[Any, Any], p: float, level: float) -> str:
    name = f"p{100 * p:.0f}"
    estimate, low, high = (row[f"{name}{part}_ms"] for part in ("", "_low", "_high"))
    if not math.isnan(estimate):
        return f"{whole_ms(estimate)} [{whole_ms(low)}, {whole_ms(high)}]"
    needed = f"{values_needed(p, level)} needed"
    if math.isfinite(low):
        return f"\u2265 {whole_ms(low)} ({needed})"
    return needed if row["n"] else "-"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.0%}"


def _bound(uncertainty_us: float) -> str:
    if uncertainty_us < 100:
        return f"{uncertainty_us / 1000:.3f}"
    return whole_ms(uncertainty_us / 1000)


def _how(found: LatencySummary) -> str:
    kind = "by drawing whole runs again" if found.by_run else "exact, from order statistics"
    return (
        f"In brackets {found.level:.0%} intervals, {kind}. Times of orders that got so far; "
        f"cancelled ones are left out. Definitions {found.definitions}."
    )
