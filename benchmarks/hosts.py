"""Sweeps from several machines, under faults and on time: ``python -m benchmarks.hosts``.

Three Dask workers on loopback place 300 orders. At twelve random moments a host is killed, frozen
or ended, its network is cut, or the coordinator is killed and resumed. The simulator's log
says what was ordered. Then 60 orders a second are planned over the three hosts. The page is written
to ``docs/benchmarks-hosts.md``.
"""

import argparse
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import firmly_nb as fnb
from firmly_nb import sim
from tests.dask_cluster import NAMES, Cluster, Relays

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-hosts.md"
ORDERS, RATE = 300, 3.0
FAULTS = ("host killed", "host frozen", "host ended", "network cut", "coordinator killed")
# Longer than an order may be sent after its planned start.
FROZEN_S = (3.0, 14.0)
LAG_RATES, LAG_SECONDS = (15, 60), 20
RUN_ID = "faults"
# What one order costs there. So tight a budget ends a run that counts one twice.
PRICE_MINOR, SPARE = 3_047, 5
# A second run that has money for some of its orders only.
POOR_ORDERS, MONEY_FOR, POOR_FAULTS = 60, 40, 4
HARMS = ("slots twice", "begun twice", "sent twice", "not in the set", "left out", "over budget")
TEXT = """# Faults of a sweep from several machines

Does a sweep from several machines send an order twice, or lose one, when something breaks? Three
Dask workers on loopback placed {orders} orders, {rate:g} a second, on the simulator. At {faults}
random moments (seed {seed}) one of these happened:

{kinds}

A frozen host was stopped with its recorder (SIGSTOP), some of them past the end of their leases.
{network}
A host was ended with SIGTERM, or killed. Its nanny started it again.
A coordinator was killed (SIGKILL) and resumed; the whole run took {parts} parts.

| | orders |
| --- | ---: |
| planned | {orders} |
| seen by the simulator | {seen} |
| placed, by the simulator's log | {placed} |
| in the set | {recordings} |
| in the set with unknown end | {unknown} |
| **planned, and sent twice** | **{twice}** |
| **seen by the simulator, and not in the set** | **{lost}** |
| **planned, and not in the set** | **{left}** |

The budget had money for {spare} orders more than were planned. A second run of {poor} orders had
{poor_faults} faults, and money for {money_for}: the simulator placed {poor_placed}. An order that
is cut off counts with a tenth more than its price.

{verdict}

The simulator logs the request id of each order. So each order that it saw is one of the plan, by
its recording. An order was cut off when its host was killed; whether it exists is not known then,
and it was not sent again.

## Start times over three hosts

Orders planned on the coordinator's clock and sent by three hosts, offsets included. The lag is
the time from the planned start to the moment before the request.

{lag}

The load is that of the whole machine at the end; it has {cpus} processors, which simulator,
coordinator, three hosts and three recorders share. The target is a 99th percentile of at most 5 ms
at 60 a second on a quiet machine. {quiet}

## How to reproduce

```sh
pip install -e '.[dev]'
python -m benchmarks hosts
```

The status is 1 if an order was sent twice, lost or left out. `--only faults` and `--only lags` run
one of the two, and write no page. {machine}
"""
PATIENCE_S = 900.0


ORDER = fnb.Order.example()


@dataclass(frozen=True)
class Lags:
    """Lags at one rate: p50, p90, p99 and the longest, in ms."""

    rate: int
    orders: int
    at_ms: list[float]
    load: float

    @staticmethod
    def head() -> str:
        """Return the heading of the table."""
        names = "orders a second | orders | p50, ms | p90, ms | p99, ms | longest, ms | load"
        return f"| {names} |\n| " + " | ".join(["---:"] * 7) + " |"

    def row(self) -> str:
        """Return its row."""
        times = " | ".join(f"{ms:,.2f}" if ms < 1000 else f"{ms:,.0f}" for ms in self.at_ms)
        return f"| {self.rate} | {self.orders:,} | {times} | {self.load:.0f} |"


def coordinate(
    url: str, app_id: str, journal: str, address: str, orders: str, money_for: str
) -> None:
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
        count, most_minor = int(orders), PRICE_MINOR * int(money_for)
        limits = {"total_minor": {"USD": most_minor}, "orders": count}
        recs = lab.sweep(ORDER, count=count, rate=RATE, on=client, budget=limits, **which)
        sweep = lab.last_sweep
        print(f"{sweep!r} {recs.warnings} {sweep.problems}", file=sys.stderr, flush=True)
        # Those of unknown end are asked for once more by whoever resumes.
        over = "the budget of" in sweep.progress.message
        sys.exit(3 if not over and (sweep.progress.unknown or sweep.progress.left) else 0)


# The kernel drops what such an address sends or gets beyond its own machine, unless it is told.
OWN_NETWORK = """
ip link set lo up
ip -4 addr flush dev lo
ip addr add 127.0.0.1/32 dev lo
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
"""
CUT = {
    True: "A cut network drops all packets between a host's network namespace and the cluster.",
    False: "A cut network is a relay between a host and the cluster that forwards nothing.",
}
NETWORKS = {"cluster": "127.10.0", "orders": "127.11.0"}


def in_namespace() -> int | None:
    """Run this command in a network namespace of its own; None where none can be made."""
    tools = ("unshare", "nsenter", "ip", "bridge")
    if sys.platform != "linux" or not all(map(shutil.which, tools)):
        return None
    own = ["unshare", "--user", "--map-root-user", "--net"]
    tried = [*own, "sh", "-ec", OWN_NETWORK + "ip link add v0 type veth peer name v1"]
    if subprocess.run(tried, check=False, capture_output=True).returncode:
        return None
    again = [*own, sys.executable, "-m", "benchmarks.hosts", "--apart", *sys.argv[1:]]
    return subprocess.run(again, check=False, cwd=ROOT).returncode


class Apart(Cluster):
    """Cluster whose hosts have a network namespace each, on two networks: cluster and orders.

    A host that is cut off the cluster is not told so: packets are lost, both ways. Addresses of
    127.0.0.0/8 lead from namespace to namespace here, so that no certificates are needed.
    """

    def __init__(self, folder: Path, app_id: str) -> None:
        _shell(OWN_NETWORK)
        for name, network in NETWORKS.items():
            _shell(f"ip link add {name} type bridge; ip link set {name} up")
            _shell(f"ip addr add {network}.1/24 dev {name}")
        # Each ends when its input does.
        self.spaces = {
            name: subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
            for name in NAMES
        }
        for number, name in enumerate(NAMES, 2):
            pid = self.spaces[name].pid
            # Forked at once, in a namespace of its own a little later.
            while _space_of(pid) == _space_of("self"):
                time.sleep(0.01)
            _shell(OWN_NETWORK, pid)
            for which, network in NETWORKS.items():
                # That of a cluster before goes with its namespace, which may take a moment.
                _shell(f"ip link del {name}-{which} 2>/dev/null || :")
                _shell(
                    f"ip link add {name}-{which} type veth peer name {which} netns {pid}\n"
                    f"ip link set {name}-{which} master {which} up\n"
                )
                _shell(
                    f"ip addr add {network}.{number}/24 dev {which}; ip link set {which} up", pid
                )
        super().__init__(folder, app_id)

    def at(self, name: str | None) -> list[str]:
        """Return the words that say where a host listens; None: the scheduler."""
        number = 1 if name is None else 2 + NAMES.index(name)
        return ["--host", f"{NETWORKS['cluster']}.{number}"]

    def before(self, name: str) -> list[str]:
        """Return the words before the command of a host."""
        space = self.spaces.get(name)
        return ["nsenter", "--target", str(space.pid), "--net"] if space else []

    def cut(self, name: str) -> None:
        """Let the bridge drop whatever a host sends to the cluster, or gets from it."""
        _shell(f"bridge link set dev {name}-cluster state 0")

    def mend(self, name: str) -> None:
        """Let it forward again."""
        _shell(f"bridge link set dev {name}-cluster state 3")

    def close(self) -> None:
        """End all of it."""
        super().close()
        for space in self.spaces.values():
            space.communicate()
        for name in NETWORKS:
            _shell(f"ip link del {name}")


def _shell(text: str, pid: int | None = None) -> None:
    inside = ["nsenter", "--target", str(pid), "--net"] if pid else []
    subprocess.run([*inside, "sh", "-ec", text], check=True)


def _space_of(pid: int | str) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


class Coordinator:
    """The coordinator's process: started, killed, and started again until the run is complete."""

    def __init__(self, *words: str) -> None:
        self.words = words
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
    if number := {"host killed": signal.SIGKILL, "host ended": signal.SIGTERM}.get(fault):
        pid = cluster.signal(name, number)
        return f"{fault}: {name} ({pid})"
    if fault == "network cut":
        cluster.cut(name)
        time.sleep(for_s)
        cluster.mend(name)
        return f"{fault}: {name} for {for_s:.1f} s"
    # With its recorder: frozen together they keep orders that were lent past their time.
    frozen = [pid for pid in (cluster.recorder(name), cluster.pid(name)) if pid]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(for_s)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    return f"{fault}: {name} for {for_s:.1f} s"


def faults(
    number: int, seed: int, *, apart: bool, orders: int = ORDERS, money_for: int = ORDERS + SPARE
) -> dict:
    """Place the orders under faults, and hold the set against the simulator's truth."""
    dice = random.Random(seed)
    planned = [FAULTS[n % len(FAULTS)] for n in range(number)]
    dice.shuffle(planned)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        journal, hosts = folder / "journals", folder / "hosts"
        # The hosts reach the simulator by an address that leads into their namespaces.
        reached = f"{NETWORKS['orders']}.1" if apart else "127.0.0.1"
        simulator = stack.enter_context(sim.start(profile="calm", hosts=reached))
        app_id, url = simulator.app_id, simulator.url
        cluster: Cluster
        cluster = Apart(hosts, app_id) if apart else Cluster(hosts, app_id, relays=True)
        stack.enter_context(cluster)
        if apart:
            port = int(url.rpartition(":")[2])
            way = Relays(port, port, reached)
            stack.callback(way.close)
            url = f"http://{reached}:{way.out}"
        about = (url, app_id, str(journal), cluster.address)
        coordinator = Coordinator(*about, str(orders), str(money_for))
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
        # Each host has the journals of what it has begun.
        begun = Counter(fnb.load(hosts / "workers").orders["slot"])
        return {
            **result(fnb.load(journal), simulator.truth(), min(orders, money_for), money_for),
            "told": told,
            "parts": coordinator.starts,
            "begun twice": sum(n > 1 for n in begun.values()),
            "network": CUT[apart],
        }


def result(recs: fnb.Recordings, truth: list[dict], expected: int, money_for: int) -> dict:
    """Count what went wrong."""
    # What the simulator saw of each order of the plan, by the request id of its recordings.
    table = recs.orders
    requests = {line["request_id"] for line in truth}
    pairs = zip(table["slot"], table["request_id"], strict=True)
    sent = Counter(int(slot) for slot, request in pairs if request in requests)
    # The last order is asked for a tenth more than its price, as is each that was cut off.
    unknown = int((table["order_exists"] == "unknown").sum())
    spare = 1 + unknown if expected == money_for else 0
    placed = len({line["order"] for line in truth if line["event"] == "order-placed"})
    return {
        "recordings": len(recs),
        "slots twice": sum(n > 1 for n in Counter(table["slot"]).values()),
        "sent twice": sum(n > 1 for n in sent.values()),
        "seen": len({line["order"] for line in truth}),
        "placed": placed,
        "not in the set": len(requests - set(table["request_id"])),
        "left out": max(expected - spare - table["slot"].nunique(), 0),
        "over budget": max(placed - money_for, 0),
        "unknown": unknown,
    }


def lags(rate: int, seconds: int) -> Lags:
    """Return how late orders start over three hosts, their clocks' offsets included."""
    from distributed import Client

    with (
        tempfile.TemporaryDirectory() as place,
        fnb.connect(profile="calm", journal=Path(place) / "journals") as lab,
        Cluster(Path(place) / "hosts", lab.simulator.app_id) as cluster,
        Client(cluster.address) as client,
    ):
        recs = lab.sweep(ORDER, count=rate * seconds, rate=rate, concurrency=256, on=client)
        # The first second is that of a plan that has just begun.
        table = recs.orders.sort_values("slot").iloc[rate:]
        at = table["schedule_lag_ms"].quantile([0.5, 0.9, 0.99, 1.0]).tolist()
        found = Lags(rate, len(table), at, os.getloadavg()[0])
        print(found, recs.warnings, flush=True)
        return found


def written(found: dict, poor: dict, measured: list[Lags], seed: int) -> str:
    """Return the page."""
    kinds = Counter(one.partition(":")[0] for one in found["told"])
    cpus = os.cpu_count() or 1
    quiet = min(one.load for one in measured) < cpus  # the other rate makes a load of its own
    harm = sum(run[name] for run in (found, poor) for name in HARMS)
    return TEXT.format(
        orders=ORDERS,
        rate=RATE,
        faults=len(found["told"]),
        seed=seed,
        kinds="\n".join(f"- {name}: {n} times" for name, n in sorted(kinds.items())),
        parts=found["parts"],
        network=found["network"],
        seen=found["seen"],
        placed=found["placed"],
        recordings=found["recordings"],
        unknown=found["unknown"],
        twice=found["slots twice"] + found["sent twice"] + found["begun twice"],
        spare=SPARE,
        poor=POOR_ORDERS,
        poor_faults=POOR_FAULTS,
        money_for=MONEY_FOR,
        poor_placed=poor["placed"],
        lost=found["not in the set"],
        left=found["left out"],
        verdict="No fault was found." if not harm else f"Faults: **{harm}**.",
        lag="\n".join(map(str, [Lags.head(), *(one.row() for one in measured)])),
        cpus=cpus,
        quiet="" if quiet else "This machine was not quiet, and the times show its load.",
        machine=f"Measured with Python {platform.python_version()} on {platform.system()}.",
    )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coordinate", nargs=6)
    parser.add_argument("--faults", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=("faults", "lags"))
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.coordinate:
        coordinate(*args.coordinate)
    if not args.apart and args.only != "lags" and (status := in_namespace()) is not None:
        return status
    runs: list[dict] = []
    if args.only != "lags":
        runs.append(faults(args.faults, args.seed, apart=args.apart))
        print(runs[-1], flush=True)
        few = {"orders": POOR_ORDERS, "money_for": MONEY_FOR}
        runs.append(faults(POOR_FAULTS, args.seed, apart=args.apart, **few))
        print(runs[-1], flush=True)
    if args.only != "faults":
        measured = [lags(rate, LAG_SECONDS) for rate in LAG_RATES]
        if runs:
            PAGE.write_text(written(runs[0], runs[1], measured, args.seed), "utf-8")
    return int(any(run[name] for run in runs for name in HARMS))


if __name__ == "__main__":
    sys.exit(main())
