"""The public names of the package and of each room: that they are there, and nothing else is."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re
import subprocess
import sys
import textwrap
from dataclasses import asdict
from enum import Enum
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules

import pytest
from plotly.graph_objects import Figure

import firmly_nb as fnb
from firmly_nb.options import Options
from firmly_nb.sim.settings import Settings
from firmly_nb.sweep.sweep import Request

# A name that is here is kept; new ones are added here when they are made.
KEPT = {
    "Address",
    "Budget",
    "Card",
    "CartView",
    "FirmlyError",
    "Flow",
    "GuardError",
    "InvalidOrder",
    "Item",
    "Lab",
    "Order",
    "OrderForm",
    "Recording",
    "Recordings",
    "Sweep",
    "SweepPanel",
    "Timeline",
    "allow_nested_loops",
    "connect",
    "grid",
    "load",
    "report",
}
LAB = {
    "place", "place_async", "session", "session_async", "public_key", "public_key_async",
    "products", "products_async", "search", "search_async", "cart", "cart_async", "close", "last",
    "sweep", "sweep_async", "start_sweep", "last_sweep",
}  # fmt: skip
BOTH_WAYS = [name for name in dir(fnb.Lab) if hasattr(fnb.Lab, f"{name}_async")]
RECORDING = {
    "outcome", "order_number", "error", "events", "stages", "orders", "waterfall", "warnings",
    "caveats",
}  # fmt: skip


def rooms():
    for module in iter_modules(fnb.__path__):
        if module.ispkg:
            yield import_module(f"firmly_nb.{module.name}")


PACKAGES = [fnb, *rooms()]
by_name = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
EVERY_NAME = [
    pytest.param(package, name, id=f"{package.__name__}.{name}")
    for package in PACKAGES
    for name in getattr(package, "__all__", [])
]


def type_checked_names(package):
    tree = ast.parse(Path(package.__file__).read_text())
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    found = [node for block in guarded for node in ast.walk(block)]
    return {a.name for n in found if isinstance(n, ast.ImportFrom) for a in n.names}


def test_what_was_promised_is_there():
    assert set(fnb.__all__) >= KEPT


@by_name
def test_a_package_shows_its_public_names_and_nothing_else(package):
    names = getattr(package, "__all__", [])
    version = ["__version__"] if package is fnb else []
    assert len(names) == len(set(names)) > 0
    assert dir(package) == sorted([*names, *version])
    assert set(names) == type_checked_names(package)


@pytest.mark.parametrize(("package", "name"), EVERY_NAME)
def test_each_name_can_be_used_and_is_described(package, name):
    value = getattr(package, name)
    if name.isupper():
        assert f"``{name}``" in package.__doc__, "a constant is described by its package"
    else:
        assert value.__doc__
        assert value.__module__.startswith(package.__name__)
    if package is fnb:
        assert name in package.__doc__, "the tour names everything"


@by_name
def test_another_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"^Unknown name 'nothing' for {package.__name__}"):
        package.nothing  # noqa: B018


def test_the_version_is_that_of_the_distribution():
    assert fnb.__version__ == version("firmly-nb")


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("pyproject.toml", r'^version = "(.+)"$'),
        ("CITATION.cff", r"^version: (.+)$"),
        ("firmly_nb/charts/labextension/package.json", r'^  "version": "(.+)",$'),
        ("CHANGELOG.md", r"^## (\d.+)$"),
    ],
)
def test_the_version_is_the_same_wherever_it_is_held(file, place):
    root = Path(__file__).parents[1]
    assert re.search(place, (root / file).read_text("utf-8"), re.MULTILINE)[1] == fnb.__version__


SHADOWS = """
    import firmly_nb.report.report, firmly_nb.charts.funnel, firmly_nb.carts.changes
    import firmly_nb as fnb
    from firmly_nb import carts, charts
    print(*(callable(one) for one in (fnb.report, charts.funnel, carts.changes)))
    from firmly_nb.report.page import term_list
    from firmly_nb.carts import rules
    print(term_list.__name__, rules.__name__)
"""


def test_a_module_that_was_imported_hides_no_name_that_is_the_same_as_its_own():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHADOWS)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "True True True\nterm_list firmly_nb.carts.rules\n", done.stderr


@pytest.mark.parametrize(("kind", "names"), [("Lab", LAB), ("Recording", RECORDING)])
def test_what_an_analyst_holds_has_its_verbs(kind, names):
    held = getattr(fnb, kind)
    assert names <= set(dir(held)) | set(inspect.unwrap(held.__init__).__code__.co_names)


@pytest.mark.parametrize("name", ["events", "orders", "stages", "where"])
def test_many_recordings_have_the_tables_of_one(name):
    assert hasattr(fnb.Recordings, name)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_verb_of_the_lab_is_asked_the_same_both_ways(name):
    """Waited for or awaited: the same arguments, the same defaults, the same result."""
    waited, awaited = (inspect.signature(getattr(fnb.Lab, n)) for n in (name, f"{name}_async"))
    assert waited == awaited


@pytest.mark.parametrize(
    ("call", "known"),
    [
        (fnb.Lab.place, Options),
        (fnb.Lab.start, Options),
        (fnb.Lab.sweep, Options),
        (fnb.Lab.sweep, Request),
        (fnb.Lab.start_sweep, Request),
        (fnb.connect, Settings),
    ],
)
def test_whatever_can_be_asked_for_stands_in_the_signature(call, known):
    parameters = inspect.signature(call).parameters
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    wanted = asdict(known())
    # The folder is for the simulator's own command line; tags of a sweep are those of its orders.
    # A replay is asked for with recordings, a mapping and a seed, which its command line has not.
    replays = {"replay", "slow", "drawn"}
    # The options of each order stand there one by one.
    unasked = {"folder", "tags", "options", *replays}
    for name in unasked - {"tags" if known is Options else ""}:
        wanted.pop(name, None)
    assert wanted == {name: parameters[name].default for name in wanted}


def test_what_calls_somebody_can_be_awaited():
    begun = {"start", "start_sweep", "flow", "close"}  # return at once, or end everything
    held = {"last", "last_sweep", "environment", "simulator", "journal", "closed"}
    names = {n for n in dir(fnb.Lab) if not n.startswith("_") and not n.endswith("_async")}
    assert names == {*BOTH_WAYS, *begun, *held}


# Nobody has one of these in hand: what streams are read with, and what is written of them.
WITHIN = {"FirmlyClient", "Presets", "Sender", "Saved", "Pattern", "Start", "Event", "End", "Grid"}
WITHIN |= {"Message"}
APART = {"firmly_nb.sim", "firmly_nb.wire"}  # these import nothing that words errors


def kinds_of_objects():
    """Public classes of which a person has objects; Plotly and Python word their own errors."""
    for package in PACKAGES:
        for name in package.__all__:
            kind = getattr(package, name)
            is_own = isinstance(kind, type) and not issubclass(kind, (Exception, Enum, Figure))
            if is_own and package.__name__ not in APART and name not in WITHIN:
                yield pytest.param(kind, id=f"{package.__name__}.{name}")


@pytest.mark.parametrize("kind", [*kinds_of_objects()])
def test_an_object_names_what_it_has_where_a_name_is_misspelt(kind):
    one = kind.__new__(kind, *([None] * len(getattr(kind, "_fields", ()))))
    with pytest.raises(AttributeError, match=rf"^Unknown name 'nothing' for {kind.__name__}\. "):
        one.nothing  # noqa: B018


def test_a_misspelt_name_of_an_order_is_answered_with_one_of_its_own():
    with pytest.raises(AttributeError, match=r"'itmes' for Order\. Did you mean items\?"):
        fnb.Order.example().itmes  # noqa: B018
    with pytest.raises(AttributeError) as failed:
        fnb.Card.test().nothing  # noqa: B018
    assert "number" in str(failed.value)
    assert "model_" not in str(failed.value), "what pydantic has is nobody's question"
    assert copy.deepcopy(pickle.loads(pickle.dumps(fnb.Order.example()))) == fnb.Order.example()
