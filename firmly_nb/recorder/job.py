"""``Job``: an order to record, or one call of it, and until when it may be sent."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from firmly_nb.api.event_names import COMPLETE_ORDER
from firmly_nb.disk import read_number
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from firmly_nb.api.secrets import Hidden
    from firmly_nb.recorder.records import Start


@dataclass(frozen=True, slots=True)
class Call:
    """Call of an order that is made call by call, and how far the order is.

    The times of its event go on from those of the calls before it: pauses between calls are in
    ``Start.paused_ns`` and in no time of an event.
    """

    name: str  # of the event that its response becomes
    failed: str  # the same where it fails
    method: str
    path: str  # behind /cart/: "line-items"; or "complete-order"
    seq: int  # number of its event
    t_ns: int = 0  # time of the calls before it
    uncertainty_us: float = 0.0  # of that time

    @property
    def orders(self) -> bool:
        """True for the call that orders: it goes where cards go, and an end follows it."""
        return self.name == COMPLETE_ORDER


class LeaseOver(Exception):  # noqa: N818 - nothing went wrong
    """Order that is not to be sent any more: its lease has ended, or another one holds the run."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Right to send an order until some moment, as long as nobody else has taken the run over.

    It is checked after the order's start is on the disk, right before its request. So whoever
    raises the number of the epoch and then finds no start knows that the order was not sent, and
    never will be.
    """

    file: str  # with the number of the epoch; percent-encoded: a name need not be text
    epoch: int
    until_ns: int  # on the clock of `monotonic_ns`

    def check(self) -> None:
        """Raise :class:`LeaseOver` if the order may not be sent any more."""
        if read_number(Path(os.fsdecode(unquote_to_bytes(self.file)))) != self.epoch:
            raise LeaseOver("the run was taken over")
        if monotonic_ns() > self.until_ns:
            raise LeaseOver("the lease was over")


@dataclass(frozen=True, slots=True)
class Job:
    """Order to record, or one call of it: its start record, body and token."""

    start: Start
    body: dict[str, Any] = field(repr=False)  # holds the encrypted card
    token: Hidden
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    keep_raw: bool = False
    exact_bytes: int = 0  # of events' exact text that are told, but not written down
    max_event_bytes: int = 2 * 1024 * 1024
    max_stream_bytes: int = 64 * 1024 * 1024
    max_events: int = 10_000
    # On the clock of `monotonic_ns`, which is the same in every process.
    planned_ns: int | None = None  # when to send; None: at once
    deadline_ns: int | None = None  # when somebody waits no longer; None: timeout_s after the start
    call: Call | None = None  # None: Place Order
    lease: Lease | None = None  # None: it may be sent whenever it is planned

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts of the request that must appear in no record."""
        texts = [self.token.get_secret_value(), self.body.get("encrypted_card")]
        texts.append(self.body.get("captcha_token"))
        return tuple(text for text in texts if isinstance(text, str) and text)

    @property
    def ends(self) -> bool:
        """True if an end is its last record; of a call that does not order it is an event."""
        return self.call is None or self.call.orders

    def left_s(self) -> float:
        """Return how many seconds the order has from now on; 0 once they are over."""
        if self.deadline_ns is None:
            return self.start.timeout_s
        return max(self.deadline_ns - monotonic_ns(), 0) / 1e9
