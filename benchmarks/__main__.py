"""Run comparisons: ``python -m benchmarks`` runs all, ``python -m benchmarks kills`` one.

All take about half an hour (``make bench``). What follows a name goes to that comparison, for
example ``--kills 200``; ``--help`` says what it takes.
"""

import subprocess
import sys

NAMES = (
    "import_time",
    "parsing",
    "timing",
    "carts",
    "conventions",
    "store",
    "simulator",
    "replay",
    "sweep",
    "widgets",
    "charts",
    "damage",
    "kills",
    "hosts",
    "limits",
    "network",
    "other_clients",
    "verdicts",
    "deciding",
    "groups",
    "gate",
)


def run(name: str, *options: str) -> int:
    """Run one in a process of its own; return its status."""
    print(f"== {name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    return subprocess.run(command, check=False).returncode


def main() -> None:
    """Run what was asked for."""
    name, *options = sys.argv[1:] or [None]
    if name is None:
        for each in NAMES:
            run(each)
    elif name in NAMES:
        sys.exit(run(name, *options))
    else:
        sys.exit(f"Unknown benchmark {name!r}. Use {', '.join(NAMES)}.")


if __name__ == "__main__":
    main()
