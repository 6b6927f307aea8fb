"""The embedded simulator of firmly's API: a server in a process of its own, on loopback only.

>>> from firmly_nb import sim
>>> with sim.start(profile="instant") as simulator:
...     simulator.url.startswith("http://127.0.0.1:")
True

- ``server``: :func:`start`, :class:`Simulator`, :class:`SimulatorError`;
- ``settings``: :class:`Settings`: the options of :func:`start`;
- ``behaviour``: ``PROFILES`` (how long it takes), ``FAULTS`` (what goes wrong), ``CART_FAULTS``
  (those of them that spoil carts), and with :func:`draw` and :func:`make_rng` the delays of an
  order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.sim.behaviour import CART_FAULTS, FAULTS, PROFILES, draw, make_rng
    from firmly_nb.sim.server import Simulator, SimulatorError, start
    from firmly_nb.sim.settings import Settings

__all__ = [
    "CART_FAULTS",
    "FAULTS",
    "PROFILES",
    "Settings",
    "Simulator",
    "SimulatorError",
    "draw",
    "make_rng",
    "start",
]

show(
    __name__,
    {
        "behaviour": "CART_FAULTS FAULTS PROFILES draw make_rng",
        "server": "Simulator SimulatorError start",
        "settings": "Settings",
    },
)
