"""A sweep in a real kernel: its bar in the cell's output, and the stop button."""

import queue
import time

import pytest
from jupyter_client.manager import start_new_kernel

# jupyter_client warns that the kernel runs over TCP; it is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")
LIMIT_S = 90
STALLED = (
    "lab.sweep(fnb.Order.example(), count=30, concurrency=2, headers={'x-sim-fault': 'stall'})"
)


def run(manager, client, code, interrupt_at=None):
    """Run a cell and return its messages; interrupt it when a text appears in what it shows."""
    cell = client.execute(code)
    messages = []
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != cell:
            continue
        messages.append(message)
        if interrupt_at and interrupt_at in html(message):
            interrupt_at = None
            manager.interrupt_kernel()
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return messages
    raise AssertionError(f"the cell did not end; it showed {messages[-3:]}")


def html(message):
    return message["content"].get("data", {}).get("text/html", "")


def test_the_bar_stays_in_the_notebook_and_the_stop_button_keeps_everything(monkeypatch, tmp_path):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    manager, client = start_new_kernel()
    try:
        run(manager, client, "import firmly_nb as fnb; lab = fnb.connect(profile='instant')")
        told = run(manager, client, "recs = lab.sweep(fnb.Order.example(), count=6)")
        kinds = [message["msg_type"] for message in told]
        assert kinds.count("display_data") == 1, "one bar, which is then moved"
        assert "comm_open" not in kinds, "no widget: nothing to be missed by a later reader"
        last = [html(message) for message in told if html(message)][-1]
        assert "6 of 6 orders: 6 placed" in last
        assert "stream" not in kinds

        stopped = run(manager, client, STALLED, interrupt_at="2 in flight")
        assert stopped[-2]["content"].get("ename") == "KeyboardInterrupt"
        last = [html(message) for message in stopped if html(message)][-1]
        assert "2 cancelled, 28 left; stopped by the analyst" in last
        [shown] = [m for m in run(manager, client, "lab.last_sweep") if html(m)]
        assert "2 of 30 orders" in html(shown)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
