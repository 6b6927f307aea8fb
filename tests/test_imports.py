"""The rooms, who may import whom, and that importing stays cheap.

An import that only types need counts like any other: whoever reads a module follows both.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import firmly_nb

ROOT = Path(firmly_nb.__file__).parent
HOME = ROOT.parent
PACKAGE = "firmly_nb"
# From the street upwards. A room imports what is below it, and nothing beside it.
FLOORS = [
    {"frames"},
    {"faces", "schema", "disk", "neighbours", "docstrings", "threads"},
    {"display"},
    {"api", "nested", "missing"},
    {"outcomes", "environments", "background"},
    {"settings_file"},
    {"wire"},
    {"recorder"},
    {"carts", "latency"},
    {"store"},
    {"charts"},
    {"exchange"},
    {"recordings"},
    {"report"},
    {"calls", "devices", "options"},
    {"engine"},
    {"attempt", "catalogue", "checkout"},
    {"sweep", "doctor", "reach", "conformance"},
    {"lab"},
    {"connect"},
    {"widgets", "cli"},
    {"__main__"},
]
# These read tables and know neither network nor widgets.
TABLES = {"carts", "latency", "charts", "report"}
TABLES_NEED = TABLES | {
    "api",
    "display",
    "outcomes",
    "schema",
    "frames",
    "faces",
    "disk",
    "neighbours",
    "threads",
}
# A report is of recordings, whatever has some.
REPORT_NEEDS = TABLES_NEED | {"recordings", "recorder"}
CALLS = {"firmly_nb.api.client", "firmly_nb.api.card"}
NETWORK = {"httpx", "httpcore", "socket", "ssl", "ipywidgets", "anywidget"}
STARTS_SIMULATORS = {"connect", "lab", "engine", "cli"}
# A smaller module whose only importer is in its own folder belongs to that importer ...
SMALL = 150
# ... unless it is a subject of its own: another language, another library, another kind of page.
SUBJECTS = {
    "firmly_nb.nested",
    "firmly_nb.missing",
    "firmly_nb.frames",
    "firmly_nb.report.page",
    "firmly_nb.widgets.code",
    "firmly_nb.cli.command",
}
LEAVES = {"firmly_nb.faces", "firmly_nb.missing"}
HEAVY = ["plotly", "duckdb", "scipy", "starlette", "uvicorn", "jwcrypto", "pandas", "IPython"]


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(HOME).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())
PACKAGES = [module for module, path in MODULES.items() if path.name == "__init__.py"]


def imports(module, path):
    """Names of the modules that a file imports anywhere, also of those that only types need."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


# What the package itself shows is everything: it stands above all, and everybody is in it.
ALL = [module for module in MODULES if module != PACKAGE]


# Not when tests are collected: each process does that, and one of them runs these.
@cache
def imported():
    return {module: set(imports(module, path)) for module, path in MODULES.items()}


@cache
def ours():
    return {
        module: {name for name in imported()[module] if name.startswith(f"{PACKAGE}.")} - {module}
        for module in ALL
    }


def outside(module):
    return {name.split(".")[0] for name in imported()[module]} - {PACKAGE}


def room(module):
    return module.split(".")[1]


def floor(name):
    found = [number for number, rooms in enumerate(FLOORS) if name in rooms]
    assert found, f"{name} has no floor: say in FLOORS what is below it"
    return found[0]


def circles(graph):
    """Each circle once: a circle that is found is cut at one place, and the next one looked for."""
    graph = {key: sorted(values) for key, values in sorted(graph.items())}
    while True:
        try:
            list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            *_, before, last = error.args[1]
            yield " <- ".join(error.args[1])
            graph[last].remove(before)
        else:
            return


def test_there_are_modules_to_look_at():
    assert len(ALL) > 50
    assert "firmly_nb.recordings.stored" in ours()["firmly_nb.recordings.recordings"]


def test_no_modules_import_one_another_in_a_circle():
    # Also imports inside functions: whoever needs them to break a circle has a circle.
    found = list(circles(ours()))
    assert not found, "\n".join(found)


def test_no_rooms_import_one_another_in_a_circle():
    graph = {}
    for module, names in ours().items():
        graph.setdefault(room(module), set()).update(map(room, names))
    graph = {name: others - {name} for name, others in graph.items()}
    found = list(circles(graph))
    assert not found, "\n".join(found)


def test_a_circle_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"d"}, "f": {"f"}}
    found = list(circles(graph))
    assert {frozenset(circle.split(" <- ")) for circle in found} == {
        frozenset("abc"),
        frozenset("de"),
        frozenset("f"),
    }


@pytest.mark.parametrize("module", [m for m in ALL if room(m) != "sim"])
def test_a_room_imports_only_what_is_below_it(module):
    here = floor(room(module))
    rooms = {room(name) for name in ours()[module]} - {room(module), "sim"}
    assert {name for name in rooms if floor(name) >= here} == set()


@pytest.mark.parametrize("module", [m for m in ALL if room(m) in TABLES])
def test_what_reads_tables_knows_neither_network_nor_widgets(module):
    needed = REPORT_NEEDS if room(module) == "report" else TABLES_NEED
    assert {room(name) for name in ours()[module]} <= needed
    assert not ours()[module] & CALLS or module == "firmly_nb.api"
    assert not outside(module) & NETWORK


@pytest.mark.parametrize("module", [m for m in ALL if room(m) == "sim"])
def test_the_simulator_stands_apart(module):
    assert {room(name) for name in ours()[module]} <= {"sim", "faces"}


@pytest.mark.parametrize("module", [m for m in ALL if room(m) not in {"sim", *STARTS_SIMULATORS}])
def test_only_those_who_start_it_import_the_simulator(module):
    assert "sim" not in {room(name) for name in ours()[module]}


def runs_as_a_process(module):
    """Whether something starts it with ``python -m``, or it says what to do when it is started."""
    text = MODULES[module].read_text("utf-8")
    return module.endswith("__main__") or '__name__ == "__main__"' in text


@pytest.mark.parametrize("module", [m for m in ALL if m not in {*SUBJECTS, *PACKAGES}])
def test_a_small_module_is_needed_by_more_than_one(module):
    """It would be a part of its only reader, who has to look for it."""
    if runs_as_a_process(module):
        return
    folder = module.rpartition(".")[0]
    # What a folder shows is no reader: it shows everything.
    readers = [name for name, names in imported().items() if module in names and name != folder]
    lines = len(MODULES[module].read_text("utf-8").splitlines())
    at_home = all(name.rpartition(".")[0] == folder for name in readers)
    assert not (lines < SMALL and len(readers) < 2 and at_home), f"{lines} lines for {readers}"


# What pages, notebooks and examples name of the package.

IMPORT = re.compile(r"from (firmly_nb[\w.]*) import (\([^)]*\)|.*)")
NAMED = re.compile(r"firmly_nb(?:\.\w+)+")
RUN = re.compile(r"python -m firmly_nb[\w.]*")
PAGES = [*HOME.glob("*.md"), *(HOME / "docs").glob("*.md"), *(HOME / "notebooks").glob("*.ipynb")]


def said_on(page):
    """What a page says; of a notebook, what its cells do."""
    text = page.read_text("utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return "\n".join(["".join(cell["source"]) + "\n" for cell in cells])
    return RUN.sub("", text)


def examples_in(path):
    """The examples of the docstrings of a module."""
    lines = path.read_text("utf-8").splitlines()
    return "\n".join(line.strip()[4:] for line in lines if re.match(r" *(>>>|\.\.\.) ", line))


def is_public(name):
    """Whether a dotted name is a room, or a public name of one or of the package."""
    parts = name.split(".")
    if name in PACKAGES:
        return True
    shown = ".".join(parts[:-1])
    return shown in PACKAGES and parts[-1] in import_module(shown).__all__


def deep(text):
    """What a text names that is neither public nor a room."""
    imported = [
        f"{module}.{name.strip().split(' ')[0]}"
        for module, names in IMPORT.findall(text)
        for name in names.strip("()").split(",")
        if name.strip()
    ]
    named = [name for name in NAMED.findall(IMPORT.sub("", text)) if not name.endswith(".py")]
    return [name for name in [*imported, *named] if not is_public(name)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_and_notebooks_name_only_what_is_public(page):
    assert deep(said_on(page)) == []


@pytest.mark.parametrize("module", MODULES)
def test_examples_import_only_what_is_public(module):
    assert deep(examples_in(MODULES[module])) == []


def test_what_is_not_public_is_found():
    text = """from firmly_nb.carts.rules import check
        from firmly_nb.carts import (
            Finding, nothing,
        )
        from firmly_nb import sim
        as `firmly_nb.api.money.to_minor` or `firmly_nb.carts.check`"""
    assert deep(text) == [
        "firmly_nb.carts.rules.check",
        "firmly_nb.carts.nothing",
        "firmly_nb.api.money.to_minor",
    ]


@pytest.mark.parametrize("module", ["firmly_nb.frames", "firmly_nb.schema", "firmly_nb.disk"])
def test_what_several_rooms_use_is_a_leaf(module):
    # What needs pandas at once is loaded with the first table.
    assert ours()[module] <= {"firmly_nb.frames"} - {module}


def test_a_module_that_locks_is_loaded_without_what_locks():
    assert "filelock" not in loaded_by("import firmly_nb.store.files, firmly_nb.sweep.plan")


def test_files_are_replaced_and_locked_in_one_place():
    found = {
        module
        for module, path in MODULES.items()
        if re.search(r"\b(fcntl|msvcrt|mkstemp|fsync|filelock)\b|os\.replace", path.read_text())
    }
    # The store brings the parts of a set to the disk, which Parquet has written. The simulator
    # imports no other package, and locks its temporary folder itself.
    assert found == {"firmly_nb.disk", "firmly_nb.sim.server", "firmly_nb.store.files"}


def test_outcomes_know_only_what_the_api_says():
    assert ours()["firmly_nb.outcomes"] == {"firmly_nb.api.errors", "firmly_nb.api.event_names"}


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
    assert {name for name in found if name.startswith("firmly_nb.")} == LEAVES


def test_what_a_room_shows_is_loaded_when_it_is_used():
    found = loaded_by(f"import {', '.join(PACKAGES)}")
    assert not found & {*HEAVY, "httpx", "pydantic", "asyncio", "ipywidgets"}
    ours = {name for name in found if name.startswith("firmly_nb.")}
    assert ours <= {*PACKAGES, *LEAVES}


def test_an_order_can_be_written_without_the_heavy_parts():
    found = loaded_by("import firmly_nb as fnb; fnb.Order.example(); fnb.Card.test()")
    assert not found & {*HEAVY, "httpx", "ipywidgets"}


def test_the_recorder_loads_only_what_recording_needs():
    found = loaded_by("import firmly_nb.recorder.worker")
    assert not found & {*HEAVY, "ipywidgets"}
    assert not {name for name in found if name.startswith(("firmly_nb.carts", "firmly_nb.sim"))}
