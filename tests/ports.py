"""Ports for servers that must be told theirs, or that are started again on the same one."""

from __future__ import annotations

import itertools
import socket
from contextlib import suppress
from functools import cache

# Below those that the system gives to whoever wants any. Each test process has some of its own,
# also beside those of another suite on this machine.
FIRST, BEYOND, FOR_EACH_PROCESS = 10_000, 30_000, 200
_claims = []  # sockets on the first port of what this process has, as long as it lives


def free_port():
    """Return a port that nobody has, and that no other test process will take."""
    for port in _ports():
        with socket.socket() as held, suppress(OSError):
            held.bind(("127.0.0.1", port))
            return port
    return None


@cache
def _ports():
    for first in range(FIRST, BEYOND, FOR_EACH_PROCESS):
        claim = socket.socket()
        with suppress(OSError):
            claim.bind(("127.0.0.1", first))
            _claims.append(claim)
            return itertools.cycle(range(first + 1, first + FOR_EACH_PROCESS))
        claim.close()
    raise RuntimeError("all ports for tests are taken")
