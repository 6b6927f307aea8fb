"""A page about recordings for others: ``fnb.report`` writes it, :func:`report_html` returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.report.report import report_html

__all__ = ["report_html"]

show(
    __name__,
    {
        "report": "report_html",
    },
)
