"""A small installation records, saves and gates; what is not there says what to install."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from firmly_nb.connect import _start_simulator
from firmly_nb.sim.server import SimulatorError

ROOT = Path(__file__).parents[1]
# Modules of the pinned distributions whose names differ.
MODULES = {
    "python_dotenv": "dotenv",
    "python_dateutil": "dateutil",
    "markdown_it_py": "markdown_it",
}
HIDE = """
import sys, importlib.machinery
from importlib.metadata import packages_distributions
allowed = {allowed!r}
hidden = set(packages_distributions()) - allowed - {{"firmly_nb", "_virtualenv", "_firmly_nb"}}
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None
# What is hidden is found by nobody: the finders of files see other names only.
for finder in list(sys.meta_path):
    class Seeing:
        def __init__(self, finder): self.finder = finder
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in hidden: return None
            return self.finder.find_spec(name, path, target)
        def __getattr__(self, name): return getattr(self.finder, name)
    sys.meta_path[sys.meta_path.index(finder)] = Seeing(finder)
"""


def modules_of(name):
    """Modules that a file of requirements installs."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    found = {re.match(r"[\w.-]+", line)[0].replace("-", "_") for line in lines if line[0] != "#"}
    own = {"_cffi_backend", "_distutils_hack", "pkg_resources", "setuptools", "pip", "six"}
    return {MODULES.get(name, name) for name in found} | own


def small(name, code):
    """Run code in a process that finds only what a file of requirements installs."""
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(allowed=modules_of(name)) + code],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


BEGIN = """
import pandas as pd
import firmly_nb as fnb
TIMES = {'recording_id': ['a'], 'event': ['e'], 't_ms': [1.0]}
"""
CONNECT = """
import firmly_nb as fnb
lab = fnb.connect(api_url={url!r}, app_id={app_id!r}, allow_domains={domains!r})
"""


@pytest.fixture
def connecting(simulator, tmp_path, monkeypatch):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return CONNECT.format(
        url=simulator.url, app_id=str(simulator.app_id), domains=list(simulator.domains)
    )


def test_a_small_recorder_places_sweeps_and_has_tables(connecting):
    done = small(
        "recorder",
        connecting
        + """
rec = lab.place(fnb.Order.example(), fnb.Card.test(), progress=False)
assert rec.order_exists == "yes" and len(rec.events) == 4 and len(rec.snapshots), rec
recs = lab.sweep(fnb.Order.example(), count=3, progress=False)
assert len(recs.orders) == 3 and len(recs.stages) == 12
""",
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_small_gate_saves_loads_and_decides(connecting):
    done = small(
        "gate",
        connecting
        + """
recs = lab.sweep(fnb.Order.example(), count=5, progress=False)
recs.save("runs/new")
lab.close()
sys.argv = ["firmly-nb", "gate", "runs/new", "--slo", "order=9s:95%", "--junit", "gate.xml"]
from firmly_nb.cli import main
main()
""",
    )
    assert done.returncode == 3, done.stderr[-2000:]
    assert "CANNOT TELL" in done.stdout


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("fnb.OrderForm", "ipywidgets"),
        ("fnb.from_events(pd.DataFrame(TIMES)).latency()", "scipy"),
        ("fnb.Recordings([]).charts.ecdf()", "plotly"),
        ("fnb.load()", "pyarrow"),
        ("fnb.Recordings([]).save('runs')", "pyarrow"),
        ("fnb.Recordings([]).sql('select 1')", "duckdb"),
        ("fnb.Recordings([]).orders.to_excel('orders.xlsx')", "xlsxwriter"),
        ("import firmly_nb.cli; firmly_nb.cli.main", "typer"),
    ],
)
def test_a_part_that_is_missing_says_what_to_install(code, missing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = small("recorder", f"{BEGIN}{code}")
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(
        r"ModuleNotFoundError: (\w+) is not installed\. "
        r"Run pip install '[\w-]+[^']*>=[\d.]+[^']*'\. \[FNB026\]$",
        last,
    ), last
    assert missing in last


def test_a_small_gate_says_what_a_workbook_needs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "home"))
    done = small("gate", f"{BEGIN}fnb.from_events(pd.DataFrame(TIMES)).export('t', format='xlsx')")
    assert "xlsxwriter is not installed. Run pip install 'xlsxwriter>=" in done.stderr
    assert not list(Path("t").iterdir())


def test_a_simulator_that_is_not_installed_says_what_to_install():
    def start():
        # As the log of the simulator's own process ends.
        said = (
            "ModuleNotFoundError: uvicorn is not installed. Run pip install 'uvicorn>=1'. [FNB026]"
        )
        raise SimulatorError(f"the simulator did not start:\nTraceback\n{said}")

    with pytest.raises(ModuleNotFoundError) as refused:
        _start_simulator(frozenset(), start)
    assert str(refused.value) == (
        "The simulator needs uvicorn. Run pip install firmly-nb for all of it. [FNB026]"
    )


def test_imports_of_others_are_left_alone():
    code = """
import firmly_nb, importlib.util
assert importlib.util.find_spec("scipy") is None
try:
    import scipy
except ModuleNotFoundError as error:
    print(error)
"""
    done = small("recorder", code)
    assert (done.returncode, done.stdout) == (0, "No module named 'scipy'\n"), done.stderr[-500:]
