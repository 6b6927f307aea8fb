"""The draft of a form: the kernel holds it, each page that shows the form has a copy.

Order form and sweep panel share the mechanism (``SharedDraft``, in pages ``static/draft.js``). The
fields of an order form are here as well; those of a sweep are in ``sweep_panel.py``.

A draft holds what was typed, including what is wrong or not finished. Number and verification
value of a card and captcha tokens are not in it: they leave the page once, when an order is placed.

A widget's synced state is saved with notebooks, and addresses are personal data that is kept in
memory only. So a draft is in no trait: a page asks for it when it is drawn, sends what is typed,
and gets every change, whoever made it. It travels in the buffers of messages, because what logs
messages does not log buffers.

Messages can overtake each other and be lost: a kernel may take them on several threads, a page may
have been loaded that moment. So each edit carries the whole field and a number, an older one is
never put over a newer, and an answer says which fields it answers and which state it tells.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Protocol,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import orjson
from pydantic import Field

from firmly_nb.api.models import TEST_CARDS, Address, Card, InvalidOrder, Order
from firmly_nb.display.messages import coded_error, without_code
from firmly_nb.environments import GuardError, guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import DataclassInstance

    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.environments import Environment


ADDRESS_FIELDS = tuple(Address.model_fields)
OPTIONAL_FIELDS = frozenset({"address2", "company"})
TYPED = "typed"  # the name of a card that is no test card by name
CARD_FIELDS = ("name", "month", "year")
MOST_BYTES = 1 << 20
LONGEST_NAME = 40
MOST_VIEWS = 100
MOST_TIMES = 100
# What the page asks of the fields that never leave it before the order does; a test compares the
# words with the model's.
CARD_RULES = {
    "number": ("[0-9]{12,19}", "must be 12 to 19 digits."),
    "verification_value": ("[0-9]{3,4}", "must be 3 or 4 digits."),
}
VARIANT_ID = re.compile(r"items\[(\d+)\]\.variant_id")

# How long a text may be that a preset keeps.
Short = Annotated[str, Field(max_length=500)]
Texts = dict[Annotated[str, Field(max_length=40)], Short]
D = TypeVar("D", bound="DataclassInstance")


def no_address() -> Texts:
    """Return an address with every field empty."""
    return dict.fromkeys(ADDRESS_FIELDS, "")


@dataclass(frozen=True)
class Draft:
    """Fields of an order form, without secrets.

    Attributes
    ----------
    items
        Rows: what ``Item`` wants, and beside it ``handle`` and ``title`` of the product where it
        was picked from the catalogue. ``raw`` marks a row that was typed by hand.
    card_name
        A test card by name, or ``"typed"``.
    card
        Parts of a typed card that are no secret: ``name``, ``month``, ``year``.
    """

    merchant: Short = ""
    items: list[dict[str, Any]] = field(default_factory=list)
    shipping: Texts = field(default_factory=no_address)
    same_billing: bool = True
    billing: Texts = field(default_factory=no_address)
    card_name: Short = "visa"
    card: Texts = field(default_factory=lambda: dict.fromkeys(CARD_FIELDS, ""))
    sse: bool = True
    warm: bool = True
    times: int | None = 1


@cache
def kinds_of(draft: type) -> dict[str, tuple[type, ...]]:
    """Return the kinds of values that each field of a draft takes.

    Examples
    --------
    >>> kinds_of(Draft)["items"], kinds_of(Draft)["times"]
    ((<class 'list'>,), (<class 'int'>, <class 'NoneType'>))
    """
    return {name: _kinds(hint) for name, hint in get_type_hints(draft).items()}


def _kinds(hint: Any) -> tuple[type, ...]:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return tuple(get_origin(kind) or kind for kind in kinds)


def changed_draft(draft: D, changes: Any) -> D:
    """Return a draft with some of its fields changed; names that are not its fields are ignored.

    What is in a field may be wrong, which its form then says; but it must be of the field's kind.

    Raises
    ------
    TypeError
        If it is not.

    Examples
    --------
    >>> changed_draft(Draft(), {"merchant": "staging.luma.gift", "other": 1}).merchant
    'staging.luma.gift'
    """
    if not isinstance(changes, Mapping):
        text = f"fields must be a dict of values by name, got {_kind(changes)}. Pass a dict."
        raise coded_error(TypeError, "FNB711", text)
    kinds = kinds_of(type(draft))
    known = {name: changes[name] for name in kinds if name in changes}
    for name, value in known.items():
        if not isinstance(value, kinds[name]):
            wanted = " or ".join(KINDS.get(kind, kind.__name__) for kind in kinds[name])
            text = f"{name} must be {wanted}, got {_kind(value)}. Pass {wanted}."
            raise coded_error(TypeError, "FNB711", text)
    return replace(draft, **known)


def order_from(draft: Draft, captcha_token: SecretStr | None = None) -> Order:
    """Make the order of a draft.

    Raises
    ------
    InvalidOrder
        With each field that is wrong.

    Examples
    --------
    >>> order_from(Draft(**changes_for(Order.example()))) == Order.example()
    True
    """
    return Order(
        domain=draft.merchant,
        items=[_item(row) for row in draft.items],
        shipping_info=_address(draft.shipping),
        billing_info=None if draft.same_billing else _address(draft.billing),
        captcha_token=captcha_token,
    )


def changes_for(order: Order) -> dict[str, Any]:
    """Return the fields of a draft that make this order; a captcha token is left behind."""
    billing = order.billing_info
    return {
        "merchant": order.domain,
        "items": [_row(item.model_dump(mode="json")) for item in order.items],
        "shipping": _typed_address(order.shipping_info),
        "same_billing": billing is None,
        "billing": _typed_address(billing) if billing else no_address(),
    }


# What the fields of a form hold, in words.
KINDS = {str: "a text", int: "a whole number", bool: "True or False", float: "a number"}


def _kind(value: Any) -> str:
    return type(value).__name__


def _item(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        return {}
    handles = row.get("variant_handles")
    given = {
        "variant_id": row.get("variant_id"),
        "product_id": row.get("product_id") or None,
        "variant_handles": tuple(handles) if isinstance(handles, list) and handles else handles,
        "quantity": row.get("quantity"),
    }
    whole = row.get("add_to_cart_ref")
    # The page takes it away where a field beside it is edited.
    if isinstance(whole, dict) and str(whole.get("variant_id")) == given["variant_id"]:
        return {"add_to_cart_ref": whole, "quantity": given["quantity"]}
    return given


def _row(item: dict[str, Any]) -> dict[str, Any]:
    handles = item["variant_handles"] or []
    # The first handle is the product's name in URLs.
    known = {"handle": handles[0] if handles else "", "title": "", "raw": not handles}
    return {**item, **known}


def _address(typed: Any) -> Any:
    if not isinstance(typed, dict):
        return typed
    return {name: text for name, text in typed.items() if text or name not in OPTIONAL_FIELDS}


def _typed_address(address: Address) -> dict[str, str]:
    return {name: getattr(address, name) or "" for name in ADDRESS_FIELDS}


class Send(Protocol):
    """Function that sends a message to every page that shows the form."""

    def __call__(self, content: Mapping[str, Any], buffers: Sequence[bytes] | None = None) -> None:
        """Send it; from any thread."""


class SharedDraft(Generic[D]):
    """Draft of a form that pages and Python change, from any thread.

    Each change is answered to all pages, in the order in which the changes were made, with the
    whole draft and what is wrong in it. The answer to a page's edit names the page's view, the
    edit's number and its fields, so that the view keeps what was typed since, and sends again what
    did not arrive (``static/draft.js``).

    Parameters
    ----------
    first
        The draft that the form begins with.
    send
        Sends a message to the pages.
    check
        Says what is wrong in a draft, by the field's path.
    changed
        Is called after each change.
    about
        Says what goes to the pages beside a draft: words about it, by name.
    """

    def __init__(
        self,
        first: D,
        send: Send,
        check: Callable[[D], dict[str, str]],
        changed: Callable[[], None] = lambda: None,
        about: Callable[[D], dict[str, str]] = lambda _: {},
    ) -> None:
        self._send = send
        self._check = check
        self._changed = changed
        self._about = about
        self._turns = threading.RLock()
        self._now = first
        self._revision = 0
        self._taken: dict[str, dict[str, int]] = {}  # by view and field: its newest edit so far

    @property
    def now(self) -> D:
        """Draft as it is now."""
        return self._now

    @property
    def problems(self) -> dict[str, str]:
        """Problems of the draft, by the field's path; empty if there are none."""
        return self._check(self._now)

    def put(self, changes: Any) -> None:
        """Change fields and tell the pages.

        Parameters
        ----------
        changes
            New values by field; names that are none are left out.

        Raises
        ------
        TypeError
            If a value is of another kind than its field; then nothing is changed.
        """
        self._change(changes, {}, ())

    def take(self, content: Mapping[str, Any], buffer: Any) -> None:
        """Take an edit from a page, or the whole draft that comes with a press."""
        sent = _read(buffer)
        known = kinds_of(type(self._now))
        fields = [name for name in known if isinstance(sent, dict) and name in sent]
        with self._turns:
            newest = self._newest(_view(content))
            number = _whole(content.get("number"))
            for name in fields:
                if number < newest.get(name, number):
                    del sent[name]  # overtaken by a later edit of the same view
                else:
                    newest[name] = number
            self._change(sent, content, fields)

    def tell(self, answering: Mapping[str, Any] | None = None, fields: Sequence[str] = ()) -> None:
        """Send the draft and what is wrong in it to all pages.

        Parameters
        ----------
        answering
            The page's message that this answers, if it does.
        fields
            The fields that the message had.
        """
        asked = answering or {}
        with self._turns:
            self._revision += 1
            answer = {
                "type": "draft",
                "revision": self._revision,
                "view": _view(asked),
                "number": _whole(asked.get("number")),
                "fields": list(fields),
                "problems": self.problems,
                "about": self._about(self._now),
            }
            self._send(answer, [orjson.dumps(vars(self._now))])

    def _change(self, changes: Any, answering: Mapping[str, Any], fields: Sequence[str]) -> None:
        with self._turns:
            try:
                self._now = changed_draft(self._now, changes)
            finally:
                # A page that sent something impossible is told what stands.
                self.tell(answering, fields)
        self._changed()

    def _newest(self, view: str) -> dict[str, int]:
        newest = self._taken.setdefault(view, {})
        if len(self._taken) > MOST_VIEWS:
            del self._taken[next(iter(self._taken))]
        return newest


def _view(content: Mapping[str, Any]) -> str:
    return str(content.get("view", ""))[:LONGEST_NAME]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _read(buffer: Any) -> Any:
    """Read JSON from a buffer; nothing that is wrong with it is ever quoted."""
    raw = bytes(buffer)
    try:
        if len(raw) <= MOST_BYTES:
            return orjson.loads(raw)
    except ValueError:
        pass
    raise coded_error(
        ValueError, "FNB705", "The page sent a form that cannot be read. Reload the page."
    ) from None


def problems(draft: Draft, environment: Environment) -> dict[str, str]:
    """Return the problems of a draft: a sentence by the field's path; empty if there are none.

    Paths are those of ``Order``, besides ``card.month``, ``card.year``, ``card.name``,
    ``card_name`` and ``times``.

    Examples
    --------
    >>> import firmly_nb as fnb
    >>> with fnb.connect("staging", app_id="anything") as lab:
    ...     problems(Draft(merchant="shop"), lab.environment)["domain"]
    'not a merchant domain. Example: staging.luma.gift.'
    """
    found: dict[str, str] = {}
    try:
        order_from(draft)
    except InvalidOrder as error:
        found = {path: _for_people(path, text, draft) for path, text in error.problems}
    if "domain" not in found:
        found.update(_refused(draft, environment))
    return {**found, **_card(draft), **_times(draft)}


def _for_people(path: str, text: str, draft: Draft) -> str:
    """Say what to do where the model only says what it got."""
    if path == "items":
        return "add at least one item"
    if VARIANT_ID.fullmatch(path) and not _is_raw(path, draft):
        return "pick a product and each of its options"
    if path.endswith(".quantity"):
        return "must be a whole number from 1 to 100 000"
    return text


def _is_raw(path: str, draft: Draft) -> bool:
    found = VARIANT_ID.fullmatch(path)
    row: Any = draft.items[int(found[1])] if found else None
    return isinstance(row, dict) and bool(row.get("raw"))


def _refused(draft: Draft, environment: Environment) -> dict[str, str]:
    """Ask the guard before anyone presses anything; the card is asked about when it is there."""
    try:
        guard(environment, draft.merchant.strip().lower().rstrip("."), None)
    except GuardError as error:
        return {"domain": without_code(str(error))}
    return {}


def _card(draft: Draft) -> dict[str, str]:
    if draft.card_name in TEST_CARDS:
        return {}
    if draft.card_name != TYPED:
        return {"card_name": f"not a test card. Use {', '.join(TEST_CARDS)}."}
    try:
        Card.test(**{name: draft.card.get(name, "") for name in CARD_FIELDS})
    except InvalidOrder as error:
        return {f"card.{path}": text for path, text in error.problems}
    return {}


def _times(draft: Draft) -> dict[str, str]:
    if isinstance(draft.times, int) and 1 <= draft.times <= MOST_TIMES:
        return {}
    return {"times": f"must be 1 to {MOST_TIMES}. For more, use lab.sweep()."}
