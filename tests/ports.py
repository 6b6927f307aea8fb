"""Ports for servers that must be told theirs, or that are started again on the same one."""

from __future__ import annotations

import itertools
import os
import socket
from contextlib import suppress

# Below those that the system gives to whoever wants any; each test process has its own.
FIRST, FOR_EACH_PROCESS = 10_000, 1_000
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_numbers = itertools.cycle(range(FOR_EACH_PROCESS))


def free_port():
    """Return a port that nobody has, and that no other test process will take."""
    for number in _numbers:
        port = FIRST + _process * FOR_EACH_PROCESS + number
        with socket.socket() as held, suppress(OSError):
            held.bind(("127.0.0.1", port))
            return port
    return None
