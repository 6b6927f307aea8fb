"""Kill notebook, recorder and simulator in turn, at random moments of an order.

``python -m benchmarks.kills 100`` prints a table: of each victim how many kills, how many events
had been shown before them, how many of those the journal has not, and what was left of processes
and temporary folders.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

import firmly_nb as fnb

ORDERS = 12
PATIENCE_S = 60.0
VICTIMS = ("notebook", "recorder", "simulator")
NOTEBOOK = """
import os, sys
import firmly_nb as fnb

def shown(record):
    if record.kind == "event":
        print("event", start.recording_id, record.seq, flush=True)
    elif record.kind == "start":
        globals()["start"] = record

lab = fnb.connect(profile="calm", tls=True)
lab.place(fnb.Order.example(), progress=False)
print(os.getpid(), lab._bench.worker().pid, lab.simulator.pid, flush=True)
for _ in range(int(sys.argv[1])):
    try:
        lab.place(fnb.Order.example(), progress=False, on_record=shown, timeout_s=20)
    except Exception as error:
        print("error", type(error).__name__, flush=True)
"""


def left_of(pids: list[int]) -> list[int]:
    """Return which processes are still there."""
    return [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def kill_one(victim: str, moment: random.Random) -> Counter[str]:
    """Kill one process while orders run; return what was shown, lost and left."""
    with TemporaryDirectory() as folder:
        temporary, home = Path(folder, "temporary"), Path(folder, "home")
        temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(temporary), "FIRMLY_NB_HOME": str(home)}
        with subprocess.Popen(
            [sys.executable, "-c", NOTEBOOK, str(ORDERS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        ) as notebook:
            if notebook.stdout is None:
                raise RuntimeError("no output")
            pids = [int(pid) for pid in notebook.stdout.readline().split()]
            time.sleep(moment.uniform(0.0, 0.6))
            os.kill(pids[VICTIMS.index(victim)], signal.SIGKILL)
            lines = [line.split() for line in notebook.stdout]
        late = time.monotonic() + PATIENCE_S
        while time.monotonic() < late and (left_of(pids) or list(temporary.iterdir())):
            time.sleep(0.05)
        shown = {(line[1], int(line[2])) for line in lines if line[:1] == ["event"]}
        kept = {
            (rec.recording_id, event.seq)
            for rec in fnb.load(home / "journals")
            for event in rec._events  # noqa: SLF001 - without building a table
        }
        return Counter(
            kills=1,
            shown=len(shown),
            lost=len(shown - kept),
            processes=len(left_of(pids)),
            folders=len(list(temporary.iterdir())),
        )


def main() -> None:
    """Kill so many times and print the table."""
    times = int(sys.argv[1]) if sys.argv[1:] else 30
    moment = random.Random(7)
    print("| killed | kills | events shown | lost | processes left | folders left |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for victim in VICTIMS:
        total: Counter[str] = Counter()
        for _ in range(times // len(VICTIMS)):
            total.update(kill_one(victim, moment))
        cells = [total[key] for key in ("kills", "shown", "lost", "processes", "folders")]
        print(f"| {victim} | " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
