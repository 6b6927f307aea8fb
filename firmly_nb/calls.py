"""An order that is made call by call: what was recorded so far, and the job of the next call.

Each call is a job of its own for the recorder. What goes from one call to the next is here: the
names of the stages, the time of the calls so far, the last cart, and whom the requests named.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.errors import make_error
from firmly_nb.api.event_names import ERROR, numbered
from firmly_nb.api.flow import lines_of
from firmly_nb.api.models import Address
from firmly_nb.api.personal import personal_values
from firmly_nb.outcomes import CANCELLED
from firmly_nb.recorder.job import Call, Job
from firmly_nb.recorder.records import End, Event, Start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.api.errors import FirmlyError
    from firmly_nb.api.flow import Request
    from firmly_nb.api.secrets import Hidden, SecretStr
    from firmly_nb.recorder.records import Record


@dataclass
class Calls:
    """Order that is made call by call: what was recorded so far, and the next call's job.

    Attributes
    ----------
    start
        Start of the order as it is so far.
    headers, max_event_bytes
        Options of each call.
    settle
        Whether the cart is asked where it is unknown whether there is an order.
    number
        Number of its device; None until there is one.
    """

    start: Start
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    max_event_bytes: int = 2 * 1024 * 1024
    settle: bool = False
    number: int | None = None
    captcha_token: SecretStr | None = None
    records: list[Record] = field(default_factory=list)
    cart_json: bytes | None = None  # of the last cart: decoded, a large one takes ten times that
    shipping_info: Address | None = None
    ended: bool = False
    callback_failures: list[str] = field(default_factory=list)  # errors of on_record, in words
    failure: dict[str, Any] | None = None  # of the last call, where it failed
    has_line: bool = False

    @property
    def cart(self) -> dict[str, Any] | None:
        """Last cart, decoded anew; None before the first call."""
        return None if self.cart_json is None else orjson.loads(self.cart_json)

    @property
    def events(self) -> list[Event]:
        """Events so far, one a call."""
        return [record for record in self.records if isinstance(record, Event)]

    def job(self, request: Request, event: str, token: Hidden, who: Sequence[Any] = ()) -> Job:
        """Make the job of the next call.

        Parameters
        ----------
        request
            What is sent.
        event
            What its stage is called; a number is put behind it where there is one of that name.
        token
            Of the device.
        who
            Whom the request names: addresses, and the name on the card.
        """
        before = self.events[-1] if self.events else None
        named = self.start.milestones or []
        name = numbered(event, named)
        people = [one.model_dump() if isinstance(one, Address) else one for one in who]
        personal = dict.fromkeys([*self.start.personal, *personal_values(*people)])
        self.start = replace(
            self.start,
            milestones=[*named, name],
            personal=list(personal),
            # Each call is sent once, so an id never comes twice.
            request_id=str(uuid.uuid4()),
        )
        return Job(
            start=self.start,
            body=request.body,
            token=token,
            headers=self.headers,
            max_event_bytes=self.max_event_bytes,
            call=Call(
                name=name,
                failed=numbered(ERROR, named),
                method=request.method,
                path=request.path,
                seq=len(self.events) + 1,
                t_ns=before.t_ns if before else 0,
                uncertainty_us=before.uncertainty_us if before else 0.0,
            ),
        )

    def take(self, record: Record) -> None:
        """Take what was recorded of a call."""
        self.records.append(record)
        if isinstance(record, Start):
            # Its personal values do not come back.
            self.start = replace(record, personal=self.start.personal)
        elif isinstance(record, Event):
            self._take_event(record)
        else:
            self.ended = True

    def _take_event(self, event: Event) -> None:
        start, named = self.start, self.start.milestones or []
        if event.seq == 1 and event.wall_ns is not None and start.started_at_ns is not None:
            # Written down when it was expected; now it is known.
            late_ns = event.wall_ns - event.t_ns - start.started_at_ns
            lag_ns = start.schedule_lag_ns
            start = replace(
                start,
                started_at_ns=start.started_at_ns + late_ns,
                schedule_lag_ns=None if lag_ns is None else lag_ns + late_ns,
            )
        if event.event in named:
            self.failure, self.cart_json = None, event.json
            self.has_line = True
            start = replace(start, items=lines_of(event.data) or start.items)
        else:
            # A failed call is a stage of its own, should the order go on.
            self.failure = event.data
            start = replace(start, milestones=[*named[:-1], event.event])
        self.start = start

    @property
    def error(self) -> FirmlyError | None:
        """Error of the last call; None where it did not fail."""
        if self.failure is None:
            return None
        error = self.failure["error"]
        return make_error(error["error"], error["description"], error["code"])

    def left(self, why: str = "the order was left") -> End:
        """Return the end of an order that is left before the call that orders."""
        ended: dict[str, Any] = {"outcome": CANCELLED, "error_description": why}
        if self.failure:
            error = self.failure["error"]
            ended = {
                "outcome": self.failure["outcome"],
                "http_status": error["code"],
                "error_code": None if error["error"] == CANCELLED else error["error"],
                "error_description": error["description"],
            }
        last = self.events[-1] if self.events else None
        return End(**ended, t_end_ns=last.t_ns if last else 0, sent=False)
