"""Run the property tests on random inputs until the time is over or one of them fails.

`make test` gives them the same inputs each time. Here the files of tests run again and again, each
time from another seed. An input that fails is printed, with how to see it again, then made small.
Keep it: write it above its test, as an ``@example``.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NONE_LEFT = 5  # pytest's exit code where -k leaves no test of a file
SMALL_S = 120
PYTEST = ("-m", "pytest", "-q", "-x", "-n", "0", "--timeout", "600", "-m", "hypothesis")


def main() -> int:
    """Search; return 1 if an input was found that fails."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="no run begins after that (60)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("where", nargs="*", default=["tests"], help="files or folders of tests")
    parser.add_argument("-k", dest="names", default="", help="tests with such names, as in pytest")
    asked = parser.parse_args()
    files = sorted({file for where in asked.where for file in property_tests(ROOT / where)})
    if not files:
        print(f"No property tests in {' '.join(asked.where)}.")
        return 2
    until, failed = time.monotonic() + asked.seconds, threading.Event()

    def search() -> int:
        left: list[str] = []
        for runs in count():
            if failed.is_set() or time.monotonic() >= until:
                return runs
            left = left or random.sample(files, len(files))
            if run(left.pop(), random.randrange(2**32), asked.names):  # noqa: S311 - no secret
                failed.set()
        raise AssertionError("count() has no end")

    with ThreadPoolExecutor(asked.processes) as pool:
        searches = [pool.submit(search) for _ in range(asked.processes)]
    runs = sum(each.result() for each in searches)
    said = "an input fails, see above" if failed.is_set() else "no input fails"
    print(f"{runs} runs of {len(files)} files with property tests: {said}.")
    return int(failed.is_set())


def property_tests(where: Path) -> list[str]:
    """Find the files that have property tests."""
    files = [where] if where.is_file() else sorted(where.rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if "@given(" in file.read_text("utf-8")]


def run(file: str, seed: int, names: str) -> bool:
    """Run the property tests of a file; print what fails as it is found, then made small."""
    chosen = [f"--hypothesis-seed={seed}", *(["-k", names] if names else []), file]
    profiles = ("fuzz", "fuzz-small")
    found, small = ([*PYTEST, "--hypothesis-profile", name, *chosen] for name in profiles)
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *found], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode in (0, NONE_LEFT):
        return False
    print(f"{done.stdout}{done.stderr}\nTo see it again: python {' '.join(found)}", flush=True)
    print(f"It is made small, for up to {SMALL_S} s: python {' '.join(small)}", flush=True)
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 - pytest
            [sys.executable, *small],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=SMALL_S,
        )
        print(f"{done.stdout}{done.stderr}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
