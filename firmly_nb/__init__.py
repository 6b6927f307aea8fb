"""Place staging orders through firmly's Place Order API and trust every time that is recorded.

Three lines place an order on the embedded simulator::

    import firmly_nb as fnb
    lab = fnb.connect()
    rec = lab.place(fnb.Order.example(), card=fnb.Card.test())

``rec`` is a :class:`Recording`: ``rec.events`` has each Server-Sent Event with its arrival and how
far off that time can be, ``rec.stages`` how long each step took, ``rec.cart`` the last cart,
``rec.outcome`` and ``rec.error`` how it ended. What you can hold in your hand:

- :func:`connect`, :class:`Lab`: where orders go, and every verb;
- :class:`Order`, :class:`Item`, :class:`Address`, :class:`Card`: what is ordered;
- :class:`Flow`: the same call by call with an existing cart, for ``lab.place`` and ``lab.sweep``;
- :class:`Recording`, :class:`Recordings`: what happened, as pandas tables; :func:`load` reads
  them back; ``recs.latency()`` says how long orders take, ``recs.charts`` draws it;
- :func:`from_events`: the same tables and verbs from times of a CSV, another tool or a simulation;
- :func:`report`: what they say, as one HTML page for others;
- :func:`grid`, :class:`Budget`, :class:`Sweep`: many orders, with ``lab.sweep``;
- :func:`plan`: how many orders a comparison needs; ``lab.compare`` places them;
- :class:`OrderForm`: a form that places orders, with what happens to them beside it;
- :class:`Timeline`: orders as bars on the time since the request, live or recorded, as a widget;
- :class:`CartView`: the cart of an order, event by event, as a widget;
- :class:`SweepPanel`: many orders from a form, counts and percentiles while they run, as a widget;
- :class:`FirmlyError`, :class:`GuardError`, :class:`InvalidOrder`: what can go wrong, and says what
  to do;
- :func:`allow_nested_loops`: for other libraries' ``asyncio.run`` in your cells.

Importing this package is cheap: each name loads what it needs when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show
from firmly_nb.missing import watch

if TYPE_CHECKING:
    from firmly_nb.api.errors import FirmlyError
    from firmly_nb.api.flow import Flow
    from firmly_nb.api.models import Address, Card, InvalidOrder, Item, Order
    from firmly_nb.connect import connect
    from firmly_nb.environments import GuardError
    from firmly_nb.lab import Lab
    from firmly_nb.nested import allow_nested_loops
    from firmly_nb.recordings.given import from_events
    from firmly_nb.recordings.recording import Recording
    from firmly_nb.recordings.recordings import Recordings, load
    from firmly_nb.report.report import report
    from firmly_nb.sweep.budget import Budget
    from firmly_nb.sweep.plan import grid
    from firmly_nb.sweep.study import plan
    from firmly_nb.sweep.sweep import Sweep
    from firmly_nb.widgets.cart_view import CartView
    from firmly_nb.widgets.order_form import OrderForm
    from firmly_nb.widgets.sweep_panel import SweepPanel
    from firmly_nb.widgets.timeline import Timeline

__all__ = [
    "Address",
    "Budget",
    "Card",
    "CartView",
    "FirmlyError",
    "Flow",
    "GuardError",
    "InvalidOrder",
    "Item",
    "Lab",
    "Order",
    "OrderForm",
    "Recording",
    "Recordings",
    "Sweep",
    "SweepPanel",
    "Timeline",
    "allow_nested_loops",
    "connect",
    "from_events",
    "grid",
    "load",
    "plan",
    "report",
]

show(
    __name__,
    {
        "api.errors": "FirmlyError",
        "api.flow": "Flow",
        "api.models": "Address Card InvalidOrder Item Order",
        "connect": "connect",
        "environments": "GuardError",
        "lab": "Lab",
        "nested": "allow_nested_loops",
        "recordings.recording": "Recording",
        "recordings.recordings": "Recordings load",
        "recordings.given": "from_events",
        "report.report": "report",
        "sweep.budget": "Budget",
        "sweep.plan": "grid",
        "sweep.study": "plan",
        "sweep.sweep": "Sweep",
        "widgets.cart_view": "CartView",
        "widgets.order_form": "OrderForm",
        "widgets.sweep_panel": "SweepPanel",
        "widgets.timeline": "Timeline",
    },
    distribution="firmly-nb",
)
watch()
