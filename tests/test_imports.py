"""The rooms and who may import whom (design.md, section 2); and that importing stays cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import firmly_nb

ROOT = Path(firmly_nb.__file__).parent
PACKAGE = "firmly_nb"
ORDINARY = {"environments", "devices", "placing", "browsing", "portal", "nested", "schema"}
WIRE_FORMAT = {"firmly_nb.api.models", "firmly_nb.api.money", "firmly_nb.api.errors"}
STARTS_SIMULATORS = {"lab", "environments", "placing", "cli"}
# What each room may not import, besides what the rule of the order of the rooms says.
HEAVY = ["plotly", "duckdb", "scipy", "starlette", "uvicorn", "jwcrypto", "pandas", "IPython"]


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports(module, path):
    """Names of the modules that a file imports anywhere, but for those that only types need."""
    nodes = [ast.parse(path.read_text())]
    for node in nodes:  # grows while it is walked
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            nodes.extend(node.orelse)
            continue
        nodes.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


IMPORTED = {module: set(imports(module, path)) for module, path in MODULES.items()}
ALL = {
    module: {name for name in names if name.split(".")[0] == PACKAGE}
    for module, names in IMPORTED.items()
}
OUTSIDE = {
    module: {name.split(".")[0] for name in names - ALL[module]}
    for module, names in IMPORTED.items()
}


def room(module):
    return [*module.split("."), ""][1]


def test_there_are_modules_to_look_at():
    assert len(ALL) > 50


def test_no_imports_go_round_in_a_circle():
    # Also those inside functions: whoever needs them to break a circle has a circle.
    graph = {module: names - {module, PACKAGE} for module, names in ALL.items()}
    list(TopologicalSorter(graph).static_order())


def test_rooms_do_not_go_round_in_a_circle():
    graph = {}
    for module, names in ALL.items():
        if room(module):
            graph.setdefault(room(module), set()).update(
                room(name) for name in names if room(name) not in {"", room(module)}
            )
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", [m for m in ALL if room(m) == "sim"])
def test_the_simulator_stands_apart(module):
    others = {name for name in ALL[module] if room(name) != "sim"} - {PACKAGE}
    assert others <= WIRE_FORMAT


@pytest.mark.parametrize("module", [m for m in ALL if room(m) != "sim"])
def test_only_those_who_start_it_import_the_simulator(module):
    if room(module) not in STARTS_SIMULATORS:
        assert not {name for name in ALL[module] if room(name) == "sim"}


@pytest.mark.parametrize("module", [m for m in ALL if room(m) == "api"])
def test_the_api_knows_nobody(module):
    assert {room(name) for name in ALL[module]} <= {"api"}


@pytest.mark.parametrize("module", [m for m in ALL if room(m) in {"carts", "latency"}])
def test_carts_and_latency_know_neither_network_nor_widgets(module):
    assert {room(name) for name in ALL[module]} <= {"carts", "latency", "api", "outcomes", "schema"}
    assert not OUTSIDE[module] & {"httpx", "httpcore", "socket", "ipywidgets", "anywidget"}
    assert "firmly_nb.api.client" not in ALL[module]


@pytest.mark.parametrize("module", [m for m in ALL if room(m) == "recording"])
def test_recording_knows_nobody_above_it(module):
    allowed = {"recording", "api", "latency", "carts", "outcomes", "schema"}
    assert {room(name) for name in ALL[module]} - {""} <= allowed


@pytest.mark.parametrize("module", [m for m in ALL if room(m) == "sweep"])
def test_a_sweep_knows_neither_the_lab_nor_widgets(module):
    assert not {room(name) for name in ALL[module]} & {"lab", "widgets", "cli", "attempts"}


@pytest.mark.parametrize("module", [m for m in ALL if room(m) not in {"", "widgets", "cli"}])
def test_nothing_below_the_bench_knows_widgets(module):
    assert "widgets" not in {room(name) for name in ALL[module]}


@pytest.mark.parametrize("module", ["firmly_nb.schema", "firmly_nb.disk"])
def test_what_several_rooms_use_is_a_leaf(module):
    assert ALL[module] == set()


def test_a_module_that_locks_is_loaded_without_what_locks():
    assert "filelock" not in loaded_by("import firmly_nb.store.files, firmly_nb.sweep.plan")


def test_files_are_replaced_and_locked_in_one_place():
    found = {
        module
        for module, path in MODULES.items()
        if re.search(r"\b(fcntl|msvcrt|mkstemp|fsync|filelock)\b|os\.replace", path.read_text())
    }
    # The store brings the parts of a set to the disk, which Parquet has written.
    assert found == {"firmly_nb.disk", "firmly_nb.store.files"}


def test_outcomes_know_only_what_the_api_says():
    assert ALL["firmly_nb.outcomes"] == {"firmly_nb.api.errors", "firmly_nb.api.event_names"}


def loaded_by(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    found = loaded_by("import firmly_nb")
    assert not found & {*HEAVY, "httpx", "pydantic", "asyncio", "ipywidgets"}
    assert [name for name in found if name.startswith("firmly_nb.")] == []


def test_an_order_can_be_written_without_the_heavy_parts():
    found = loaded_by("import firmly_nb as fnb; fnb.Order.example(); fnb.Card.test()")
    assert not found & {*HEAVY, "httpx", "ipywidgets"}


def test_the_recorder_loads_only_what_recording_needs():
    found = loaded_by("import firmly_nb.recorder.worker")
    assert not found & {*HEAVY, "ipywidgets"}
    assert not {name for name in found if name.startswith(("firmly_nb.carts", "firmly_nb.sim"))}
