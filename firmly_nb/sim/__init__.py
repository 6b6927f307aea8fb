"""The embedded simulator of firmly's API: a server in a process of its own, on loopback only.

>>> from firmly_nb import sim
>>> with sim.start(profile="instant") as simulator:
...     simulator.url.startswith("http://127.0.0.1:")
True
"""

from firmly_nb.sim.server import Simulator, SimulatorError, start

__all__ = ["Simulator", "SimulatorError", "start"]
