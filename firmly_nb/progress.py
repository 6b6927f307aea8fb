"""A line for each event as it arrives, shown by whoever waits for the order.

Printing from the background thread would not arrive in a notebook, so records are handed over and
the waiting thread prints (design.md, section 4).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from firmly_nb.api.printable import printable
from firmly_nb.recording.records import End, Event, Start
from firmly_nb.recording.words import milliseconds

if TYPE_CHECKING:
    from firmly_nb.recording.records import Record

NAME_WIDTH = 18
MS_PER_BLOCK = 25
MAX_BLOCKS = 40


class EventLines:
    """Prints an order while it runs."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.last_ns = 0

    def show(self, record: Record) -> None:
        """Print the line of one record; the end prints nothing, the recording speaks for it."""
        if isinstance(record, Start):
            n = sum(item.get("quantity", 1) for item in record.items)
            pieces = "1 piece" if n == 1 else f"{n} pieces"
            self._print(f"{record.domain} ({record.environment}), {pieces}")
        elif isinstance(record, Event):
            gap_ms = (record.t_ns - self.last_ns) / 1e6
            self.last_ns = record.t_ns
            bar = "▇" * min(max(round(gap_ms / MS_PER_BLOCK), 1), MAX_BLOCKS)
            time = milliseconds(record.t_ns / 1e6)
            gap = milliseconds(gap_ms)
            name = printable(record.event)[:60]
            self._print(f"  {name:<{NAME_WIDTH}} {time:>9} ms  +{gap:>7}  {bar}")
        elif isinstance(record, End):
            self.out.flush()

    def _print(self, line: str) -> None:
        encoding = getattr(self.out, "encoding", None) or "utf-8"
        print(line.encode(encoding, "replace").decode(encoding), file=self.out, flush=True)
