"""One simulator for all tests that need no special one, a lab on it, and a browser."""

from __future__ import annotations

import _thread
import gc
import os
import shutil
import signal
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import firmly_nb as fnb
from firmly_nb import sim

# jsonschema would make 38 grammars of it, a second in each process: no test asks for an IRI.
sys.modules.setdefault("rfc3987_syntax", None)

BROWSER = "tests/browser/"
# What comes late on a slow machine comes; only what never comes is to fail.
WAIT_S = 120.0


def pytest_configure():
    """Collect no garbage while tests are collected."""
    gc.disable()


def pytest_collection_finish():
    """From now on the collector looks at what tests make, not at 13,000 tests each time.

    And more seldom than by default: a twentieth of the processor time went into it. Tests that
    are about what is collected ask for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_xdist_make_scheduler(config, log):
    """Give all tests of the browser to one process: each other one would start a JupyterLab."""
    from xdist.scheduler import LoadFileScheduling

    class BesideOneServer(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return BROWSER if file.startswith(BROWSER) else file

    return BesideOneServer(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def simulator():
    """A simulator without delays."""
    with sim.start(profile="instant") as started:
        yield started


@pytest.fixture
def connect(simulator):
    """Open labs; each is closed with the test. By default they share the simulator."""
    with ExitStack() as stack:

        def open_lab(**options):
            if "environment" not in options and "api_url" not in options:
                options = {
                    "api_url": simulator.url,
                    "app_id": simulator.app_id,
                    "allow_domains": simulator.domains,
                    **options,
                }
            lab = fnb.connect(**options)
            stack.callback(lab.close)
            return lab

        yield open_lab


@pytest.fixture
def lab(connect):
    """A lab on the shared simulator."""
    return connect()


@pytest.fixture
def command(monkeypatch, capsys):
    """Run ``firmly-nb`` in this process: its exit code, what it printed and what it complained."""
    from firmly_nb.cli import main

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["firmly-nb", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def wait_until(condition, what="the condition"):
    """Wait until a condition holds, and return its value; fail if it never does."""
    limit = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert time.monotonic() < limit, f"{what} did not come within {WAIT_S:g} s"
        time.sleep(0.005)
    return value


@pytest.fixture(scope="session")
def until():
    """Wait for a condition."""
    return wait_until


@pytest.fixture
def ctrl_c():
    """Press Ctrl-C, also where a shell started the tests in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def gone():
    """Whether a process has ended; a zombie that nobody has waited for yet has, too."""

    def has_ended(pid):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    return has_ended


@pytest.fixture
def unused_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as held:
        # Bound and not listening: nobody else gets it, and connecting to it is refused.
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(scope="module")
def browser():
    """Chromium, for a module: a longer life would leave its event loop to everybody's tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=_chromium(playwright.chromium.executable_path),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield chromium
        chromium.close()


def _chromium(of_playwright):
    """Return the system's browser, or Playwright's own; CI may not do without."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("FIRMLY_NB_CHROMIUM") or next(filter(None, map(shutil.which, names)), "")
    if found or Path(of_playwright).exists():
        return found or of_playwright
    reason = "no chromium: apt-get install chromium, or name one in FIRMLY_NB_CHROMIUM"
    if os.environ.get("FIRMLY_NB_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)
