"""The timeline in a real JupyterLab: events appear as they arrive, and are found again."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

SETUP = """
import concurrent.futures, firmly_nb as fnb
lab = fnb.connect(profile="typical")
timeline = fnb.Timeline()
timeline
"""
ONE = "lab.place(fnb.Order.example(), progress=False, on_record=timeline.feed).outcome"
AGAIN = """
from dataclasses import replace
start, *rest = timeline.recordings[0].records()
records = [replace(start, recording_id="again"), *rest]
feed = timeline.feed
"""
STALLED = """
attempt = lab.start(fnb.Order.example(), on_record=timeline.feed,
                    headers={"x-sim-fault": "stall", "x-sim-profile": "calm"})
"""
CANCEL = "attempt.cancel()"
# One after another on a calm shop, then four at once on an ordinary one.
MANY = """
def place(profile):
    headers = {"x-sim-profile": profile}
    return lab.place(fnb.Order.example(), progress=False, on_record=timeline.feed, headers=headers)
for _ in range(8):
    place("calm")
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    recs = list(pool.map(place, ["typical"] * 8))
"""
LOADED = """
timeout = lab.place(fnb.Order.example(), progress=False, timeout_s=4.0,
                    headers={"x-sim-fault": "stall", "x-sim-profile": "calm"})
declined = lab.place(fnb.Order.example(), progress=False, headers={
    "x-sim-fault": "payment-declined", "x-sim-profile": "instant"})
loaded = fnb.Timeline([recs[0], timeout, declined])
loaded
"""
BRUSHED = """
times = timeline.brushed.orders["time_to_order_placed_ms"]
print({r.outcome for r in timeline.brushed}, bool((times >= timeline.brush[0]).all()))
"""
STATE = "print(len(timeline.recordings), timeline.selected, [r.outcome for r in loaded.recordings])"
# How many stages were reached and which was in progress, each time that changed.
WATCH = """shown => {
    window.seen = [];
    const look = () => {
        const rows = [...shown.querySelectorAll(".stage-row")].map(row => row.classList);
        const runs = rows.findIndex(row => row.contains("in-progress"));
        const now = [rows.filter(row => row.contains("reached")).length, runs];
        if (String(now) !== String(window.seen.at(-1))) window.seen.push(now);
    };
    new MutationObserver(look).observe(shown, {subtree: true, attributes: true, childList: true});
}"""
# How many stages are reached and which one runs, from the start of an order on.
STAGES = ["creating-cart", "item-added", "shipping-updated", "order-placed"]
IN_TURN = [[0, 0], [1, 1], [2, 2], [3, 3], [len(STAGES), -1]]
RUNNING = ".stages li:nth-child(3) .running"
MARKS = "performance.getEntriesByName('firmly-nb:drawn').map(m => ({at: m.startTime, ...m.detail}))"


@pytest.fixture
def live(notebook):
    """A timeline in a notebook, with nothing on it."""
    bench = notebook(SETUP, ONE, STALLED, CANCEL, MANY, LOADED, STATE, "timeline", BRUSHED)
    return bench, bench.run_cell(0).locator(".timeline")


def test_events_appear_as_they_arrive_and_are_found_again(live, page, artefact, axe, until, capsys):
    bench, shown = live
    expect(shown.get_by_text("Place an order to see yours.")).to_be_visible()
    artefact("empty", shown)
    axe(shown)

    watch_one_order(bench, shown, artefact)
    watch_a_stalled_order(bench, shown, artefact, until)
    bench.run_cell(4)
    expect(shown.get_by_role("button", name="all 19")).to_be_visible()
    # A mark is set once the paint of its event is over.
    wanted = [[1, 2], *[[1, 2, 3, 4]] * 18]
    until(lambda: sorted(each_seq(page.evaluate(MARKS)).values()) == wanted, "every event drawn")
    marks = page.evaluate(MARKS)
    late_ms = [mark["late_ms"] for mark in marks if mark["recording_id"] != "again"]
    tell_lateness(late_ms, capsys)

    look_at_what_an_event_carried(bench, shown)
    artefact("event", shown)
    axe(shown)
    find_and_brush(bench, shown)
    for scheme in ("dark", "light"):
        bench.theme(scheme)
        compared = look_at_loaded(bench)
        artefact(f"compared-{scheme}", compared)
        axe(compared)

    saved = json.dumps(bench.save())
    assert "creating-cart" in saved  # the state is there,
    assert "cart_id" not in saved  # what events carried is not
    bench.reload()
    for index, orders in ((0, 19), (5, 3)):
        again = bench.output(index).locator(".timeline")
        expect(again.locator(".order-row")).to_have_count(orders)
        expect(again.locator(".stage-row.reached").first).to_be_visible()
    look_at_what_an_event_carried(bench, bench.output(0).locator(".timeline"))
    expect(bench.run_cell(7).locator(".timeline .order-row")).to_have_count(19)


def watch_one_order(bench, shown, artefact):
    """Rows are there from the start; each is reached in its turn, and the next one runs then."""
    shown.evaluate(WATCH)
    bench.run_cell(1)
    expect(shown.locator(".head .word")).to_have_text("✓ placed")
    expect(shown.locator(".visually-hidden[role=status]")).to_contain_text("Placed: order")
    # Before it the example was there. A busy page can draw two events with one frame.
    seen = bench.page.evaluate("window.seen")
    turns = [IN_TURN.index(now) for now in seen[seen[0] == IN_TURN[-1] :]]
    assert turns == sorted(set(turns))
    assert turns[-1] == len(STAGES)
    artefact("placed", shown)

    # The same order once more, where nothing can be missed.
    bench.execute(AGAIN)
    for number, (reached, _) in enumerate(IN_TURN):
        bench.execute(f"feed(records[{number}])")
        expect(shown.locator(".stage-row.reached")).to_have_count(reached)
    bench.execute("feed(records[-1])")
    expect(shown.locator(".head .word")).to_have_text("✓ placed")
    assert bench.page.evaluate("window.seen")[-len(IN_TURN) :] == IN_TURN


def watch_a_stalled_order(bench, shown, artefact, until):
    """The bar of the stage in progress grows without the kernel, until the order is cancelled."""
    bench.run_cell(2)
    expect(shown.locator(".stage-row").nth(2).locator(".running")).to_be_visible()
    artefact("running", shown)

    def width():
        # In one step, since the bar is another one whenever the kernel has something new.
        return shown.evaluate(f"e => e.querySelector('{RUNNING}')?.getBoundingClientRect().width")

    before = until(width, "the width of the bar")
    until(lambda: (width() or 0) > before + 1, "a wider bar")
    bench.run_cell(3)
    expect(shown.locator(".head .word")).to_have_text("■ cancelled")
    expect(shown.locator(".verdict")).to_contain_text("The order may exist")
    artefact("cancelled", shown)


def each_seq(marks):
    """Return the numbers of the events that were drawn of each order, in the order of drawing."""
    drawn = {}
    for mark in sorted(marks, key=lambda mark: mark["at"]):
        drawn.setdefault(mark["recording_id"], []).append(mark["seq"])
    return drawn


def tell_lateness(late_ms, capsys):
    """Print how late events were on the screen; benchmarks/widgets.py holds the figure itself."""
    ordered = sorted(late_ms)
    p50, p95 = (ordered[round(len(ordered) * share) - 1] for share in (0.5, 0.95))
    with capsys.disabled():
        words = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, {len(ordered)} events"
        print(f"\n[from an event's arrival to its bar on the screen: {words}]")


def look_at_what_an_event_carried(bench, shown):
    """By keyboard: to the second stage, Enter, and there are its cart and its JSON."""
    row = shown.locator(".stage-row").nth(1)
    row.focus()
    expect(shown.locator(".order .event-words")).to_contain_text("item-added · event 2 of")
    row.press("Enter")
    details = shown.get_by_label("the event that is looked at")
    expect(details.get_by_role("list", name="JSON of the event")).to_contain_text("cart")
    expect(details.get_by_role("table")).to_contain_text("Radiant Tee")
    shown.get_by_role("button", name="copy as curl").click()
    expect(shown.get_by_label("the order as a command")).to_contain_text("$ENCRYPTED_CARD")
    shown.locator(".copied .close").click()


def find_and_brush(bench, shown):
    """An event is found in all orders; the brush, by keyboard, selects some; Python has them."""
    shown.get_by_label("in all orders").check()
    shown.get_by_label("find events by name or text").fill("order-placed")
    expect(shown.get_by_role("list", name="found events").get_by_role("listitem")).to_have_count(18)
    shown.get_by_label("find events by name or text").fill("")
    shown.get_by_role("slider", name="orders from").press("PageUp")
    shown.get_by_role("button", name="placed 18").click()
    expect(shown.get_by_role("button", name="show all")).to_be_visible()
    expect(bench.run_cell(8)).to_contain_text("{'placed'} True")
    shown.get_by_role("button", name="show all").click()
    shown.get_by_role("button", name="all 19").click()
    expect(shown.locator(".order-row")).to_have_count(19)
    whole_ms = middle_and_longest_ms(shown)
    shown.get_by_label("aligned on").select_option("order-placed")
    expect(shown.locator(".histogram-row .quiet")).to_contain_text(re.compile(r"p50 0[.0]*\sms,"))
    assert middle_and_longest_ms(shown)[1] < whole_ms[0] <= whole_ms[1]
    shown.get_by_label("aligned on").select_option("start")


def middle_and_longest_ms(shown):
    """What the histogram says of placed orders, from where their rows are lined up."""
    said = shown.locator(".histogram-row .quiet").inner_text().replace("\u202f", "")
    (told,) = re.findall(r"^placed: p50 ([\d.]+)\sms, max ([\d.]+)\sms$", said)
    return [float(ms) for ms in told]


def look_at_loaded(bench):
    """Of loaded orders one is looked at and one compared; Python knows what was clicked."""
    loaded = bench.run_cell(5).locator(".timeline")
    expect(loaded.locator(".head .word")).to_have_text("✕ declined")
    expect(loaded.locator(".verdict")).to_contain_text("ErrorPaymentDeclined")
    loaded.locator(".look").last.click()
    expect(loaded.locator(".head .word")).to_have_text("✓ placed")
    loaded.locator(".compare:not(:disabled)").last.click()
    expect(loaded.get_by_role("table")).to_contain_text("shipping-updated")
    said = bench.run_cell(6)
    expect(said).to_contain_text("19 {'recording_id':")
    expect(said).to_contain_text("'seq': 2} ['placed', 'timeout', 'error_event']")
    return loaded
