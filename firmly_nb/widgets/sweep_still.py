"""A sweep panel as a still page and as text, for readers without a kernel."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from firmly_nb.outcomes import PLACED, STAGE_COLOURS, outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 160, 56, 24
LABELS = {
    "count": "orders",
    "arrival": "arrival",
    "rate": "rate",
    "concurrency": "in flight at most",
    "duration": "for",
    "max_orders": "at most orders",
    "max_minutes": "at most minutes",
    "max_total": "at most money",
    "name": "name",
}


def panel_text(still: Mapping[str, Any]) -> str:
    """Return the panel in a few lines."""
    head = still["headline"] or "not started"
    lines = [f"SweepPanel({still['place']}; {still['orders']})", f"  {head}"]
    lines += [f"  {row['mark']} {row['n']:,} {row['words']}" for row in still["outcomes"]]
    lines += [f"  {row['name']}: {row['text']}" for row in still["percentiles"]]
    lines += [f"  {still['message']}"] if still["message"] else []
    return "\n".join(lines)


def panel_html(still: Mapping[str, Any]) -> str:
    """Return the panel as HTML that needs neither script nor kernel."""
    settings = [(LABELS[name], text) for name, text in still["draft"].items() if text]
    outcomes = [(f"{row['mark']} {row['words']}", f"{row['n']:,}") for row in still["outcomes"]]
    percentiles = [(row["name"], row["text"]) for row in still["percentiles"]]
    blocks = [_table("Settings", settings), _table("Outcomes", [*outcomes, *still["facts"]])]
    blocks.append(_table("Time to order-placed", percentiles))
    head = still["headline"] or "Not started: this panel needs a running kernel to place orders."
    message = f"<p>{escape(still['message'])}</p>" if still["message"] else ""
    return (
        f"<div><p><b>{escape(still['place'])}</b> {escape(still['orders'])}</p>"
        f"<p><b>{escape(head)}</b></p>{message}"
        f"{chart_svg(still['points'])}{''.join(blocks)}</div>"
    )


def chart_svg(points: Sequence[Sequence[Any]]) -> str:
    """Return the times of the latest orders over the run as a picture; nothing without orders."""
    if not points:
        return ""
    last_s = max(1.0, *(at_s for at_s, _, _ in points))
    most_ms = max(ms for _, ms, _ in points) or 1.0
    marks = "".join(_mark(point, last_s, most_ms) for point in points)
    text = f"{len(points)} orders, the slowest {most_ms:,.0f} ms, over {last_s:,.0f} s"
    return (
        f'<svg role="img" aria-label="{escape(text)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" style="max-width:100%">'
        f'<text x="{LEFT - 6}" y="12" text-anchor="end" font-size="11" fill="currentColor">'
        f"{most_ms:,.0f} ms</text>"
        f'<text x="{LEFT - 6}" y="{HEIGHT - BOTTOM}" text-anchor="end" font-size="11" '
        'fill="currentColor">0</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end" font-size="11" '
        f'fill="currentColor">{last_s:,.0f} s after the start</text>'
        f'<path d="M{LEFT} 4V{HEIGHT - BOTTOM}H{WIDTH}" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.4"/>{marks}</svg>'
    )


def _mark(point: Sequence[Any], last_s: float, most_ms: float) -> str:
    at_s, ms, name = point
    x = LEFT + 6 + max(at_s, 0) / last_s * (WIDTH - LEFT - 12)
    y = HEIGHT - BOTTOM - ms / most_ms * (HEIGHT - BOTTOM - 10)
    if name == PLACED:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{STAGE_COLOURS[0]}"/>'
    path = f"M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6"
    return f'<path d="{path}" stroke="{outcome(name).colour}" stroke-width="2" fill="none"/>'


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f'<table><caption style="text-align:left">{title}</caption>{cells}</table>'
