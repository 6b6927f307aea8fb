"""Forms and live views for JupyterLab. They hold no logic that code cannot reach.

- ``order_form``: :class:`OrderForm` places orders; ``order_run``: :class:`OrderRun`, those on
  their way; ``presets``: :class:`Presets`, what was filled in; :class:`PresetError`;
- ``timeline``: :class:`Timeline`: orders as bars on the time since the request;
- ``cart_view``: :class:`CartView`: the cart of an order, event by event;
- ``sweep_panel``: :class:`SweepPanel`: many orders, with counts and percentiles while they run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.widgets.cart_view import CartView
    from firmly_nb.widgets.order_form import OrderForm
    from firmly_nb.widgets.order_run import OrderRun
    from firmly_nb.widgets.presets import PresetError, Presets
    from firmly_nb.widgets.sweep_panel import SweepPanel
    from firmly_nb.widgets.timeline import Timeline

__all__ = ["CartView", "OrderForm", "OrderRun", "PresetError", "Presets", "SweepPanel", "Timeline"]

show(
    __name__,
    {
        "cart_view": "CartView",
        "order_form": "OrderForm",
        "order_run": "OrderRun",
        "presets": "PresetError Presets",
        "sweep_panel": "SweepPanel",
        "timeline": "Timeline",
    },
)
