"""Limits of one order against servers that do not stop: time, and memory of both processes.

``python -m benchmarks.limits`` prints a table. Each case runs in a notebook process of its own,
with a server in another. Memory is what each process had resident at most; of the notebook above
what it had after an ordinary order, at most and once the order has ended and was shown, and then at
most while its journal is loaded and shown (Linux).
"""

import asyncio
import gc
import gzip
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from jwcrypto import jwk

import firmly_nb as fnb

MEGABYTE = 1024 * 1024
LIMIT_S = 20.0
NUMBER = json.dumps({"platform_order_number": "T-1", "cart_status": "submitted"})
PLACED = f"event: order-placed\ndata: {NUMBER}\n\n".encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"


async def calm() -> AsyncIterator[bytes]:
    """Send what an ordinary order sends."""
    yield HEAD + b"\r\n" + PLACED


async def tiny_events() -> AsyncIterator[bytes]:
    """Send a million events of 8 bytes, then the success."""
    yield HEAD + b"\r\n"
    for _ in range(1000):
        yield b"data:1\n\n" * 1000
    yield PLACED


async def large_event() -> AsyncIterator[bytes]:
    """Send an event of 9 MB of JSON with the success in it."""
    yield HEAD + b'\r\nevent: order-placed\ndata: {"items": ['
    for _ in range(900):
        yield b'{"a": 12},' * 1000
    yield b"0]," + NUMBER[1:].encode() + b"\n\n"


async def largest_kept_event() -> AsyncIterator[bytes]:
    """Send an event below max_event_bytes, of the JSON that takes most memory."""
    yield HEAD + b"\r\nevent: item-added\ndata: ["
    for _ in range(6):
        yield b"[]," * 100_000
    yield b"0]\n\n" + PLACED


async def many_large_events() -> AsyncIterator[bytes]:
    """Send 80 events of 1.8 MB each: more than max_stream_bytes."""
    yield HEAD + b"\r\n"
    for _ in range(80):
        yield b'event: item-added\ndata: "'
        for _ in range(18):
            yield b"x" * 100_000
        yield b'"\n\n'
    yield PLACED


async def cart_event() -> AsyncIterator[bytes]:
    """Send a cart of 9 MB as carts are, with the success in it."""
    money = {"currency": "USD", "symbol": "$", "number": 1299, "value": 12.99}
    line = {"sku": "WS12", "description": "A tee", "quantity": 1, "price": money, "total": money}
    lines = [{"line_item_id": f"line-{n}", **line} for n in range(36_000)]
    order = {**json.loads(NUMBER), "line_items": lines}
    yield HEAD + b"\r\nevent: order-placed\ndata: "
    yield json.dumps({"order": order}).encode() + b"\n\n"


async def large_cart_event() -> AsyncIterator[bytes]:
    """Send a cart of 30 MB."""
    async for piece in cart_event():
        head, _, cart = piece.partition(b'"line_items": [')
        lines = cart.rpartition(b"]")[0]
        yield head + _ + b", ".join([lines] * 4) + cart[len(lines) :] if lines else piece


async def text_event() -> AsyncIterator[bytes]:
    """Send an event of 30 MB that is one text."""
    yield HEAD + b'\r\nevent: item-added\ndata: "'
    for _ in range(300):
        yield b"x" * 100_000
    yield b'"\n\n' + PLACED


def bomb(content: bytes, layers: int) -> bytes:
    """Return a response whose few bytes unfold into a stream with the success at its end."""
    packed = content + PLACED
    for _ in range(layers):
        packed = gzip.compress(packed, 9)
    encoding = ", ".join(["gzip"] * layers).encode()
    return HEAD + b"Content-Encoding: %b\r\n\r\n" % encoding + packed


async def bomb_of_one_event() -> AsyncIterator[bytes]:
    """Send an event of 500 MB, packed twice."""
    yield bomb(b"data: " + b"x" * 500_000_000 + b"\n\n", 2)


async def bomb_of_events() -> AsyncIterator[bytes]:
    """Send half a million events of 8 bytes, packed twice."""
    yield bomb(b"data:1\n\n" * 500_000, 2)


async def long_ids() -> AsyncIterator[bytes]:
    """Send an id of a megabyte, which holds for each of the 300 events after it."""
    yield HEAD + b"\r\nid: " + b"n" * MEGABYTE + b"\n"
    yield b"data: 1\n\n" * 300 + PLACED


async def headers() -> AsyncIterator[bytes]:
    """Send header lines until the client has gone."""
    yield HEAD
    while True:
        yield b"x-more: and more\r\n" * 1000


async def heartbeats() -> AsyncIterator[bytes]:
    """Send comments until the client has gone."""
    yield HEAD + b"\r\n"
    while True:
        yield b":\n" * 10_000


async def events_for_ever() -> AsyncIterator[bytes]:
    """Send events until the client has gone."""
    yield HEAD + b"\r\n"
    while True:
        yield b"data:1\n\n" * 1000


CASES = {
    "calm": (calm, {}),
    "million": (tiny_events, {}),
    "million-kept": (tiny_events, {"max_events": 1_000_000}),
    "nine-megabytes": (large_event, {}),
    "nine-megabytes-kept": (large_event, {"max_event_bytes": 16 * MEGABYTE}),
    "largest-kept": (largest_kept_event, {}),
    "many-large": (many_large_events, {}),
    "nine-megabytes-cart": (cart_event, {"max_event_bytes": 16 * MEGABYTE}),
    "thirty-megabytes-cart": (large_cart_event, {"max_event_bytes": 32 * MEGABYTE}),
    "thirty-megabytes-text": (text_event, {"max_event_bytes": 32 * MEGABYTE}),
    "bomb": (bomb_of_one_event, {}),
    "bomb-of-events": (bomb_of_events, {}),
    "long-ids": (long_ids, {}),
    "headers": (headers, {}),
    "heartbeats": (heartbeats, {}),
    "for-ever": (events_for_ever, {}),
}


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request after the other, as its path says."""
    key = {**json.loads(jwk.JWK.generate(kty="RSA", size=2048).export_public()), "kid": "k"}
    session = {"access_token": "t", "device_id": "d", "expires": time.time() + 3600}
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = int(
                (head.lower() + b"content-length: 0\r\n").split(b"content-length: ")[1].split()[0]
            )
            await reader.readexactly(size)
            path = head.split()[1].decode()
            if "place-order" in path:
                name = path.split("/domains/")[1].split(".")[0]
                async for piece in CASES[name][0]():
                    writer.write(piece)
                    await writer.drain()
                break
            body = json.dumps(key if "payment/key" in path else session).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the client has gone
    finally:
        writer.close()


async def serve() -> None:
    """Serve until this process is ended; print the port."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def peak(pid: int) -> float:
    """Return what a process had resident at most, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def show(rec: fnb.Recording) -> None:
    """Show a recording as a notebook does."""
    repr(rec)
    rec._repr_html_()


class More:
    """What this process has resident beyond what it had before, in MB."""

    def __init__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        self.before = psutil.Process().memory_info().rss / 1e6

    def at_most(self) -> int:
        """Return it at most."""
        return round(peak(psutil.Process().pid) - self.before)

    def now(self) -> int:
        """Return it now."""
        gc.collect()
        return round(psutil.Process().memory_info().rss / 1e6 - self.before)


def place(name: str, port: int) -> dict[str, object]:
    """Place the order of one case in this process, after an ordinary one."""
    options = CASES[name][1]
    with TemporaryDirectory() as folder:
        domains = [f"{one}.example.test" for one in CASES]
        with fnb.connect(
            api_url=f"http://127.0.0.1:{port}", app_id="app", allow_domains=domains, journal=folder
        ) as lab:
            order = fnb.Order.example()
            calm = lab.place(order.model_copy(update={"domain": domains[0]}), progress=False)
            show(calm)
            show(fnb.load(folder)[0])
            [recorder] = psutil.Process().children()
            placing, began = More(), time.perf_counter()
            rec = lab.place(
                order.model_copy(update={"domain": f"{name}.example.test"}),
                progress=False,
                timeout_s=LIMIT_S,
                **options,
            )
            took = time.perf_counter() - began
            show(rec)
            more, still = placing.at_most(), placing.now()
            [journal] = Path(folder).rglob(f"{rec.recording_id}.jsonl")
            loading = More()
            show(fnb.load(journal)[0])
            return {
                "case": name,
                "outcome": rec.outcome,
                "number": rec.order_number,
                "events": len(rec.recorded.events),
                "s": round(took, 1),
                "kept MB": round(journal.stat().st_size / 1e6, 1),
                "recorder MB": round(peak(recorder.pid)),
                "notebook MB more": more,
                "afterwards": still,
                "loading MB more": loading.at_most(),
            }


def main() -> None:
    """Run every case in a process of its own and print the table."""
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
        return
    if sys.argv[1:]:
        print(json.dumps(place(sys.argv[1], int(sys.argv[2]))))
        return
    me = [sys.executable, "-m", "benchmarks.limits"]
    with subprocess.Popen([*me, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            head: list[str] = []
            for name in CASES:
                done = subprocess.run([*me, name, port], stdout=subprocess.PIPE, check=True)
                row = json.loads(done.stdout)
                if not head:
                    head = list(row)
                    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
                print("| " + " | ".join(str(row[key]) for key in head) + " |", flush=True)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
