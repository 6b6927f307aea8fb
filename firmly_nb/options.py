"""Options of an order, and the run ids and tags that it may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict

from firmly_nb.display.arguments import unwritable
from firmly_nb.display.messages import check_names, coded_error, quoted, wrong_type
from firmly_nb.environments import check_headers

if TYPE_CHECKING:
    from collections.abc import Sequence


RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def checked_run_id(run_id: str) -> str:
    """Refuse a run id that would not be a file's name."""
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        text = "run_id must be 1 to 100 letters, digits, '.', '_' and '-', got"
        hint = "Try run_id='nightly-1'. Nothing was sent."
        raise coded_error(ValueError, "FNB510", f"{text} {quoted(run_id)}. {hint}")
    return run_id


def _check_name_of_run(run_id: Any) -> None:
    """Refuse the run id of an order that cannot be written; no file has its name."""
    if not isinstance(run_id, str):
        raise wrong_type("run_id", "a text", run_id, "run_id='nightly 1'")
    if (wrong := unwritable("run_id", run_id)) is not None:
        raise wrong


def check_tags(tags: Any) -> None:
    """Refuse tags that are not texts by name."""
    if not isinstance(tags, Mapping):
        raise wrong_type("tags", "a dict of texts by name", tags, 'tags={"branch": "main"}')
    if (wrong := unwritable("tags", tags)) is not None:
        raise wrong


MAX_TIMEOUT_S = 86_400.0
# An event has to go through the pipe to the notebook, whatever its text becomes as JSON.
MOST = {"max_event_bytes": 32 * 1024**2, "max_stream_bytes": 2**40, "max_events": 10**9}

OF_NAMES = {"headers": 'headers={"x-sim-fault": "stall"}', "tags": 'tags={"branch": "main"}'}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one order, checked: how it is placed and recorded."""

    sse: bool = True
    warm: bool = True
    isolated: bool = True
    timeout_s: float = 120.0
    keep_raw: bool = False
    max_event_bytes: int = 2 * 1024 * 1024
    max_stream_bytes: int = 64 * 1024 * 1024
    max_events: int = 10_000
    settle: bool = False
    traceparent: bool = False
    run_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could not be sent, or not be waited for."""
        for name, value in (("headers", self.headers), ("tags", self.tags)):
            if not isinstance(value, Mapping):
                raise wrong_type(name, "a dict of texts by name", value, OF_NAMES[name])
        check_headers(self.headers)
        check_tags(self.tags)
        if self.run_id is not None:
            _check_name_of_run(self.run_id)
        limit = self.timeout_s
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not (is_number and 0 < limit <= MAX_TIMEOUT_S):
            raise coded_error(
                ValueError,
                "FNB105",
                f"timeout_s must be a number of seconds above 0, at most {MAX_TIMEOUT_S:g}, got "
                f"{quoted(limit)}. For two minutes pass 120. Nothing was sent.",
            )
        for name, most in MOST.items():
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= most:
                raise coded_error(
                    ValueError,
                    "FNB605",
                    f"{name} must be a whole number from 1 to {most}, got {quoted(value)}. Leave "
                    "it out for the default. Nothing was sent.",
                )


class PlaceOptions(TypedDict, total=False):
    """Options of an order, as a call takes them by name; see :class:`Options`.

    Attributes
    ----------
    sse
        Whether the order asks for events. False is the plain call.
    warm
        Whether the connection is opened before the clock starts. False measures it as well.
    isolated
        Whether a process of its own records. False records in this one.
    timeout_s
        Longest wait in seconds, from this call on; 120 by default.
    keep_raw
        Whether the exact text of each event is kept.
    max_event_bytes
        Most bytes that are kept of an event; 2 MiB by default. The rest is read and counted.
    max_stream_bytes
        Most bytes that are kept of an order; 64 MiB by default. The rest is read and counted.
    max_events
        Most events that are kept of an order; 10,000 by default. The rest is read and counted.
    settle
        Whether to ask the cart if it is unknown whether the order exists.
    traceparent
        Whether to send the ids of the span that ``rec.otlp`` makes, in the header of that name.
    run_id
        Id of the run, to find it again.
    tags
        Tags of the order, as a dict of strings.
    headers
        Headers for the simulator, such as ``{"x-sim-fault": "stall"}``; others are refused.
    """

    sse: bool
    warm: bool
    isolated: bool
    timeout_s: float
    keep_raw: bool
    max_event_bytes: int
    max_stream_bytes: int
    max_events: int
    settle: bool
    traceparent: bool
    run_id: str | None
    tags: Mapping[str, str] | None
    headers: Mapping[str, str]


NO_TAGS = ("tags", None)


def options_of(call: str, given: Mapping[str, Any], own: Sequence[str] = ()) -> Options:
    """Make the options of a call that takes them by name, beside names of its own.

    Raises
    ------
    TypeError
        For a name that is not an option.
    """
    check_names(call, given, [*own, *(one.name for one in fields(Options))])
    # None is the default of a call that takes tags.
    return Options(**{name: value for name, value in given.items() if (name, value) != NO_TAGS})
