"""The notebooks run from top to bottom, and what is committed is fit to be shared."""

import ast
import json
import re
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# What an analyst passes instead of what a notebook begins with.
OTHERS = {
    "01-quickstart": {"profile": "instant", "seed": 11},
    "02-how-timing-works": {"profile": "instant", "count": 40},
    "03-inside-the-cart": {"profile": "instant", "count": 24, "seed": 11},
    "04-order-form": {"profile": "instant", "count": 2},
    "05-latency-study": {"count": 40, "runs": 2, "margin": 0.2, "seed": 11},
    "06-monday-against-friday": {"friday_profile": "calm", "runs": 2, "count": 12},
    "07-from-the-form-to-a-study": {"profile": "calm", "count": 30, "limit_ms": 700},
    "10-plan-decide-report": {"old_profile": "calm", "new_profile": "typical", "pilot": 40},
    "08-replay-a-study": {"count": 12, "speed": 20, "seed": 11},
    "09-one-call-or-step-by-step": {"profile": "instant", "count": 16},
}
# 02 shows what one writes without the toolkit.
MORE_IMPORTS = {"02-how-timing-works": {"httpx", "IPython"}}
FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
# Warnings of jupyter_client are no concern of ours.
kernel_runs = pytest.mark.filterwarnings("ignore::Warning")


@by_name
@kernel_runs
@pytest.mark.timeout(600)
def test_a_notebook_runs_with_other_parameters(path, tmp_path, monkeypatch, sockets):
    """papermill runs it, with nbclient; `make notebooks` runs it with what it begins with."""
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    # What is committed has the pictures; drawing them is tested where charts are.
    monkeypatch.setenv("FIRMLY_NB_PICTURES", "never")
    others = OTHERS[path.stem]
    notebook = papermill.execute_notebook(
        path,
        None,
        parameters=others,
        kernel_name="python3",
        progress_bar=False,
        start_timeout=250,
        execution_timeout=500,
        cwd=path.parent,
        config=Config({"KernelManager": sockets}),
    )
    tags = [cell.metadata.get("tags") for cell in notebook.cells]
    injected = notebook.cells[tags.index(["injected-parameters"])]
    assert tags.index(["injected-parameters"]) == tags.index(["parameters"]) + 1
    assert all(
        f"{name} = {value!r}".replace("'", '"') in injected.source for name, value in others.items()
    )
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert outputs, "a notebook that shows nothing is no demonstration"
    assert not [o for o in outputs if o.output_type == "error"]


@kernel_runs
def test_the_quickstart_runs_as_it_is(tmp_path, monkeypatch, sockets):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    client = NotebookClient(
        notebook,
        timeout=500,
        startup_timeout=250,
        config=Config({"KernelManager": sockets}),
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    shown = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert shown
    assert not [o for o in shown if o.output_type == "error"]


@by_name
def test_the_first_cell_has_the_parameters_and_switches_to_staging(path):
    notebook = nbformat.read(path, as_version=4)
    first, *others = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert first.metadata["tags"] == ["parameters"]
    assert first.source.startswith('environment = "simulator"  # or "staging"\n')
    assert not [cell for cell in others if "parameters" in cell.metadata.get("tags", ())]
    set_there = {line.split(" = ")[0] for line in first.source.splitlines()}
    assert set(OTHERS[path.stem]) <= set_there


@by_name
def test_a_notebook_imports_what_an_analyst_has(path):
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found = set()
    for node in ast.walk(compile(code, path.name, "exec", FLAGS)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    known = {"firmly_nb", "pandas", *MORE_IMPORTS.get(path.stem, ())}
    assert found - set(sys.stdlib_module_names) <= known


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
    assert bool(charts) == (path.stem[:2] in {"05", "06", "07", "09", "10"})


def test_there_are_notebooks_and_the_quickstart_is_the_first():
    assert NOTEBOOKS[0].name == "01-quickstart.ipynb"
