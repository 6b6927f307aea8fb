"""The event names of Place Order: two official pages, two vocabularies.

The endpoint's reference page and the one-step-checkout guide contradict each other and nothing
settles it, so both are understood and unknown names are kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from firmly_nb.api.description import API

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


REFERENCE: tuple[str, ...] = tuple(one["name"] for one in API["events"]["reference"]["names"])
GUIDE: tuple[str, ...] = tuple(one["name"] for one in API["events"]["guide"]["names"])
ERROR: str = API["events"]["error"]["name"]
ITEM_ADDED: str = REFERENCE[1]
SUCCESS = frozenset({REFERENCE[-1], GUIDE[-1]})
# What a name says that tells of no success, in whichever spelling: order-failed, ORDER_CANCELLED.
_BEGINS = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"  # a word: order-not-placed, orderNotPlaced
_ENDS = r"(?![a-z]|(?<=[A-Z])[A-Z])"  # not: orderNotice, ORDER_NOTICE
SAYS_NO = re.compile(
    r"(?i:fail|error|cancel|declin|reject|refus|deny|denied|abort|expir|void|rever[ts]|refund|"
    r"roll(ed)?[ _.-]?back|invalid|timed?[ _.-]?out)|"
    rf"{_BEGINS}(?i:un(success|paid|placed|confirmed|fulfil)|stopped|halted|lost|missing|"
    r"interrupt|withdraw|undo|dropped|retract|kill|disput|charge[ _.-]?back|returned|fraud|"
    r"annul|storn|discard|skipped|bounce|crash|stalled|unavailable|insufficient)|"
    rf"{_BEGINS}(?i:not|non|block(ed|ing)?){_ENDS}|^(?i:no){_ENDS}"
)
# What a name says that tells of no success yet, or of a part of one: requires_action.
SAYS_NOT_YET = re.compile(
    rf"{_BEGINS}(?i:pending|await|requir|hold\b|suspend|partial|incomplete|back[ _.-]?order|draft|"
    rf"deferr|queued|dry[ _.-]?run|"
    rf"(in|under)[ _.-]?review)|{_BEGINS}(?i:held){_ENDS}"
)
# The call that orders a cart which was built call by call; the stage that it makes is called so.
COMPLETE_ORDER = "complete-order"


def says_otherwise(name: str) -> bool:
    """Return whether a name says otherwise than success, or not yet.

    Examples
    --------
    >>> [says_otherwise(name) for name in ("order-failed", "orderNotPlaced", "requires_action")]
    [True, True, True]
    >>> [says_otherwise(name) for name in ("notification", "ORDER_NOTICE", "order.placed")]
    [False, False, False]
    """
    return bool(SAYS_NO.search(name) or SAYS_NOT_YET.search(name))


def vocabulary(names: Iterable[str]) -> tuple[str, ...]:
    """Say which vocabulary a stream speaks; the reference page's where nothing tells.

    Examples
    --------
    >>> vocabulary(["order_processing", "error"])
    ('order_processing', 'payment_processing', 'order_completed')
    >>> vocabulary(["creating-cart"])[-1]
    'order-placed'
    """
    seen = set(names)
    return GUIDE if seen.isdisjoint(REFERENCE) and not seen.isdisjoint(GUIDE) else REFERENCE


def numbered(name: str, taken: Iterable[str]) -> str:
    """Return a name that is not taken: the name itself, or with the next number behind it.

    Examples
    --------
    >>> numbered("add-line-item", []), numbered("add-line-item", ["add-line-item"])
    ('add-line-item', 'add-line-item-2')
    """
    before, number, found = set(taken), 1, name
    while found in before:
        number += 1
        found = f"{name}-{number}"
    return found


def milestone_of(event: str, milestones: Sequence[str] | None = None) -> str | None:
    """Return the milestone that an event stands for, or None.

    Examples
    --------
    >>> milestone_of("item-added"), milestone_of("heartbeat")
    ('item-added', None)
    """
    return event if event in (milestones or (*REFERENCE, *GUIDE)) else None
