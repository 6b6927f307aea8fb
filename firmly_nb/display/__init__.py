"""Times, counts, money, names and tables, written the same wherever somebody reads them.

- ``text``: :func:`number`, :func:`duration`, :func:`interval`, :func:`percent`, :func:`count`,
  :func:`listed`, and :func:`printable` for what strangers named;
- ``table``: :class:`Grid`, a table as :func:`grid_text` and :func:`grid_html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.display.table import Grid, grid_html, grid_text
    from firmly_nb.display.text import (
        count,
        duration,
        interval,
        listed,
        number,
        percent,
        printable,
    )

__all__ = [
    "Grid",
    "count",
    "duration",
    "grid_html",
    "grid_text",
    "interval",
    "listed",
    "number",
    "percent",
    "printable",
]

show(
    __name__,
    {
        "table": "Grid grid_html grid_text",
        "text": "count duration interval listed number percent printable",
    },
)
