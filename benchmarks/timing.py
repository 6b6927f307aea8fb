"""Compare times of arrival with those of other clients: ``python -m benchmarks.timing``.

Everything on the notebook's side runs in a real kernel, in a cell with ``await``, while that cell
works: that is where an analyst's client lives. The clients take turns, in an order drawn anew for
each round, and read the same patterns from the same sender. Then one recorder follows many orders
at once, and a thousand one after the other. The tables are printed and written to
``docs/benchmarks-timing.md``.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from jupyter_client.manager import start_new_kernel

from benchmarks.quiet import FOREIGN_SHARE, TRIES
from benchmarks.timing_many import AT_ONCE_HEAD, AtOnce, many

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-timing.md"
OURS, BASELINE = "firmly-nb", "httpx-sse, kernel loop"
PACKAGES = ("firmly-nb", "httpx-sse", "httpx", "aiohttp", "requests", "ipykernel", "pandas")
PAGE_TEXT = """# Times of arrival, compared

{machine}

How late is the time that a client gives an event, while the notebook does something else? The
error is the client's time minus the sender's, taken immediately before it sends. {events} events
at gaps from 0.5 to 30 ms (every order of magnitude equally often), {rounds} rounds, clients in
turns. Below each other: median, and 99th percentile. In brackets: how many times as late as
firmly-nb at the median, as the median over the rounds.

The client runs in a real kernel, in a cell that works step by step and gives its event loop 5 ms
after each step. A cell that gives it nothing is late by as long as the cell takes.

A turn in which other programs used more than {limit:.0%} of the machine was repeated, for every
client alike: {repeated} of {turns} turns were. After {tries} tries
{disturbed} stayed disturbed and were kept.

## Plain HTTP

{plain}

## TLS

{tls}

One step of work took (median): {steps}.

## Where firmly-nb's own error comes from

The sender's clock is read before it sends, so its own delay counts as error. Its kernel tells when
it handed the event to the network device; "own" is the error from there on. "Share a read" is the
share of coalesced events, which came in one read with the one before. The kernel keeps one time
for both, and the uncertainty of the earlier one grows by as much. "Within uncertainty" is the share
of events that were really sent within their own uncertainty. The reading delay runs from the kernel
timestamp to having the bytes. It is the error of a recorder without kernel timestamps.

{own}

## Many orders at once, one recorder

{many}

50 orders at gaps of 0.5 to 30 ms are some 7 000 events a second, more than one recorder can take.
Events then wait in the sender, whose window is full. Their times are those of the real arrival.

## A thousand orders, one recorder

Resident memory, with {memory_events} events an order, ten orders at a time:

{memory}

## Targets

{targets}

## How to reproduce

```sh
pip install -e '.[dev,bench]'
python -m benchmarks.timing
```

Times change with the machine and its other work; read the ratios. Each client is written
as one writes it first, in `benchmarks/timing_clients.py`.
"""


def measure_in_a_kernel(rounds: int, events: int) -> pd.DataFrame:
    """Run the notebook's side; one row a turn."""
    os.environ["BENCHMARK_PID"] = str(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
        code = (
            "from benchmarks.timing_kernel import measure\n"
            f"await measure({rounds}, {events}, {str(results)!r})"
        )
        try:
            reply = client.execute_interactive(code, timeout=None, output_hook=_say)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(reply["content"]["evalue"])
        return pd.DataFrame(map(json.loads, results.read_text("utf-8").splitlines()))


def _say(message: dict) -> None:
    content = message["content"]
    if message["msg_type"] == "stream":
        print(content["text"], end="", file=sys.stderr)
    elif message["msg_type"] == "error":
        print("\n".join(content["traceback"]), file=sys.stderr)


# -- tables --------------------------------------------------------------------------------------


def pooled(turns: pd.DataFrame, column: str = "errors_ms") -> pd.Series:
    """Put the events of all rounds together."""
    return pd.Series([x for part in turns[column].dropna() for x in part], dtype="float64")


def ratio(turns: pd.DataFrame, client: str) -> float:
    """How many times as late as ours at the median: the median over the rounds."""
    medians = turns.assign(median=turns["errors_ms"].map(lambda e: pd.Series(e).median()))
    table = medians.pivot_table(index="round", columns="client", values="median")
    return float((table[client] / table[OURS]).median())


def table(turns: pd.DataFrame) -> list[list[str]]:
    """One row a client, one column a condition."""
    conditions = list(dict.fromkeys(turns.sort_index()["condition"]))
    conditions.sort(key=["idle", "pandas", "pure Python", "matplotlib", "widget"].index)
    rows = [["client", *(f"{name}, ms" for name in conditions)]]
    clients = [OURS, *sorted(set(turns["client"]) - {OURS})]
    for client in clients:
        cells = []
        for condition in conditions:
            there = turns[turns["condition"] == condition]
            errors = pooled(there[there["client"] == client])
            cell = f"{digits(errors.median())} / {digits(errors.quantile(0.99))}"
            cells.append(cell if client == OURS else f"{cell} ({ratio(there, client):,.0f}x)")
        rows.append([client, *cells])
    return rows


def digits(milliseconds: float) -> str:
    """Write a time with two or three digits that mean something."""
    return f"{milliseconds:.3f}" if milliseconds < 1 else f"{milliseconds:.3g}"


def own_table(turns: pd.DataFrame) -> list[list[str]]:
    """Say what firmly-nb's errors are made of."""
    heads = "own median ms, own p99 ms, reading delay p99 ms, share a read, within uncertainty"
    rows = [["", *heads.split(", ")]]
    ours = turns[turns["client"] == OURS]
    for (tls, condition), there in ours.groupby(["tls", "condition"], sort=False):
        own, delay, inside = (pooled(there, name) for name in ("own_us", "delay_us", "inside"))
        rows.append(
            [
                f"{condition}, {'TLS' if tls else 'plain'}",
                digits(own.median() / 1000),
                digits(own.quantile(0.99) / 1000),
                digits(delay.quantile(0.99) / 1000),
                f"{there['coalesced'].sum() / len(inside):.2%}",
                f"{inside.mean():.2%}",
            ]
        )
    return [rows[0], *sorted(rows[1:])]


def markdown(rows: list[list[str]]) -> str:
    """Write a table for the page."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- " * len(rows[0]) + "|", *lines[1:]])


def aligned(rows: list[list[str]]) -> str:
    """Write a table for the terminal."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


# -- targets -------------------------------------------------------------------------------------

BUSY = ("pandas", "pure Python")


def targets(turns: pd.DataFrame, found: Iterable[AtOnce], memory: list[list[str]]) -> list:
    """Say which promise holds."""
    rows = [["target", "wanted", "found", ""]]
    ours = turns[(turns["client"] == OURS) & turns["condition"].isin(BUSY)]
    for tls, name, median, p99 in ((False, "plain", 0.1, 0.3), (True, "TLS", 0.2, 0.5)):
        errors = pooled(ours[ours["tls"] == tls])
        rows += [
            judged(f"busy, {name}: median", errors.median(), median, " ms"),
            judged(f"busy, {name}: p99", errors.quantile(0.99), p99, " ms"),
        ]
        there = turns[(turns["tls"] == tls) & turns["condition"].isin(BUSY)]
        better = min(ratio(there[there["condition"] == c], BASELINE) for c in BUSY)
        text = f"median against {BASELINE}, {name}"
        rows.append(judged(text, better, 500, "x", at_least=True))
    inside = pooled(turns[turns["client"] == OURS], "inside").mean() * 100
    rows.append(judged("true time within the bound", inside, 99.9, " %", at_least=True))
    for one in found:
        if one.orders == 10:
            errors = one.errors["error_ms"]
            rows.append(judged(f"10 at once, {one.pattern}: p99", errors.quantile(0.99), 1, " ms"))
    grown = float(memory[-1][1]) - float(memory[2][1])
    rows.append(judged("recorder's growth from order 100 to 1000", grown, 1, " MB"))
    return rows


def judged(
    name: str, found: float, limit: float, unit: str, *, at_least: bool = False
) -> list[str]:
    """One row: what was wanted, what was found, whether it is enough."""
    reached = found >= limit if at_least else found <= limit
    sign = ">=" if at_least else "<="
    shown = (
        f"{found:,.0f}"
        if abs(found) >= 1000
        else f"{found:.3g}"
        if unit != " %"
        else f"{found:.2f}"
    )
    return [name, f"{sign} {limit:g}{unit}", shown + unit, "reached" if reached else "not reached"]


def machine() -> str:
    """Say on what this was measured, without naming it."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{platform.system()} {platform.release().split('-')[0]}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}; {packages}."
    )


def main() -> None:
    """Measure, print and write the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--events", type=int, default=200)
    options.add_argument("--no-page", action="store_true", help="print only")
    arguments = options.parse_args()
    turns = measure_in_a_kernel(arguments.rounds, arguments.events)
    found, memory = asyncio.run(many(arguments.events))
    plain, tls = (table(turns[turns["tls"] == secure]) for secure in (False, True))
    own = own_table(turns)
    at_once = [AT_ONCE_HEAD, *(one.row() for one in found)]
    verdicts = targets(turns, found, memory)
    print(f"{(turns['foreign'] > FOREIGN_SHARE).sum()} of {len(turns)} turns were disturbed\n")
    for rows in (plain, tls, own, at_once, memory, verdicts):
        print(aligned(rows), end="\n\n")
    if arguments.no_page:
        return
    steps = turns.groupby("condition", sort=False)["step_ms"].median().dropna()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(
        PAGE_TEXT.format(
            machine=machine(),
            events=arguments.events,
            limit=FOREIGN_SHARE,
            repeated=int((turns["tries"] > 1).sum()),
            turns=len(turns),
            disturbed=int((turns["foreign"] > FOREIGN_SHARE).sum()),
            tries=TRIES,
            rounds=arguments.rounds,
            plain=markdown(plain),
            tls=markdown(tls),
            steps=", ".join(f"{name} {ms:.0f} ms" for name, ms in steps.items()),
            own=markdown(own),
            many=markdown(at_once),
            memory_events=6,
            memory=markdown(memory),
            targets=markdown(verdicts),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
