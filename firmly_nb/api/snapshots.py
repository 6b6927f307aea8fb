"""The cart or order in an event or a response, and its order number.

This is the only place that looks for them. The tables of orders, events and carts, the recording,
budgets and widgets ask here, so all of them see the same cart in the same bytes.

The API sends a cart in one of three forms::

    {"order": {...}}   {"cart": {...}}   {...}

Which object is the cart, first match:

1. The object under ``order``, then the one under ``cart``, if it has a field of a cart. If the cart
   alone has an order number, it goes first.
2. The data itself, if it has a field of a cart. ``total`` alone does not count: progress may be
   told as ``{"done": 1, "total": 4}``. An error counts only with ``line_items``: one that names
   its cart by ``cart_id`` is no cart.
3. The object under ``order``, then the one under ``cart``, if anything is in it.
4. The data itself, if it has an order number and is no error.

Nothing deeper is a cart of the event: ``merchant_custom_data`` may hold another complete cart,
which says what the order would cost otherwise.

Data that has a cart, or should have one, and cannot be read so is *not read*; `why_unread` says
why. Nothing may take the place of what is in it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from firmly_nb.api.event_names import SUCCESS, milestone_of, says_otherwise
from firmly_nb.api.money import read_money
from firmly_nb.api.values import plain_text
from firmly_nb.display.messages import tells_names
from firmly_nb.display.text import cut, printable, short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from firmly_nb.api.money import Money


Json = dict[str, Any]
Trail = tuple[Any, ...]  # empty, or the trail to an object and a name in it
NAMES = ("order", "cart")
# What may hold a list of orders: of several merchants, or of the events of a response.
LISTS = frozenset({"orders", "carts", "data", "events", "payload", "result", "results"})
ORDER_NUMBER = "platform_order_number"
# Programs that have none, or none yet, write words (null, N/A, [object Object]), 0 or -1.
BELOW_ZERO = re.compile(r"[-\u2010-\u2015\u2212]\s*\d+(\.\d*)?")
ZERO = re.compile(r"[0+\-._# /,:]*|0+[xe][+-]?0+", re.IGNORECASE)  # 000, --, 0/0, 0x0, 0e0
# Templates that nobody filled in ({{order_1}}, %1$s, <order_1>), and what is said in the place of
# a number: 502 Bad Gateway, declined (05), pending-1.
NO_NUMBER = re.compile(
    r"[{}<>%$]|&[a-z]+;|^\[.*\]|^[1-5]\d\d\s+(?:OK|[A-Z][a-z]+)\b|(?<![^\W\d_])(?i:null|undefined|none|"
    r"errors?|http|unknown|pending|awaiting|waiting|timeout|timed[ _-]?out|declined|failed|failure|"
    r"rejected|refused|cancell?ed|expired|invalid|missing|unavailable|insufficient|exception)"
    r"(?![^\W\d_])|(?<![^\W_])(?i:nan|nil|err|not|tbd|n/a)(?![^\W_])"
)
# A number of letters alone, such as KWXQPZTR, and the words that programs write in capitals.
LETTERS = re.compile(r"(?!([A-Z])(?:-?\1)*$)[A-Z]+(?:-[A-Z]+)*")  # not: XXXX-XXXX
FEWEST_LETTERS = 6
STATUSES = (
    "ABANDONED ACCEPTED ACTIVE APPROVED AUTHORIZED AWAITING CANCELED CANCELLED CAPTURED CLOSED "
    "COMPLETE COMPLETED CONFIRMED CREATED DECLINED DELIVERED DISABLED EXPIRED FAILED FAILURE "
    "FINISHED FULFILLED INVALID MISSING NOTFOUND ONHOLD ORDERED ORDERNUMBER PAYMENT PENDING PLACED "
    "PLACEHOLDER PROCESSED PROCESSING QUEUED RECEIVED REFUNDED REFUSED REJECTED REQUESTED RESERVED "
    "REVIEW SCHEDULED SHIPPED STRING SUBMITTED SUCCEEDED SUCCESS TESTING TIMEOUT UNAVAILABLE "
    "UNDEFINED UNKNOWN UNPAID WAITING"
)
_STATUSES = frozenset(STATUSES.split())
SUBMITTED = "submitted"
MOST_LISTED = 100  # orders of a list
DEEPEST = 8  # levels of objects in which an order number is looked for
OWN_FIELDS = frozenset({"cart_id", "cart_status", "line_items", "sub_total"})
FIELDS = OWN_FIELDS | {"total"}
# Fields that only a cart or an order has, in whichever spelling: lineItems, Line-Items.
SIGNS = frozenset({"lineitems", "subtotal", "cartstatus", "platformordernumber"})
IN_A_TEXT = re.compile(
    r"line.?items|sub.?total|cart.?status|platform.?order.?number", re.IGNORECASE
)
LONGEST_PLACE = 80  # of a path in a sentence
READ_HERE = OWN_FIELDS | {ORDER_NUMBER}


@tells_names
class Snapshot(NamedTuple):
    """Cart or order in an event or a response.

    Attributes
    ----------
    kind
        ``order`` where it was sent as one, or has an order number; else ``cart``.
    data
        The cart as the merchant sent it.
    order_number
        The merchant's order number, in the cart or beside it; None where there is none.
    """

    kind: str
    data: Json
    order_number: str | None

    @property
    def letters(self) -> str | None:
        """Letters in the place of the order number, which are one if the cart is submitted."""
        return _letters(self.data.get(ORDER_NUMBER))

    @property
    def total(self) -> Money | None:
        """Total of the cart, to be paid; None if the cart has none."""
        return read_money(self.data.get("total"))

    @property
    def cart_id(self) -> str | None:
        """Id of the cart; None if it has none."""
        return plain_text(self.data.get("cart_id"))

    @property
    def status(self) -> str | None:
        """Status of the cart, without blanks around it; None if it has none."""
        return (plain_text(self.data.get("cart_status")) or "").strip() or None


def find_snapshot(data: object, event: str = "") -> Snapshot | None:
    """Find the cart or order in the data of an event, or in a response.

    Parameters
    ----------
    data
        The decoded JSON.
    event
        The event's name; at ``order-placed`` and ``order_completed`` a cart is an order.

    Examples
    --------
    >>> find_snapshot({"cart": {"cart_id": "c1"}})
    Snapshot(kind='cart', data={'cart_id': 'c1'}, order_number=None)
    >>> find_snapshot({"cart_id": "c1", "platform_order_number": 7}).order_number
    '7'
    >>> find_snapshot({"error": "ErrorPaymentDeclined", "cart_id": "c1"}) is None
    True
    """
    if not isinstance(data, dict):
        return None
    number = next(iter(_beside_the_cart(data)), None)
    hit = _find(data, has_number=number is not None)
    if hit is None:
        return None
    kind, cart = hit
    is_order = number is not None or event in SUCCESS
    return Snapshot("order" if is_order else kind, cart, number)


def order_number(data: object) -> str | None:
    """Read the merchant's order number in an event's data or a response, whatever its form.

    It stands in the order, in the cart, beside them, or in an object that holds these. A text with
    a digit is taken as it is, without the blanks around it, and a whole number as a text. Nothing
    else is an order number, and neither is 0, -1, a text without a digit, such as ``null`` or
    ``N/A``, a template such as ``{{number_1}}`` or words such as ``502 Bad Gateway``. Capital
    letters alone are one where the cart says that it is submitted, six or more of them, unless they
    are a word such as ``PENDING``. Of lists those are looked into that hold orders, such as
    ``orders``: others hold what is ordered, not whether it was. Neither is
    ``merchant_custom_data``, which may hold another order.

    Examples
    --------
    >>> order_number({"order": {"platform_order_number": "100004711"}})
    '100004711'
    >>> order_number({"platform_order_number": 7}), order_number({"platform_order_number": ""})
    ('7', None)
    >>> order_number({"data": {"order": {"platform_order_number": 7}}})
    '7'
    >>> order_number({"platform_order_number": "KWXQPZTR", "cart_status": "submitted"})
    'KWXQPZTR'
    """
    return next(iter(order_numbers(data)), None)


def order_numbers(data: object) -> list[str]:
    """Read the order numbers in an event's data: the order's, the cart's and the one beside them.

    Where there are none, they are those of the objects that are least deep.

    Examples
    --------
    >>> order_numbers({"order": {"platform_order_number": 7}, "platform_order_number": "7"})
    ['7']
    >>> order_numbers({"order": {"platform_order_number": 7}, "platform_order_number": "8"})
    ['7', '8']
    >>> order_numbers({"orders": [{"platform_order_number": 7}, {"platform_order_number": 8}]})
    ['7', '8']
    """
    if not isinstance(data, dict):
        return []
    if numbers := _beside_the_cart(data):
        return list(dict.fromkeys(numbers + _numbers_of(_objects(data.get("orders")))))
    level = _inside(data)
    for _ in range(DEEPEST):
        if not level or (numbers := _numbers_of(level)):
            break
        level = [inner for each in level for inner in _inside(each)]
    return numbers


def _numbers_of(orders: Iterable[Json]) -> list[str]:
    sent = [one[ORDER_NUMBER] for one in orders if ORDER_NUMBER in one]
    return list(dict.fromkeys(filter(None, map(_number, sent))))


def _objects(value: object) -> list[Json]:
    """Return an object, or the first objects of a list."""
    if isinstance(value, dict):
        return [value]
    listed = value[:MOST_LISTED] if isinstance(value, list) else []
    return [one for one in listed if isinstance(one, dict)]


def two_orders(numbers: Iterable[str], *, first_counts: bool = True) -> str:
    """Say that there are several order numbers; empty if there are not.

    Examples
    --------
    >>> two_orders(["T-1", "T-2", "T-1"]), two_orders(["T-1", "T-1"])
    ('2 orders may exist: T-1 and T-2. The first counts.', '')
    """
    several = list(dict.fromkeys(numbers))
    if len(several) <= 1:
        return ""
    listed = " and ".join(map(short_name, several[:5]))
    which = " The first counts." if first_counts else ""
    return f"{len(several)} orders may exist: {listed}.{which}"


def unsubmitted(data: object) -> str | None:
    """Return the status of the cart in an event's data, unless it is submitted or has none.

    Examples
    --------
    >>> unsubmitted({"cart": {"cart_status": "active"}})
    'active'
    >>> unsubmitted({"cart": {"cart_status": "submitted"}}), unsubmitted({"cart_id": "c1"})
    (None, None)
    """
    snapshot = find_snapshot(data)
    sent = snapshot.data.get("cart_status") if snapshot else None
    # One that is no text is not that of an order either.
    status = "" if sent is None else cut(str(sent).strip(), LONGEST_PLACE)
    return None if status.lower() in ("", SUBMITTED) else status


def _inside(data: Json) -> list[Json]:
    """Return where an order can be in an object; of a cart not in each of its amounts."""
    names: Iterable[str] = NAMES if "line_items" in data else data
    found: list[Json] = []
    for name in names:
        value = data.get(name)
        if isinstance(value, dict) and name != "merchant_custom_data":
            found.append(value)
        elif isinstance(value, list) and name in LISTS:
            found += _objects(value)
    return found


def _beside_the_cart(data: Json) -> list[str]:
    """Return the numbers of the order, of the cart and beside them, each once."""
    places = [*(cart for cart in map(data.get, NAMES) if isinstance(cart, dict)), data]
    sent = [place.get(ORDER_NUMBER) for place in places]
    numbers = list(dict.fromkeys(filter(None, map(_number, sent))))
    if not numbers and any(map(_is_submitted, places)):
        return list(dict.fromkeys(filter(None, map(_letters, sent))))
    return numbers


def _is_submitted(place: Json) -> bool:
    status = place.get("cart_status")
    return isinstance(status, str) and status.strip().lower() == SUBMITTED


def _letters(sent: object) -> str | None:
    """Read an order number of letters alone; of a word there is a status for it, and no number."""
    text = sent.strip() if isinstance(sent, str) else ""
    words = [*text.split("-"), text.replace("-", "")]
    is_one = LETTERS.fullmatch(text) and len(words[-1]) >= FEWEST_LETTERS
    is_status = not _STATUSES.isdisjoint(words) or any(map(says_otherwise, words))
    return text if is_one and not is_status else None


def _number(sent: object) -> str | None:
    text = (plain_text(sent) or "").strip()
    plain = unicodedata.normalize("NFKC", text)
    is_none = ZERO.fullmatch(plain) or BELOW_ZERO.fullmatch(plain) or NO_NUMBER.search(plain)
    return text if any(map(str.isdigit, plain)) and not is_none else None


def _find(data: Json, *, has_number: bool) -> tuple[str, Json] | None:
    hit = _with_a_field(data)
    if hit is not None or _cart_elsewhere(data):
        return hit
    for key in NAMES:
        if isinstance(data.get(key), dict) and data[key]:
            return key, data[key]
    return ("order", data) if has_number and not _is_error(data) else None


def _with_a_field(data: Json) -> tuple[str, Json] | None:
    """Return the cart where carts are, if it has a field of one."""
    for key in _names_of(data):
        cart = data.get(key)
        if isinstance(cart, dict) and not FIELDS.isdisjoint(cart):
            return key, cart
    if "line_items" in data or not (_is_error(data) or OWN_FIELDS.isdisjoint(data)):
        return "cart", data
    return None


def why_unread(
    data: object, event: str = "", milestones: Sequence[str] | None = None
) -> str | None:
    """Say why the cart in an event's data was not read; None if it was, or if there is none.

    Data is read if it is a JSON object with its cart where carts are, or without any sign of one,
    and if it is empty. Other data is read as "no cart" only if no cart can be in it: a text without
    a brace, a value without a field of a cart. A milestone has no such data: its is not read.

    Parameters
    ----------
    data
        The decoded JSON, or the text of data that is not JSON.
    event
        The event's name.
    milestones
        The names of the milestones, if the stream has its own.

    Examples
    --------
    >>> why_unread({"cart": {"cart_id": "c1"}}), why_unread({"done": 1}), why_unread("[DONE]")
    (None, None, None)
    >>> why_unread('{"cart": {"cart_id": "c1')
    'its data is not whole JSON'
    >>> why_unread({"data": {"order": {"line_items": []}}})
    'its cart is at data.order, and not at order or cart'
    >>> why_unread({"order": {"lineItems": []}})
    'its cart is at order, in another spelling'
    """
    if data is None or data == "":
        return None
    if isinstance(data, dict):
        place = None if _with_a_field(data) else _cart_elsewhere(data)
        return place and f"its cart is {place}"
    text = data if isinstance(data, str) else None
    is_meant = "{" in text if text is not None else _cart_elsewhere({"": data}) is not None
    if not is_meant and milestone_of(event, milestones) is None:
        return None
    if text is None:
        return f"its data is a JSON {_kind(data)}, and not an object"
    return f"its data {_kind_of_text(text)}" if is_meant else "its data is text, and not an object"


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else "value"


def _kind_of_text(text: str) -> str:
    """Say what is wrong with a text that ought to be a JSON object."""
    try:
        json.loads(text)
    except RecursionError:
        return "is nested too deeply"
    except ValueError:
        return "is not whole JSON"
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return "has a value that is not JSON, such as NaN, 1e400 or half a surrogate pair"
    return "has bytes that are not UTF-8" if "\ufffd" in text else "is JSON inside a text"


def _names_of(data: Json) -> Sequence[str]:
    """Return ``order`` and ``cart``; first that of the two which alone has an order number."""
    order, cart = map(data.get, NAMES)
    if not isinstance(order, dict) or not isinstance(cart, dict):
        return NAMES
    is_carts = _number(cart.get(ORDER_NUMBER)) and not _number(order.get(ORDER_NUMBER))
    return NAMES[::-1] if is_carts else NAMES


def _is_error(data: Json) -> bool:
    return data.get("error") is not None or isinstance(data.get("code"), str)


def _cart_elsewhere(data: Json) -> str | None:
    """Say where the data has a cart that is not read: deeper, in a text, in another spelling.

    An error that names a cart has none, unless it has lines.
    """
    signs = {"lineitems"} if _is_error(data) else SIGNS
    # Where each was found is a linked pair: most paths are never written.
    level: list[tuple[Trail, Any]] = [((), data)]
    for depth in range(DEEPEST):
        below: list[tuple[Trail, Any]] = []
        for trail, node in level:
            if isinstance(node, str):
                if _says(node, signs):
                    return f"in the text at {_path(trail)}, and not an object"
                continue
            if isinstance(node, dict):
                is_read = not depth or (depth == 1 and trail[1] in NAMES)
                names = set(map(_plain, node.keys() - READ_HERE if is_read else node))
                if not signs.isdisjoint(names):
                    return _place(trail, spelled=is_read)
                if not is_read and signs is SIGNS and {"cartid", "total"} <= names:
                    return _place(trail, spelled=False)
                inner: Iterable[tuple[str | None, Any]] = node.items()
            else:
                inner = ((None, each) for each in node)
            below += [
                ((trail, name), value)
                for name, value in inner
                if (type(value) in (dict, list) or (type(value) is str and "{" in value))
                and name != "merchant_custom_data"
            ]
        if not below:
            return None
        level = below
    return None


def _place(trail: Trail, *, spelled: bool) -> str:
    """Say where a cart is; at its place it is not read because of how its fields are spelled."""
    path = _path(trail)
    if spelled:
        return f"at {path or 'the top'}, in another spelling"
    return f"at {path}, and not at order or cart"


def _path(trail: Trail) -> str:
    names: list[str] = []
    while trail:
        trail, name = trail
        names.append("[]" if name is None else f".{name}")
    return cut(printable("".join(reversed(names)).removeprefix(".")), LONGEST_PLACE)


def _says(text: str, signs: frozenset[str] | set[str]) -> bool:
    return any(_plain(hit) in signs for hit in IN_A_TEXT.findall(text))


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    """Return a field's name without what spellings differ in."""
    return re.sub("[^a-z]", "", name.lower())
