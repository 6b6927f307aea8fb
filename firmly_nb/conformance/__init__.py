"""Conformance: an API as it was seen, held against its description.

- :class:`Conformance`: the result of ``lab.conformance()``; ``CONFORMANCE`` is its table.
- :func:`examine`: places one order and asks what orders nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.conformance.ask import examine
    from firmly_nb.conformance.result import Conformance
    from firmly_nb.conformance.seen import CONFORMANCE

__all__ = ["CONFORMANCE", "Conformance", "examine"]

show(__name__, {"ask": "examine", "result": "Conformance", "seen": "CONFORMANCE"})
