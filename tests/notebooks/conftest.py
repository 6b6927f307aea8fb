"""Where a kernel and its client meet."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def sockets():
    """Files instead of ports: a port that is free now can be taken before the kernel has it."""
    # The name of a socket is at most a hundred characters long, which pytest's folders are, too.
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        yield {"transport": "ipc", "ip": str(Path(folder) / "k")}
