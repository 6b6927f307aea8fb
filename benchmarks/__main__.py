"""Run every comparison one after the other: ``make bench``. It takes about half an hour."""

import subprocess
import sys

NAMES = (
    "import_time",
    "parsing",
    "timing",
    "carts",
    "store",
    "simulator",
    "sweep",
    "widgets",
    "charts",
    "limits",
    "kills",
)

for name in NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
