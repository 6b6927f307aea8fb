"""Comparisons that stop as soon as they are sure: blocks, looks, two labs, stops and resumption."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter

import pytest

import firmly_nb as fnb
from firmly_nb import sim
from firmly_nb.sweep.study import turns

ORDER = fnb.Order.example()
SLOW = {"as it is": {}, "slow": {"x-sim-profile": "calm"}}
QUIET = {"progress": False, "concurrency": 8}
CHILD = """
    import sys
    import firmly_nb as fnb
    url, app_id, journal = sys.argv[1:]
    lab = fnb.connect(
        api_url=url, app_id=app_id, journal=journal, allow_domains=["staging.luma.gift"]
    )
    lab.compare(
        fnb.Order.example(), fnb.Order.example(quantity=2), count=50, until=None,
        rate=15, concurrency=4, run_id="killed", progress=False,
    )
"""


def sides(slow=SLOW):
    """What A and B order, told apart by what the simulator does."""
    return fnb.grid(ORDER, headers=slow)


def ended(journal):
    """Return the journals that have an end."""
    ends = (path.read_bytes().splitlines()[-1:] for path in journal.glob("*/*.jsonl"))
    return [end for end in ends if end and b'"t_end_ns"' in end[0]]


def a_side(found):
    """Return how many orders of each side were placed; on a busy machine a later look tells.

    It stopped at the first look that tells, and nothing was placed after it.
    """
    *before, last = found.looks["verdict"].tolist()
    assert last == "slower"
    assert "slower" not in before
    orders = int(found.looks["orders"].iloc[-1])
    assert (len(found.a), len(found.b), len(found.recordings)) == (orders, orders, 2 * orders)
    return orders


@pytest.fixture(scope="module")
def decided(simulator, tmp_path_factory):
    """A comparison in which B takes far longer."""
    journal = tmp_path_factory.mktemp("decided")
    with fnb.connect(
        api_url=simulator.url,
        app_id=simulator.app_id,
        allow_domains=simulator.domains,
        journal=journal,
    ) as lab:
        yield lab.compare(*sides(), run_id="slow", **QUIET), journal


def test_it_stops_at_the_first_look_that_tells(decided):
    found, _ = decided
    assert found.order.verdict == "slower"
    assert found.exit_code == 1
    looks = [50 * number for number in range(1, len(found.looks) + 1)]
    assert found.looks["orders"].tolist() == looks
    # On a busy machine what is late by chance may be told first.
    assert found.verdict.startswith("Slower: ")
    assert "laced orders take " in found.verdict
    said = f"Decided at look {len(looks)}, after {a_side(found)} of 600 orders a side."
    assert found.verdict.endswith(said)


def test_each_block_is_a_run_with_ten_orders_of_each_side_in_turns(decided):
    found, _ = decided
    counts = [Counter(one.orders["run_id"]) for one in (found.a, found.b)]
    names = [f"slow.{n + 1:02}of60" for n in range(a_side(found) // 10)]
    assert counts == [dict.fromkeys(names, 10)] * 2
    assert {rec.tags["side"] for rec in found.b} == {"B"}
    assert found.design.set_index("what")["effect"]["runs"] == "blocked"


def test_neither_side_comes_much_later_in_a_block_and_blocks_differ():
    blocks = [turns(seed, block) for seed in range(20) for block in range(1, 30)]
    later = [sum(b[:i].count(0) for i, s in enumerate(b) if s) / 100 for b in blocks]
    assert min(later) >= 0.3
    assert max(later) <= 0.7
    assert len({tuple(block) for block in blocks}) > 500


def test_what_was_saved_is_read_with_the_same_intervals(decided, tmp_path):
    found, _ = decided
    found.a.save(tmp_path / "a")
    found.b.save(tmp_path / "b")
    again = fnb.load(tmp_path / "a").compare(tmp_path / "b")
    assert again.order.verdict == "slower"
    assert (again.typical, again.success) == (found.typical, found.success)
    page = fnb.report(found.b, tmp_path / "x.html", compare_with=found.a, pictures=False)
    blocks = a_side(found) // 10
    assert f"Block {blocks} of 60 of a study that may stop early" in page.read_text()


def test_it_shows_itself_with_its_looks(decided):
    found, _ = decided
    assert max(map(len, repr(found).splitlines())) <= 80
    assert "a side" in repr(found).splitlines()[-1 - len(found.looks)]
    assert repr(found).count(f"Decided at look {len(found.looks)}, ") == 1
    assert "The looks." in found._repr_html_()


def test_resumed_after_the_decision_nothing_is_placed(decided, connect):
    found, journal = decided
    again = connect(journal=journal).compare(*sides(), resume="slow", **QUIET)
    assert again.verdict == found.verdict
    assert (again.typical, again.tail, again.success) == (found.typical, found.tail, found.success)
    assert again.looks.equals(found.looks)
    assert len(list(journal.glob("*/*.jsonl"))) == 2 * a_side(found)


def test_what_is_written_down_holds_no_address(decided):
    _, journal = decided
    text = (journal / "studies" / "slow.json").read_text()
    for value in ORDER.shipping_info.model_dump(exclude_none=True).values():
        assert len(str(value)) < 4 or str(value) not in text
    assert json.loads(text)["kinds"][0] == [ORDER.domain, [["WS12-XS-Orange", 1]]]


def test_all_orders_are_placed_before_one_look(lab):
    found = lab.compare(ORDER, ORDER, count=50, until=None, **QUIET)
    assert (len(found.a), len(found.b)) == (50, 50)
    assert not len(found.looks)
    assert "All 50 orders a side were placed, and looked at once." in found.verdict
    plain = found.a.compare(found.b)
    assert plain.typical == found.typical
    assert not any("may stop early" in note for note in found.notes)


def test_one_order_in_two_labs(lab, tmp_path, connect):
    with sim.start(profile="calm") as calm:
        other = connect(
            api_url=calm.url,
            app_id=calm.app_id,
            allow_domains=calm.domains,
            journal=tmp_path / "other",
        )
        found = lab.compare(ORDER, other=other, **QUIET)
        assert found.order.verdict == "slower"
        placed = [one for one in calm.truth() if one["event"] == "order-placed"]
        assert {one["order_number"] for one in placed} == {rec.order_number for rec in found.b}
    assert len(list((tmp_path / "other").glob("*/*.jsonl"))) == len(found.b)
    assert len(list(lab.journal.glob("*/*.jsonl"))) == len(found.a)


def orders_at(simulator):
    return {line["order"] for line in simulator.truth()}


def test_sessions_that_end_and_keys_that_rotate_end_no_comparison_of_two_labs(connect, until):
    with sim.start(profile="instant") as one, sim.start(profile="instant") as two:
        labs = [
            connect(api_url=own.url, app_id=own.app_id, allow_domains=own.domains)
            for own in (one, two)
        ]

        def trouble():
            until(lambda: len(orders_at(two)) >= 12, "a few orders of B")
            one.revoke_tokens()
            two.revoke_tokens()
            # The key before the last one is not taken any more.
            two.rotate_key()
            two.rotate_key()

        meanwhile = threading.Thread(target=trouble)
        meanwhile.start()
        found = labs[0].compare(
            ORDER, other=labs[1], count=50, until=None, progress=False, concurrency=4
        )
        meanwhile.join()
        orders = found.recordings.orders
        assert (len(found.a), len(found.b)) == (50, 50), "each order is sent once"
        assert set(orders["outcome"]) == {"placed", "http_error"}
        refused = orders[orders["outcome"] == "http_error"]
        # Those that were in flight, with the token or the key of before.
        assert set(refused["error_code"]) <= {"InvalidJWTToken", "ErrorInvalidInputBody"}
        assert len(refused) <= 12
        assert set(refused["order_exists"]) == {"no"}
        for side, own in ((found.a, one), (found.b, two)):
            placed = side.orders["order_number"].dropna()
            assert len(placed) == placed.nunique()
            assert len(orders_at(own)) == len(placed)
        last = orders.sort_values("started_at").tail(20)
        assert set(last["outcome"]) == {"placed"}


def test_awaited_it_is_the_same(lab):
    found = asyncio.run(lab.compare_async(*sides(), **QUIET))
    assert found.order.verdict == "slower"
    assert a_side(found) == 50 * len(found.looks)


def test_killed_half_way_it_goes_on_and_nothing_is_placed_twice(connect, tmp_path, until):
    journal = tmp_path / "journals"
    with sim.start(profile="instant") as fast:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), fast.url, fast.app_id, str(journal)]
        )
        try:
            until(lambda: len(ended(journal)) >= 27, "a whole block and a part of the next")
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        begun = list(journal.glob("*/*.jsonl"))
        until(lambda: len(ended(journal)) == len(begun), "the recorder's last words")
        lab = connect(
            api_url=fast.url, app_id=fast.app_id, allow_domains=fast.domains, journal=journal
        )
        two = ORDER, fnb.Order.example(quantity=2)
        found = lab.compare(*two, resume="killed", **QUIET)
        assert "All 50 orders a side were placed" in found.verdict, "as it was begun"
        numbers = Counter((r.summary()["run_id"], r.tags["order_no"]) for r in found.recordings)
        assert len(numbers) == 100
        assert set(numbers.values()) == {1}
        true = Counter(
            line["order_number"] for line in fast.truth() if line["event"] == "order-placed"
        )
        assert set(true.values()) == {1}
        assert len(true) <= 100


def test_a_budget_of_money_ends_it_and_a_larger_one_goes_on(lab):
    two = ORDER, fnb.Order.example(quantity=2)
    price = lab.place(ORDER, progress=False).summary()["total_minor"]
    budget = fnb.Budget(total_minor={"USD": 60 * price})
    first = lab.compare(*two, count=50, until=None, budget=budget, run_id="poor", **QUIET)
    assert "Stopped after" in first.verdict
    assert "USD) is used up. To go on, resume it." in first.verdict
    assert 20 < len(first.recordings) < 100
    assert first.recordings.orders["total_minor"].sum() <= 60 * price
    more = {"total_minor": {"USD": 1_000 * price}}
    whole = lab.compare(*two, resume="poor", budget=more, **QUIET)
    assert len(whole.recordings) == 100
    assert {r.recording_id for r in first.recordings} < {r.recording_id for r in whole.recordings}


def test_interrupted_it_keeps_everything_and_goes_on(lab, ctrl_c, until, capsys):
    thread = threading.Thread(
        target=lambda: (until(lambda: len(ended(lab.journal)) >= 5, "orders"), ctrl_c())
    )
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        lab.compare(*sides(), count=50, concurrency=2, run_id="broken")
    thread.join()
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "comparison broken: resume it by this name after a stop"
    assert "cancelled" in told[-1] or "placed" in told[-1]
    begun = len(list(lab.journal.glob("*/*.jsonl")))
    found = lab.compare(*sides(), resume="broken", **QUIET)
    assert len(found.recordings) == 100
    assert len(list(lab.journal.glob("*/*.jsonl"))) == 100 >= begun


def test_the_looks_are_told_while_it_runs(lab, capsys):
    lab.compare(*sides(), run_id="told", concurrency=8)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "comparison told: resume it by this name after a stop"
    looks = [line for line in lines if line.startswith("look ")]
    assert looks[0].startswith("look 1, 50 of 600 a side: "), lines
    assert ": slower; B takes " in looks[-1], lines
    assert f" placed; Decided at look {len(looks)}" in lines[-1], lines


def test_what_a_block_says_hides_no_look(lab, capsys):
    """Each block says anew that the other merchant sells something else."""
    grid = fnb.grid(ORDER, domain=[ORDER.domain, "brook.example.test"])
    lab.compare(*grid, count=60, until="decided", run_id="stand-in", concurrency=8)
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith(("look ", "brook.example.test does not "))]
    assert sum("brook.example.test does not sell " in line for line in lines) == 1
    assert told[0].startswith("brook.example.test does not sell ")
    looks = [line.partition(",")[0] for line in told[1:]]
    assert looks == [f"look {number}" for number in range(1, len(looks) + 1)] != []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 55}, "count must be a multiple of 10, at least 50: .*Got 55.*FNB531"),
        ({"count": 40}, "Got 40.*FNB531"),
        ({"count": True}, "FNB531"),
        ({"count": "600"}, "FNB531"),
        ({"until": "soon"}, "Unknown until 'soon'. Use decided.*FNB532"),
        ({"margin": 10}, "margin must be between 0 and 1, got 10.*FNB309"),
        ({"tail_margin": 0}, "tail_margin must be between 0 and 1"),
        ({"slo_ms": -1}, "slo_ms must be a time above 0 ms"),
        ({"budget": {"orders": 100}}, r"up to 1\u202f200 orders, and its budget is\s100.*FNB518"),
        ({"resume": "never"}, "No comparison never in .*FNB533"),
        ({"resume": "../x"}, "FNB510"),
        ({"run_id": "a/b"}, "FNB510"),
        ({"run_id": "a" * 90}, "too long.*FNB511"),
        ({"rate": "fast"}, "FNB503"),
        ({"other": "staging"}, r"other must be a lab, got str\. Try fnb\.connect"),
        ({"contr": 1}, r"Unknown option 'contr' for compare\(\)"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(lab, options, words):
    with pytest.raises((ValueError, TypeError, LookupError), match=words):
        lab.compare(ORDER, fnb.Order.example(quantity=2), progress=False, **options)
    assert not list(lab.journal.glob("*/*.jsonl"))


@pytest.mark.parametrize(
    ("orders", "kind", "words"),
    [
        ((ORDER,), ValueError, r"needs two sides\. Pass order_b, or other=.*FNB530"),
        (("tee", ORDER), TypeError, r"order_a must be a fnb\.Order, got str"),
        ((ORDER, ["tee"]), TypeError, r"order_b must be a fnb\.Order, got list"),
        ((ORDER, fnb.Order.example(domain="shop.example.com")), fnb.GuardError, "allow-list"),
    ],
)
def test_sides_that_cannot_be_ordered_are_refused(lab, orders, kind, words):
    with pytest.raises(kind, match=words):
        lab.compare(*orders, progress=False)
    assert not lab.journal.exists()


@pytest.mark.parametrize(
    "options", [{"margin": 0.2}, {"count": 100}, {"slo_ms": 900}, {"until": None}]
)
def test_what_was_stated_before_the_first_order_cannot_change(decided, connect, options):
    lab = connect(journal=decided[1])
    with pytest.raises(ValueError, match=r"of comparison slow is .* stated before .*FNB535"):
        lab.compare(*sides(), resume="slow", **options)


def test_it_goes_on_where_it_began(decided, connect, lab):
    with pytest.raises(ValueError, match=r"was placed on custom; this is custom and custom"):
        connect(journal=decided[1]).compare(ORDER, other=lab, resume="slow")
    with pytest.raises(ValueError, match=r"resume names the comparison already.*FNB521"):
        connect(journal=decided[1]).compare(*sides(), resume="slow", run_id="other")
    with pytest.raises(ValueError, match=r"exists already.*FNB511"):
        connect(journal=decided[1]).compare(*sides(), run_id="slow")


@pytest.mark.parametrize("damage", [b"{", b"{}", b'{"study_id": "hurt"}', b"[]", b"\xff"])
def test_a_damaged_plan_is_named(lab, damage):
    (lab.journal / "studies").mkdir(parents=True)
    (lab.journal / "studies" / "hurt.json").write_bytes(damage)
    with pytest.raises(ValueError, match=r"hurt\.json is damaged.*FNB534"):
        lab.compare(*sides(), resume="hurt")


def test_a_plan_is_made_from_recordings_or_where_they_are_saved(decided, tmp_path):
    found, _ = decided
    found.a.save(tmp_path / "a")
    plans = [fnb.plan(one, change="20%", power=0.9) for one in (found.a, tmp_path / "a")]
    assert plans[0].orders == plans[1].orders
    assert plans[0].amounts == plans[1].amounts
    assert plans[0].needs.equals(plans[1].needs)
    assert fnb.plan(found.a, rate="30/min").per_minute == 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"change": 10}, "change must be between 0 and 1, got 10"),
        ({"power": "x"}, "power must be between 0 and 1"),
        ({"rate": 0}, "rate must be"),
    ],
)
def test_a_plan_with_a_wrong_number_is_refused(decided, options, words):
    with pytest.raises(ValueError, match=words):
        fnb.plan(decided[0].a, **options)


def test_a_plan_of_something_else_is_refused():
    with pytest.raises(TypeError, match="recs must be recordings or a path, got int"):
        fnb.plan(7)
    with pytest.raises(FileNotFoundError):
        fnb.plan(os.devnull + "/nothing")
