"""Sweeps from several machines, under faults and on time: ``python -m benchmarks.hosts``.

Three Dask workers on loopback place 300 orders. At twelve random moments a host is killed or
frozen, its network is cut, or the coordinator is killed and resumed. The simulator's log says what
was ordered. Then 60 orders a second are planned over the three hosts. The page is written to
``docs/benchmarks-hosts.md``.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

import firmly_nb as fnb
from firmly_nb import sim
from tests.dask_cluster import NAMES, Cluster

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-hosts.md"
ORDERS, RATE = 300, 3.0
FAULTS = ("host killed", "host frozen", "network cut", "coordinator killed")
# Longer than an order may be sent after its planned start.
FROZEN_S = (3.0, 14.0)
LAG_RATE, LAG_SECONDS = 60, 20
RUN_ID = "faults"
MOST_MINOR = 1_000_000_000
PATIENCE_S = 900.0


ORDER = fnb.Order.example()


def coordinate(url: str, app_id: str, journal: str, address: str) -> None:
    """Coordinate the run, or what is left of it; in a process of its own, which is killed."""
    from distributed import Client

    with (
        Client(address) as client,
        fnb.connect(
            api_url=url, app_id=app_id, journal=journal, allow_domains=[ORDER.domain]
        ) as lab,
    ):
        is_known = (Path(journal) / "sweeps" / f"{RUN_ID}.json").exists()
        which = {"resume": RUN_ID} if is_known else {"run_id": RUN_ID}
        limits = {"total_minor": {"USD": MOST_MINOR}, "orders": ORDERS}
        recs = lab.sweep(ORDER, count=ORDERS, rate=RATE, on=client, budget=limits, **which)
        sweep = lab.last_sweep
        print(f"{sweep!r} {recs.warnings} {sweep.problems}", file=sys.stderr, flush=True)
        # Those of unknown end are asked for once more by whoever resumes.
        sys.exit(3 if sweep.progress.unknown or sweep.progress.left else 0)


class Coordinator:
    """The coordinator's process: started, killed, and started again until the run is complete."""

    def __init__(self, simulator: sim.Simulator, journal: Path, address: str) -> None:
        self.words = [simulator.url, simulator.app_id, str(journal), address]
        self.starts = 0
        self.process = self._start()

    def _start(self) -> subprocess.Popen:
        self.starts += 1
        command = [sys.executable, "-m", "benchmarks.hosts", "--coordinate", *self.words]
        return subprocess.Popen(command, cwd=ROOT)

    def kill(self) -> None:
        """Kill it, and start another one, which resumes."""
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def follow(self) -> None:
        """Wait for the end; a part that leaves something is resumed."""
        while self.process.wait(PATIENCE_S):
            if self.starts > 20:
                raise RuntimeError("the run does not come to an end")
            self.process = self._start()


def strike(fault: str, cluster: Cluster, coordinator: Coordinator, dice: random.Random) -> str:
    """Do one harm."""
    name, for_s = dice.choice(NAMES), dice.uniform(*FROZEN_S)
    if fault == "coordinator killed":
        coordinator.kill()
        return fault
    if fault == "host killed":
        pid = cluster.signal(name, signal.SIGKILL)
        return f"{fault}: {name} ({pid})"
    if fault == "network cut":
        cluster.relays[name].cut()
        time.sleep(for_s)
        cluster.relays[name].mend()
        return f"{fault}: {name} for {for_s:.1f} s"
    # With its recorder: frozen together they keep orders that were lent past their time.
    frozen = [pid for pid in (cluster.recorder(name), cluster.pid(name)) if pid]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(for_s)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    return f"{fault}: {name} for {for_s:.1f} s"


def faults(number: int, seed: int) -> dict:
    """Place the orders under faults, and hold the set against the simulator's truth."""
    dice = random.Random(seed)
    planned = [FAULTS[n % len(FAULTS)] for n in range(number)]
    dice.shuffle(planned)
    with tempfile.TemporaryDirectory() as place, sim.start(profile="calm") as simulator:
        folder, journal = Path(place), Path(place) / "journals"
        with Cluster(folder / "hosts", simulator.app_id, relays=True) as cluster:
            coordinator = Coordinator(simulator, journal, cluster.address)
            told = []
            for fault in planned:
                # The next moment is one of a run that places: a part needs its time to begin.
                before = len(list(journal.glob("*/*.jsonl")))
                late = time.monotonic() + 120
                more = dice.randint(2, 12)
                while time.monotonic() < late and coordinator.process.poll() is None:
                    if len(list(journal.glob("*/*.jsonl"))) >= before + more:
                        break
                    time.sleep(0.02)
                time.sleep(dice.uniform(0, 1))
                told.append(strike(fault, cluster, coordinator, dice))
                print(f"{before:4} recorded, then {told[-1]}", flush=True)
            coordinator.follow()
        recs = fnb.load(journal)
        return result(recs, simulator.truth(), told, coordinator.starts)


def result(recs: fnb.Recordings, truth: list[dict], told: list[str], parts: int) -> dict:
    """Count what went wrong."""
    by_request = {line["request_id"]: line["order"] for line in truth}
    # What the simulator saw of each order of the plan, by the request id of its recordings.
    table = recs.orders
    sent = Counter(
        int(slot)
        for slot, request in zip(table["slot"], table["request_id"], strict=True)
        if request in by_request
    )
    known = set(table["request_id"])
    placed = {line["order"] for line in truth if line["event"] == "order-placed"}
    seen = {line["order"] for line in truth}
    return {
        "told": told,
        "parts": parts,
        "recordings": len(recs),
        "slots": table["slot"].nunique(),
        "slots twice": sum(n > 1 for n in Counter(table["slot"]).values()),
        "sent twice": sum(n > 1 for n in sent.values()),
        "seen by the simulator": len(seen),
        "placed in truth": len(placed),
        "not in the set": len(set(by_request) - known),
        "outcomes": table["outcome"].value_counts().to_dict(),
        "without end": int((table["order_exists"] == "unknown").sum()),
    }


def lags(rate: int, seconds: int) -> pd.Series:
    """Return how late orders start over three hosts, their clocks' offsets included."""
    from distributed import Client

    with (
        tempfile.TemporaryDirectory() as place,
        fnb.connect(profile="calm", journal=Path(place) / "journals") as lab,
        Cluster(Path(place) / "hosts", lab.simulator.app_id) as cluster,
        Client(cluster.address) as client,
    ):
        recs = lab.sweep(
            fnb.Order.example(), count=rate * seconds, rate=rate, concurrency=256, on=client
        )
        # The first second is that of a plan that has just begun.
        table = recs.orders.sort_values("slot").iloc[rate:]
        print(recs.orders.groupby("host", observed=True).size(), recs.warnings)
        return table["schedule_lag_ms"]


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coordinate", nargs=4)
    parser.add_argument("--faults", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=("faults", "lags"))
    args = parser.parse_args()
    if args.coordinate:
        coordinate(*args.coordinate)
    if args.only != "lags":
        found = faults(args.faults, args.seed)
        print(found)
        assert not found["slots twice"] + found["sent twice"], "an order was sent twice"
    if args.only != "faults":
        lag = lags(LAG_RATE, LAG_SECONDS)
        print(lag.describe(percentiles=[0.5, 0.9, 0.99]), f"load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
