"""Recordings in the forms of other tools.

- ``curl``: :func:`curl` writes the request of an order as a command;
- ``ticket``: :func:`ticket` writes an order as a text for whoever runs the service;
- ``har``, ``tables``, ``perfetto``, ``otlp``: the verbs of recordings that write files and spans;
- ``har_load``, ``event_files``: recordings and times from files of other tools;
- ``har_clean``: :func:`clean_har` takes secrets and addresses out of a HAR file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.exchange.curl import curl
    from firmly_nb.exchange.har_clean import clean_har
    from firmly_nb.exchange.ticket import ticket

__all__ = ["clean_har", "curl", "ticket"]

show(__name__, {"curl": "curl", "har_clean": "clean_har", "ticket": "ticket"})
