"""An order in a real kernel: interrupted, awaited, and beside other people's nested loops."""

import queue
import time

import pytest
from jupyter_client.manager import start_new_kernel

# jupyter_client warns that the kernel runs over TCP; it is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")
LIMIT_S = 60


class Kernel:
    """A running kernel: cells in, what they showed out."""

    def __init__(self, manager, client):
        self.manager = manager
        self.client = client

    def run(self, code, interrupt_at=None):
        """Run a cell; interrupt it when a text appears in its output."""
        cell = self.client.execute(code)
        shown = ""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            shown += content.get("text", "") or content.get("ename", "")
            shown += content.get("data", {}).get("text/plain", "")
            if interrupt_at and interrupt_at in shown:
                interrupt_at = None
                self.manager.interrupt_kernel()
            if kind == "status" and content["execution_state"] == "idle":
                return shown
        raise AssertionError(f"the cell did not end; it showed: {shown}")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("FIRMLY_NB_HOME", str(tmp_path_factory.mktemp("home")))
    manager, client = start_new_kernel()
    try:
        kernel = Kernel(manager, client)
        assert not kernel.run("import firmly_nb as fnb; lab = fnb.connect(profile='instant')")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        patch.undo()


def test_lines_appear_while_a_cell_waits_for_its_order(kernel):
    shown = kernel.run("rec = lab.place(fnb.Order.example())")
    assert [line.split()[0] for line in shown.splitlines()[1:]] == [
        "creating-cart",
        "item-added",
        "shipping-updated",
        "order-placed",
    ]


def test_interrupting_the_cell_cancels_the_order_and_keeps_the_recording(kernel):
    stalled = "lab.place(fnb.Order.example(), headers={'x-sim-fault': 'stall'})"
    assert "KeyboardInterrupt" in kernel.run(stalled, interrupt_at="item-added")
    assert "Cancelled after item-added" in kernel.run("lab.last")


def test_the_awaited_twin_shows_lines_too(kernel):
    shown = kernel.run("rec = await lab.place_async(fnb.Order.example()); rec.outcome")
    assert "order-placed" in shown
    assert shown.endswith("'placed'")


def test_it_works_beside_nested_loops_of_other_libraries(kernel):
    code = """
import asyncio
fnb.allow_nested_loops()
nested = asyncio.run(lab.place_async(fnb.Order.example(), progress=False))
plain = lab.place(fnb.Order.example(), progress=False)
nested.outcome, plain.outcome"""
    assert kernel.run(code) == "('placed', 'placed')"
