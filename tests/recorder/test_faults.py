"""Every fault that the simulator knows ends as its table says, with every event before it kept."""

from __future__ import annotations

import pytest

import firmly_nb as fnb
from firmly_nb.sim.behaviour import FAULTS

STREAMED = ["creating-cart", "item-added", "shipping-updated", "order-placed"]
# What the recorder itself calls a response that has no error of the API in it.
UNNAMED = {
    "bad-gateway": "HTTP 502",
    "empty-answer": "HTTP 500",
    "redirect": "HTTP 307",
    "content-type": "UnexpectedContentType",
}


def error_of(fault):
    """The error that a recording has, if the fault names one that ends the order."""
    if FAULTS[fault].outcome == "placed":
        return None
    return UNNAMED.get(fault) or FAULTS[fault].parameters.get("error")


@pytest.fixture(scope="module")
def shared(simulator, tmp_path_factory):
    """One lab for all faults: no fault may spoil the order after it."""
    lab = fnb.connect(
        api_url=simulator.url,
        app_id=simulator.app_id,
        allow_domains=simulator.domains,
        journal=tmp_path_factory.mktemp("journals"),
    )
    # What only the first order needs is no part of a limit below.
    lab.place(fnb.Order.example(), progress=False)
    yield lab
    lab.close()


def place(lab, fault, **options):
    # Long enough for session, key and the events before a stall to come on any machine.
    limit = 4.0 if FAULTS[fault].outcome == "timeout" else 60.0
    headers = {"x-sim-fault": fault}
    return lab.place(
        fnb.Order.example(), progress=False, headers=headers, timeout_s=limit, **options
    )


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_as_its_table_says(shared, simulator, fault, isolated):
    before = len(simulator.truth())
    rec = place(shared, fault, isolated=isolated)
    assert (rec.outcome, rec.order_exists) == (FAULTS[fault].outcome, FAULTS[fault].order_exists)
    if error_of(fault):
        assert rec.error.error == error_of(fault)
    truth = [entry for entry in simulator.truth()[before:] if entry["event"]]
    names = rec.events["event"].astype("str").tolist()
    if fault == "content-type":
        assert names == []  # sent as a page: it is no event stream
    elif fault in {"garbage", "unknown-events", "no-last-blank-line", "half-event"}:
        whole = len(truth) - (fault in {"no-last-blank-line", "half-event"})
        told = [name for name in names if name in STREAMED]
        assert told == [entry["event"] for entry in truth][:whole]
    elif fault == "buffered":
        assert names == STREAMED
    else:
        assert names == [entry["event"] for entry in truth]
    if FAULTS[fault].outcome == "placed":
        assert rec.order_number


@pytest.mark.parametrize("fault", FAULTS)
def test_the_plain_call_ends_as_its_table_says(shared, fault):
    rec = place(shared, fault, sse=False)
    known = FAULTS[fault]
    assert (rec.outcome, rec.order_exists) == (known.plain, known.plain_order_exists)
    assert len(rec.events) == 0


def test_after_all_faults_an_order_is_as_good_as_the_first(shared):
    rec = shared.place(fnb.Order.example(), progress=False)
    assert (rec.outcome, rec.warnings) == ("placed", [])
    assert rec.events["event"].astype("str").tolist() == STREAMED
    assert rec.orders["connection"].tolist() == ["warm"]


def test_everything_that_was_recorded_is_on_disk(shared):
    """Last in this file: reads back what all the others have left."""
    rec = place(shared, "stall")
    loaded = fnb.load(shared.journal)
    assert loaded.warnings == []
    assert {r.recording_id for r in loaded} >= {rec.recording_id}
    assert not any(r.cut_off for r in loaded)
    twin = next(r for r in loaded if r.recording_id == rec.recording_id)
    assert twin.outcome == rec.outcome
    assert twin.events["event"].tolist() == rec.events["event"].tolist()
    assert twin.events["t_ms"].tolist() == rec.events["t_ms"].tolist()
