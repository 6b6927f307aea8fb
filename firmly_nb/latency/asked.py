"""Shares, points, times and targets, read as people write them.

One reader for all verbs and commands: ``margin=0.10`` and ``margin="10%"`` are the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

from firmly_nb.display.messages import coded_error, not_a_share, quoted, unknown

NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
SHARE = re.compile(rf"\s*{NUMBER}\s*(%?)\s*", re.ASCII)
PERCENTILE = re.compile(rf"\s*p{NUMBER}\s*", re.ASCII)
TIME = re.compile(rf"\s*{NUMBER}\s*(ms|s|min)\s*", re.ASCII)
UNITS_MS = {"ms": 1.0, "s": 1000.0, "min": 60_000.0}
TARGETS = ("order",)
TARGET = "order=1500ms:95%"


def share_of(name: str, value: object, example: float) -> float:
    """Return a share that was given as a number, or as text with or without a percent sign.

    Parameters
    ----------
    name
        What the message calls it.
    value
        ``0.10``, ``"0.10"`` or ``"10%"``.
    example
        A share that the message shows.

    Raises
    ------
    ValueError
        If it does not lie between 0 and 1.

    Examples
    --------
    >>> share_of("margin", 0.1, 0.1), share_of("margin", "10%", 0.1), share_of("margin", ".1", 0.1)
    (0.1, 0.1, 0.1)
    >>> share_of("margin", "10", 0.1)
    Traceback (most recent call last):
    ValueError: margin must be between 0 and 1, got '10'. For 10% pass 0.10. [FNB309]
    """
    found = math.nan
    if not isinstance(value, bool) and isinstance(value, Real):
        found = float(value)
    elif isinstance(value, str) and (match := SHARE.fullmatch(value)):
        found = float(match[1]) / (100 if match[2] else 1)
    if not 0 < found < 1:
        raise not_a_share(name, value, example)
    return found


MOST_QUANTILES = 10


def quantiles_of(values: object) -> tuple[float, ...]:
    """Return the quantiles that were asked for, in order.

    Raises
    ------
    ValueError
        If it is no list of one to ten different numbers between 0 and 1.

    Examples
    --------
    >>> quantiles_of([0.99, 0.75]), quantiles_of(["p99.9", 0.5])
    ((0.75, 0.99), (0.5, 0.999))
    >>> quantiles_of([75])
    Traceback (most recent call last):
    ValueError: quantiles must be between 0 and 1, got 75. For p75 pass 0.75. [FNB341]
    """
    several = not isinstance(values, (str, bytes)) and isinstance(values, Iterable)
    each = list(values) if several and isinstance(values, Iterable) else [values]
    found = sorted({_quantile_of(value) for value in each})
    if not 1 <= len(found) <= MOST_QUANTILES or len(found) < len(each):
        text = (
            f"quantiles must be 1 to {MOST_QUANTILES} different ones, got {quoted(values)}. "
            "Example: quantiles=[0.5, 0.75, 0.99]."
        )
        raise coded_error(ValueError, "FNB341", text)
    return tuple(found)


def _quantile_of(value: object) -> float:
    if isinstance(value, str) and (match := PERCENTILE.fullmatch(value)):
        value = float(match[1]) / 100
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and 0 < float(value) < 1:  # type: ignore[arg-type]  # it is a number
        return round(float(value), 10)  # type: ignore[arg-type]  # it is a number
    text = f"quantiles must be between 0 and 1, got {quoted(value)}. For p75 pass 0.75."
    raise coded_error(ValueError, "FNB341", text)


def points_of(name: str, text: str) -> float:
    """Return the share that points on a command line mean: ``5`` or ``5%``.

    Below 1 a bare number could be a share or a part of a point: it needs the sign.

    Raises
    ------
    ValueError
        If it is neither, or does not lie between 0 and 100.

    Examples
    --------
    >>> points_of("--tail", "5"), points_of("--tail", "5%"), points_of("--tail", "0.5%")
    (0.05, 0.05, 0.005)
    """
    match = SHARE.fullmatch(text)
    found = float(match[1]) if match else math.nan
    if match is None or not (0 if match[2] else 1) <= found < 100 or not found:
        said = f"{name} must be points from 1 to 99, got {quoted(text)}. For 5 points pass 5 or 5%."
        raise coded_error(ValueError, "FNB801", said)
    return found / 100


def limit_of(name: str, value: object) -> float:
    """Return a limit in ms that was given as a number of ms, or as text with its unit.

    Raises
    ------
    ValueError
        If it is not a time above 0.

    Examples
    --------
    >>> limit_of("slo_ms", 1500), limit_of("slo_ms", "1.5s"), limit_of("slo_ms", "1500 ms")
    (1500.0, 1500.0, 1500.0)
    """
    found = math.nan
    if not isinstance(value, bool) and isinstance(value, Real):
        found = float(value)
    elif isinstance(value, str) and (match := TIME.fullmatch(value)):
        found = float(match[1]) * UNITS_MS[match[2]]
    if not 0 < found < math.inf:
        text = f"{name} must be a time above 0 ms, got {quoted(value)}. For 1.5 s pass 1500."
        raise coded_error(ValueError, "FNB321", text)
    return found


@dataclass(frozen=True, slots=True)
class Target:
    """Target of a gate: which share of the orders must be placed within how many ms."""

    order_ms: float
    share: float


def target_of(name: str, text: str) -> Target:
    """Return a target that was written as ``order=1500ms:95%``.

    Raises
    ------
    ValueError
        If it has another form.

    Examples
    --------
    >>> target_of("--slo", "order=1.5s:95%")
    Target(order_ms=1500.0, share=0.95)
    """
    what, _, asked = text.partition("=")
    limit, _, wanted = asked.partition(":")
    if not (what.strip() and TIME.fullmatch(limit) and SHARE.fullmatch(wanted)):
        said = f"{name} must be order=TIME:SHARE, got {quoted(text)}. Example: {name} {TARGET}."
        raise coded_error(ValueError, "FNB801", said)
    if what.strip() not in TARGETS:
        said = f"{unknown('target', what.strip(), TARGETS, name)} Example: {name} {TARGET}."
        raise coded_error(ValueError, "FNB801", said)
    return Target(limit_of(name, limit), share_of(name, wanted, 0.95))
