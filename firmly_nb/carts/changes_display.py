"""Changes of carts for the eye; signs say what colours say, so that either is enough."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from firmly_nb.api.printable import printable
from firmly_nb.carts.bill import MINUS
from firmly_nb.carts.display import CODE, FAINT, FONT, INK, LEFT, RULE
from firmly_nb.carts.words import amount_or_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

Shown = tuple[str, str, str, str]  # kind, path, before, after
MOST_CHANGES = 200
SIGNS = {"added": "+", "removed": MINUS, "changed": "→"}
TINTS = {"added": "46,160,67", "removed": "218,54,51", "changed": "56,132,255"}


def changes_html(changes: pd.DataFrame, most: int = MOST_CHANGES) -> str:
    """Show changes, one block an event: + added, - removed, → changed.

    Parameters
    ----------
    changes
        As made by `firmly_nb.carts.changes.changes`.
    most
        Changes shown; the others are counted.

    Examples
    --------
    >>> from firmly_nb.carts.schemas import CHANGES
    >>> row = {"recording_id": "r1", "seq_before": 1, "seq_after": 2, "event": "shipping-updated",
    ...        "path": "tax", "kind": "changed", "before": 0, "after": 374, "currency": "USD"}
    >>> all(word in changes_html(CHANGES.frame([row])) for word in ("→", "tax", "0.00", "3.74"))
    True
    """
    blocks = [
        f'<div style="font-weight:600;padding:6px 0 2px">{escape(title)}</div>'
        '<table style="margin:0;border:0;border-collapse:separate;border-spacing:0 2px;width:100%;'
        'font-size:inherit;color:inherit;font-variant-numeric:tabular-nums"><tbody>'
        f"{''.join(map(_row, rows))}</tbody></table>"
        for title, rows in _blocks(changes.head(most))
    ]
    if len(changes) > most:
        blocks.append(
            f'<div style="color:{FAINT}">… and {len(changes) - most:,} more changes</div>'
        )
    inside = "".join(blocks) or f'<div style="color:{FAINT}">no changes</div>'
    return (
        f'<div style="font-family:{FONT};color:{INK};font-size:13px;line-height:1.45;'
        f'max-width:52em;border:{RULE};border-radius:8px;padding:6px 14px 10px;margin:4px 0">'
        f"{inside}</div>"
    )


def changes_text(changes: pd.DataFrame, most: int = MOST_CHANGES) -> str:
    """Write changes as plain text, one line a change.

    Examples
    --------
    >>> from firmly_nb.carts.schemas import CHANGES
    >>> row = {"recording_id": "r1", "seq_before": 1, "seq_after": 2, "event": "shipping-updated",
    ...        "path": "tax", "kind": "changed", "before": 0, "after": 374, "currency": "USD"}
    >>> print(changes_text(CHANGES.frame([row])))
    shipping-updated
      -> tax  0.00 -> 3.74
    """
    signs = SIGNS | {"removed": "-", "changed": "->"}
    lines = []
    for title, rows in _blocks(changes.head(most)):
        lines.append(title)
        width = min(max(len(path) for _, path, _, _ in rows), 48)
        for kind, path, before, after in rows:
            values = f"{before} -> {after}" if kind == "changed" else before or after
            lines.append(f"  {signs[kind]:<2} {path:<{width}}  {values}")
    if len(changes) > most:
        lines.append(f"… and {len(changes) - most:,} more changes")
    return "\n".join(lines) or "no changes"


def _blocks(changes: pd.DataFrame) -> Iterator[tuple[str, list[Shown]]]:
    """Yield each event's title and its changes as kind, path, before and after."""
    many = changes["recording_id"].nunique() > 1
    names = ("kind", "path", "before", "after", "currency")
    for (recording_id, _), rows in changes.groupby(["recording_id", "seq_after"], sort=False):
        event = printable(str(rows["event"].iloc[0]))
        columns = (rows[name].tolist() for name in names)
        shown = [_shown(*row) for row in zip(*columns, strict=True)]
        yield (f"{recording_id} · {event}" if many else event), shown


def _shown(kind: str, path: str, before: Any, after: Any, currency: Any) -> Shown:
    old = "" if kind == "added" else printable(amount_or_value(before, currency))
    new = "" if kind == "removed" else printable(amount_or_value(after, currency))
    return kind, printable(path), old, new


def _row(change: Shown) -> str:
    kind, path, before, after = change
    tint = TINTS[kind]
    cell = f"{LEFT};background:rgba({tint},.10);padding:3px 8px"
    arrow = f' <span style="color:{FAINT}">→</span> ' if kind == "changed" else ""
    old = f'<bdi style="color:{FAINT}">{escape(before)}</bdi>' if before else ""
    if kind == "removed":
        old = f"<s><bdi>{escape(before)}</bdi></s>"
    new = f"<strong><bdi>{escape(after)}</bdi></strong>" if after else ""
    return (
        f'<tr style="background:none"><td title="{kind}" style="{cell};width:1.2em;'
        f'border-left:3px solid rgb({tint});text-align:center;font-weight:600">{SIGNS[kind]}</td>'
        f'<td style="{cell};font-family:{CODE};font-size:12px;width:62%">'
        f"<bdi>{escape(path)}</bdi></td>"
        f'<td style="{cell};text-align:right">{old}{arrow}{new}</td></tr>'
    )
