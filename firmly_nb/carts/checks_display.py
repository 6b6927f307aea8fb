"""What the checks found, for the eye: the headline, then each finding as a sentence."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from firmly_nb.api.printable import printable
from firmly_nb.carts.display import CODE, FAINT, FONT, INK, LEFT, RULE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmly_nb.carts.checks import CheckReport

MOST_FINDINGS = 50
TINTS = {"error": "218,54,51", "warning": "224,138,0", "info": "56,132,255"}


def checks_text(report: CheckReport, most: int = MOST_FINDINGS) -> str:
    """Write a report as plain text, one line a finding.

    Examples
    --------
    >>> from firmly_nb.carts.checks import run_checks
    >>> import pandas as pd
    >>> data = {"cart": {"line_items": [{"sku": "MUG", "quantity": 0}]}}
    >>> events = {"recording_id": ["r1"], "seq": [2], "event": ["item-added"], "data": [data]}
    >>> print(checks_text(run_checks(pd.DataFrame(events), only=["quantity", "total"])))
    ✗ 1 of 1 checks: 1 error
      error    item-added         quantity: The line MUG holds 0 pieces.
    """
    lines = [report.headline()]
    lines += [
        f"  {severity:<8} {where:<18} {check}: {sentence}"
        for where, severity, check, sentence in _rows(report, most)
    ]
    return "\n".join([*lines, *(f"  {words}" for words in _others(report, most))])


def checks_html(report: CheckReport, most: int = MOST_FINDINGS) -> str:
    """Show a report: the headline, then each finding with its event; nothing more where clean.

    Examples
    --------
    >>> from firmly_nb.carts.checks import run_checks
    >>> import pandas as pd
    >>> data = {"cart": {"cart_id": "<b>", "cart_status": "active"}}
    >>> events = {"recording_id": ["r1"], "seq": [2], "event": ["item-added"], "data": [data]}
    >>> "✓ 1 checks" in checks_html(run_checks(pd.DataFrame(events), only=["status-fits-event"]))
    True
    """
    rows = "".join(_row(*row) for row in _rows(report, most))
    rest = "".join(
        f'<div style="color:{FAINT}">{escape(words)}</div>' for words in _others(report, most)
    )
    table = (
        '<table style="margin:4px 0 0;border:0;border-collapse:separate;border-spacing:0 2px;'
        f'width:100%;table-layout:auto;font-size:inherit;color:inherit"><tbody>{rows}</tbody></table>'
    )
    return (
        f'<div style="font-family:{FONT};color:{INK};font-size:13px;line-height:1.45;'
        f'max-width:56em;border:{RULE};border-radius:8px;padding:8px 14px;margin:4px 0">'
        f"<strong>{escape(report.headline())}</strong>{table if rows else ''}{rest}</div>"
    )


def _rows(report: CheckReport, most: int) -> Iterator[tuple[str, str, str, str]]:
    """Yield event (with its order where there are several), severity, check and sentence."""
    shown = report.findings.head(most)
    many = report.findings["recording_id"].nunique() > 1
    names = ("recording_id", "event", "severity", "check", "sentence")
    for recording_id, event, *rest in zip(*(shown[name].tolist() for name in names), strict=True):
        severity, check, sentence = map(str, rest)
        where = f"{recording_id} · {event}" if many else str(event)
        yield printable(where), severity, check, printable(sentence)


def _others(report: CheckReport, most: int) -> list[str]:
    count = len(report.findings) - most
    return [f"… and {count:,} more findings"] if count > 0 else []


def _row(where: str, severity: str, check: str, sentence: str) -> str:
    tint = TINTS[severity]
    cell = f"{LEFT};background:rgba({tint},.10);padding:3px 8px"
    narrow = f"{cell};white-space:nowrap;width:1%"
    return (
        f'<tr style="background:none"><td style="{narrow};border-left:3px solid rgb({tint})">'
        f'{severity}</td><td style="{narrow};font-family:{CODE};font-size:12px">'
        f"{escape(check)}</td>"
        f'<td style="{cell}"><bdi>{escape(sentence)}</bdi></td>'
        f'<td style="{narrow};color:{FAINT}"><bdi>{escape(where)}</bdi></td></tr>'
    )
