"""Recordings in the forms of other tools.

- ``curl``: :func:`curl` writes the request of an order as a command;
- ``ticket``: :func:`ticket` writes an order as a text for whoever runs the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.exchange.curl import curl
    from firmly_nb.exchange.ticket import ticket

__all__ = ["curl", "ticket"]

show(__name__, {"curl": "curl", "ticket": "ticket"})
