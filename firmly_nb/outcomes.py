"""Outcomes of an order: the seven of them, and the judge of whether the order exists.

Whatever shows or counts outcomes takes words, marks, tones and colours from the one table here,
and whatever must know whether there is an order asks the one judge. Stages have one table of
colours, patterns and dashes here, for charts, timelines, static images and reports.
This module is a leaf: it imports only what the API's pages say (``api``).

Colours are Okabe and Ito's for stages: told apart with every kind of colour vision. A colour is
never the only sign: there is a mark, a pattern or a word beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

from firmly_nb.api.errors import LISTED_STATUSES, PLACE_ORDER_ERRORS
from firmly_nb.api.event_names import GUIDE, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd


OutcomeName = Literal[
    "placed",
    "error_event",
    "http_error",
    "transport_error",
    "timeout",
    "incomplete",
    "cancelled",
]
Existence = Literal["yes", "no", "unknown"]
PLACED: OutcomeName = "placed"
CANCELLED: OutcomeName = "cancelled"
YES: Existence = "yes"
NO: Existence = "no"
UNKNOWN: Existence = "unknown"
DECLINED = "ErrorPaymentDeclined"

# ------------------------------------------------------------------- how outcomes look and read


@dataclass(frozen=True, slots=True)
class Tone:
    """Colour of good or bad news: on light and dark ground, and in a terminal."""

    light: str
    dark: str
    terminal: str


TONES: Mapping[str, Tone] = {
    "good": Tone("#2e7d32", "#81c784", "green"),
    "warn": Tone("#a06000", "#ffb74d", "yellow"),
    "bad": Tone("#c62828", "#ff8a80", "red"),
    "quiet": Tone("#6b6b6b", "#b8b8b8", "default"),
}


NOUNS = ("event", "error", "timeout")  # of the words below; the others are said of an order


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome as people read it.

    Attributes
    ----------
    name
        As it stands in tables.
    word
        In lists; in counts, ``words``: ``3 timeouts``.
    clause
        After a number in a sentence: ``3 timed out``.
    mark
        One character.
    tone
        A key of ``TONES``.
    symbol
        Its mark in charts, of lines only, so that one over another is seen.
    sentence
        How one order ended. Fields in braces are filled in by whoever has the order.
    """

    name: str
    word: str
    clause: str
    mark: str
    tone: str
    symbol: str
    sentence: str

    def words(self, how_many: int) -> str:
        """Return the word that follows a number."""
        return plural(self.word, how_many)

    @property
    def colour(self) -> str:
        """Colour on light ground."""
        return TONES[self.tone].light


def plural(word: str, how_many: int) -> str:
    """Return the word of an outcome as it follows a number.

    Examples
    --------
    >>> plural("timeout", 2), plural("timeout", 1), plural("declined", 2)
    ('timeouts', 'timeout', 'declined')
    """
    return f"{word}s" if how_many != 1 and word.endswith(NOUNS) else word


_ROWS = (
    Outcome(
        PLACED, "placed", "placed", "✓", "good", "circle",
        "Placed: {order} in {at}{total}.",
    ),
    Outcome(
        "error_event", "error event", "ended by an error event", "✕", "bad", "x-thin",
        "{began} ({code}){after}, {at}.",
    ),
    Outcome(
        "http_error", "HTTP error", "ended with an HTTP error", "✕", "bad", "cross-thin",
        "{began} HTTP {status}{named}, {at}.",
    ),
    Outcome(
        "transport_error", "connection failed", "lost their connection", "✕", "bad", "hash",
        "The connection failed{after}, {at} ({code}).",
    ),
    Outcome(
        "timeout", "timeout", "timed out", "✕", "bad", "asterisk",
        "No end within {limit}{after}.",
    ),
    Outcome(
        "incomplete", "incomplete", "ended incomplete", "?", "warn", "y-down",
        "Incomplete: {ended}.",
    ),
    Outcome(
        CANCELLED, "cancelled", "cancelled", "■", "quiet", "line-ew",
        "Cancelled{after}, {at}.",
    ),
)  # fmt: skip
ROWS: Mapping[str, Outcome] = {row.name: row for row in _ROWS}
# Sentences above and below that say in more than one word how an order ended.
LONG_LEADS = ("No end", "The connection failed", "Not understood:", "Told as placed:")
KNOWN = tuple(ROWS)
# An order of which nothing was sent has no outcome; lists that count orders show it so.
NOT_SENT = Outcome("not_sent", "not sent", "not sent", "-", "quiet", "line-ew", "Not sent.")
# A success without a readable number: the order may exist, or the cart said that it does not.
TOLD_AS_PLACED = replace(
    ROWS[PLACED], word="told as placed", mark="?", tone="warn",
    sentence="Told as placed: {order} in {at}{total}.",
)  # fmt: skip


def outcome(name: str) -> Outcome:
    """Return the row of an outcome; a name that a newer version wrote is shown as it is.

    Examples
    --------
    >>> outcome("timeout").clause, outcome("http_error").word, outcome("half_placed").word
    ('timed out', 'HTTP error', 'half placed')
    """
    if name in ROWS:
        return ROWS[name]
    text = name.replace("_", " ")
    return Outcome(name, text, text, "?", "warn", "x-thin", "Ended otherwise{after}, {at}.")


def as_judged(name: str, order_exists: str, evidence: str = "") -> Outcome:
    """Return the row of an outcome, given what is known of the order's existence.

    Examples
    --------
    >>> as_judged("placed", "yes").word, as_judged("placed", "unknown").word
    ('placed', 'told as placed')
    """
    is_doubted = name == PLACED and order_exists != YES and evidence != NOT_SEEN.evidence
    return TOLD_AS_PLACED if is_doubted else outcome(name)


def word(
    name: str,
    order_exists: str,
    error_code: str | None = None,
    http_status: int | None = None,
    evidence: str = "",
) -> str:
    """Return how one order ended, in a word or two.

    Examples
    --------
    >>> word("error_event", "no", "ErrorPaymentDeclined"), word("http_error", "no", None, 400)
    ('declined', 'refused')
    >>> word("http_error", "unknown"), word("placed", "yes")
    ('HTTP error', 'placed')
    """
    if name in ANSWERED and order_exists == NO and _is_refusal(error_code, http_status):
        return "declined" if error_code == DECLINED else "refused"
    return as_judged(name, order_exists, evidence).word


# All that it can return.
WORDS = (*(row.word for row in _ROWS), TOLD_AS_PLACED.word, "declined", "refused")


def _is_refusal(error_code: str | None, http_status: int | None) -> bool:
    """Return whether the answer itself says that nothing was ordered, and not only the cart."""
    listed = error_code is not None and refuses(error_code, http_status)
    return listed or http_status in REFUSALS


def began(name: str, order_exists: str, error_code: str | None, http_status: int | None) -> str:
    """Return the first words of the sentence about an order that an error ended.

    Examples
    --------
    >>> began("error_event", "no", "ErrorPaymentDeclined", 200)
    'Declined by the merchant'
    >>> [began("http_error", *found) for found in (("no", None, 400), ("unknown", None, 500))]
    ['Refused with', 'Failed with']
    """
    if order_exists == NO and error_code == DECLINED:
        text = "Declined by the merchant"
    elif name == "http_error" and http_status is not None and 200 <= http_status < 300:
        return "Not understood:"
    else:
        refused = order_exists == NO and _is_refusal(error_code, http_status)
        text = "Refused" if refused else "Failed"
    return f"{text} with" if name == "http_error" else text


# --------------------------------------------------------------------- does the order exist?


@dataclass(frozen=True, slots=True)
class Answer:
    """Words and mark for an order that exists, does not exist, or may exist.

    Attributes
    ----------
    sentence
        For one order; ``{number}`` and ``{how}``, how to find out, are filled in.
    exit_code
        Of commands that place orders.
    """

    sentence: str
    exit_code: int


ANSWERS: Mapping[str, Answer] = {
    YES: Answer("Order {number} exists.", 0),
    NO: Answer("Nothing was ordered.", 1),
    UNKNOWN: Answer("The order may exist; {how} tells.", 3),
}
REFUSED_EXIT, INTERRUPTED_EXIT = 2, 130  # before anything was sent; by Ctrl-C
# Messages whose advice is to order again, which is right only where there is no order.
ORDER_AGAIN = frozenset(
    {
        *("FNB202", "FNB204", "FNB205", "FNB206", "FNB207", "FNB208", "FNB209", "FNB210"),
        *("FNB213", "FNB214", "FNB228"),
    }
)

# Outcomes whose error code the server gave; other outcomes have codes of our own.
ANSWERED = frozenset({"error_event", "http_error"})
ENDED_HERE = frozenset({CANCELLED, "timeout"})  # by the analyst or the recorder, not by the server
# A response with one of these refuses the request, whoever gave it: the API or a gateway.
REFUSALS = frozenset({400, 401, 403, 404, 405, 409, 413, 414, 415, 422, 429, 431})
# Where the first edition did not note whether the request left: said when it did not.
BEFORE_IT_WAS_SENT = "before it was sent"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Answer to whether an order exists, with the evidence."""

    order_exists: Existence
    evidence: str


# Orders whose times another tool told: their environment and clock. No answer to them was seen.
EXTERNAL: Literal["external"] = "external"
NOT_SEEN = Judgement(UNKNOWN, "outcome as told; no answer was read")


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about an order that bear on whether it exists.

    Attributes
    ----------
    outcome
        How the recording ended.
    has_number
        Whether an order number came, in whichever event or response.
    success
        Whether an event or response said, by its name, that the order was placed.
    error_code
        The server's name of the error, where an error of the API's form came.
    http_status
        Status of the response; None where none came.
    sent
        Whether the network was given any byte of the request; None where that is not known.
    last_call
        Call that orders, where others went before it; ``sent`` is then about this one.
    settled
        What the merchant's cart said afterwards, where it was asked.
    """

    outcome: str
    has_number: bool = False
    success: bool = False
    error_code: str | None = None
    http_status: int | None = None
    sent: bool | None = None
    last_call: str = ""
    settled: Judgement | None = None


def judge(facts: Facts) -> Judgement:
    """Say whether an order exists; the first rule that fits decides.

    An order number proves an order, whatever else was said. A success without a number proves
    nothing, and neither does an error that the API does not list, a response that cannot be read,
    or an end of the connection, once the request had begun to leave. Of such an order the cart is
    asked afterwards (:func:`judge_cart`), and then its answer counts.

    Examples
    --------
    >>> judge(Facts("error_event", error_code="ErrorNotEnoughStock", http_status=200))
    Judgement(order_exists='no', evidence='error ErrorNotEnoughStock')
    >>> judge(Facts("http_error", http_status=500)).order_exists
    'unknown'
    >>> judge(Facts("timeout", has_number=True)).evidence
    'order number, then timeout'
    """
    if facts.settled:
        return facts.settled
    if facts.has_number:
        then = "" if facts.outcome == PLACED else f", then {outcome(facts.outcome).word}"
        return Judgement(YES, f"order number{then}")
    if facts.success:
        return Judgement(UNKNOWN, "success without a readable order number")
    if no := _why_not(facts):
        return Judgement(NO, no)
    return Judgement(UNKNOWN, _why_unknown(facts))


def judge_cart(
    before: str,
    *,
    is_same: bool | None,
    cart_status: str | None,
    number: str | None,
    found: str = "the device has no cart",
) -> Judgement:
    """Say whether an order exists by the cart of the device that placed it, asked afterwards.

    Parameters
    ----------
    before
        The evidence so far.
    is_same
        Whether it is the cart of this order; None where the recording cannot tell.
    cart_status, number
        What the cart says, its status in whichever case; both None where it says neither.
    found
        What that means.

    Examples
    --------
    >>> judge_cart("HTTP 504", is_same=True, cart_status="submitted", number="T-1")
    Judgement(order_exists='yes', evidence='cart submitted with order T-1, asked afterwards')
    >>> judge_cart("HTTP 504", is_same=True, cart_status="active", number=None).order_exists
    'no'
    >>> judge_cart("HTTP 504", is_same=False, cart_status="submitted", number="T-2").evidence
    'HTTP 504; the device has another cart, asked afterwards'
    >>> judge_cart("HTTP 504", is_same=True, cart_status="active", number="T-1").evidence
    "HTTP 504; the cart is 'active' with order number T-1, asked afterwards"
    """
    status = (cart_status or "").lower()
    if is_same and number is not None and status == "submitted":
        return Judgement(YES, f"cart submitted with order {number}, asked afterwards")
    if is_same and number is None and status == "active":
        return Judgement(NO, "cart still active, asked afterwards")
    if cart_status is None and number is None:
        pass
    elif is_same is None:
        found = "the cart may be that of another order"
    elif not is_same:
        found = "the device has another cart"
    else:
        has = "without an order number" if number is None else f"with order number {number}"
        found = f"the cart is {cart_status!r} {has}" if cart_status else f"{found}, {has}"
    return Judgement(UNKNOWN, f"{before}; {found}, asked afterwards")


def refuses(error_code: str, http_status: int | None = None) -> bool:
    """Return whether an error of this name says that nothing was ordered.

    Each error that the Place Order page names says so whatever the status. Another one of the
    API's list says so unless it, or the response that carries it, is one of the 500s.

    Examples
    --------
    >>> refuses("ErrorStoreUnavailable", 503), refuses("ServiceUnavailable", 503)
    (True, False)
    >>> refuses("TokenExpired", 401), refuses("TokenExpired", 502), refuses("ErrorOfTomorrow", 422)
    (True, False, False)
    """
    if error_code in PLACE_ORDER_ERRORS:
        return True
    listed = LISTED_STATUSES.get(error_code)
    return listed is not None and listed < 500 and not (http_status or 0) >= 500


def _why_not(facts: Facts) -> str:
    """Say what tells that nothing was ordered; empty if nothing does."""
    if facts.error_code is not None and refuses(facts.error_code, facts.http_status):
        return f"error {facts.error_code}"
    if facts.http_status in REFUSALS:
        return f"HTTP {facts.http_status}"
    unsent = f"{facts.last_call} was not sent" if facts.last_call else "nothing was sent"
    return unsent if facts.sent is False else ""


def _why_unknown(facts: Facts) -> str:
    sent, status = " after sending began" if facts.sent else "", facts.http_status
    if facts.outcome == "http_error":
        is_good = status is not None and 200 <= status < 300
        return f"HTTP {status} that cannot be read" if is_good else f"HTTP {status}"
    return {
        "error_event": "error event with an error that is not listed",
        "transport_error": f"connection failed{sent}",
        "timeout": "no end within the limit",
        "cancelled": f"cancelled{sent}",
    }.get(facts.outcome, "neither success nor error came")


def was_sent(
    *,
    error_code: str | None,
    cancelled_before: bool,
    responded: bool,
    cold: bool,
    blocked: bool,
    connecting: bool,
) -> bool | None:
    """Say what a recording of the first edition tells of whether its request left.

    Parameters
    ----------
    error_code
        The recorder's own.
    cancelled_before
        Whether it was cancelled, and its description has ``BEFORE_IT_WAS_SENT``.
    responded
        Whether anything came back.
    cold
        Whether a connection was opened for it.
    blocked, connecting
        Whether the times of these phases are known.

    Examples
    --------
    >>> known = {"responded": False, "cold": True, "blocked": True, "connecting": True}
    >>> was_sent(error_code="ConnectError", cancelled_before=False, **known)
    False
    >>> was_sent(error_code="ReadError", cancelled_before=False, **known) is None
    True
    """
    if responded:
        return True
    never_connected = cold and blocked and not connecting
    unsent = never_connected or cancelled_before or error_code == "ConnectError"
    return False if unsent else None


JUDGED_BY = (
    "outcome", "order_number", "error_code", "error_description", "http_status", "connection",
    "blocked_ms", "connecting_ms", "time_to_headers_ms", "time_to_first_event_ms",
)  # fmt: skip


def judge_rows(orders: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Judge orders by their table, for sets that were saved before there was a judge.

    Parameters
    ----------
    orders
        The columns ``JUDGED_BY``.

    Returns
    -------
    tuple
        ``order_exists`` and ``evidence`` of each row.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict.fromkeys(JUDGED_BY) | {"outcome": "http_error", "http_status": 404}
    >>> judge_rows(pd.DataFrame([row]))
    (['no'], ['HTTP 404'])
    """
    import numpy as np
    import pandas as pd

    before = orders["outcome"].eq(CANCELLED).to_numpy(bool, copy=True)
    said = orders["error_description"][before].fillna("").astype("str")
    before[before] = said.str.contains(BEFORE_IT_WAS_SENT, regex=False).to_numpy(bool)
    numbers = orders["order_number"]
    columns: dict[str, Any] = {
        "outcome": orders["outcome"],
        "has_number": numbers.notna() & numbers.fillna("").astype("str").str.strip().ne(""),
        "error_code": orders["error_code"],
        "http_status": orders["http_status"].fillna(-1).astype("int64"),
        "responded": orders["time_to_headers_ms"].notna()
        | orders["time_to_first_event_ms"].notna(),
        "cold": orders["connection"].eq("cold"),
        "blocked": orders["blocked_ms"].notna(),
        "connecting": orders["connecting_ms"].notna(),
        "cancelled_before": before,
    }
    # Few combinations occur, however many orders there are: each is judged once.
    group = np.zeros(len(orders), dtype=np.int64)
    for values in columns.values():
        codes, found = pd.factorize(values)
        group = pd.factorize(group * (len(found) + 1) + codes + 1)[0]
    first = np.flatnonzero(~pd.Series(group).duplicated().to_numpy())
    rows = pd.DataFrame(
        {name: pd.Series(values).iloc[first].tolist() for name, values in columns.items()}
    )
    judged = [judge(_facts_of_row(row)) for row in rows.to_dict("records")]
    exists = np.array([one.order_exists for one in judged], dtype=object)
    evidence = np.array([one.evidence for one in judged], dtype=object)
    return exists[group].tolist(), evidence[group].tolist()


def _facts_of_row(row: Mapping[Any, Any]) -> Facts:
    name = row["outcome"] if isinstance(row["outcome"], str) else "incomplete"
    code = row["error_code"] if isinstance(row["error_code"], str) else None
    return Facts(
        outcome=name,
        has_number=row["has_number"],
        success=name == PLACED,
        error_code=code if name in ANSWERED else None,
        http_status=None if row["http_status"] < 0 else row["http_status"],
        sent=was_sent(
            error_code=code,
            cancelled_before=row["cancelled_before"],
            responded=row["responded"],
            cold=row["cold"],
            blocked=row["blocked"],
            connecting=row["connecting"],
        ),
    )


def exit_code(answers: Sequence[str]) -> int:
    """Return the exit code of a command that placed these orders: the worst of them.

    Where it is not known whether an order exists, somebody has to look; that comes first.

    Examples
    --------
    >>> exit_code(["yes", "yes"]), exit_code(["yes", "no"]), exit_code(["no", "unknown", "yes"])
    (0, 1, 3)
    """
    return max((ANSWERS[answer].exit_code for answer in answers), default=0)


# ----------------------------------------------------------------------------- looks of stages


@dataclass(frozen=True, slots=True)
class Pattern:
    """A hatch that tells a bar without its colour.

    Attributes
    ----------
    name
        As Plotly calls it.
    tile
        Path of its lines, in an SVG tile of six units by six.
    css
        The same for an element of HTML; empty for a plain bar.
    """

    name: str
    tile: str
    css: str


def _stripes(*degrees: int) -> str:
    line = "transparent 0 4px,rgba(255,255,255,.75) 4px 5.5px"
    images = ",".join(f"repeating-linear-gradient({at}deg,{line})" for at in degrees)
    return f"background-image:{images}"


_DOTS = "background-image:radial-gradient(rgba(255,255,255,.75) 1px,transparent 1.5px)"
PLAIN = Pattern("", "", "")
UPWARDS = Pattern("/", "M-1 1L1-1M0 6L6 0M5 7L7 5", _stripes(135))
DOTS = Pattern(".", "M3 2.5v1", f"{_DOTS};background-size:6px 6px")
DOWNWARDS = Pattern("\\", "M-1 5L1 7M0 0L6 6M5-1L7 1", _stripes(45))
CROSSED = Pattern("x", f"{UPWARDS.tile}{DOWNWARDS.tile}", _stripes(135, 45))
LEVEL = Pattern("-", "M0 3H6", _stripes(180))
ACROSS = Pattern("|", "M3 0V6", _stripes(90))  # of a stage that spans a missing milestone


@dataclass(frozen=True, slots=True)
class StageLook:
    """Look of a stage: the same colour, pattern and dash wherever it is drawn.

    Attributes
    ----------
    number
        Its number among the looks, from 1.
    colour
        On light and on dark ground.
    pattern
        Of its bar.
    dash
        Of its line, as Plotly calls it.
    """

    number: int
    colour: str
    pattern: Pattern
    dash: str

    @property
    def css(self) -> str:
        """Style of an HTML element that is its bar."""
        return ";".join(filter(None, (f"background-color:{self.colour}", self.pattern.css)))


# By place of the milestone in its vocabulary.
STAGE_LOOKS = (
    StageLook(1, "#0072B2", PLAIN, "solid"),
    StageLook(2, "#E69F00", UPWARDS, "dash"),
    StageLook(3, "#009E73", DOTS, "dot"),
    StageLook(4, "#CC79A7", DOWNWARDS, "dashdot"),
    StageLook(5, "#56B4E9", CROSSED, "longdash"),
    StageLook(6, "#D55E00", LEVEL, "longdashdot"),
)
STAGE_COLOURS = tuple(look.colour for look in STAGE_LOOKS)


def places_by_name(
    names: Iterable[str], places: int, taken: Iterable[int] = (), *, salt: str = ""
) -> dict[str, int]:
    """Return a place for each name: always the same one, as far as there are places.

    A name alone decides its place. Only where two names want the same one, the later in the
    alphabet moves to the next that is free.

    Parameters
    ----------
    names
        The names that are shown together.
    places
        How many places there are.
    taken
        Places of others.
    salt
        Put before each name: another salt gives other places.

    Examples
    --------
    >>> places_by_name(["b.test", "a.test"], 8)
    {'a.test': 1, 'b.test': 7}
    >>> places_by_name(["a.test"], 8), places_by_name(["a.test"], 8, taken=[1])
    ({'a.test': 1}, {'a.test': 2})
    """
    used, found, moved = set(taken), {}, []
    for name in sorted(set(names)):
        found[name] = crc32(f"{salt}{name}".encode("utf-8", "surrogatepass")) % places
        if found[name] in used:
            moved.append(name)
        used.add(found[name])
    for name in moved:
        nexts = ((found[name] + step) % places for step in range(places))
        found[name] = next((place for place in nexts if place not in used), found[name])
        used.add(found[name])
    return found


def stage_index(milestone: str, milestones: Sequence[str] = ()) -> int:
    """Return the place that decides a stage's colour and pattern.

    Those of the API have their place in its vocabulary; another name has its own.

    Parameters
    ----------
    milestone
        The milestone that the stage ends with.
    milestones
        All that are shown together, so that no two look alike.

    Examples
    --------
    >>> stage_index("item-added"), stage_index("payment_processing")
    (1, 1)
    >>> stage_index("paid", ["paid"]) == stage_index("paid", ["cart", "paid", "item-added"])
    True
    """
    known = {name: place for names in (GUIDE, REFERENCE) for place, name in enumerate(names)}
    if milestone in known:
        return known[milestone]
    ends = {name.rpartition("->")[2] for name in milestones}
    taken = [known[name] for name in ends if name in known]
    return places_by_name({milestone, *ends} - known.keys(), len(STAGE_LOOKS), taken)[milestone]


def look_of_stage(stage: str, milestones: Sequence[str] = ()) -> StageLook:
    """Return a stage's look: of its end; one that spans a missing milestone has lines across.

    Examples
    --------
    >>> look = look_of_stage("creating-cart->shipping-updated")
    >>> look.colour == look_of_stage("shipping-updated").colour, look.pattern.name
    (True, '|')
    """
    first, arrow, end = stage.rpartition("->")
    look = STAGE_LOOKS[stage_index(end, milestones) % len(STAGE_LOOKS)]
    return replace(look, pattern=ACROSS) if first and arrow else look
