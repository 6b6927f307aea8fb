"""Orders and a sweep in a real kernel: shown, interrupted, awaited, beside other people's loops."""

import queue
import time

import pytest
from jupyter_client.manager import KernelManager

# Warnings of jupyter_client are no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")
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
            if interrupt_at and interrupt_at in "".join([*map(plain, told), html(message)]):
                interrupt_at = None
                self.manager.interrupt_kernel()
            if message["content"].get("execution_state") == "idle":
                return told
        raise AssertionError(f"the cell did not end; it showed {told[-3:]}")


def plain(message):
    content = message["content"]
    shown = content.get("text", "") or content.get("ename", "")
    return shown + content.get("data", {}).get("text/plain", "")


def html(message):
    return message["content"].get("data", {}).get("text/html", "")


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


STALLED = (
    "lab.sweep(fnb.Order.example(), count=30, concurrency=2, headers={'x-sim-fault': 'stall'})"
)


def test_the_bar_stays_in_the_notebook_and_the_stop_button_keeps_everything(kernel):
    told = kernel.messages("recs = lab.sweep(fnb.Order.example(), count=6)")
    kinds = [message["msg_type"] for message in told]
    assert kinds.count("display_data") == 1, "one bar, which is then moved"
    assert "comm_open" not in kinds, "no widget: nothing to be missed by a later reader"
    assert "6 of 6 orders: 6 placed" in [html(message) for message in told if html(message)][-1]
    assert "stream" not in kinds

    stopped = kernel.messages(STALLED, interrupt_at="2 in flight")
    assert stopped[-2]["content"].get("ename") == "KeyboardInterrupt"
    last = [html(message) for message in stopped if html(message)][-1]
    assert "2 cancelled, 28 left; stopped by the analyst" in last
    [shown] = [m for m in kernel.messages("lab.last_sweep") if html(m)]
    assert "2 of 30 orders" in html(shown)


def test_it_works_beside_nested_loops_of_other_libraries(kernel):
    code = """
import asyncio
fnb.allow_nested_loops()
nested = asyncio.run(lab.place_async(fnb.Order.example(), progress=False))
plain = lab.place(fnb.Order.example(), progress=False)
nested.outcome, plain.outcome"""
    assert kernel.run(code) == "('placed', 'placed')"
