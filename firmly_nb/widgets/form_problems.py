"""What is wrong in an order form, field by field, in the models' own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from firmly_nb.api.models import TEST_CARDS, Card, InvalidOrder
from firmly_nb.environments import GuardError, guard
from firmly_nb.widgets.form_state import CARD_FIELDS, TYPED, Draft, order_from

if TYPE_CHECKING:
    from firmly_nb.environments import Environment

MOST_TIMES = 100
# What the page asks of the fields that never leave it before the order does; a test compares the
# words with the model's.
CARD_RULES = {
    "number": ("[0-9]{12,19}", "must be 12 to 19 digits"),
    "verification_value": ("[0-9]{3,4}", "must be 3 or 4 digits"),
}
VARIANT_ID = re.compile(r"items\[(\d+)\]\.variant_id")


def problems(draft: Draft, environment: Environment) -> dict[str, str]:
    """Return what is wrong with a draft: the field's path and a sentence; nothing if it is right.

    Paths are those of ``Order``, besides ``card.month``, ``card.year``, ``card.name``,
    ``card_name`` and ``times``.

    Examples
    --------
    >>> from firmly_nb.environments import staging
    >>> problems(Draft(merchant="shop"), staging())["domain"]
    'is no merchant domain; expected a bare host name like staging.luma.gift'
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
        return {"domain": str(error)}
    return {}


def _card(draft: Draft) -> dict[str, str]:
    if draft.card_name in TEST_CARDS:
        return {}
    if draft.card_name != TYPED:
        return {
            "card_name": f"there is no test card of that name; there are {', '.join(TEST_CARDS)}"
        }
    try:
        Card.test(**{name: draft.card.get(name, "") for name in CARD_FIELDS})
    except InvalidOrder as error:
        return {f"card.{path}": text for path, text in error.problems}
    return {}


def _times(draft: Draft) -> dict[str, str]:
    if isinstance(draft.times, int) and 1 <= draft.times <= MOST_TIMES:
        return {}
    return {"times": f"must be 1 to {MOST_TIMES}; lab.sweep() places more"}
