"""Times, counts, money, names, tables and messages, written the same wherever somebody reads them.

- ``text``: :func:`number`, :func:`duration`, :func:`interval`, :func:`percent`, :func:`count`,
  :func:`listed`, and :func:`printable` for what strangers named;
- ``table``: :class:`Grid`, a table as :func:`grid_text` and :func:`grid_html`;
- ``messages``: :func:`coded_error` and ``MESSAGES``, the messages with a code, a cause and a fix;
  :class:`UnknownName`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.display.messages import (
        MESSAGES,
        Message,
        UnknownName,
        code_of,
        coded_error,
        explain,
    )
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
    "MESSAGES",
    "Grid",
    "Message",
    "UnknownName",
    "code_of",
    "coded_error",
    "count",
    "duration",
    "explain",
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
        "messages": "MESSAGES Message UnknownName code_of coded_error explain",
        "table": "Grid grid_html grid_text",
        "text": "count duration interval listed number percent printable",
    },
)
