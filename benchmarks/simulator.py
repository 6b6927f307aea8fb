"""Whether the simulator keeps its times under load, and its memory over many orders.

``python -m benchmarks.simulator`` opens 200 event streams at once, several times over, and compares
the time at which each event was sent with the time that had been drawn for it; then it places
10,000 orders and watches the server's memory. ``--streams``, ``--rounds`` and ``--orders`` change
the numbers.
"""

import argparse
import asyncio
import json
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from jwcrypto import jwe, jwk

from firmly_nb import sim

DOMAIN = "staging.luma.gift"
ADDRESS = {
    "first_name": "Ada",
    "last_name": "Example",
    "email": "ada@example.test",
    "phone": "2065550100",
    "address1": "10 Sample Way",
    "city": "Seattle",
    "state_or_province": "WA",
    "country": "US",
    "postal_code": "98101",
}
CARD = {
    "number": "4111111111111111",
    "name": "Ada Example",
    "verification_value": "123",
    "month": "12",
    "year": "2035",
}
LIMIT_MS = 5.0


@dataclass(frozen=True)
class Caller:
    """Where to send an order, and its bytes: the same ones each time."""

    host: str
    port: int
    request: bytes


def make_caller(simulator: sim.Simulator) -> Caller:
    """Get a token and a key, and write the request."""
    headers = {"x-firmly-app-id": simulator.app_id}
    session = fetch(Request(f"{simulator.url}/api/v1/browser-session", b"", headers))
    key = fetch(Request(f"{simulator.url}/api/v1/payment/key"))
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key["kid"]}
    token = jwe.JWE(json.dumps(CARD).encode(), json.dumps(header))
    token.add_recipient(jwk.JWK(kty="RSA", n=key["n"], e=key["e"]))
    item = {"add_to_cart_ref": {"variant_id": "WS12-XS-Orange"}, "quantity": 1}
    order = {
        "encrypted_card": token.serialize(compact=True),
        "billing_info": ADDRESS,
        "shipping_info": ADDRESS,
        "items": [item],
    }
    body = json.dumps(order).encode()
    host, _, port = simulator.url.removeprefix("http://").partition(":")
    head = (
        f"POST /api/v2/payment/domains/{DOMAIN}/place-order?sse=true HTTP/1.1\r\n"
        f"Host: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"x-firmly-authorization: {session['access_token']}\r\n\r\n"
    )
    return Caller(host, int(port), head.encode() + body)


def fetch(request: Request) -> dict[str, str]:
    """Return the JSON of an answer."""
    with urlopen(request) as answer:
        return json.load(answer)


async def order(caller: Caller, count: int = 1) -> None:
    """Place orders one after the other over one connection, reading each stream to its end."""
    reader, writer = await asyncio.open_connection(caller.host, caller.port)
    for _ in range(count):
        writer.write(caller.request)
        stream = await reader.readuntil(b"\r\n0\r\n\r\n")
        if b"event: order-placed" not in stream:
            raise RuntimeError(f"not placed: {stream[:500]!r}")
    writer.close()
    await writer.wait_closed()


async def at_once(caller: Caller, streams: int) -> None:
    """Open many streams at the same time."""
    await asyncio.gather(*(order(caller) for _ in range(streams)))


def measure_times(streams: int, rounds: int) -> list[float]:
    """Return how late each event was sent, in ms."""
    with sim.start(profile="typical") as simulator:
        caller = make_caller(simulator)
        for _ in range(rounds):
            asyncio.run(at_once(caller, streams))
        return [entry["late_us"] / 1000 for entry in simulator.truth()]


def measure_memory(orders: int, steps: int = 10, connections: int = 10) -> list[tuple[int, float]]:
    """Return the server's resident memory in MiB after each part of the orders."""
    with sim.start(profile="instant") as simulator:
        caller = make_caller(simulator)
        found = [(0, resident_mib(simulator.pid))]
        each = orders // steps // connections
        for step in range(1, steps + 1):
            asyncio.run(spread(caller, connections, each))
            found.append((step * each * connections, resident_mib(simulator.pid)))
        return found


async def spread(caller: Caller, connections: int, each: int) -> None:
    """Place orders over several connections."""
    await asyncio.gather(*(order(caller, each) for _ in range(connections)))


def resident_mib(pid: int) -> float:
    """Return a process's resident memory (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile."""
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=10_000)
    asked = parser.parse_args()
    late = measure_times(asked.streams, asked.rounds)
    p99 = quantile(late, 0.99)
    print(f"{asked.streams} streams at once, {asked.rounds} times: {len(late)} events")
    print(
        f"sent after the drawn time: median {statistics.median(late):.2f} ms, "
        f"p99 {p99:.2f} ms, max {max(late):.2f} ms (limit for p99: {LIMIT_MS} ms)"
    )
    begin = time.monotonic()
    memory = measure_memory(asked.orders)
    per_s = asked.orders / (time.monotonic() - begin)
    print(f"{asked.orders} orders, about {per_s:.0f} a second; resident memory of the server:")
    print("".join(f"{count:>8} orders {mib:8.1f} MiB\n" for count, mib in memory))


if __name__ == "__main__":
    main()
