"""A sweep that was killed loses no finished order, and resumed places only what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter

import pytest

import firmly_nb as fnb
from firmly_nb import sim
from firmly_nb.sweep import sweep as sweep_module
from firmly_nb.sweep.budget import amount_from
from firmly_nb.sweep.plan import PlanFile
from firmly_nb.sweep.study import StudyFile

ORDER = fnb.Order.example()
DOMAINS = [ORDER.domain, "brook.example.test"]
# Far more than are placed before it is killed, on however slow a machine.
CHILD = """
    import sys
    import firmly_nb as fnb
    url, app_id, journal = sys.argv[1:]
    domains = ["staging.luma.gift", "brook.example.test"]
    lab = fnb.connect(api_url=url, app_id=app_id, journal=journal, allow_domains=domains)
    lab.sweep(
        fnb.grid(fnb.Order.example(), domain=domains),
        count=1_000, rate=15, concurrency=4, run_id="killed", seed=4,
        budget={"total_minor": {"USD": 10_000_000}}, progress=False,
    )
"""


@pytest.fixture
def calm():
    with sim.start(profile="calm") as simulator:
        yield simulator


def orders_of(simulator):
    """Return how often each order number occurs as a placed order in the simulator's truth."""
    return Counter(
        line["order_number"] for line in simulator.truth() if line["event"] == "order-placed"
    )


def ended(journal):
    """Return the journals that have an end; cheap enough to be asked again and again."""
    ends = (path.read_bytes().splitlines()[-1:] for path in journal.glob("*/*.jsonl"))
    return [end for end in ends if end and b'"t_end_ns"' in end[0]]


def test_killed_half_way_no_finished_order_is_lost_and_none_is_placed_twice(
    calm, connect, tmp_path, until
):
    journal = tmp_path / "journals"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), calm.url, calm.app_id, str(journal)]
    )
    try:
        until(lambda: len(ended(journal)) >= 6, "six finished orders")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    # The recorder outlives its notebook by the moment that it needs to close what is open.
    begun = list(journal.glob("*/*.jsonl"))
    until(lambda: len(ended(journal)) == len(begun), "the recorder's last words")
    before = fnb.load(journal)
    placed_before = {rec.order_number for rec in before.where(outcome="placed")}
    assert placed_before <= set(orders_of(calm)), "what is told is true"
    unknown = [rec for rec in before if rec.outcome != "placed"]
    planned = max(int(rec.tags["order_no"]) for rec in before) + 5

    lab = connect(api_url=calm.url, app_id=calm.app_id, allow_domains=calm.domains, journal=journal)
    grid = fnb.grid(ORDER, domain=DOMAINS)
    recs = lab.sweep(grid, resume="killed", count=planned, progress=False)

    numbers = Counter(int(rec.tags["order_no"]) for rec in recs)
    assert numbers == Counter(range(1, planned + 1)), "each planned order, and each once"
    shops = Counter(rec.tags["domain"] for rec in recs)
    assert abs(shops[DOMAINS[0]] - shops[DOMAINS[1]]) <= 1, "interleaved as if nothing had been"
    assert {rec.recording_id for rec in unknown} <= {rec.recording_id for rec in recs}
    true = orders_of(calm)
    assert set(true.values()) == {1}
    # What was in flight when the process was killed may have become an order, and was left alone.
    placed = recs.where(outcome="placed")
    assert {rec.order_number for rec in placed} <= set(true)
    assert len(true) <= planned
    assert len(placed) + len(unknown) == planned
    progress = lab.last_sweep.progress
    assert progress.resumed == len(before)
    # What may have been ordered counts with all that was set aside for it.
    may_exist = [rec for rec in unknown if rec.order_exists != "no"]
    set_aside = sum(amount_from(rec.tags["set_aside"])[0] for rec in may_exist)
    assert progress.spent_minor == {"USD": placed.orders["total_minor"].sum() + set_aside}

    again = lab.sweep(grid, resume="killed", count=planned, progress=False)
    assert len(again) == planned
    assert orders_of(calm) == true, "nothing is missing, nothing is placed"


def test_a_stopped_sweep_goes_on_where_it_stopped(lab):
    first = lab.sweep(ORDER, count=4, run_id="two-parts", progress=False, budget={"orders": 4})
    assert len(first) == 4
    whole = lab.sweep(
        ORDER, resume="two-parts", count=7, progress=False, budget={"orders": 7}, name="later"
    )
    assert sorted(int(rec.tags["order_no"]) for rec in whole) == [1, 2, 3, 4, 5, 6, 7]
    assert {rec.recording_id for rec in first} < {rec.recording_id for rec in whole}
    assert lab.last_sweep.progress.resumed == 4
    assert set(whole.orders["run_id"]) == {"two-parts"}


@pytest.mark.parametrize("name", ["", " ", "../../x", "~"])
def test_a_name_that_names_no_run_begins_none(lab, name):
    with pytest.raises(ValueError, match="run_id must be 1 to 100 letters"):
        lab.sweep(ORDER, resume=name, count=1, progress=False)
    assert lab.last is None


def test_the_budget_is_that_of_the_whole_run(lab):
    def orders():
        while True:
            yield ORDER

    first = lab.sweep(orders(), run_id="limited", progress=False, budget={"orders": 3})
    again = lab.sweep(orders(), resume="limited", progress=False)
    assert len(first) == len(again) == 3
    assert "the budget of 3 orders is used up" in again.warnings[0]


def test_an_order_whose_end_is_unknown_is_not_placed_again(lab, until):
    started = lab.start_sweep(
        ORDER, count=3, concurrency=3, run_id="stalled", headers={"x-sim-fault": "stall"}
    )
    until(lambda: started.progress.running == 3, "three orders")
    started.stop()
    stopped = started.wait()
    assert [rec.outcome for rec in stopped] == ["cancelled"] * 3
    again = lab.sweep(ORDER, resume="stalled", progress=False)
    assert {rec.recording_id for rec in again} == {rec.recording_id for rec in stopped}


def test_other_orders_are_not_taken_for_the_same_run(lab):
    lab.sweep(ORDER, count=2, run_id="mine", progress=False)
    with pytest.raises(ValueError, match="Sweep mine began with other orders"):
        lab.sweep(fnb.Order.example(quantity=3), resume="mine", count=4, progress=False)


def test_a_generator_that_brings_other_orders_is_noticed(lab):
    lab.sweep(iter([ORDER, ORDER]), run_id="listed", progress=False)
    other = fnb.Order.example(quantity=3)
    with pytest.raises(ValueError, match=r"Order 2 of this run was at .* Resume with the same"):
        lab.sweep(iter([ORDER, other, other]), resume="listed", progress=False)
    assert len(fnb.load(lab.journal)) == 2


def test_a_run_is_placed_by_one_sweep_at_a_time(lab, connect, until):
    started = lab.start_sweep(ORDER, count=3, run_id="one", headers={"x-sim-fault": "stall"})
    until(lambda: started.progress.running == 1, "an order in flight")
    other = connect(journal=lab.journal)
    with pytest.raises(ValueError, match="Sweep one is still running"):
        other.sweep(ORDER, resume="one", progress=False)
    started.stop()
    started.wait()
    with pytest.raises(
        ValueError, match=r"Sweep one exists already. Continue it with resume='one'"
    ):
        lab.sweep(ORDER, count=3, run_id="one", progress=False)


def test_what_the_one_who_held_a_run_did_last_is_known_to_the_next(lab, monkeypatch):
    lab.sweep(ORDER, count=2, run_id="one", progress=False)
    held = sweep_module.claim

    def lent_meanwhile(folder, run_id):
        lease = {"kind": "lease", "lease": "a-1", "slot": 3, "host": "paris", "epoch": 1}
        (folder / f"{run_id}.leases.jsonl").write_text(json.dumps(lease))
        return held(folder, run_id)

    monkeypatch.setattr(sweep_module, "claim", lent_meanwhile)
    with pytest.raises(ValueError, match="only other machines know the end"):
        lab.sweep(ORDER, resume="one", count=3, progress=False)
    assert len(fnb.load(lab.journal)) == 2
    held(lab.journal / "sweeps", "one").release()  # it is not held any more


def test_a_run_goes_on_where_it_began(lab, connect):
    lab.sweep(ORDER, count=1, run_id="here", progress=False)
    elsewhere = connect(environment="simulator", profile="instant", journal=lab.journal)
    with pytest.raises(ValueError, match="was placed on custom; this lab uses simulator"):
        elsewhere.sweep(ORDER, resume="here", progress=False)


@pytest.mark.parametrize(
    "changes",
    [{"run_id": "../../x"}, {"run_id": "other"}, {"count": -1}, {"rate_per_s": 0.0},
     {"concurrency": 0}, {"duration_s": -1.0}, {"budget": None}, {"budget": {"orders": "x"}},
     {"budget": {"cars": 1}}, {"count": "5"}, {"seed": 1.5}, {"tags": {"a": 1}}, {"kinds": {}},
     {"rate_per_s": "fast"}, {"arrival": None}, {"concurrency": True},
     {"rate_per_s": 1e-300}, {"rate_per_s": 1e300}, {"rate_per_s": None}, {"arrival": "gauss"},
     {"arrival": "closed"}, {"concurrency": 2**40}, {"count": 2**62}, {"began_at_ns": -1},
     {"tags": {"\ud800": "x"}}, {"stand_ins": [{}]}, {"stand_ins": [{"said": "no items"}]},
     {"stand_ins": [{"said": 5, "domain": "a.test", "instead_of": ["x"], "items": []}]},
     {"stand_ins": [{"said": "", "domain": "a.test", "instead_of": [], "items": [{"id": 1}]}]}],
    ids=ascii,
)  # fmt: skip
def test_a_plan_that_says_what_cannot_be_is_refused(tmp_path, changes):
    whole = PlanFile(
        run_id="r-1", name="", tags={}, environment="simulator", began_at_ns=0, arrival="poisson",
        rate_per_s=0.5, concurrency=4, duration_s=None, count=20, seed=7, budget={"orders": 20},
    )  # fmt: skip
    whole.write(tmp_path)
    assert PlanFile.read(tmp_path, "r-1") == whole
    path = tmp_path / "sweeps" / "r-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=r"r-1\.json is damaged"):
        PlanFile.read(tmp_path, "r-1")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a folder"])
@pytest.mark.parametrize(
    ("folder", "kind", "said"),
    [("sweeps", PlanFile, "No sweep r-1 in "), ("studies", StudyFile, "No comparison r-1 in ")],
)
def test_what_is_no_file_is_no_plan(tmp_path, make, folder, kind, said):
    """A pipe was waited for, and of a folder Python's own error was told."""
    (tmp_path / folder).mkdir()
    make(tmp_path / folder / "r-1.json")
    with pytest.raises(LookupError, match=said):
        kind.read(tmp_path, "r-1")


def test_the_name_of_a_plan_cannot_steer_a_terminal():
    plan = PlanFile(
        run_id="r-1", name="\x1b[2J\n", tags={}, environment="simulator", began_at_ns=0,
        arrival="closed", rate_per_s=None, concurrency=4, duration_s=None, count=20, seed=7,
        budget={"orders": 20}, stand_ins=[{"said": "\x1b[2J"}],
    )  # fmt: skip
    assert repr(plan).replace("\n", " ").isprintable()


def test_orders_of_before_a_clock_was_set_back_are_not_placed_again(lab):
    """Their files are older than the run's begin then, and nobody looked into them."""
    lab.sweep(ORDER, count=2, run_id="back", progress=False)
    path = lab.journal / "sweeps" / "back.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"began_at_ns": 2**62}))
    again = lab.sweep(ORDER, resume="back", count=2, progress=False)
    assert (len(again), lab.last_sweep.progress.resumed) == (2, 2)


def test_a_damaged_plan_is_said_and_touches_nothing(lab):
    lab.sweep(ORDER, count=1, run_id="torn", progress=False)
    path = lab.journal / "sweeps" / "torn.json"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"torn\.json is damaged"):
        lab.sweep(ORDER, resume="torn", progress=False)


@pytest.mark.parametrize("damaged", [b'"domain"', b'"run_id":"torn', b'"kind":"start"'])
def test_an_order_whose_journal_is_damaged_is_not_sent_again(lab, damaged):
    """Of a journal that nobody could read the order counted as not sent."""
    lab.sweep(ORDER, count=1, run_id="torn", progress=False)
    [path] = lab.journal.glob("*/*.jsonl")
    (path.parent / "begun.jsonl").write_bytes(path.read_bytes()[:40])  # no order was sent
    path.write_bytes(path.read_bytes().replace(damaged, damaged[:-2] + b"?" + damaged[-1:], 1))
    with pytest.raises(OSError, match=rf"{path.name} cannot be read.* Nothing was sent\."):
        lab.sweep(ORDER, resume="torn", count=2, progress=False)
    assert len([*lab.journal.glob("*/*.jsonl")]) == 2
    path.unlink()
    assert len(lab.sweep(ORDER, resume="torn", count=2, progress=False)) == 2


def test_a_full_or_read_only_disk_sends_nothing(connect, tmp_path):
    (tmp_path / "file").write_text("no folder")
    lab = connect(journal=tmp_path / "file" / "journals")
    with pytest.raises(OSError, match="FIRMLY_NB_HOME"):
        lab.sweep(ORDER, count=2, progress=False)
    assert lab.last_sweep is None


def test_killing_the_recorder_costs_the_orders_in_flight_and_no_more(lab, until):
    started = lab.start_sweep(ORDER, count=20, rate=10, headers={"x-sim-profile": "calm"})
    until(lambda: started.progress.finished >= 2, "two orders")
    os.kill(lab._bench.worker().pid, signal.SIGKILL)
    recs = started.wait()
    assert started.problems == [], "what was not begun yet is given to the next recorder"
    assert sorted(int(rec.tags["order_no"]) for rec in recs) == list(range(1, 21))
    outcomes = Counter(rec.outcome for rec in recs)
    assert outcomes["placed"] + outcomes["transport_error"] == 20
    assert outcomes["placed"] >= 2
    assert started.progress.state == "finished"
