"""Recordings in the forms of other tools.

- ``curl``: :func:`curl` writes the request of an order as a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.exchange.curl import curl

__all__ = ["curl"]

show(__name__, {"curl": "curl"})
