"""Looks of a study that may stop early: how sure each has to be so that all together are right.

A study that is looked at again and again, each time at 95 %, is wrong far more often than in one of
twenty. So the chance of a false verdict is spent little by little: by look k of the last one, K, it
is ``total * (k / K) ** 2``. That is the power family of J. D. Lan and D. L. DeMets ("Discrete
sequential boundaries for clinical trials", Biometrika 70, 1983) with exponent 2. The boundaries
come from the recursion of P. Armitage, C. K. McPherson and B. C. Rowe ("Repeated significance tests
on accumulating data", Journal of the Royal Statistical Society A 132, 1969): the density of the sum
of all blocks so far, of studies that did not stop before.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EXPONENT = 2  # of the power family
BLOCK = 10  # orders of A and of B in each block
EVERY = 5  # blocks from one look to the next
HALVINGS = 60
NODES, NODES_A_WIDTH = 201, 8  # of the integral: at least, and for each width of a step
BEYOND = 9.0  # standard errors that nothing exceeds


# The run ids of blocks say what was planned, so that a saved set is read as it was meant.
BLOCK_ID = re.compile(r"(.+)\.(\d+)(of|all)(\d+)")
EARLY, WHOLE = "of", "all"


LOOKS = Table(
    "looks",
    "one row a look at a study that may stop early",
    (
        Column("look", "int64", "", "its number, from 1"),
        Column("blocks", "int64", "blocks", "blocks that were placed"),
        Column("orders", "int64", "orders", "orders of B that were attempted"),
        Column("verdict", "str", "", "the word of the comparison at this look"),
        Column("ratio", "float64", "", "how many times as long B takes"),
        Column("ratio_low", "float64", "", "its wide interval, lower end"),
        Column("ratio_high", "float64", "", "its wide interval, upper end"),
        Column("late", "float64", "", "share of late orders, B minus A"),
        Column("late_low", "float64", "", "its wide interval, lower end"),
        Column("late_high", "float64", "", "its wide interval, upper end"),
        Column("placed", "float64", "", "success rate, B minus A"),
        Column("placed_low", "float64", "", "its wide interval, lower end"),
        Column("placed_high", "float64", "", "its wide interval, upper end"),
    ),
)


class Blocks(NamedTuple):
    """Blocks of one study: so many were placed, of so many; whether it may stop early."""

    placed: int
    planned: int
    early: bool

    @property
    def looks(self) -> tuple[int, ...]:
        """Number of blocks at each look up to now; empty if there is one look, at the end."""
        if not self.early:
            return ()
        before = [one for one in planned_looks(self.planned) if one < self.placed]
        return (*before, self.placed)


def block_id(study: str, number: int, planned: int, *, early: bool) -> str:
    """Return the run id of a block.

    Examples
    --------
    >>> block_id("nightly", 7, 60, early=True)
    'nightly.07of60'
    """
    return f"{study}.{number:0{len(str(planned))}}{EARLY if early else WHOLE}{planned}"


def blocks_of(run_ids: Iterable[object]) -> Blocks | None:
    """Return the blocks that some run ids name; None unless all are of one study.

    Examples
    --------
    >>> blocks_of(["nightly.07of60", "nightly.08of60"]).looks
    (2,)
    >>> blocks_of(["nightly.07of60", "monday"]) is None
    True
    """
    found, numbers = set(), set()
    for run_id in run_ids:
        match = BLOCK_ID.fullmatch(run_id) if isinstance(run_id, str) else None
        if match is None:
            return None
        found.add((match[1], match[3], int(match[4])))
        numbers.add(int(match[2]))
    if len(found) != 1:
        return None
    [(_, kind, planned)] = found
    if not 0 < len(numbers) <= planned:
        return None
    return Blocks(len(numbers), planned, kind == EARLY)


def planned_looks(blocks: int) -> tuple[int, ...]:
    """Return after how many blocks a study of so many is looked at.

    Examples
    --------
    >>> planned_looks(12)
    (5, 10, 12)
    """
    return (*range(EVERY, blocks, EVERY), blocks)


def boundary(total: float, looks: tuple[int, ...], blocks: int) -> float:
    """Return how many standard errors a difference needs at the last of some looks.

    Parameters
    ----------
    total
        Chance of a difference at any look although there is none, on both sides together.
    looks
        Number of blocks at each look.
    blocks
        Number of blocks at the last look that was planned.

    Examples
    --------
    >>> [round(boundary(0.05 / 3, planned_looks(60)[:n], 60), 2) for n in (1, 2, 3)]
    [3.85, 3.56, 3.39]
    """
    return _state(total, looks, blocks)[0]


def level_at(total: float, looks: tuple[int, ...], blocks: int) -> float:
    """Return the level of an interval at the last of some looks.

    Examples
    --------
    >>> round(level_at(0.05, (60,), 60), 6)
    0.95
    """
    from scipy.special import ndtr

    return float(2 * ndtr(boundary(total, looks, blocks)) - 1)


@lru_cache(maxsize=4096)
def _state(total: float, looks: tuple[int, ...], blocks: int) -> tuple[float, Floats, Floats]:
    """Return the boundary at the last look; and where the sums of those that go on lie.

    These are places of an integral, and the density there times the weight of the place.
    """
    from scipy.special import ndtr, ndtri

    *before, now = looks
    spent = total * (now / blocks) ** EXPONENT
    if not before:
        found = float(ndtri(1 - spent / 2))
        places, weights = _integral(found * math.sqrt(now), math.sqrt(now))
        return found, places, weights * _density(places, math.sqrt(now))
    _, places, mass = _state(total, tuple(before), blocks)
    step = math.sqrt(now - before[-1])
    new = spent - total * (before[-1] / blocks) ** EXPONENT
    low, high = 0.0, BEYOND * math.sqrt(now)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        out = mass @ (ndtr((-middle - places) / step) + ndtr((places - middle) / step))
        low, high = (middle, high) if out > new else (low, middle)
    there, weights = _integral(high, step)
    density = _density(there[:, None] - places[None, :], step) @ mass
    return high / math.sqrt(now), there, weights * density


def _integral(reach: float, step: float) -> tuple[Floats, Floats]:
    """Return places and weights of an integral from -reach to reach."""
    nodes = max(NODES, math.ceil(NODES_A_WIDTH * reach / step))
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return places * reach, weights * reach


def _density(values: Floats, width: float) -> Floats:
    found: Floats = np.exp(-0.5 * (values / width) ** 2) / (width * math.sqrt(2 * math.pi))
    return found
