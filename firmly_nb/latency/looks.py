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
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EXPONENT = 2  # of the power family
BLOCK = 10  # orders of A and of B in each block
EVERY = 5  # blocks from one look to the next
HALVINGS = 60
NODES, NODES_A_WIDTH = 201, 8  # of the integral: at least, and for each width of a step
BEYOND = 9.0  # standard errors that nothing exceeds


def planned_looks(blocks: int) -> tuple[int, ...]:
    """Return after how many blocks a study of so many is looked at.

    Examples
    --------
    >>> planned_looks(12)
    (5, 10, 12)
    """
    return (*range(EVERY, blocks, EVERY), blocks)


def boundaries(total: float, looks: tuple[int, ...], blocks: int) -> tuple[float, ...]:
    """Return how many standard errors a difference needs at each look.

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
    >>> [round(c, 2) for c in boundaries(0.05 / 3, planned_looks(60), 60)][:3]
    [3.85, 3.56, 3.39]
    """
    return tuple(_boundary(total, looks[: n + 1], blocks) for n in range(len(looks)))


def level_at(total: float, looks: tuple[int, ...], blocks: int) -> float:
    """Return the level of an interval at the last of some looks.

    Examples
    --------
    >>> round(level_at(0.05, (60,), 60), 6)
    0.95
    """
    from scipy.special import ndtr

    return float(2 * ndtr(_boundary(total, looks, blocks)) - 1)


def _boundary(total: float, looks: tuple[int, ...], blocks: int) -> float:
    return _state(total, looks, blocks)[0]


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
