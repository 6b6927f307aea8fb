"""A report is one page: it fetches nothing, runs nothing of a stranger's, and reads well."""

from __future__ import annotations

import errno
import html
import json
import os
import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

import firmly_nb as fnb
from firmly_nb.latency.shares import success_rate
from firmly_nb.recorder.records import End
from firmly_nb.report.report import DEFINITIONS, report_html, summary_section
from tests.recorder.made_records import event, start

DRAWN = "html[data-drawn]"
LIMIT_MS = 100_000  # ten charts on a busy machine


@pytest.fixture(scope="module")
def compared(made):
    """A report of two hundred orders held against two hundred others, without pictures."""
    recs, other = made(200, seed=3, runs=6), made(200, seed=4, runs=6)
    recs.warnings.append("one <i>warning</i>")
    return report_html(recs, "Monday <b>bold</b>", compare_with=other, pictures=False)


def words_of(page):
    """Return what a reader sees, without scripts and styles."""
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


def test_it_says_the_answers_first(compared, made):
    recs = made(200, seed=3, runs=6)
    summary = words_of(compared.split('id="summary"')[1].split('id="tables"')[0])
    rate = success_rate(recs.orders)
    assert f"{rate.count} of 200 orders were placed" in summary
    assert "Half of the placed orders take at most" in summary


def test_the_comparison_says_verdict_questions_design_and_stages(compared):
    words = words_of(compared.split('id="comparison"')[1].split('id="tables"')[0])
    said = [
        "In the comparison A is before and B is now.",
        "question",
        "typical",
        "tail",
        "placed",
        "runs: ",
        "shipping-updated",
    ]
    places = [words.index(text) for text in said]
    assert places == sorted(places)
    assert 'href="#comparison"' in compared


def test_without_earlier_orders_there_is_no_comparison(made):
    page = report_html(made(12), pictures=False)
    assert 'id="comparison"' not in page
    assert "#comparison" not in page


def test_one_recording_a_list_or_a_path_is_reported(lab, tmp_path):
    one, other = (lab.place(fnb.Order.example(), progress=False) for _ in range(2))
    fnb.Recordings([one, other]).save(tmp_path / "set")
    target = tmp_path / "page.html"
    for given, counted in (
        (one, "1 of 1 order"),
        ([one, other], "2 of 2"),
        (tmp_path / "set", "2 of 2"),
    ):
        page = fnb.report(given, target, compare_with=[other], margin="20%", pictures=False)
        assert counted in words_of(page.read_text("utf-8"))
    for wrong in (7, None, {"a": 1}):
        with pytest.raises(TypeError, match=r"^recs must be recordings or a path"):
            fnb.report(wrong, target)
    with pytest.raises(TypeError, match=r"^compare_with must be recordings or a path"):
        fnb.report(one, target, compare_with=7)
    with pytest.raises(TypeError, match=r"Unknown option 'margins' for report\(\)"):
        fnb.report(one, target, compare_with=other, margins=0.2)


def test_a_margin_without_earlier_orders_is_refused(made, tmp_path):
    with pytest.raises(ValueError, match=r"margin is for a comparison. Add compare_with=..."):
        fnb.report(made(6), tmp_path / "report.html", margin="20%")


def test_a_folder_that_cannot_be_made_is_named(made, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"The folder .*file cannot be made: .*FNB315"):
        fnb.report(made(6), tmp_path / "file" / "report.html")


def test_it_has_tables_charts_environment_calibration_warnings_and_definitions(compared):
    words = words_of(compared)
    for wanted in (
        "Is now slower than before?", "Where do orders stop?", "How long does an order take?",
        "How bad is the tail?", "Which stage takes the time?", "How much does each stage vary?",
        "Where do slow orders spend their time?", "Is latency steady while orders are placed?",
        "When were orders slow?", "Do bigger carts take longer?",
        "shipping-updated", "By merchant", "a.test", "simulator (200)", "kernel",
        "No calibration was given", "one <i>warning</i>", f"firmly-nb {fnb_version()}",
        *(term for term, _ in DEFINITIONS),
    ):  # fmt: skip
        assert wanted in words, wanted


def fnb_version():
    from importlib.metadata import version

    return version("firmly-nb")


def test_it_names_no_other_place(compared):
    # Plotly is packed; what is left may name nothing that a browser would fetch.
    page = re.sub(r'<script type="text/plain".*?</script>', "", compared, flags=re.DOTALL)
    assert re.findall(r"https?://[^\s\"'<]+", page) == []
    assert not re.findall(r"<(?:link|iframe|object|embed|base|form)\b", page)
    assert not re.findall(r"<script[^>]*\bsrc=", page)
    assert re.findall(r'src="(?!data:)', page) == []


def test_strangers_names_are_escaped(made, hostile):
    recs = made(60, failures=0.3, domains=(hostile, "b.test"), code=hostile)
    page = report_html(recs, hostile, pictures=False)
    assert "<script>alert" not in page
    assert "<a href='javascript" not in page
    assert hostile in words_of(page)


def test_names_that_turn_the_direction_or_never_end_do_not_spoil_the_page(made):
    recs = made(60, failures=0, domains=("evil\u202emoc.test", "x" * 5000))
    page = words_of(report_html(recs, "a\u2066b", pictures=False))
    assert not set(page) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
    assert "evil·moc.test" in page
    assert "x" * 200 not in page


def test_the_summary_says_a_thing_once_and_leads_to_its_chart(compared, made):
    links = re.findall(r'<li><a href="#([\w-]+)">', compared.split('id="tables"')[0])
    chapters = [link for link in links if not link.endswith("-question")]
    answers = [link for link in links if link.endswith("-question")]
    assert all(f'id="{link}"' in compared for link in (*chapters, *answers))
    assert answers[0] == "compare-question"
    summary = report_html(made(40, failures=1), pictures=False).split('id="tables"')[0]
    assert words_of(summary).count("None of 40 orders was placed") == 1


def test_what_the_caveats_say_is_not_said_again_in_the_summary():
    found = SimpleNamespace(sentences=["Late start: Orders waited.", "Too few orders for p95."])
    page = summary_section({}, found, {"Orders waited."})
    assert "Late start" not in page
    assert "Too few orders for p95." in page


def test_it_is_below_five_megabytes_for_very_many_orders_and_with_pictures(many):
    assert len(report_html(many).encode()) < 5_000_000


def test_a_calibration_is_told(made, lab):
    found = lab.calibrate(events=20)
    words = words_of(report_html(made(12), calibration=found, pictures=False))
    assert found.sentence in words
    assert "No calibration was given" not in words


def found_by_axe(page):
    """Return what axe finds wrong with a page."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']} {node['html'][:200]} {node['failureSummary']}"
        for rule in violations
        for node in rule["nodes"]
    ]


def test_a_page_is_drawn_without_a_request_in_light_and_dark(compared, browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(compared, "utf-8")
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": 1000, "height": 900})
        page = context.new_page()
        asked, said = [], []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.goto(path.as_uri())
        page.locator(DRAWN).wait_for(state="attached", timeout=LIMIT_MS)
        assert page.locator(".plot[data-state=drawn] .main-svg").count() >= 10
        assert page.locator(".instead").count() == 0
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert said == []
        assert found_by_axe(page) == []
        context.close()


def test_its_policy_lets_nothing_of_a_stranger_run(compared, browser, tmp_path):
    injected = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    path = tmp_path / "report.html"
    path.write_text(compared.replace("<main>", f"<main>{injected}"), "utf-8")
    page = browser.new_context().new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    page.locator(DRAWN).wait_for(state="attached", timeout=LIMIT_MS)
    assert page.evaluate("() => window.ran") is None
    assert any("Content Security Policy" in text for text in refused)
    page.context.close()


CUT_OFF = """() => [...document.querySelectorAll(".plot")].flatMap((plot) => {
    const { left, right } = plot.getBoundingClientRect();
    return [...plot.querySelectorAll("text")].filter((text) => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < left - 1 || box.right > right + 1);
    }).map((text) => text.textContent);
}).concat([...document.querySelectorAll("caption")].filter((text) =>
    text.getBoundingClientRect().right > innerWidth - 10).map((text) => text.textContent))"""


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_telephone_a_drawing_fits_and_no_word_of_it_is_cut(compared, browser, tmp_path, width):
    path = tmp_path / "report.html"
    path.write_text(compared, "utf-8")
    page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto(path.as_uri())
    page.locator(DRAWN).wait_for(state="attached", timeout=LIMIT_MS)
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    widths = "() => [...document.querySelectorAll('.main-svg')].map((e) => e.clientWidth)"
    assert max(page.evaluate(widths)) <= width
    assert page.evaluate(CUT_OFF) == []
    assert found_by_axe(page) == []
    page.context.close()


def test_it_prints_on_white_paper(compared, browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(compared, "utf-8")
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator('html[data-drawn="dark"]').wait_for(state="attached", timeout=LIMIT_MS)
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    page.locator('html[data-drawn="light"]').wait_for(state="attached", timeout=LIMIT_MS)
    assert page.pdf().startswith(b"%PDF")
    context.close()


def test_without_javascript_its_pictures_are_there(made, browser, tmp_path):
    page_html = report_html(made(40, failures=0.2))
    if "data:image/png" not in page_html and not os.environ.get("FIRMLY_NB_REQUIRE_BROWSER"):
        pytest.skip("no picture can be drawn here")
    assert "data:image/png" in page_html
    path = tmp_path / "report.html"
    path.write_text(page_html, "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    pictures = page.locator(".plot img").all()
    assert len(pictures) == 9
    for picture in pictures:
        question, answer = picture.get_attribute("alt").split("? ", 1)
        assert question in words_of(page_html)
        assert answer.endswith(".")
    context.close()


def test_recorded_orders_are_reported_with_their_recorder_and_no_secret(lab, simulator, tmp_path):
    recs = fnb.Recordings(
        [lab.place(fnb.Order.example(), fnb.Card.test(), progress=False) for _ in range(3)]
    )
    path = fnb.report(recs, tmp_path / "new" / "folder" / "report.html", pictures=False)
    text = path.read_text("utf-8")
    assert "process own" in text
    for secret in (str(simulator.app_id), "4111111111111111", "Bearer"):
        assert secret not in text


def test_it_is_written_as_a_whole_or_not_at_all(made, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("the one of yesterday")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        fnb.report(made(12), path, pictures=False)
    assert path.read_text() == "the one of yesterday"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_page_is_as_readable_as_any_new_file(made, tmp_path):
    path = fnb.report(made(6), tmp_path / "report.html", pictures=False)
    other = tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_a_full_disk_is_said_with_what_to_do(made, tmp_path, monkeypatch):
    def full(path, *_, **__):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(import_module("firmly_nb.report.report"), "write_whole", full)
    with pytest.raises(OSError, match=r"x\.html cannot be written: No space .*Free space, or"):
        fnb.report(made(1), tmp_path / "x.html", pictures=False)


def test_nothing_to_report_and_a_folder_as_target_are_said(made, tmp_path):
    with pytest.raises(ValueError, match="There are no recordings to report on"):
        fnb.report(made(0), tmp_path / "report.html")
    with pytest.raises(IsADirectoryError, match=r"is a folder. Name a file in it"):
        fnb.report(made(6), tmp_path)


def test_what_is_no_file_is_not_replaced_and_a_link_stays_a_link(made, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a regular file"):
        fnb.report(made(6), tmp_path / "pipe", pictures=False)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "latest.html").symlink_to(tmp_path / "monday.html")
    fnb.report(made(6), tmp_path / "latest.html", pictures=False)
    assert (tmp_path / "latest.html").is_symlink()
    assert (tmp_path / "monday.html").read_text("utf-8").lower().startswith("<!doctype html>")


def test_figures_are_data_that_cannot_end_their_script(compared):
    for block in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', compared):
        assert "<" not in block
        json.loads(block)


def test_a_target_has_its_verdict_its_budget_and_a_row_for_each_merchant(made):
    page = report_html(made(60), pictures=False, slo="order=3600s:95%")
    words = words_of(page.split('id="target"')[1].split('id="tables"')[0])
    assert "95% placed within 3 600 000 ms" in re.sub(r"\s", " ", words)
    assert "Error budget: " in words
    assert "Goodput: " in words
    assert "Family-wise level of the intervals: 95%." in words
    assert 'href="#target"' in page
    assert "placed orders/s of the runs" in words_of(page)
    assert 'id="target"' not in report_html(made(6), pictures=False)
    with pytest.raises(ValueError, match=r"slo must be order=TIME:SHARE, got '95%'"):
        report_html(made(6), pictures=False, slo="95%")


@pytest.mark.parametrize("name", ["runs.pdf", "runs.XLSX", "runs.csv"])
def test_a_report_is_no_file_of_another_kind(made, tmp_path, name):
    with pytest.raises(ValueError, match=r"A report is a page of HTML, got .* runs\.html"):
        fnb.report(made(6), tmp_path / name, pictures=False)
    assert not list(tmp_path.iterdir())


def test_a_report_has_a_name_of_its_own(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fnb.report(made(6), pictures=False) == Path("report.html")
    assert (tmp_path / "report.html").read_text("utf-8").lower().startswith("<!doctype html>")


def test_a_report_of_recordings_in_memory_names_nobody():
    end = End("incomplete", 9_000_000, unfinished_bytes=9, unfinished="to Zorah")
    said = event(1, "hello Zorah", '{"ship_to": "Zorah')
    rec = fnb.Recording([start(personal=["Zorah"]), said, end])
    page = report_html(fnb.Recordings([rec]), pictures=False)
    assert "to ***" in page
    assert "Zorah" not in page
