"""Fixtures of the browser tests: a JupyterLab for all, a page and a notebook for each.

Needs Debian's chromium, no `playwright install`; the fixture `browser` is in tests/conftest.py.
"""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.jupyter import Notebook, running_jupyter, write_notebook

expect.set_options(timeout=120_000)  # a busy machine is no failure


def pytest_collection_modifyitems(items):
    """Give these tests longer: a server, a browser and kernels on whatever else runs there."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory):
    """One server for all tests."""
    with running_jupyter(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="module")
def context(browser):
    """One browser profile for a module's tests: JupyterLab's own files are fetched once."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(120_000)
    yield context
    context.close()


# JupyterLab's splash screen takes itself out of the page 200 ms after it is no longer wanted. Shown
# twice within that time, at a start or a change of theme, it is taken out twice, and the second
# time fails. The call has this one frame; whatever else removes a node is called by something.
SPLASH = re.compile(
    r"NotFoundError: Failed to execute 'removeChild' on 'Node'[^\n]*\n"
    r"(NotFoundError:[^\n]*\n)?    at \S+/static/lab/jlab_core\.\S+\Z"
)


@pytest.fixture
def page(context):
    """An empty page; an error that its scripts did not catch while it is open fails the test."""
    page = context.new_page()
    errors = []
    page.on(
        "pageerror", lambda error: errors.append(f"{error.name}: {error.message}\n{error.stack}")
    )
    yield page
    page.close()
    assert [one for one in errors if not SPLASH.match(one)] == [], "scripts of the page failed"


@pytest.fixture
def notebook(jupyter, page, artefact, request):
    """Write cells into a notebook of its own and open it: `bench = notebook("1 + 1")`."""
    numbers = count(1)

    def open_notebook(*cells):
        name = re.sub(r"\W+", "-", request.node.name)[:60]
        path = jupyter.root / f"{name}-{next(numbers)}.ipynb"
        write_notebook(path, cells)
        return Notebook(jupyter, page, path).open()

    yield open_notebook
    if getattr(request.node, "failed", False) and not page.is_closed():
        artefact("failure", page)
    # The page goes first: it would ask after a kernel that vanishes.
    page.goto("about:blank")
    jupyter.end_kernels()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let fixtures know whether their test failed."""
    report = yield
    if report.failed:
        item.failed = True
    return report


@pytest.fixture(autouse=True)
def own_home(jupyter):
    """The kernels' home is the server's; journals of earlier tests stay out of the way."""
    for path in (jupyter.home / "firmly").rglob("*.jsonl"):
        path.unlink()


@pytest.fixture
def widget_log(jupyter):
    """What the server and its kernels have written to the log so far."""
    return lambda: jupyter.log.read_text("utf-8", "replace")


@pytest.fixture
def artefact(request):
    """Keep a picture of a page or an element for people to look at; returns its path."""
    folder = Path(request.config.rootpath) / "test-artefacts" / request.path.stem

    def keep(name, shown):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{re.sub(r'[^a-z0-9-]+', '-', request.node.name.lower())}-{name}.png"
        shown.screenshot(path=str(path))
        return path

    return keep


@pytest.fixture
def axe():
    """Check an element with axe and fail with a line for each thing that is wrong."""
    from axe_playwright_python.sync_playwright import Axe

    checker = Axe()

    def check(locator):
        page = locator.page
        locator.evaluate("element => element.setAttribute('data-axe-scope', '')")
        try:
            # `region` asks for landmarks around everything, which is the page's matter.
            options = {"rules": {"region": {"enabled": False}}}
            found = checker.run(page, context="[data-axe-scope]", options=options)
        finally:
            locator.evaluate("element => element.removeAttribute('data-axe-scope')")
        said = [
            f"{rule['id']} ({rule['impact']}): {rule['help']}\n    {node['target']} {node['html']}"
            f"\n    {node['failureSummary']}"
            for rule in found.response["violations"]
            for node in rule["nodes"]
        ]
        assert not said, "axe found\n" + "\n".join(said)
        assert found.response["passes"], "axe found nothing to check"

    return check
