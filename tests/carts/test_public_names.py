"""The names that may be relied on, and that they need no heavy import."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

PUBLIC = {
    "tables": "CartTables cart_tables discounts line_items notices shipments snapshots",
    "changes": "Difference changes differences summary",
    "checks": "CHECKS CheckReport Finding check checks remove_check run_checks",
    "schema_watch": "field_presence presence_matrix schema_drift",
    "features": "features",
    "explain": "explain explain_in_words",
    "display": "cart_html cart_text",
    "changes_display": "changes_html changes_text",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_functions_are_documented_and_named_in_the_face(module):
    face = import_module("firmly_nb.carts").__doc__
    found = import_module(f"firmly_nb.carts.{module}")
    assert f"`{module}`" in face
    for name in PUBLIC[module].split():
        assert getattr(found, name).__doc__


def test_importing_the_tables_loads_neither_pandas_nor_numpy():
    modules = ", ".join(f"firmly_nb.carts.{name}" for name in PUBLIC if name != "explain")
    code = f"import sys, {modules}; assert not {{'pandas', 'numpy', 'scipy'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
