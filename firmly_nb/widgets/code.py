"""Python that does the same as an order form; it holds no secret."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from firmly_nb.environments import DEMO_MERCHANT
from firmly_nb.widgets.draft import CARD_FIELDS, TYPED, Draft, order_from

if TYPE_CHECKING:
    from firmly_nb.api.models import Address, Item
    from firmly_nb.lab import Lab


INDENT = "    "


def code_for(draft: Draft, lab: Lab, *, typed_as: str | None = None, captcha: bool = False) -> str:
    """Return Python that places the order of a draft.

    Parameters
    ----------
    draft
        A draft without problems.
    lab
        Lab that places it.
    typed_as
        The test card that a typed number turned out to be; without it the code asks.
    captcha
        True if the merchant wants a captcha token; the code asks for it.

    Raises
    ------
    InvalidOrder
        If the draft makes no order.
    """
    order = order_from(draft)
    asks = captcha or (draft.card_name == TYPED and typed_as is None)
    fields = [
        f"domain={_quoted(order.domain)},",
        "items=[",
        *_indented([_item(item) + "," for item in order.items]),
        "],",
        *_address("shipping_info", order.shipping_info),
        *(_address("billing_info", order.billing_info) if order.billing_info else []),
        *(['captcha_token=getpass("Captcha token: "),'] if captcha else []),
    ]
    lines = [
        *(["from getpass import getpass", ""] if asks else []),
        "import firmly_nb as fnb",
        "",
        _connect(lab, order.domain),
        "order = fnb.Order(",
        *_indented(fields),
        ")",
        f"card = {_card(draft, typed_as)}",
        *_place(draft),
    ]
    return "\n".join(lines) + "\n"


def _connect(lab: Lab, domain: str) -> str:
    environment = lab.environment
    if lab.simulator is not None:
        arguments = ", ".join(_simulator_options(lab))
        return f"lab = fnb.connect({arguments})"
    allowed = [] if environment.name == "staging" and domain == DEMO_MERCHANT else [domain]
    more = f"allow_domains={_quoted(allowed)}" if allowed else ""
    # The app id comes from FIRMLY_APP_ID or a .env file.
    if environment.name == "staging":
        arguments = ", ".join(filter(None, ['"staging"', more]))
        return f"lab = fnb.connect({arguments})"
    urls = f"api_url={_quoted(environment.api_url)}, card_url={_quoted(environment.card_url)}"
    return f"lab = fnb.connect({urls}, {more})"


def _simulator_options(lab: Lab) -> list[str]:
    settings = lab.simulator.settings if lab.simulator else None
    if settings is None:
        return []
    replay = lab.environment.replay
    # A port, a folder and a tape of its own; how it replays stands with what it replays.
    own = {"port", "folder", *(("replay", "speed", "slow", "drawn", "seed") if replay else ())}
    options = [
        f"{one.name}={_quoted(getattr(settings, one.name))}"
        for one in fields(settings)
        if getattr(settings, one.name) != one.default and one.name not in own
    ]
    return [*([replay] if replay else []), *options]


def _item(item: Item) -> str:
    if item.add_to_cart_ref is None:
        return f"fnb.Item({', '.join(_arguments(item))})"
    return f"fnb.Item(add_to_cart_ref={item.add_to_cart_ref!r}, quantity={item.quantity})"


def _address(name: str, address: Address) -> list[str]:
    lines = [f"{argument}," for argument in _arguments(address)]
    return [f"{name}=fnb.Address(", *_indented(lines), "),"]


def _arguments(model: Item | Address) -> list[str]:
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return [f"{name}={_quoted(value)}" for name, value in values.items() if value is not None]


def _card(draft: Draft, typed_as: str | None) -> str:
    if draft.card_name != TYPED:
        return f"fnb.Card.test({_quoted(draft.card_name)})"
    known = ", ".join(f"{name}={_quoted(draft.card.get(name, ''))}" for name in CARD_FIELDS)
    if typed_as is not None:
        return f"fnb.Card.test({_quoted(typed_as)}, {known})"
    return (
        f'fnb.Card(number=getpass("Card number: "), verification_value=getpass("CVV: "), {known})'
    )


def _place(draft: Draft) -> list[str]:
    options = "".join(f", {name}=False" for name in ("sse", "warm") if not getattr(draft, name))
    call = f"lab.place(order, card=card{options})"
    if (draft.times or 1) > 1:
        return [f"recs = fnb.Recordings([{call} for _ in range({draft.times})])", "recs"]
    return [f"rec = {call}", "rec"]


def _indented(lines: list[str]) -> list[str]:
    return [INDENT + line for line in lines]


def _quoted(value: Any) -> str:
    """Return a value as Python, texts in double quotes where that needs no escape."""
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_quoted, value))}{',' if len(value) == 1 else ''})"
    text = repr(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text else text
