"""How times, counts, money, names and tables are written: the same wherever somebody reads them.

- ``text``: :func:`milliseconds`, :func:`percent`, :func:`count`, :func:`listed`, and
  :func:`printable` for what strangers named;
- ``messages``: :func:`coded_error` and ``MESSAGES``, the messages with a code, a cause and a fix;
  :class:`UnknownName`;
- ``html``: :class:`Grid`, a table as :func:`grid_text` and :func:`grid_html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.display.html import Grid, grid_html, grid_text
    from firmly_nb.display.messages import (
        MESSAGES,
        Message,
        UnknownName,
        code_of,
        coded_error,
        explain,
    )
    from firmly_nb.display.text import count, listed, milliseconds, percent, printable

__all__ = [
    "MESSAGES",
    "Grid",
    "Message",
    "UnknownName",
    "code_of",
    "coded_error",
    "count",
    "explain",
    "grid_html",
    "grid_text",
    "listed",
    "milliseconds",
    "percent",
    "printable",
]

show(
    __name__,
    {
        "html": "Grid grid_html grid_text",
        "messages": "MESSAGES Message UnknownName code_of coded_error explain",
        "text": "count listed milliseconds percent printable",
    },
)
