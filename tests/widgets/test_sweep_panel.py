"""The sweep panel without a browser: its fields, its buttons, what it shows and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.environments import staging
from firmly_nb.sweep.budget import what_of
from firmly_nb.sweep.progress import Point, Progress
from firmly_nb.widgets.draft import kinds_of
from firmly_nb.widgets.sweep_draft import (
    FIELDS,
    SweepDraft,
    arguments,
    first_draft,
    orders_words,
    problems,
    prospect_words,
)
from firmly_nb.widgets.sweep_panel import (
    chart_svg,
    headline,
    lateness,
    outcome_words,
    panel_html,
    percentile_words,
    points,
)
from tests.widgets.pages import edit

ORDER = fnb.Order.example()
STAGING = staging()


@pytest.fixture
def lab(connect, tmp_path):
    return connect(journal=tmp_path / "journals")


@pytest.fixture
def panel(lab):
    return fnb.SweepPanel(lab, count=3, rate=40)


def ask(panel, **message):
    """Send what the page sends."""
    panel._handle_custom_msg(message, [])


def draft(**changes):
    return replace(first_draft(STAGING), **changes)


def test_a_first_draft_is_a_sweep_that_can_be_started():
    assert problems(draft(), ORDER, STAGING) == {}
    assert arguments(draft()) == {
        "count": 20,
        "arrival": "constant",
        "rate": "20/min",
        "budget": {"orders": 25, "minutes": 15.0},
    }


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"count": "many"}, "count", "whole number"),
        ({"count": "0"}, "count", "from 1"),
        ({"count": ""}, "count", "say how many orders, or for how long"),
        ({"rate": ""}, "rate", 'like "30/min"'),
        ({"rate": "fast"}, "rate", 'like "30/min"'),
        ({"arrival": "never"}, "arrival", "choose one of constant"),
        ({"concurrency": "999"}, "concurrency", "from 1 to 256"),
        ({"duration": "soon"}, "duration", 'like "10 min"'),
        ({"max_orders": "5"}, "max_orders", "fewer than the 20 orders"),
        ({"max_minutes": "-1"}, "max_minutes", "above 0"),
        ({"max_minutes": "nan"}, "max_minutes", "above 0"),
        ({"max_total": "500"}, "max_total", 'like "500.00 USD"'),
    ],
)
def test_what_is_wrong_is_said_at_its_field(changes, field, words):
    found = problems(draft(**changes), ORDER, STAGING)
    assert list(found) == [field]
    assert words in found[field]


PRICES = {what_of(ORDER): (3_047, "USD")}


def words(prices=PRICES, orders=ORDER, typical_ms=None, **changes):
    """Say what a press on a panel of the simulator would do."""
    return prospect_words(draft(**changes), orders, STAGING, prices, typical_ms)


@pytest.mark.parametrize(
    ("changes", "sentence", "button"),
    [
        ({"rate": "1/s"}, "20 orders, one each second: about 20 s, up to", "Start 20 orders"),
        ({"count": "1", "rate": "1/s"}, "1 order, one each second: about 1 s", "Start 1 order"),
        ({"rate": "20/min"}, "20 orders, 20 each minute: about 60 s", "Start 20 orders"),
        ({"count": "", "duration": "10 min", "rate": "2/min"}, "about 10 min", "Start 20 orders"),
        ({"arrival": "poisson"}, "20 orders, 20 each minute, at random: about 60 s", "Start 20"),
        ({"arrival": "closed", "concurrency": "4"}, "4 at a time, each when one ends: as", "Start"),
        ({"arrival": "closed", "count": "", "duration": "60"}, "Orders, 1 at a time", "Start"),
    ],
)
def test_one_sentence_says_what_a_press_would_do(changes, sentence, button):
    said = words(**changes)
    assert sentence in said["sentence"]
    assert said["button"].startswith(button)
    assert said["sentence"].endswith(" at staging.luma.gift.")


def test_the_most_that_a_sweep_costs_is_said_once_it_is_known():
    assert "up to 609.40 USD" in words()["sentence"]
    assert "a price that is being asked for" in words({})["sentence"]
    assert "a price that is not known" in words({what_of(ORDER): None})["sentence"]
    dear = fnb.Order.example(quantity=5)
    both = PRICES | {what_of(dear): (10_000, "USD")}
    # One of each in turn, so of three orders two can be the dear one.
    assert "up to 230.47 USD" in words(both, [ORDER, dear], count="3")["sentence"]


def test_what_a_sweep_cannot_tell_is_said_before_it_runs():
    assert words(count="72", max_orders="100")["cannot"] == ""
    assert words(count="40", max_orders="100")["cannot"] == (
        "This sweep will not give a p95: p95 needs 72 placed orders."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_minutes": "0.5"}, "The limit ends it after 0.5 min. Raise “Minutes”"),
        ({"max_total": "600 USD"}, "The limit of 600 USD ends it early. Raise “Money”."),
        ({"count": "", "duration": "1 h"}, "The limit ends it after 25 orders. Raise “Orders”"),
        ({"rate": "20/s"}, "20 each second take 12 in flight, and 4 are allowed. Raise “In"),
        ({"rate": "20/s", "concurrency": "16"}, ""),
        ({}, ""),
    ],
)
def test_a_warning_names_what_to_raise(changes, said):
    warning = words(typical_ms=600, **changes)["warning"]
    assert said in warning
    assert bool(warning) == bool(said)


@pytest.mark.parametrize(
    ("concurrency", "blamed"),
    [(64, "this machine is busy. Lower the rate"), (8, "8 in flight is too few, or this machine")],
)
def test_places_that_cannot_all_be_taken_are_not_blamed_for_late_starts(concurrency, blamed):
    latest = [Point(n, n / 5, 500.0, "placed", 81.0) for n in range(100)]
    sweep = SimpleNamespace(
        plan=SimpleNamespace(rate_per_s=5.0, concurrency=concurrency),
        progress=SimpleNamespace(started=100, latest=latest),
    )
    assert blamed in lateness(sweep)


def test_a_page_is_told_what_orders_cost_and_a_rate_that_is_not_kept(lab, until, monkeypatch):
    slow = fnb.grid(ORDER, headers={"calm": {"x-sim-profile": "calm"}})
    panel, told = fnb.SweepPanel(lab, slow, count=12, rate=200, concurrency=4), []
    monkeypatch.setattr(panel, "send", lambda content, _=None: told.append(content))
    panel._draft._send = panel.send
    ask(panel, type="draft", view="page", number=0)
    until(lambda: told and "up to 365.64 USD" in told[-1]["about"]["sentence"], "the price")
    panel.start().wait()
    until(lambda: panel._shown["state"] == "finished", "the last state")
    assert "Raise “In flight”" in panel._shown["late"]
    slower = [row["scheduled"] for row in panel._shown["percentiles"]]
    assert all("ms" in text for text in slower), "from the planned start"
    assert "from the planned start" in panel_html(panel._still())


@pytest.mark.parametrize("width", [360, 1000])
def test_the_words_of_the_static_image_are_as_large_on_a_telephone(browser, width):
    page = browser.new_page(viewport={"width": width, "height": 400})
    page.set_content(chart_svg([[0.0, 9_474.0, "placed"], [20.0, 300.0, "error_event"]]))
    sizes, last = page.evaluate(
        """() => [[...document.querySelectorAll("text")].map(text => text.getScreenCTM().a),
            document.querySelector("path").getBoundingClientRect().right]"""
    )
    assert sizes == [1, 1, 1]
    assert last < width == page.evaluate("document.documentElement.scrollWidth")
    page.close()


def test_money_is_read_with_its_currency():
    assert arguments(draft(max_total="500.00 usd"))["budget"]["total_minor"] == {"USD": 50_000}
    assert arguments(draft(max_total="700 JPY"))["budget"]["total_minor"] == {"JPY": 700}


def test_a_closed_loop_has_no_rate():
    assert "rate" not in arguments(draft(arrival="closed", rate="nonsense"))
    assert problems(draft(arrival="closed", rate="nonsense"), ORDER, STAGING) == {}


def test_a_merchant_that_is_not_allowed_is_said_before_the_first_press():
    strange = fnb.Order.example(domain="shop.example.com")
    assert "not on the allow-list" in problems(draft(), [ORDER, strange], STAGING)["orders"]


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=12)))
def test_whatever_is_typed_is_either_wrong_or_means_something(typed):
    found = draft(**typed)
    if not problems(found, ORDER, STAGING):
        assert set(arguments(found)) <= {*FIELDS, "budget"}


def test_every_field_is_a_text_with_a_label():
    assert kinds_of(SweepDraft) == dict.fromkeys(FIELDS, (str,))


def test_what_a_page_sends_that_is_no_text_changes_nothing_and_is_said(panel):
    edit(panel, rate=7)
    assert panel.rate == "40"
    assert panel._notice == "rate must be a text, got int. Pass a text. [FNB711]"


def test_a_press_starts_what_its_page_shows(panel, until):
    """The edit before it was lost, or is still on its way."""
    content = {"type": "start", "view": "page", "number": 3}
    panel._handle_custom_msg(content, [b'{"count": "2", "rate": "50/s"}'])
    assert len(until(lambda: panel.sweep, "a sweep").wait()) == 2
    edit(panel, number=2, count="9")
    assert panel.count == 2, "an edit that was overtaken by the press"


def test_every_field_is_an_attribute(panel):
    panel.rate = "30/min"
    panel.count = None
    panel.duration = "2 min"
    panel.max_orders = 70
    assert (panel.rate, panel.count, panel.duration, panel.max_orders) == (
        "30/min", None, "2 min", 70,
    )  # fmt: skip
    assert panel.problems == {}
    panel.rate = "?"
    assert list(panel.problems) == ["rate"]
    with pytest.raises(ValueError, match=r"cannot start: rate: type orders per second"):
        panel.start()
    with pytest.raises(ValueError, match="Unknown field 'colour' for a sweep panel"):
        panel.set(colour="red")


def test_a_sweep_is_started_from_python_and_seen_in_the_panel(panel, until):
    recs = panel.start().wait()
    assert [rec.outcome for rec in recs] == ["placed"] * 3
    assert len(panel.recordings) == 3
    until(lambda: panel._shown["state"] == "finished" and len(panel._points) == 3, "the last state")
    assert panel._shown["headline"] == "Finished: 3 of 3 orders ended"
    assert panel._shown["outcomes"][0]["n"] == 3
    assert [row["estimable"] for row in panel._shown["percentiles"]] == [False] * 3
    assert not panel._shown["can_resume"]


def test_the_buttons_do_the_same(panel, until):
    ask(panel, type="start")
    sweep = until(lambda: panel.sweep, "a sweep")
    sweep.wait()
    assert len(panel.recordings) == 3


def test_stop_and_resume(lab, until):
    orders = fnb.grid(ORDER, headers={"calm": {"x-sim-profile": "calm"}})
    panel = fnb.SweepPanel(lab, orders, count=12, rate=10, concurrency=2)
    ask(panel, type="start")
    until(lambda: panel.sweep and panel.sweep.progress.finished >= 2, "two orders")
    with pytest.raises(RuntimeError, match="A sweep is already running in this panel"):
        panel.start()
    ask(panel, type="stop", let_finish=True)
    panel.sweep.wait()
    until(lambda: panel._shown["can_resume"], "a sweep that can be resumed")
    stopped = panel.sweep
    ask(panel, type="resume")
    until(lambda: panel.sweep is not stopped, "the second part")
    assert len(panel.sweep.wait()) == 12
    assert panel.sweep.run_id == stopped.run_id


def test_what_goes_wrong_is_shown_in_the_panel(panel, until):
    panel.orders = fnb.Order.example(domain="shop.example.com")
    assert "not on the allow-list" in panel.problems["orders"]
    ask(panel, type="start")
    assert "not on the allow-list" in until(lambda: panel._notice, "the notice")
    assert panel.sweep is None
    ask(panel, type="resume")
    until(lambda: "has no sweep to resume" in panel._notice, "the next notice")


@pytest.mark.parametrize("message", [{}, {"type": "sing"}, {"type": ["start"]}, "start", None, 7])
def test_messages_that_mean_nothing_do_nothing(panel, message):
    panel._handle_custom_msg(message, [])
    assert panel.sweep is None


def test_a_reader_without_a_kernel_sees_settings_outcomes_and_times(panel):
    empty = panel._repr_mimebundle_()
    data = empty[0] if isinstance(empty, tuple) else empty
    assert "needs a running kernel" in data["text/html"]
    panel.start().wait()
    still = panel._repr_mimebundle_()
    data = still[0] if isinstance(still, tuple) else still
    assert "Finished: 3 of 3 orders ended" in data["text/html"]
    assert "<svg role" in data["text/html"]
    assert "<script" not in data["text/html"]
    assert "3 placed" in data["text/plain"]


def test_nothing_secret_is_in_the_state_of_the_widget(panel):
    edit(panel, name="canary")
    panel.start().wait()
    state = repr(panel.get_state())
    assert "canary" not in state
    token = panel.lab._bench.devices().free[0].session.access_token.get_secret_value()
    for secret in ("4111111111111111", token, panel.lab._bench.app_id.get_secret_value()):
        assert secret not in state
    assert "10 Sample Way" not in state


def test_percentiles_are_numbers_only_where_there_are_enough():
    few, many = percentile_words([500.0] * 30), percentile_words(list(range(1000, 1400)))
    assert [row["estimable"] for row in few] == [True, False, False]
    assert "needs 36 placed orders, there are 30" in few[1]["text"]
    # Ranks 180 and 221 of 400, by the binomial distribution.
    assert (
        many[0]["text"].replace("\u202f", " ").replace("\u00a0", " ")
        == "1 200 ms (95%: 1 179 to 1 220 ms)"
    )


def test_the_chart_is_bounded(panel):
    from firmly_nb.sweep.progress import Point

    assert len(points([Point(n, n, 5.0, "placed") for n in range(5000)])) == 300


def test_what_will_be_ordered_is_said():
    assert orders_words(ORDER) == "1 x WS12-XS-Orange at staging.luma.gift"
    assert orders_words([ORDER, ORDER]) == "2 orders in turn"
    assert orders_words(fnb.grid(ORDER, quantity=[1, 5])) == (
        "2 variants, interleaved (quantity: 1, 5)"
    )
    assert orders_words(iter([ORDER])) == "orders from a generator"


def test_words_for_how_far_it_is():
    stopped = Progress("stopped", 10, 4, 0, 4, {"timeout": 1, "placed": 3}, not_started=1)
    assert headline(stopped) == "Stopped: 5 of 10 orders ended, 5 not started"
    assert [row["words"] for row in outcome_words(stopped)] == ["placed", "timeout", "not sent"]


def test_names_from_outside_cannot_become_markup(panel):
    evil = '<img src=x onerror="alert(1)">'
    panel.name = evil
    still = {**panel._still(), "message": evil, "orders": evil, "headline": evil}
    assert "<img" not in panel_html(still)


def test_a_panel_beats_until_its_sweep_has_ended(lab, monkeypatch, until):
    panel = fnb.SweepPanel(lab, count=50, rate=100)
    sent = []
    monkeypatch.setattr(panel._heart, "_send", sent.append)
    monkeypatch.setattr(panel._heart, "_every_s", 0.01)
    panel.start().wait()
    until(lambda: panel._heart._over is None, "the end of the beats")
    assert sent
    assert all(one == {"type": "beat"} for one in sent)
