"""What a recording says of its carts: the tables of ``carts``, read from its events.

A base class, because one order and many orders answer the same questions by the same words and
differ only in the events and in what was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.carts.checks import CheckReport
    from firmly_nb.carts.tables import CartTables


class CartFace:
    """Cart tables over ``cart_events``; built when first asked for, then kept."""

    @property
    def cart_events(self) -> pd.DataFrame:
        """The events, and the answer of an order that was placed without events."""
        raise NotImplementedError

    def asked(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was asked for: for each recording its variants and quantities."""
        raise NotImplementedError

    @property
    def snapshots(self) -> pd.DataFrame:
        """One row a cart or order that was seen; see ``carts.schemas.SNAPSHOTS``."""
        return self._cart_tables.snapshots

    @property
    def line_items(self) -> pd.DataFrame:
        """One row a line of each snapshot; see ``carts.schemas.LINE_ITEMS``."""
        return self._cart_tables.line_items

    @property
    def shipments(self) -> pd.DataFrame:
        """One row a shipment of each snapshot; see ``carts.schemas.SHIPMENTS``."""
        return self._cart_tables.shipments

    @property
    def notices(self) -> pd.DataFrame:
        """One row a notice of each snapshot; see ``carts.schemas.NOTICES``."""
        return self._cart_tables.notices

    @property
    def discounts(self) -> pd.DataFrame:
        """One row a discount of each snapshot; see ``carts.schemas.DISCOUNTS``."""
        return self._cart_tables.discounts

    @cached_property
    def changes(self) -> pd.DataFrame:
        """What changed from snapshot to snapshot; see ``carts.schemas.CHANGES``."""
        from firmly_nb.carts.changes import changes

        return changes(self.cart_events)

    @cached_property
    def checks(self) -> CheckReport:
        """What must be true of a cart and is not: ``.findings``, ``.summary``, ``.headline()``."""
        from firmly_nb.carts.checks import run_checks

        return run_checks(self.cart_events, self.asked())

    def show_changes(self) -> Shown:
        """Show the changes as a person would want to read them."""
        from firmly_nb.carts.changes_display import changes_html, changes_text

        return Shown(changes_text(self.changes), changes_html(self.changes))

    @cached_property
    def _cart_tables(self) -> CartTables:
        from firmly_nb.carts.tables import cart_tables

        return cart_tables(self.cart_events)


@dataclass(frozen=True, slots=True)
class Shown:
    """Something to look at: text in a terminal, HTML in a notebook."""

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html
