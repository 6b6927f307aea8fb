"""The colours of stages and outcomes, the same wherever one is drawn.

Okabe and Ito's palette: told apart with every kind of colour vision. Colour is never the only
sign: charts add a pattern, a marker or a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.api.event_names import GUIDE, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

# By place of the milestone in its vocabulary.
STAGE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
OUTCOME_COLOURS = {"placed": "#2e7d32", "cancelled": "#757575", "incomplete": "#b26a00"}
FAILED_COLOUR = "#c62828"


def place_of(milestone: str, milestones: Sequence[str] = ()) -> int:
    """Return the place that decides a stage's colour and pattern.

    Parameters
    ----------
    milestone
        The milestone that the stage ends with.
    milestones
        All milestones in order, for those that no vocabulary knows.

    Examples
    --------
    >>> place_of("item-added"), place_of("payment_processing"), place_of("b", ["a", "b"])
    (1, 1, 1)
    """
    for names in (REFERENCE, GUIDE, tuple(milestones)):
        if milestone in names:
            return names.index(milestone)
    return len(milestones)


def stage_colour(milestone: str, milestones: Sequence[str] = ()) -> str:
    """Return a stage's colour.

    Examples
    --------
    >>> stage_colour("creating-cart")
    '#0072B2'
    """
    return STAGE_COLOURS[place_of(milestone, milestones) % len(STAGE_COLOURS)]


def outcome_colour(outcome: str) -> str:
    """Return an outcome's colour.

    Examples
    --------
    >>> outcome_colour("placed"), outcome_colour("timeout")
    ('#2e7d32', '#c62828')
    """
    return OUTCOME_COLOURS.get(outcome, FAILED_COLOUR)
