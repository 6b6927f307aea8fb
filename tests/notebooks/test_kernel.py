"""Orders and a sweep in a real kernel: shown, interrupted, awaited, beside other people's loops."""

import pytest

# Warnings of jupyter_client are no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")


def html(message):
    return message["content"].get("data", {}).get("text/html", "")


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


def test_the_tab_key_completes_options_by_their_names(kernel):
    code = """
from IPython.core.completer import provisionalcompleter
def completed(text):
    with provisionalcompleter():
        return [one.text for one in get_ipython().Completer.completions(text, len(text))]
"""
    kernel.run(code)
    assert "timeout_s=" in kernel.run("completed('lab.place(order, timeo')")
    assert "concurrency=" in kernel.run("completed('lab.sweep(order, conc')")
    assert "profile=" in kernel.run("completed('fnb.connect(prof')")
