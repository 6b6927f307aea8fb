"""The streams that the parsers are compared on."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

Chunks = list[bytes]


@dataclass(frozen=True)
class Workload:
    """A stream in its chunks, and how many times the speed of httpx-sse is wanted on it."""

    name: str
    meaning: str
    chunks: Chunks
    target: float = 1.5
    text_target: float | None = None


@dataclass(frozen=True)
class Pattern:
    """A stream of one kind and any size, made while it is read, as a socket would bring it."""

    kind: str
    size: int
    chunk: int

    def stream(self) -> bytes:
        """Make the whole stream."""
        match self.kind:
            case "line":
                return b"data: " + b"x" * self.size + b"\n\n"
            case "lines":
                return (b"data: " + b"x" * 1000 + b"\n") * (self.size // 1000) + b"\n"
            case "comment":
                return b":" + b"x" * self.size + b"\n"
            case "tiny":
                return b"data: 1\n\n" * (self.size // 9)
            case _:
                return b"\r" * self.size

    def chunks(self, stream: bytes) -> Iterator[bytes]:
        """Cut it, each chunk a new object that the receiver alone keeps."""
        view = memoryview(stream)
        for at in range(0, len(stream), self.chunk):
            yield bytes(view[at : at + self.chunk])


@dataclass(frozen=True)
class BigWorkload:
    """A pattern that is measured in a new process each time, since it is about memory, too."""

    name: str
    meaning: str
    pattern: Pattern
    target: float = 1.5


def pieces(stream: bytes, size: int) -> Chunks:
    """Cut a stream into pieces of one size."""
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def cart(dice: random.Random, *, ascii_only: bool) -> str:
    """Make a JSON document of 2 to 8 KB, as a cart snapshot is one."""
    lines = [
        {"sku": f"{dice.getrandbits(40):010x}", "title": "Cotton shirt, long sleeves", "qty": 1}
        | {"price": {"currency": "USD", "value": dice.random() * 100, "symbol": "$"}}
        for _ in range(dice.randint(14, 62))
    ]
    buyer = "Zoe Ardal" if ascii_only else "Zoë Ærdal, Łódź"
    return json.dumps({"buyer": buyer, "line_items": lines}, ensure_ascii=False)


def orders(count: int, *, line_end: str = "\n", ascii_only: bool = False) -> Chunks:
    """Make orders of six events each, one event a chunk."""
    dice = random.Random(7)
    blocks = (
        f"event: stage-{number % 6}\nid: {number}\ndata: {cart(dice, ascii_only=ascii_only)}\n\n"
        for number in range(count * 6)
    )
    return [block.replace("\n", line_end).encode() for block in blocks]


def workloads() -> list[Workload]:
    """Make the streams of ordinary events."""
    typical = orders(400)
    stream = b"".join(typical)
    tiny = b"".join(b"data: %d\n\n" % number for number in range(50_000))
    token = b'data: {"id": "c-1", "choices": [{"delta": {"content": "word %05d"}}], "usage": null}'
    tokens = [token % number + b"\n\n" for number in range(15_000)]
    beats = [b": keep-alive\n\n"] * 15_000
    return [
        Workload(
            "typical", "orders of 6 events, 2-8 KB of JSON, an event a chunk", typical, 3, 1.6
        ),
        Workload("64 KiB", "the same in reads of 64 KiB", pieces(stream, 1 << 16), 3, 1.6),
        Workload("ASCII", "typical in ASCII alone", orders(400, ascii_only=True), 3, 1.6),
        Workload("CRLF", "typical with CRLF", orders(400, line_end="\r\n")),
        Workload("CR", "typical with CR", orders(400, line_end="\r")),
        Workload("tiny", "50,000 times `data: N` in reads of 16 KiB", pieces(tiny, 1 << 14)),
        Workload("token", "15,000 deltas of 90 bytes, one a chunk", tokens),
        Workload("beats", "15,000 heartbeats (comments), one a chunk", beats),
        Workload("bytewise", "60 KB of typical, byte by byte", pieces(stream[:60_000], 1)),
    ]


TEN_MB = 10_000_000

BIG = [
    BigWorkload(
        "line/1K",
        "an event of 10 MB in one line, 1 KiB a chunk",
        Pattern("line", TEN_MB, 1 << 10),
        4,
    ),
    BigWorkload("line/16K", "the same, 16 KiB a chunk", Pattern("line", TEN_MB, 1 << 14)),
    BigWorkload(
        "lines/1K",
        "an event of 10 MB in lines of 1,000 characters, 1 KiB a chunk",
        Pattern("lines", TEN_MB, 1 << 10),
    ),
    BigWorkload("lines/16K", "the same, 16 KiB a chunk", Pattern("lines", TEN_MB, 1 << 14)),
]

# From this size to four times as much.
GROWTH = {
    "one line, 1 KiB a chunk": Pattern("line", 2_500_000, 1 << 10),
    "data lines, 1 KiB a chunk": Pattern("lines", 2_500_000, 1 << 10),
    "a comment, 1 KiB a chunk": Pattern("comment", 2_500_000, 1 << 10),
    "one line, byte by byte": Pattern("line", 250_000, 1),
    "data lines, byte by byte": Pattern("lines", 250_000, 1),
    "tiny events, 16 KiB a chunk": Pattern("tiny", 450_000, 1 << 14),
    "nothing but CR, 1 KiB a chunk": Pattern("cr", 250_000, 1 << 10),
}
