"""Send events over a path that loses and reorders packets: ``python -m benchmarks network``.

What do TCP's counters tell of an event that came late? In a network namespace of its own, a TUN
device carries all packets between a sender and the recorder to a relay in this process. The relay
delays each, and drops or holds some. The result is printed and written to
``docs/benchmarks-network.md``.
"""

import argparse
import asyncio
import fcntl
import heapq
import json
import os
import random
import secrets
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from firmly_nb.api.secrets import SecretStr
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.process import WorkerProcess
from firmly_nb.recorder.records import Event, Start

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-network.md"
OURS, THEIRS = "10.9.0.1", "10.9.0.2"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SYN = 0x02
DELAY_S, LATE_S, HOLD_S = 0.020, 0.010, 0.007
SHARE = 0.15
SEGMENT, CART = 600, 5_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = """# What TCP's counters tell of a late event

An event came late: did the network lose a packet, or was it something else? The recorder keeps what
the kernel counts: `retransmits` and `reordered` ([timing](timing.md)). Here events travel over a
path that really loses and reorders packets. An event bears a sign if one of the counts rose since
the event before. The path takes {delay:.0f} ms, and {hold:.0f} ms more for packets that are
overtaken. An event is late if it took more than {limit:.0f} ms.

| the path | apart | size | events | late | late, with a sign | on time | on time, with a sign |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

Read it in both directions:

- **No sign does not mean no loss.** {unsigned} of {late_by_loss} late events bore none, although
  packets were lost.
- **A sign does not mean late.** {signed_in_time} of {in_time:,} events that came in time bore one.
- A request that was sent again raises `retransmits` only. It says nothing about the events.

So firmly-nb names no cause of a late event: the counts cannot tell.

## How to reproduce

```sh
pip install -e '.[dev]'
python -m benchmarks network
```

It needs Linux with `unshare` and `ip`, and permission to make a network namespace. It takes about a
minute. {orders} orders run at once, with {events} events each. The counts differ from run to run,
most of all with overtaken packets and events 5 ms apart: 0, 1 and 122 were late in three runs.
Other programs used the machine. The first two rows show how many events were late for that reason
alone.
"""


@dataclass(frozen=True)
class Way:
    """What the relay does to packets with data, and how events are sent over it."""

    name: str
    gap_s: float
    size: int
    lost: float = 0.0
    held: float = 0.0
    lost_of_ours: float = 0.0


PATHS = (
    Way("all arrive in order", 0.3, CART),
    Way("all arrive in order", 0.005, SEGMENT),
    Way("15 % lost", 0.3, SEGMENT, lost=SHARE),
    Way("15 % lost", 0.3, CART, lost=SHARE),
    Way("15 % lost", 0.005, SEGMENT, lost=SHARE),
    Way("15 % overtaken, none lost", 0.3, CART, held=SHARE),
    Way("15 % overtaken, none lost", 0.005, SEGMENT, held=SHARE),
    Way("15 % lost of what we send", 0.3, SEGMENT, lost_of_ours=SHARE),
)


class Relay:
    """TUN device whose packets come back from the other address, later, or not at all.

    Both ends live in one namespace. Source and destination are exchanged, which leaves the
    checksums as they are.
    """

    def __init__(self, seed: int) -> None:
        self.path = PATHS[0]
        self.port = 0  # of the sender
        self._dice = random.Random(seed)
        self._device = os.open("/dev/net/tun", os.O_RDWR)
        request = struct.pack("16sH22x", b"tun0", _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(self._device, _TUNSETIFF, request)
        for command in ("link set lo up", f"addr add {OURS}/24 dev tun0", "link set tun0 up"):
            subprocess.run(["ip", *command.split()], check=True)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        waiting: list[tuple[float, int, bytes]] = []
        number = 0
        while True:
            patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            if select.select([self._device], [], [], patience)[0]:
                packet = os.read(self._device, 65_536)
                number += 1
                if packet[0] >> 4 == 4 and (after := self._delay_s(packet)) is not None:
                    back = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                    heapq.heappush(waiting, (time.monotonic() + after, number, back))
            while waiting and waiting[0][0] <= time.monotonic():
                os.write(self._device, heapq.heappop(waiting)[2])

    def _delay_s(self, packet: bytes) -> float | None:
        """Return how long a packet takes; None: it is lost."""
        head = (packet[0] & 15) * 4
        from_port = int.from_bytes(packet[head : head + 2], "big")
        has_data = len(packet) > head + (packet[head + 12] >> 4) * 4
        if packet[head + 13] & _SYN:
            return DELAY_S
        if from_port != self.port:
            return None if self._dice.random() < self.path.lost_of_ours else DELAY_S
        if has_data and self._dice.random() < self.path.lost:
            return None
        held = has_data and self._dice.random() < self.path.held
        return DELAY_S + (HOLD_S if held else 0.0)


def serve(listener: socket.socket) -> None:
    """Answer each request with events that hold the time at which they were sent."""
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=_send_events, args=(peer,), daemon=True).start()


def _send_events(peer: socket.socket) -> None:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with peer, peer.makefile("rb") as asked:
        size = 0
        while (line := asked.readline()).strip():
            if line.lower().startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        order = json.loads(asked.read(size))
        peer.sendall(HEAD)
        for number in range(order["events"]):
            time.sleep(order["gap_s"])
            data = json.dumps({"n": number, "fill": "x" * order["size"], "sent": time.time_ns()})
            block = f"event: timed\ndata: {data}\n\n".encode()
            peer.sendall(b"%x\r\n%b\r\n" % (len(block), block))
        peer.sendall(b"0\r\n\r\n")
        peer.shutdown(socket.SHUT_WR)
        asked.read()


def job_of(path: Way, events: int) -> Job:
    """Return an order that the sender answers with events."""
    start = Start(
        recording_id=f"network-{secrets.token_hex(8)}",
        started_at_ns=time.time_ns(),
        environment="network",
        domain="network.test",
        items=[],
        sse=True,
        connection="cold",
        timeout_s=60.0 + events * path.gap_s,
        milestones=["timed"],
    )
    body = {"events": events, "gap_s": path.gap_s, "size": path.size}
    return Job(start=start, body=body, token=SecretStr(secrets.token_hex(8)))


async def record(worker: WorkerProcess, path: Way, events: int) -> list[tuple[bool, bool]]:
    """Record one order; return for each event whether it was late, and whether it bore a sign."""
    came: list[Event] = []
    await worker.place(
        job_of(path, events), lambda told: came.append(told) if isinstance(told, Event) else None
    )
    found = []
    counted = 0
    for event in came:
        took_s = (event.wall_ns - event.data["sent"]) / 1e9
        now = (event.retransmits or 0) + (event.reordered or 0)
        found.append((took_s > DELAY_S + LATE_S, now > counted))
        counted = now
    return found


async def measure(relay: Relay, orders: int, events: int) -> list[list[tuple[bool, bool]]]:
    """Send events over each path; return what was found of each event."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        worker = WorkerProcess(f"http://{THEIRS}:{relay.port}", Path(folder))
        try:
            for path in PATHS:
                relay.path = path
                recorded = [record(worker, path, events) for _ in range(orders)]
                found.append([each for order in await asyncio.gather(*recorded) for each in order])
                print(_row(path, found[-1]), flush=True)
        finally:
            await worker.aclose()
    return found


def _row(path: Way, found: list[tuple[bool, bool]]) -> str:
    late = [sign for is_late, sign in found if is_late]
    in_time = [sign for is_late, sign in found if not is_late]
    size = f"{path.size / 1000:.1f} kB"
    numbers = [len(found), len(late), sum(late), len(in_time), sum(in_time)]
    cells = [path.name, f"{path.gap_s * 1000:.0f} ms", size, *map(str, numbers)]
    return f"| {' | '.join(cells)} |"


def inside(options: argparse.Namespace) -> None:
    """Measure in the namespace, print and write the page."""
    relay = Relay(options.seed)
    listener = socket.create_server((OURS, 0), backlog=128)
    relay.port = listener.getsockname()[1]
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    found = asyncio.run(measure(relay, options.orders, options.events))
    late = [
        sign
        for path, rows in zip(PATHS, found, strict=True)
        if path.lost
        for is_late, sign in rows
        if is_late
    ]
    in_time = [sign for rows in found for is_late, sign in rows if not is_late]
    page = TEXT.format(
        limit=(DELAY_S + LATE_S) * 1000,
        hold=HOLD_S * 1000,
        delay=DELAY_S * 1000,
        rows="\n".join(map(_row, PATHS, found)),
        unsigned=late.count(False),
        late_by_loss=len(late),
        signed_in_time=sum(in_time),
        in_time=len(in_time),
        orders=options.orders,
        events=options.events,
    )
    print(page)
    PAGE.write_text(page, "utf-8")


def main() -> None:
    """Make a namespace and measure there."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--orders", type=int, default=20, help="at once")
    asked.add_argument("--events", type=int, default=15, help="of each order")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.inside:
        inside(options)
        return
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ip"):
        sys.exit("This benchmark needs Linux with unshare (util-linux) and ip (iproute2).")
    own = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-m"]
    plain = {name: v for name, v in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [*own, "benchmarks.network", "--inside", *sys.argv[1:]], check=False, env=plain
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
