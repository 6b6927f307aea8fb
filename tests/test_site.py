"""The site: whole without a network, found within two clicks, and complete about every name."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "site"))

import names  # noqa: E402 - it lies beside the settings of the site
from reference_pages import PAGES, commands_page, python_page  # noqa: E402

from firmly_nb.outcomes import KNOWN  # noqa: E402

EVERY_NAME = [pytest.param(name, id=path) for path, name in names.names().items()]


# ------------------------------------------------------------------------- the reference


# What has nothing of its own to raise; all else that can be called says its errors.
RAISES_NOTHING = re.findall(
    r"\S+",
    """
    Budget.within Flow.wire InvalidOrder.of Item.wire Lab.close Order.wire OrderForm.cancel
    OrderForm.delete_preset Recording.asked Recording.conventions Recording.curl
    Recording.records Recording.show_changes Recording.summary Recording.ticket
    Recording.waterfall Recordings.asked Recordings.completion Recordings.conventions
    Recordings.duckdb Recordings.field_presence Recordings.funnel Recordings.outcomes
    Recordings.prices Recordings.schema_drift Recordings.show_changes Recordings.throughput
    Sweep.on_progress Sweep.stop SweepPanel.stop Timeline.add Timeline.clear
    Timeline.recording Timeline.take
    """,
)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_help_says_all_of_a_name(name):
    """Each has a text, parameters, what it returns and raises, and those that are called code."""
    said = names.described(name.path)
    assert said.text
    assert [each for each, meaning in said.parameters.items() if not meaning] == []
    assert said.example or "::\n" in said.text
    if name.kind in {"function", "method"}:
        assert said.returns
        assert bool(said.raises) == (name.path not in RAISES_NOTHING)
    if name.kind in {"function", "method", "class"}:
        shown = inspect.getdoc(name.value)
        assert [each for each in said.parameters if not re.search(rf"\b{each}\b", shown)] == []
        assert ">>> " in shown or "::\n" in shown


def test_a_twin_that_is_awaited_says_what_its_verb_says():
    said, waits = names.described("Lab.search_async"), names.described("Lab.search")
    assert (said.parameters, said.raises) == (waits.parameters, waits.raises)
    assert said.example == 'await lab.search_async("hoodie")'
    assert said.text == f"{waits.text}\n\nAwaited twin of :meth:`search`."
    assert "KeyboardInterrupt" in names.described("Lab.place").raises
    assert "KeyboardInterrupt" not in names.described("Lab.place_async").raises


def test_every_name_is_on_one_page():
    shown = [name for _, _, shown in PAGES.values() for name in shown]
    assert sorted(shown) == sorted({path.partition(".")[0] for path in names.names()})


def test_each_completion_is_the_example_of_a_property():
    found = [one for one in names.names().values() if one.kind in {"property", "attribute"}]
    used = {next(key for key in names.completions() if fnmatchcase(one.path, key)) for one in found}
    assert used == set(names.completions())


def test_a_page_has_signature_table_returns_raises_and_example():
    page = python_page("Lab", "Open a lab.", ("connect", "Lab"))
    part = page.partition("### Lab.place\n")[2].partition("\n### ")[0]
    assert "lab.place(\n    order,\n    card=None,\n    *," in part
    assert re.search(r"^\| `timeout_s` \| `120.0` \| .+ \|$", part, re.MULTILINE)
    assert "**Returns**: `Recording`: Whatever the outcome" in part
    assert "**Raises**:\n\n- `GuardError`: If it may not be ordered there" in part
    assert "rec = lab.place(order, fnb.Card.test())" in part
    assert ":meth:" not in page
    assert "``\n" not in page.replace("```", "")


def test_the_examples_run_as_they_stand(tmp_path):
    code = ["import firmly_nb as fnb", 'lab = fnb.connect(profile="instant")']
    code += ["order = fnb.Order.example()", "rec = lab.place(order, progress=False)"]
    code += ["recs = lab.sweep(order, count=4, rate=100, progress=False)"]
    code += ["sweep = lab.last_sweep"]
    for path in names.names():
        found = names.described(path).example
        if not found.lstrip().startswith(">>>") and ">>> " not in found and "await " not in found:
            code.append(f"# {path}\n{found}")
    (tmp_path / "examples.py").write_text("\n".join(code), "utf-8")
    done = subprocess.run(
        [sys.executable, "examples.py"],
        cwd=tmp_path,
        env=os.environ | {"FIRMLY_NB_HOME": str(tmp_path / "home"), "FIRMLY_NB_PICTURES": "never"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_commands_page_has_every_option():
    page = commands_page()
    assert "## firmly-nb place" in page
    assert re.search(r"^\| `--timeout` \| 120.0 \| .+ \|$", page, re.MULTILINE)


def test_the_page_of_outcomes_has_all_of_them():
    page = (ROOT / "docs" / "outcomes.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page.partition("## order_exists")[0], re.MULTILINE) == [
        *KNOWN
    ]


# ------------------------------------------------------------------------- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "build_site.py", "--output", folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


LINK = re.compile(r'<a [^>]*href="([^"]+)"')


def links_of(page):
    """Pages that the text of a page links, not what surrounds it."""
    text = page.read_text("utf-8").partition('role="main"')[2].partition("</article>")[0]
    found = (urldefrag(link)[0] for link in LINK.findall(text))
    return {link for link in found if link and ":" not in link}


# A new user's question, and words of the answer.
QUESTIONS = {
    "How do I connect to staging?": 'fnb.connect("staging"',
    "Where do I put the app id?": "FIRMLY_APP_ID=your-app-id",
    "Which products can I order?": "lab.products(merchant)",
    "Does the order exist after a timeout?": "lab.settle(rec)",
    "How do I place 200 orders at 30 a minute?": 'rate="30/min"',
    "Can I use SQL?": "recs.sql(",
    "What does FNB010 mean?": "FNB010: ",
    "Is my card number stored?": "card number, CVV",
    "What is a stage?": "time between two milestones",
    "How do I delete recordings?": "shutil.rmtree(folder)",
    "Which exit code means unknown?": "an order may exist",
    "Which parameters has lab.place()?": "Lab.place",
    "How sure are the times?": "SO_TIMESTAMPNS",
    "What does a row of the latency table mean?": "The latency table",
    "What is the time to order placed?": "request to the event",
    "What must I change after version 0.1?": "What a user of 0.1 must change",
    "How good is it?": "How late is a time while pandas computes?",
    "How do I gate a release in CI?": "firmly-nb gate",
}


def words_of(page):
    text = re.sub(r"<[^>]+>", "", page.read_text("utf-8"))
    return text.replace("&quot;", '"').replace("&#39;", "'").replace("&amp;", "&")


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_new_user_finds_the_answer_within_two_clicks(question, site):
    first = links_of(site / "index.html")
    within = first | {urljoin(one, link) for one in first for link in links_of(site / one)}
    assert any(QUESTIONS[question] in words_of(site / one) for one in sorted(within))


HEADINGS = {
    "connect to staging",
    "choose merchant",
    "whether an order exists",
    "declines and errors",
    "on a schedule and a budget",
    "stop and resume",
    "save, share and load",
    "query with sql",
    "compare releases in ci and cron",
    "write a cart check",
    "simulate a fault from python",
    "client in another language",
    "async code, servers and nested loops",
    "proxies and trust certificates",
    "delete recordings",
    "jupyterhub and docker",
    "problem by its symptom",
    "recordings of other tools",
    "charts and write reports",
    "plan a comparison",
}


@pytest.mark.parametrize("task", sorted(HEADINGS))
def test_a_task_is_found_by_its_heading(task, site):
    assert task in words_of(site / "how-to.html").partition("Orders")[2].lower()


def test_no_page_needs_a_network(site):
    wanted = re.compile(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(?:https?:)?//[^"]+"')
    found = {page.name: wanted.findall(page.read_text("utf-8")) for page in site.glob("*.html")}
    assert not {name: each for name, each in found.items() if each}


def test_the_search_finds_a_page_from_a_file(site, browser):
    context = browser.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{(site / 'search.html').as_uri()}?q=settle")
    page.locator("#search-results li a", has_text="Find out whether an order exists").wait_for()
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    context.close()


@pytest.mark.parametrize("page_name", ["index", "how-to", "python-lab", "tables", "01-quickstart"])
def test_a_page_fits_a_telephone(page_name, site, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto((site / f"{page_name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
