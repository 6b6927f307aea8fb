"""Sends events at known times: ``python -m firmly_nb.recorder.calibration_sender``.

A server on loopback that answers Place Order with events whose data holds the time at which they
were sent. It runs in a process of its own, so that neither notebook nor recorder delays it, uses
the standard library alone, so that it starts at once, and ends with the process that started it.

The first line of its input is a JSON object: ``certificate`` names a PEM file with certificate and
key, or is null for plain HTTP. It then says its port as a line of JSON.

Each order's body says what to send: ``events``, ``seed``, ``min_gap_ms``, ``max_gap_ms``. For each
event three times are taken, all CLOCK_REALTIME:

- ``sent_wall_ns`` immediately before the send; it travels in the event itself (``sent_mono_ns`` is
  the same moment on the monotonic clock);
- ``handed_wall_ns`` when the kernel handed the bytes to the network device (Linux; else null): from
  here on it is no longer the sender that is late;
- ``returned_wall_ns`` when the call to send came back.

The last two travel in the data of the last event, ``calibration-end``.
"""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
from contextlib import suppress
from typing import Any

EVENT, LAST_EVENT = "calibration", "calibration-end"
# <asm-generic/socket.h> and <linux/net_tstamp.h>: the socket module does not name them.
_SO_TIMESTAMPING = 37
_TX_SOFTWARE, _SOFTWARE, _OPT_ID, _OPT_TSONLY = 1 << 1, 1 << 4, 1 << 7, 1 << 11
_TIMESPEC = struct.Struct("@ll")
_BACKLOG = 128
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
# As much JSON as a small cart, so that the recorder has its usual work with each event.
_CART = json.dumps(
    {
        "cart_status": "active",
        "line_items": [
            {"sku": f"{n:010x}", "title": "Cotton shirt, long sleeves", "quantity": 1}
            | {"price": {"currency": "USD", "value": 20.25 + n, "symbol": "$", "number": 2025}}
            for n in range(12)
        ],
    }
).encode()
# Numbers of fixed width (JSON allows the spaces), so that nothing is computed after the clock.
_DATA = b'{"n":%4d,"sent_wall_ns":%20d,"sent_mono_ns":%20d,"cart":' + _CART + b"}"
_BLOCK = b"event: " + EVENT.encode() + b"\ndata: " + _DATA + b"\n\n"
_CHUNK = b"%x\r\n" % len(_BLOCK % (0, 0, 0)) + _BLOCK + b"\r\n"


def gaps_s(events: int, seed: int, min_gap_ms: float, max_gap_ms: float) -> list[float]:
    """Draw the pauses before the events: every order of magnitude is as frequent as the next.

    Examples
    --------
    >>> [round(gap, 4) for gap in gaps_s(3, 7, 0.5, 30.0)]
    [0.0019, 0.0009, 0.0072]
    """
    dice = random.Random(seed)  # noqa: S311 - a pattern, not a secret
    return [min_gap_ms / 1000 * (max_gap_ms / min_gap_ms) ** dice.random() for _ in range(events)]


class _Stream:
    """Connection, and the kernel's timestamps of its sent bytes."""

    def __init__(self, peer: socket.socket, context: ssl.SSLContext | None) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kernel = peer.dup()  # TLS sockets do not show the kernel's answers
        self.wire = context.wrap_socket(peer, server_side=True) if context else peer
        self.input = self.wire.makefile("rb")

    def request(self) -> tuple[str, bytes] | None:
        """Read one request: method and body; None at the end."""
        line = self.input.readline()
        if not line:
            return None
        size = 0
        while (header := self.input.readline()).strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        return line.split()[0].decode(), self.input.read(size)

    def ask_for_stamps(self) -> None:
        flags = _TX_SOFTWARE | _SOFTWARE | _OPT_ID | _OPT_TSONLY
        with suppress(OSError):
            self.kernel.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, flags)

    def handed_ns(self, earliest: int, latest: int) -> int | None:
        """Return when the kernel handed over what was sent between two moments."""
        if sys.platform != "linux":
            return None
        found = None
        with suppress(OSError):
            while True:
                _, ancillary, _, _ = self.kernel.recvmsg(0, 256, socket.MSG_ERRQUEUE)
                for level, kind, payload in ancillary:
                    if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPING:
                        seconds, nanoseconds = _TIMESPEC.unpack_from(payload)
                        stamp = int(seconds) * 1_000_000_000 + int(nanoseconds)
                        found = stamp if earliest <= stamp <= latest else found
        return found

    def close(self) -> None:
        for part in (self.input, self.wire, self.kernel):
            with suppress(OSError):
                part.close()


def _send_events(stream: _Stream, order: dict[str, Any]) -> None:
    stream.wire.sendall(_HEAD)
    stream.ask_for_stamps()
    handed: list[int | None] = []
    returned: list[int] = []
    pauses = gaps_s(order["events"], order["seed"], order["min_gap_ms"], order["max_gap_ms"])
    for number, pause in enumerate(pauses, start=1):
        time.sleep(pause)
        sent = time.time_ns()
        stream.wire.sendall(_CHUNK % (number, sent, time.perf_counter_ns()))
        returned.append(time.time_ns())
        handed.append(stream.handed_ns(sent, returned[-1]))
    last = json.dumps({"handed_wall_ns": handed, "returned_wall_ns": returned})
    block = f"event: {LAST_EVENT}\ndata: {last}\n\n".encode()
    stream.wire.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(block), block))


def _serve_peer(peer: socket.socket, context: ssl.SSLContext | None) -> None:
    try:
        stream = _Stream(peer, context)
    except OSError:
        peer.close()
        return
    try:
        while (request := stream.request()) is not None:
            method, body = request
            if method == "POST":
                _send_events(stream, json.loads(body))
            else:  # the recorder's request before a warm order
                stream.wire.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
    except OSError:
        pass  # the recorder has what it wanted
    finally:
        stream.close()


def _accept(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=_serve_peer, args=(peer, context), daemon=True).start()


def main() -> None:
    """Serve until the input ends, which it does when the process that started this one is gone."""
    settings = json.loads(sys.stdin.readline())
    context = None
    if settings["certificate"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"])
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    threading.Thread(target=_accept, args=(listener, context), daemon=True).start()
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # streams that are still open do not hold it


if __name__ == "__main__":
    main()
