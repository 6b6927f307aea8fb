"""The form's two front ends as widgets: what they hold, and what they send.

State that is no secret is in synced traits, so that a page that is loaded again finds it. Secrets
come in the buffer of one message: what logs messages, at any level, does not log buffers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anywidget
import orjson
import traitlets.traitlets as t

from firmly_nb.api.models import TEST_CARDS, Card
from firmly_nb.api.secrets import SecretStr
from firmly_nb.widgets.form_problems import CARD_RULES, MOST_TIMES
from firmly_nb.widgets.form_state import FIELDS, Draft
from firmly_nb.widgets.frontend import module, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST_SECRETS = 16_384  # bytes


@dataclass(frozen=True, slots=True)
class Typed:
    """The secrets that were typed, for as long as it takes to make a card and an order of them."""

    number: SecretStr = field(default_factory=lambda: SecretStr(""))
    verification_value: SecretStr = field(default_factory=lambda: SecretStr(""))
    captcha_token: SecretStr = field(default_factory=lambda: SecretStr(""))


def take_secrets(buffers: Sequence[Any]) -> Typed:
    """Read the buffer of a message; nothing that is wrong with it is ever quoted."""
    if not buffers:
        return Typed()
    raw = bytes(buffers[0])
    try:
        found = orjson.loads(raw) if len(raw) <= MOST_SECRETS else None
        return Typed(**{name: SecretStr(str(text)) for name, text in found.items()})  # type: ignore[union-attr]  # what is none is caught
    except (ValueError, TypeError, AttributeError):
        raise ValueError("what the page sent beside the order cannot be read") from None


def known_cards() -> list[list[str]]:
    """Return the test cards for a picker: name and label."""
    return [[name, repr(Card.test(name))[5:-1]] for name in TEST_CARDS]


class FormView(anywidget.AnyWidget):
    """The form itself. It holds what is typed, and says what was pressed; it decides nothing.

    Attributes
    ----------
    problems
        What is wrong, by the field's path; Python's answer to the edit number ``checked``.
    run
        What is on its way: ``state`` (idle, running, cancelling), ``number``, ``of``, ``doing``.
    result
        How the last order ended (``form_words.result_words``).
    turn
        A press counts only for the turn that it was made in, so that a double click, or the same
        form in two places, is one order.
    """

    _esm = module("order_form")
    _css = style("order_form")

    merchant = t.Unicode().tag(sync=True)
    items: t.List[Any] = t.List().tag(sync=True)
    shipping = t.Dict().tag(sync=True)
    same_billing = t.Bool(default_value=True).tag(sync=True)
    billing = t.Dict().tag(sync=True)
    card_name = t.Unicode("visa").tag(sync=True)
    card = t.Dict().tag(sync=True)
    sse = t.Bool(default_value=True).tag(sync=True)
    warm = t.Bool(default_value=True).tag(sync=True)
    times = t.Int(1, allow_none=True).tag(sync=True)

    edit = t.Int(0).tag(sync=True)
    checked = t.Int(0).tag(sync=True)
    problems = t.Dict().tag(sync=True)
    captcha: t.List[str] = t.List(help="merchants that asked for a captcha token").tag(sync=True)
    run: t.Dict[str, Any] = t.Dict({"state": "idle"}).tag(sync=True)
    result = t.Dict().tag(sync=True)
    notice = t.Unicode().tag(sync=True)
    looked = t.Unicode().tag(sync=True)
    turn = t.Int(0).tag(sync=True)
    facts = t.Dict().tag(sync=True)

    def __init__(self, on_message: Callable[[Mapping[str, Any], Sequence[Any]], None]) -> None:
        super().__init__()
        self.facts = {"cards": known_cards(), "rules": CARD_RULES, "most_times": MOST_TIMES}
        self.on_msg(lambda _, content, buffers: on_message(content, buffers))

    def draft(self) -> Draft:
        """Return what is typed."""
        return Draft(**{name: getattr(self, name) for name in FIELDS})

    def put(self, changes: Mapping[str, Any]) -> None:
        """Set fields of the draft; names that are none are left out."""
        with self.hold_sync():
            for name in FIELDS:
                if name in changes:
                    setattr(self, name, changes[name])

    def __repr__(self) -> str:
        return f"FormView({self.merchant}, {len(self.items)} items)"


class StripView(anywidget.AnyWidget):
    """The strip on top: where one is, the code, the presets.

    Attributes
    ----------
    shown
        The panel that is open: ``""``, ``"code"`` or ``"presets"``.
    code
        What the open panel shows; written only while it is open.
    """

    _esm = module("order_form_strip")
    _css = style("order_form_strip")

    environment = t.Dict().tag(sync=True)
    shown = t.Unicode().tag(sync=True)
    code = t.Unicode().tag(sync=True)
    presets: t.List[str] = t.List().tag(sync=True)
    notice = t.Unicode().tag(sync=True)

    def __init__(self, on_message: Callable[[Mapping[str, Any], Sequence[Any]], None]) -> None:
        super().__init__()
        self.on_msg(lambda _, content, buffers: on_message(content, buffers))

    def __repr__(self) -> str:
        return f"StripView({self.environment.get('label', '')})"
