"""Where a kernel and its client meet."""

import queue
import tempfile
import time
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager


@pytest.fixture(scope="module")
def sockets():
    """Files instead of ports: a port that is free now can be taken before the kernel has it."""
    # The name of a socket is at most a hundred characters long, which pytest's folders are, too.
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        yield {"transport": "ipc", "ip": str(Path(folder) / "k")}


LIMIT_S = 250


class Kernel:
    """A running kernel: cells in, what they showed out."""

    def __init__(self, manager, client):
        self.manager = manager
        self.client = client

    def run(self, code, interrupt_at=None):
        """Run a cell and return what it showed as text."""
        return "".join(map(plain, self.messages(code, interrupt_at)))

    def messages(self, code, interrupt_at=None):
        """Run a cell and return its messages; interrupt it when a text appears in its output."""
        cell = self.client.execute(code)
        told = []
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            told.append(message)
            if interrupt_at and interrupt_at in "".join(
                [*map(plain, told), str(message["content"].get("data", ""))]
            ):
                interrupt_at = None
                self.manager.interrupt_kernel()
            if message["content"].get("execution_state") == "idle":
                return told
        raise AssertionError(f"the cell did not end; it showed {told[-3:]}")


def plain(message):
    content = message["content"]
    shown = content.get("text", "") or content.get("ename", "")
    return shown + content.get("data", {}).get("text/plain", "")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory, sockets):
    patch = pytest.MonkeyPatch()
    patch.setenv("FIRMLY_NB_HOME", str(tmp_path_factory.mktemp("home")))
    manager = KernelManager(kernel_name="python3", **sockets)
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT_S)
        kernel = Kernel(manager, client)
        assert not kernel.run("import firmly_nb as fnb; lab = fnb.connect(profile='instant')")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        patch.undo()
