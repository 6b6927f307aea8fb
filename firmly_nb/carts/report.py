"""Run all checks on carts, say which ran and what they found, and show it.

Shown are the headline, then each finding as a sentence.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.carts.checked import (
    Check,
    CheckedCart,
    Finding,
    Skipped,
    checked_carts,
    known_check,
)
from firmly_nb.carts.conventions import hold_to_conventions
from firmly_nb.carts.rules import CHECKS
from firmly_nb.carts.schemas import CART_MARKS, CHECK_SUMMARY, FINDINGS, NOT_READ
from firmly_nb.carts.tables import unread
from firmly_nb.display.html import card
from firmly_nb.display.messages import tells_names
from firmly_nb.display.table import Cell, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import and_more, count
from firmly_nb.outcomes import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from firmly_nb.carts.checked import Asked


NO_CART_GIVEN = "no cart to check: another tool told the times, and no cart was given"


@tells_names
class CheckReport(NamedTuple):
    """The findings, which checks ran on how many snapshots, and the carts that were not read."""

    findings: pd.DataFrame
    summary: pd.DataFrame
    not_read: pd.DataFrame
    carts: pd.DataFrame
    without: str = "no cart to check"  # said where no check looked at any

    def mark(self, seq: int, recording_id: str | None = None) -> str:
        """Return the result of one snapshot in a few words: what was skipped does not count.

        Parameters
        ----------
        seq
            The event's number.
        recording_id
            The order, if there are several.
        """
        rows = self.carts[self.carts["seq"] == seq]
        if recording_id is not None:
            rows = rows[rows["recording_id"] == recording_id]
        if rows.empty:
            return self.without
        row = rows.iloc[0]
        n_checks, n_unread = int(row["checks"]), int(row["not_read"])
        rest = f"; {n_unread} skipped: not read" if n_unread else ""
        if row["failed"]:
            return f"✗ {row['failed']} of {count(n_checks, 'check')}{rest}"
        return f"✓ {count(n_checks, 'check')}{rest}" if n_checks else f"not checked{rest}"

    def headline(self) -> str:
        """Return the result in one line.

        Examples
        --------
        >>> import pandas as pd
        >>> columns = ["recording_id", "seq", "event", "data"]
        >>> run_checks(pd.DataFrame(columns=columns)).headline()
        'no cart to check'
        """
        n_unread = len(self.not_read)
        parts = [self._found(), f"{count(n_unread, 'cart')} not read" if n_unread else ""]
        never = self.summary[(self.summary["snapshots"] == 0) & (self.summary["not_read"] > 0)]
        if len(never):
            parts.append(f"{len(never)} skipped: not read")
        return "; ".join(filter(None, parts))

    def _found(self) -> str:
        ran = self.summary[self.summary["snapshots"] > 0]
        if ran.empty:
            return self.without
        if self.findings.empty:
            return f"✓ {count(len(ran), 'check')}"
        failed = self.findings["check"].nunique()
        counts = Counter(self.findings["severity"].tolist())
        words = (
            f"{counts[name]} {name}{'s' if counts[name] > 1 and name != 'info' else ''}"
            for name in ("error", "warning", "info")
            if counts[name]
        )
        return f"✗ {failed} of {len(ran)} checks: {', '.join(words)}"

    def __repr__(self) -> str:
        return checks_text(self)

    def _repr_html_(self) -> str:
        return checks_html(self)


def checks(events: pd.DataFrame, asked: Asked | None = None) -> pd.DataFrame:
    """Find what is wrong with the carts; see `run_checks`."""
    return run_checks(events, asked).findings


def run_checks(
    events: pd.DataFrame, asked: Asked | None = None, only: Iterable[str] | None = None
) -> CheckReport:
    """Run every check on every snapshot.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    asked
        What was asked for: a table with ``recording_id``, ``variant_id`` and ``quantity``, or for
        each recording_id a list of mappings with the last two. Without it ``as-asked`` is skipped.
    only
        Names of the checks to run; all by default.

    Returns
    -------
    CheckReport
        ``findings`` with the columns of `FINDINGS`, ``summary`` with those of `CHECK_SUMMARY`,
        ``not_read`` with those of `NOT_READ`: events whose carts no check can look at, ``carts``
        with those of `CART_MARKS`: a row a snapshot.

    Raises
    ------
    KeyError
        If ``only`` names a check that does not exist.

    Examples
    --------
    >>> import pandas as pd
    >>> def usd(minor):
    ...     return {"currency": "USD", "number": minor}
    >>> cart = {"sub_total": usd(3700), "tax_total": usd(374), "total": usd(4070)}
    >>> events = pd.DataFrame(
    ...     {"recording_id": ["r1"], "seq": [1], "event": ["item-added"], "data": [{"cart": cart}]}
    ... )
    >>> run_checks(events, only=["total"]).findings["sentence"].item()
    'The total is 40.70, but subtotal 37.00 + tax 3.74 = 40.74.'
    """
    chosen = list(CHECKS.values()) if only is None else [CHECKS[known_check(name)] for name in only]
    rows: list[dict[str, Any]] = []
    marks: list[tuple[Any, ...]] = []
    looked: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    carts = checked_carts(events, asked)[::-1]
    hold_to_conventions(carts)
    while carts:  # a cart is let go once it has been looked at: ten thousand fill the memory
        cart = carts.pop()
        n_looked, n_failed, n_skipped, n_unknown = 0, 0, 0, 0
        of_cart: list[dict[str, Any]] = []
        for each in chosen:
            findings = _look(each, cart)
            if findings is None:
                skipped[each.name] += 1
                n_skipped += 1
            elif findings is Skipped.NOT_READ:
                unknown[each.name] += 1
                n_unknown += 1
            else:
                looked[each.name] += 1
                n_looked += 1
                if findings:
                    n_failed += 1
                    of_cart += [_row(each, cart, finding) for finding in findings]
        rows += _causes_first(of_cart)
        key = (cart.row.recording_id, cart.row.seq, cart.row.event)
        marks.append((*key, n_looked, n_failed, len(of_cart), n_skipped, n_unknown))
    found = Counter(row["check"] for row in rows)
    summary = [
        {
            "check": each.name,
            "severity": each.severity,
            "meaning": each.meaning,
            "snapshots": looked[each.name],
            "skipped": skipped[each.name],
            "not_read": unknown[each.name],
            "findings": found[each.name],
        }
        for each in chosen
    ]
    columns = list(zip(*marks, strict=True)) or [()] * len(CART_MARKS.names)
    marked = CART_MARKS.from_columns(dict(zip(CART_MARKS.names, columns, strict=True)))
    not_read = NOT_READ.frame(unread(events))
    report = CheckReport(FINDINGS.frame(rows), CHECK_SUMMARY.frame(summary), not_read, marked)
    told = "clock" in events and len(events) and (events["clock"] == EXTERNAL).all()
    return report._replace(without=NO_CART_GIVEN) if told else report


def _look(each: Check, cart: CheckedCart) -> list[Finding] | Skipped | None:
    try:
        findings = each.look(cart)
        return findings if findings is None or isinstance(findings, Skipped) else list(findings)
    except Exception as error:  # noqa: BLE001 - a user's check must not cost all other findings
        sentence = f"The check itself failed: {type(error).__name__}: {error}"
        return [Finding("", "an answer", type(error).__name__, sentence, "warning")]


def _causes_first(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lower the severity of an order's other total where a fault of the order explains it."""
    if not any(row["check"] in CHANGES_THE_TOTAL and row["severity"] == "error" for row in found):
        return found
    return [{**row, "severity": "info"} if row["check"] == ORDER_TOTAL else row for row in found]


def _row(each: Check, cart: CheckedCart, finding: Finding) -> dict[str, Any]:
    return {
        "recording_id": cart.row.recording_id,
        "seq": cart.row.seq,
        "event": cart.row.event,
        "check": each.name,
        **finding._asdict(),
        "severity": finding.severity or each.severity,
    }


MOST_FINDINGS = 50
ORDER_TOTAL = "order-total"
CHANGES_THE_TOTAL = frozenset(
    {
        *("line-price", "subtotal", "total", "discount-once", "shipping-methods", "not-negative"),
        *("lines-once", "line-ids-differ", "lines-kept", "prices-kept", "quantity"),
    }
)
TINTS = {"error": "218,54,51", "warning": "224,138,0", "info": "56,132,255"}


def checks_text(report: CheckReport, most: int = MOST_FINDINGS) -> str:
    """Write a report as plain text, one line a finding.

    Examples
    --------
    >>> import pandas as pd
    >>> data = {"cart": {"line_items": [{"sku": "MUG", "quantity": 0}]}}
    >>> events = {"recording_id": ["r1"], "seq": [2], "event": ["item-added"], "data": [data]}
    >>> print(checks_text(run_checks(pd.DataFrame(events), only=["quantity", "total"])))
    ✗ 1 of 1 checks: 1 error
      error  quantity  Line item MUG has quantity 0. (item-added)
    """
    return "\n".join(filter(None, [report.headline(), grid_text(_grid(report, most), indent="  ")]))


def checks_html(report: CheckReport, most: int = MOST_FINDINGS) -> str:
    """Show a report: the headline, then each finding with its event; nothing more where clean.

    Examples
    --------
    >>> import pandas as pd
    >>> data = {"cart": {"cart_id": "<b>", "cart_status": "active"}}
    >>> events = {"recording_id": ["r1"], "seq": [2], "event": ["item-added"], "data": [data]}
    >>> "✓ 1 check" in checks_html(run_checks(pd.DataFrame(events), only=["status-fits-event"]))
    True
    """
    grid = _grid(report, most)
    table = grid_html(grid) if grid.rows else ""
    return card(f"<b>{escape(report.headline())}</b>{table}", "56em")


def _grid(report: CheckReport, most: int) -> Grid:
    """Return a row a finding: severity, check, sentence, and below it the event."""
    shown = report.findings.head(most)
    orders = {*report.findings["recording_id"], *report.not_read["recording_id"]}
    many = len(orders) > 1
    names = ("recording_id", "event", "severity", "check", "sentence")
    rows = []
    for recording_id, event, *rest in zip(*(shown[name].tolist() for name in names), strict=True):
        severity, check, sentence = map(str, rest)
        where = f"{recording_id} · {event}" if many else str(event)
        rows.append(Row((severity, check, Cell(sentence, small=where)), tint=TINTS[severity]))
    for event in report.not_read.head(most).to_dict("records"):
        where = f"{event['recording_id']} · {event['event']}" if many else str(event["event"])
        sentence = f"The cart of event {event['seq']} was not read: {event['reason']}."
        rows.append(Row(("not read", "", Cell(sentence, small=where)), tint=TINTS["warning"]))
    heads = (Head(left=True), Head(left=True, look="code"), Head(left=True, wraps=True))
    more = and_more(len(report.findings) - most, "finding")
    return Grid(heads, rows, more=more, named_by=None, width="56em")
