"""The form's front end as a widget: what it holds, and what it sends.

What becomes of orders is in synced traits, so that a page that is loaded again finds it; what is
typed is in none (``shared_draft``). Secrets come in the buffer of one message: what logs messages,
at any level, does not log buffers.
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
from firmly_nb.widgets.form_words import safe_text
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


def take_secrets(buffer: Any) -> Typed:
    """Read the buffer of a message; nothing that is wrong with it is ever quoted."""
    raw = bytes(buffer)
    try:
        found = orjson.loads(raw) if len(raw) <= MOST_SECRETS else None
        return Typed(**{name: SecretStr(str(text)) for name, text in found.items()})  # type: ignore[union-attr]  # what is none is caught
    except (ValueError, TypeError, AttributeError):
        raise ValueError("what the page sent beside the order cannot be read") from None


def known_cards() -> list[list[str]]:
    """Return the test cards for a picker: name and label."""
    return [[name, repr(Card.test(name))[5:-1]] for name in TEST_CARDS]


def guarded(view: Any, action: Callable[[], object]) -> None:
    """Do what a page asked for; what goes wrong is said where the user looks."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - a kernel's log is where nobody looks
        view.notice = f"{type(error).__name__}: {safe_text(error)}"


class FormView(anywidget.AnyWidget):
    """The form itself. It shows the draft, and says what was pressed; it decides nothing.

    Attributes
    ----------
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

    def __repr__(self) -> str:
        return "FormView()"
