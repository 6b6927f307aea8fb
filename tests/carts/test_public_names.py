"""The public functions need no heavy import before they are used."""

from __future__ import annotations

import subprocess
import sys

MODULES = ["tables", "changes", "report", "rules", "drift", "show"]


def test_importing_the_tables_loads_neither_pandas_nor_numpy():
    modules = ", ".join(f"firmly_nb.carts.{name}" for name in MODULES)
    code = f"import sys, {modules}; assert not {{'pandas', 'numpy', 'scipy'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
