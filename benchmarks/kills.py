"""Kill the notebook, the recorder or the simulator during orders: ``python -m benchmarks kills``.

Each turn starts a notebook that orders from the simulator, kills one process (SIGKILL) at a random
moment and looks at what is left: journals, processes, temporary folders. The result is printed and
written to ``docs/benchmarks-kills.md``.
"""

import argparse
import json
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import firmly_nb as fnb

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-kills.md"
# Who is killed, and where events are recorded: in a process of their own, or in the notebook's.
CASES = (
    ("notebook", "isolated"),
    ("notebook", "shared"),
    ("recorder", "isolated"),
    ("simulator", "isolated"),
    ("simulator", "shared"),
)
# An order takes half a second: the moment is in the first, the second or between them.
LATEST_S = 1.2
PATIENCE_S = 60.0
STARTING_S = 300.0  # nothing is killed before a notebook orders, however busy the machine is
TEXT = """# Kills

What is left if a process is killed during an order? {kills} times, one process got SIGKILL at a
random moment (seed {seed}) while a notebook ordered from the simulator.

| killed | recorder | kills | during an order | events shown | {head} |
| --- | --- | ---: | ---: | ---: |{rule}
{rows}

The columns count faults; each should be 0:

- *events lost*: an event that a person had seen is not in the journal, or has another name or time
- *processes left*: a recorder, simulator or notebook still runs {patience:.0f} s later
- *folders left*: something is left in the folder for temporary files
- *wrongly told*: `fnb.load` says another outcome than the notebook did. Or an order was cut off,
  and no warning says so, or `order_exists` is `no`.
- *next not placed*: after the recorder was killed, the same lab did not place further orders

{verdict}

"Recorder" says where events were recorded: in a process of their own (isolated), or in the
notebook's (shared, `isolated=False`). The kill came during an order if the notebook had shown its
start and not its end.

One process is killed in each turn. If the simulator and its notebook are both killed, the
simulator's folder stays until the next simulator starts and removes it.

## How to reproduce

```sh
pip install -e '.[dev]'
python -m benchmarks kills --kills {kills} --seed {seed}
```

40 kills are the default. At a load of 7 on two processors, one takes 6 to 8 s.
`--seed` draws other moments. The status is 1 if there was a fault. Tried on Linux.
"""
FAULTS = ("events lost", "processes left", "folders left", "wrongly told", "next not placed")


@dataclass
class Turn:
    """What one kill did."""

    during: bool = False
    shown: int = 0
    faults: Counter = field(default_factory=Counter)


class Notebook:
    """The process that orders, and what it said."""

    def __init__(self, home: Path, temporary: Path, where: str) -> None:
        self.home = home
        self.said: list[dict] = []
        self._lines: queue.Queue = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.kills_notebook", where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "FIRMLY_NB_HOME": str(home), "TMPDIR": str(temporary)},
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def hear(
        self, kinds: set[str], times: int = 1, *, patience_s: float = PATIENCE_S
    ) -> dict | None:
        """Wait until it said one of these kinds so many times; None: it ended, or says no more."""
        with suppress(queue.Empty):
            while (words := self._lines.get(timeout=patience_s)) is not None:
                self.said.append(words)
                times -= words["kind"] in kinds
                if times == 0:
                    return words
        return None

    def catch_up(self) -> None:
        """Take what it has said so far."""
        while not self._lines.empty():
            self.said.append(self._lines.get())

    def family(self) -> list[int]:
        """Return the living processes that have this one's folder in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("FIRMLY_NB_HOME") == str(self.home)
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found


def kill_once(who: str, where: str, dice: random.Random) -> Turn:
    """Start a notebook, kill one process, and look at what is left."""
    turn = Turn()
    with tempfile.TemporaryDirectory() as place:
        home, temporary = Path(place) / "home", Path(place) / "tmp"
        temporary.mkdir()
        notebook = Notebook(home, temporary, where)
        try:
            ready = notebook.hear({"ready"}, patience_s=STARTING_S)
            if ready is None:
                raise TimeoutError(f"no notebook began to order within {STARTING_S:.0f} s")
            time.sleep(dice.uniform(0, LATEST_S))
            notebook.catch_up()
            begun, over = (_orders(notebook.said, kind) for kind in ("start", "end"))
            turn.during = bool(begun - over)
            os.kill(notebook.process.pid if who == "notebook" else ready[who], signal.SIGKILL)
            if who != "notebook":
                # The order that was under way ends, and so do the next ones.
                last = notebook.hear({"end", "refused"}, times=3)
                if who == "recorder" and not (last and last.get("outcome") == "placed"):
                    turn.faults["next not placed"] += 1
                notebook.process.stdin.close()
            notebook.hear(set())
            if not _until(lambda: not notebook.family()):
                turn.faults["processes left"] += len(notebook.family())
            if not _until(lambda: not any(temporary.iterdir())):
                turn.faults["folders left"] += 1
        finally:
            for pid in notebook.family():
                os.kill(pid, signal.SIGKILL)
            notebook.process.wait()
        _compare(notebook.said, home / "journals", turn)
    return turn


def _until(condition) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _orders(said: list[dict], kind: str) -> set[str]:
    return {words["order"] for words in said if words["kind"] == kind}


def _compare(said: list[dict], journals: Path, turn: Turn) -> None:
    """Compare what was shown with what is loaded."""
    # A notebook that was killed before its first order has no journal.
    found = fnb.load(journals) if journals.exists() else []
    loaded = {rec.recording_id: rec for rec in found}
    kept = {
        (order, row.seq, row.event, round(row.t_ms * 1e6))
        for order, rec in loaded.items()
        for row in rec.events.itertuples()
    }
    for words in said:
        if words["kind"] == "event":
            turn.shown += 1
            event = words["order"], words["seq"], words["name"], words["ns"]
            turn.faults["events lost"] += event not in kept
        elif words["kind"] == "end":
            rec = loaded.get(words["order"])
            told = rec and (rec.outcome, rec.order_exists)
            turn.faults["wrongly told"] += told != (words["outcome"], words["exists"])
    for order in _orders(said, "start") - _orders(said, "end"):
        rec = loaded.get(order)
        # It may have ended on disk before a person could see it.
        told = rec and rec.order_exists != "no" and (rec.warnings or not rec.cut_off)
        turn.faults["wrongly told"] += not told


def main() -> None:
    """Kill, print and write the page; the status is 1 if there was a fault."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--kills", type=int, default=40)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    dice = random.Random(options.seed)
    turns: dict[tuple[str, str], list[Turn]] = {case: [] for case in CASES}
    for number in range(options.kills):
        case = CASES[number % len(CASES)]
        turn = kill_once(*case, dice)
        turns[case].append(turn)
        if +turn.faults:
            print(f"kill {number} ({', '.join(case)}): {dict(+turn.faults)}", file=sys.stderr)
    rows = [_row([who, where], turns[who, where]) for who, where in CASES]
    every = [turn for case in CASES for turn in turns[case]]
    faults = sum((turn.faults for turn in every), Counter())
    page = TEXT.format(
        kills=len(every),
        seed=options.seed,
        head=" | ".join(FAULTS),
        rule=" ---: |" * len(FAULTS),
        rows="\n".join([*rows, _row(["all", ""], every)]),
        patience=PATIENCE_S,
        verdict=f"Faults: **{faults.total()}**. Shown events: {sum(t.shown for t in every):,}.",
    )
    print(page)
    PAGE.write_text(page, "utf-8")
    sys.exit(faults.total() > 0)


def _row(names: list[str], turns: list[Turn]) -> str:
    counts = [len(turns), sum(turn.during for turn in turns), sum(turn.shown for turn in turns)]
    counts += [sum(turn.faults[name] for turn in turns) for name in FAULTS]
    return f"| {' | '.join(names)} | {' | '.join(map(str, counts))} |"


if __name__ == "__main__":
    main()
