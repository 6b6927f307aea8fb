"""Compare the parser of event streams with the others: ``python -m benchmarks.parsing``.

The parsers take turns, round by round, in one process, and each ratio is the median over the
rounds of the ratio to httpx-sse within the round: a machine that is busy for a while then slows
both. Every measurement starts with the same heap, because fresh memory has its price: big events
are measured in a new process each, the others after free memory has been given back.
The table is printed and written to ``docs/benchmarks-parsing.md``.
"""

import argparse
import base64
import ctypes
import gc
import json
import logging
import math
import os
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.sse_once import TooSlowError, attempt, cpu_seconds, in_new_process, until
from benchmarks.sse_parsers import NOT_DRIVEN, PARSERS, Parser, Read
from benchmarks.sse_streams import BIG, GROWTH, BigWorkload, Pattern, Workload, pieces, workloads

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "tests" / "recording" / "sse-vectors.json"
PAGE = ROOT / "docs" / "benchmarks-parsing.md"

BASELINE = "httpx-sse"
BYTES, TEXT = PARSERS[0].label, PARSERS[1].label
PEAK_SIZE = 4_000_000

Table = list[list[str]]


# -- measuring -----------------------------------------------------------------------------------


def empty_heap() -> None:
    """Give free memory back, so that nobody starts on what the one before has paid for."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def one_pass(read: Read, chunks: Iterable[bytes]) -> float:
    """Measure on a heap like everybody's: fresh memory has its price."""
    empty_heap()
    return cpu_seconds(read, chunks)


@dataclass(frozen=True)
class Measured:
    """CPU seconds of each round, or the words for why there are none."""

    seconds: dict[str, list[float]]
    failed: dict[str, str]

    def ratio(self, label: str) -> float | None:
        """How many times faster than httpx-sse, as the median over the common rounds."""
        pairs = zip(self.seconds[BASELINE], self.seconds[label], strict=False)
        ratios = [base / own for base, own in pairs]
        return median(ratios) if ratios else None


Measure = Callable[[str], float | str]


def measure(labels: Iterable[str], once: Measure, rounds: int, cap: float) -> Measured:
    """Let the parsers take turns; who is very slow gets one round, who fails gets none."""
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for label, before in seconds.items():
            if label in failed or (before and before[0] > cap / 8):
                continue
            found = once(label)
            if isinstance(found, str):
                failed[label] = found
            else:
                before.append(found)
    return Measured(seconds, failed)


def in_this_process(readers: dict[str, Read], work: Workload, cap: float) -> Measure:
    """Measure in this process, after a first pass that shows who is too slow."""
    count = len(work.chunks)
    trials = {
        label: attempt(partial(one_pass, read, until(work.chunks, count, cap)), cap)
        for label, read in readers.items()
    }

    def once(label: str) -> float | str:
        trial = trials[label]
        return trial if isinstance(trial, str) else one_pass(readers[label], work.chunks)

    return once


def peak_memory(read: Read, cap: float) -> float | str:
    """Measure peak memory over size for one big event whose chunks nobody else keeps."""
    line = b"x" * (1 << 14)
    count = PEAK_SIZE // len(line)

    def chunks() -> Iterator[bytes]:
        end = time.process_time() + cap
        yield b"data: "
        for number in range(count):
            if time.process_time() > end:
                raise TooSlowError(number / count)
            yield bytes(bytearray(line))
        yield b"\n\n"

    def peak() -> float:
        tracemalloc.start()
        try:
            if sum(1 for _ in read(chunks())) != 1:
                raise ValueError("the event did not come")
            return tracemalloc.get_traced_memory()[1] / (count * len(line))
        finally:
            tracemalloc.stop()

    return attempt(peak, cap)


def passed_vectors(parser: Parser, read: Read) -> tuple[int, int, int]:
    """Count vectors passed at once and byte by byte: all, without judging retry, and how many."""
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    vectors = [vector for vector in vectors if vector.get("connection", "open") == "open"]
    exact = lenient = 0
    for vector in vectors:
        stream = base64.b64decode(vector["input_base64"])
        expected = [(e["event"], e["data"], e["id"], e["retry"]) for e in vector["expected"]]
        results = []
        for chunks in ([stream] if stream else [], pieces(stream, 1)):
            try:
                results.append([parser.fields(event) for event in read(chunks)])
            except Exception:  # noqa: BLE001 - whatever is raised, the vector is not passed
                break
        exact += results == [expected] * 2
        lenient += [[event[:3] for event in events] for events in results] == [
            [event[:3] for event in expected]
        ] * 2
    return exact, lenient, len(vectors)


def growth(pattern: Pattern, rounds: int) -> float:
    """Give the exponent of the time when the size is made four times as large; 1 is linear."""
    larger = replace(pattern, size=4 * pattern.size)
    pairs = [
        [float(in_new_process(BYTES, one, 60)) for one in (pattern, larger)] for _ in range(rounds)
    ]
    return median(math.log(large / small, 4) for small, large in pairs)


# -- reporting -----------------------------------------------------------------------------------


def shown(value: float | str | None) -> str:
    """Write a ratio, or the words for why there is none."""
    return f"{value:.2f}" if isinstance(value, float) else value or "-"


def aligned(table: Table) -> str:
    """Write a table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table
    )


def markdown(table: Table) -> str:
    """Write a table for a page."""
    rule = ["---", *["--:"] * (len(table[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [table[0], rule, *table[1:]])


def verdict(what: str, wanted: str, found: float | str, *, reached: bool) -> list[str]:
    """Make a row of the table of targets."""
    return [what, wanted, shown(found), "reached" if reached else "NOT reached"]


def machine() -> str:
    """Say what was measured on, without naming the machine."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores"
    )


PAGE_TEXT = """# How fast event streams are parsed

Written by `python -m benchmarks.parsing` (after `pip install -e '.[bench]'`); do not edit by hand.
{machine}; {rounds} rounds.

Speed is relative to httpx-sse {baseline}: 2.00 means half of its CPU time. Each number is the
median over the rounds of the ratio within a round, the parsers taking turns. The events of 10 MB
are measured in a new process each time, with chunks made while they are read.

- The row of httpx-sse also says what 1.00 is: microseconds of CPU an event (a byte for `bytewise`,
  a heartbeat for `beats`).
- vectors: how many of {vectors} conformance vectors are passed both at once and byte by byte; in
  brackets without judging `retry`, which some parsers do not give out.
- peak: peak memory over the size of one event of 4 MB in 16 KiB chunks, as tracemalloc sees it,
  chunks included.
- A parser that would take more than {cap:g} s of CPU shows how far it came.

{table}

{meanings}

## Targets

{targets}

Growth is the exponent of the time when the size becomes four times as large. New memory costs
more than memory that is used again, which lifts it a little above 1 for what is truly linear.

## The parsers

{parsers}
"""


def describe(parser: Parser) -> str:
    """Say what was run, or why not, for the list of parsers."""
    state = parser.version or "not installed"
    return f"- {parser.label}: {state}" + (f"; {parser.remark}" if parser.remark else "")


def judged(work: Workload | BigWorkload, measured: Measured) -> Table:
    """Compare what was wanted of a workload with what was found."""
    wanted: dict[str, float | None] = {BYTES: work.target}
    if isinstance(work, Workload):
        wanted[TEXT] = work.text_target
    rows = []
    for label, least in wanted.items():
        found = measured.ratio(label)
        if least is not None and found is not None:
            what = f"{work.name}, {label.partition(', ')[2]}"
            rows.append(verdict(what, f">= {least:g}", found, reached=found >= least))
    return rows


def compared(
    readers: dict[str, Read], work: Workload | BigWorkload, rounds: int, cap: float
) -> tuple[Measured, int]:
    """Measure a workload, and say into how many units httpx-sse's time is to be divided."""
    if isinstance(work, BigWorkload):
        once: Measure = partial(in_new_process, pattern=work.pattern, cap=cap)
        return measure(readers, once, rounds, cap), 1
    measured = measure(readers, in_this_process(readers, work, cap), rounds, cap)
    if work.name in {"bytewise", "beats"}:
        return measured, len(work.chunks)
    return measured, sum(1 for _ in readers[BYTES](work.chunks))


def run(rounds: int, cap: float) -> tuple[Table, Table, dict[str, str]]:
    """Measure everything: the table, the targets, and what the page says besides."""
    chosen = [p for p in PARSERS if p.package == "firmly-nb" or p.version is not None]
    readers = {parser.label: parser.load() for parser in chosen}
    passed = {p.label: passed_vectors(p, readers[p.label]) for p in chosen}
    rows = {label: [f"{exact} ({lenient})"] for label, (exact, lenient, _) in passed.items()}
    exact, _, total = passed[BYTES]
    targets: Table = [["target", "wanted", "found", ""]]
    targets.append(verdict("vectors", str(total), str(exact), reached=exact == total))
    streams: list[Workload | BigWorkload] = [*workloads(), *BIG]
    for work in streams:
        print(f"measuring {work.name}", file=sys.stderr)
        measured, units = compared(readers, work, rounds, cap)
        for label, row in rows.items():
            row.append(shown(measured.failed.get(label) or measured.ratio(label)))
        rows[BASELINE][-1] += f" = {median(measured.seconds[BASELINE]) / units * 1e6:.3g}"
        targets += judged(work, measured)
    for label, row in rows.items():
        row.append(shown(peak_memory(readers[label], cap)))
    peak = rows[BYTES][-1]
    targets.append(verdict("peak memory / size", "<= 1.5", peak, reached=float(peak) <= 1.5))
    for what, pattern in GROWTH.items():
        print(f"measuring the growth of {what}", file=sys.stderr)
        found = growth(pattern, rounds)
        targets.append(verdict(f"growth: {what}", "<= 1.2", found, reached=found <= 1.2))
    table = [["parser", "vectors", *(work.name for work in streams), "peak"]]
    table += [[label, *row] for label, row in rows.items()]
    missing = [parser.label for parser in PARSERS if parser not in chosen]
    table += [[label, "not installed", *["-"] * (len(table[0]) - 2)] for label in missing]
    meanings = "\n".join(f"- `{work.name}`: {work.meaning}." for work in streams)
    return table, targets, {"meanings": meanings, "vectors": str(total)}


def main() -> None:
    """Measure, print and write the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--cap", type=float, default=8.0, help="CPU seconds a parser may take")
    options.add_argument("--no-page", action="store_true", help="print only")
    arguments = options.parse_args()
    logging.disable()  # some parsers log each line that they do not know
    table, targets, facts = run(arguments.rounds, arguments.cap)
    print(machine(), aligned(table), aligned(targets), sep="\n\n")
    if arguments.no_page:
        return
    others = [f"- {name}: not run; it {why}" for name, why in NOT_DRIVEN.items()]
    baseline = next(parser for parser in PARSERS if parser.label == BASELINE)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(
        PAGE_TEXT.format(
            machine=machine(),
            rounds=arguments.rounds,
            cap=arguments.cap,
            baseline=baseline.version,
            table=markdown(table),
            targets=markdown(targets),
            parsers="\n".join([*map(describe, PARSERS[2:]), *others]),
            **facts,
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
