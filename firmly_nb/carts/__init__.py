"""Carts, their changes and their faults: tables in, tables out.

Every function takes a table of events (``recording_id``, ``seq``, ``event``, ``data``), wherever
that came from, and returns plain DataFrames, whose columns are declared in ``schemas``
(``CHANGES`` is one of these).

- ``tables``: :func:`snapshots`, :func:`line_items`, :func:`shipments`, :func:`notices`,
  :func:`discounts`, and :func:`cart_tables` for all at once: what was in the cart, tidy;
- ``changes``: :func:`changes` from snapshot to snapshot, :func:`differences` of two carts;
  :func:`summary` says changes in words;
- ``paths``: :func:`read_path` reads the path of a place in a cart;
- ``report``: :func:`checks` and :func:`run_checks`: what should be true and is not;
- ``rules``: :func:`check` adds a check, :func:`remove_check` takes it away; a check gets a
  :class:`CheckedCart` and gives a :class:`Finding` for each thing that is wrong; ``CHECKS`` has
  them by name;
- ``drift``: :func:`field_presence`, :func:`presence_matrix`, :func:`schema_drift`: which fields
  merchants send, and what drifted;
- ``explain``: :func:`features`, :func:`explain`, :func:`explain_in_words`: what explains slow
  orders;
- ``show``: :func:`cart_html`, :func:`cart_text`, :func:`changes_html`, :func:`changes_text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.carts.changes import Difference, changes, differences, summary
    from firmly_nb.carts.drift import field_presence, presence_matrix, schema_drift
    from firmly_nb.carts.explain import explain, explain_in_words, features
    from firmly_nb.carts.paths import read_path
    from firmly_nb.carts.prices import compare_carts, prices
    from firmly_nb.carts.report import CheckReport, checks, run_checks
    from firmly_nb.carts.rules import CHECKS, CheckedCart, Finding, check, remove_check
    from firmly_nb.carts.schemas import CHANGES
    from firmly_nb.carts.show import cart_html, cart_text, changes_html, changes_text
    from firmly_nb.carts.tables import (
        CartTables,
        cart_tables,
        discounts,
        line_items,
        notices,
        shipments,
        snapshots,
    )

__all__ = [
    "CHANGES",
    "CHECKS",
    "CartTables",
    "CheckReport",
    "CheckedCart",
    "Difference",
    "Finding",
    "cart_html",
    "cart_tables",
    "cart_text",
    "changes",
    "changes_html",
    "changes_text",
    "check",
    "checks",
    "compare_carts",
    "differences",
    "discounts",
    "explain",
    "explain_in_words",
    "features",
    "field_presence",
    "line_items",
    "notices",
    "presence_matrix",
    "prices",
    "read_path",
    "remove_check",
    "run_checks",
    "schema_drift",
    "shipments",
    "snapshots",
    "summary",
]

show(
    __name__,
    {
        "changes": "Difference changes differences summary",
        "drift": "field_presence presence_matrix schema_drift",
        "explain": "explain explain_in_words features",
        "paths": "read_path",
        "prices": "compare_carts prices",
        "report": "CheckReport checks run_checks",
        "rules": "CHECKS CheckedCart Finding check remove_check",
        "schemas": "CHANGES",
        "show": "cart_html cart_text changes_html changes_text",
        "tables": "CartTables cart_tables discounts line_items notices shipments snapshots",
    },
)
