"""What importing firmly_nb costs beside importing pandas: ``python -m benchmarks.import_time``.

Both are timed in fresh interpreters, alternating, so that the machine's mood falls on both. Also
timed: the import together with the names that an order needs, which are loaded at first use.
"""

import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 15
CASES = {
    "import pandas": "import pandas",
    "import firmly_nb": "import firmly_nb",
    "import firmly_nb, connect and Order used": "import firmly_nb as f; f.connect; f.Order",
}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-import.md"
TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def seconds(code: str) -> float:
    """Time a line of code in a fresh interpreter, its own start left out."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(code)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure, print and write the table."""
    for code in CASES.values():
        seconds(code)  # compiled files and disk caches are in place for all of them
    times = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, code in CASES.items():
            times[name].append(seconds(code))
    base = statistics.median(times["import pandas"])
    rows = [
        f"| {name} | {middle * 1000:.0f} | {middle / base:.2f} |"
        for name, middle in ((name, statistics.median(times[name])) for name in CASES)
    ]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    page = "\n".join(
        [
            "# What the import costs",
            "",
            f"Medians of {ROUNDS} fresh interpreters each, alternating, on Python {version}.",
            "",
            "Again: `python -m benchmarks.import_time`.",
            "",
            "| | ms | of pandas |",
            "| --- | ---: | ---: |",
            *rows,
            "",
            "Target: `import firmly_nb` at most 1.20 of pandas alone.",
            "",
        ]
    )
    print(page)
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
