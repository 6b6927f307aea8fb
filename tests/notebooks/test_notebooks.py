"""The notebooks run from top to bottom, and what is committed is fit to be shared."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# Warnings of jupyter_client are no concern of ours.
kernel_runs = pytest.mark.filterwarnings("ignore::Warning")


@by_name
@kernel_runs
@pytest.mark.timeout(600)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch, sockets):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    # What is committed has the pictures; drawing them is tested where charts are.
    monkeypatch.setenv("FIRMLY_NB_PICTURES", "never")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=500,
        startup_timeout=250,
        config=Config({"KernelManager": sockets}),
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert outputs, "a notebook that shows nothing is no demonstration"
    assert not [o for o in outputs if o.output_type == "error"]


@by_name
def test_a_committed_notebook_is_fit_to_be_shared(path):
    text = path.read_text("utf-8")
    notebook = json.loads(text)
    assert "widgets" not in notebook["metadata"], "widget state is where secrets leak"
    assert len(text) < 1_000_000
    assert not re.search(r"eyJ[\w-]{20,}\.", text), "a token"
    # Not the digits of a fraction: 37 of 90 orders are 0.4111111111111111 of them.
    assert not re.search(r"(?<![\d.])4111[ -]?1111[ -]?1111[ -]?1111", text), "a card number"
    assert not re.search(r"/(home|root|Users|work)/", text), "a path of a machine"
    cells = notebook["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert "".join(cells[0]["source"]).startswith("# ")
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1)), "run by make notebooks, in one go"
    assert not [o for cell in code for o in cell["outputs"] if o["output_type"] == "error"]


@by_name
def test_each_chart_of_a_committed_notebook_has_a_picture(path):
    """A code host draws no Plotly chart: without the picture a reader sees nothing."""
    notebook = nbformat.read(path, as_version=4)
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    charts = [o.data for o in outputs if "application/vnd.plotly.v1+json" in o.get("data", {})]
    assert all("image/png" in data and "text/plain" in data for data in charts)
    if path.stem in {"05-latency-study", "06-before-and-after"}:
        assert charts


def test_there_are_notebooks_and_the_quickstart_is_the_first():
    assert NOTEBOOKS[0].name == "01-quickstart.ipynb"
