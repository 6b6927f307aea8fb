"""What must be true of a cart: run all checks, and say which ran and what they found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.carts import check_amounts, check_fields, check_lines
from firmly_nb.carts.cart_view import CartView, cart_views
from firmly_nb.carts.check_registry import CHECKS, Check, Finding, check, remove_check
from firmly_nb.carts.schemas import CHECK_SUMMARY, FINDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from firmly_nb.carts.cart_view import Asked

__all__ = ["CHECKS", "CheckReport", "Finding", "check", "checks", "remove_check", "run_checks"]
BUILT_IN = (check_amounts, check_lines, check_fields)  # imported for what they register


class CheckReport(NamedTuple):
    """The findings, and which checks ran on how many snapshots, so that clean can be seen."""

    findings: pd.DataFrame
    summary: pd.DataFrame

    def headline(self) -> str:
        """Say it in a line.

        Examples
        --------
        >>> import pandas as pd
        >>> columns = ["recording_id", "seq", "event", "data"]
        >>> run_checks(pd.DataFrame(columns=columns)).headline()
        'no cart to check'
        """
        ran = self.summary[self.summary["snapshots"] > 0]
        if ran.empty:
            return "no cart to check"
        if self.findings.empty:
            return f"✓ {len(ran)} checks"
        failed = self.findings["check"].nunique()
        counts = Counter(self.findings["severity"].tolist())
        words = (
            f"{counts[name]} {name}{'s' if counts[name] > 1 and name != 'info' else ''}"
            for name in ("error", "warning", "info")
            if counts[name]
        )
        return f"✗ {failed} of {len(ran)} checks: {', '.join(words)}"

    def __repr__(self) -> str:
        from firmly_nb.carts.checks_display import checks_text

        return checks_text(self)

    def _repr_html_(self) -> str:
        from firmly_nb.carts.checks_display import checks_html

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
        ``findings`` with the columns of `FINDINGS`, ``summary`` with those of `CHECK_SUMMARY`.

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
    chosen = list(CHECKS.values()) if only is None else [CHECKS[name] for name in only]
    rows: list[dict[str, Any]] = []
    looked: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    views = cart_views(events, asked)[::-1]
    while views:  # a cart is let go once it has been looked at: ten thousand fill the memory
        view = views.pop()
        for each in chosen:
            findings = _look(each, view)
            if findings is None:
                skipped[each.name] += 1
                continue
            looked[each.name] += 1
            rows += [_row(each, view, finding) for finding in findings]
    found = Counter(row["check"] for row in rows)
    summary = [
        {
            "check": each.name,
            "severity": each.severity,
            "meaning": each.meaning,
            "snapshots": looked[each.name],
            "skipped": skipped[each.name],
            "findings": found[each.name],
        }
        for each in chosen
    ]
    return CheckReport(FINDINGS.frame(rows), CHECK_SUMMARY.frame(summary))


def _look(each: Check, view: CartView) -> list[Finding] | None:
    try:
        findings = each.look(view)
        return None if findings is None else list(findings)
    except Exception as error:  # noqa: BLE001 - a user's check must not cost all other findings
        sentence = f"The check itself failed: {type(error).__name__}: {error}"
        return [Finding("", "an answer", type(error).__name__, sentence, "warning")]


def _row(each: Check, view: CartView, finding: Finding) -> dict[str, Any]:
    return {
        "recording_id": view.row.recording_id,
        "seq": view.row.seq,
        "event": view.row.event,
        "check": each.name,
        **finding._asdict(),
        "severity": finding.severity or each.severity,
    }
