"""Which field explains slow orders: a table of candidates, each with its effect and its interval.

Many fields are tried at once and orders are not assigned to fields at random, so the table says
what chance alone would give, adjusts its p values for the number of fields tried, and names fields
that go together and cannot be told apart.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.carts import effects
from firmly_nb.carts.schemas import EXPLANATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from firmly_nb.carts.effects import Codes, Effect

NOT_CANDIDATES = frozenset({"recording_id", "outcome"})
FEWEST_ORDERS = 20
FEWEST_OF_A_LEVEL = 5  # rarer levels are taken together
RARE = "(rare)"
TOGETHER = 0.7  # association from which two fields cannot be told apart
ALARM = 0.05


class _Field(NamedTuple):
    name: str
    is_numeric: bool
    rows: np.ndarray[Any, Any]
    codes: Codes
    values: np.ndarray[Any, Any]


def explain(
    features: pd.DataFrame,
    target: str = "order_latency_ms",
    fields: Iterable[str] | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Try each field of the orders as an explanation of their latency.

    Parameters
    ----------
    features
        One row an order, as made by `firmly_nb.carts.features.features`. Where there is an
        ``outcome``, only placed orders count: a declined order is not a fast one.
    target
        The column to be explained, in ms.
    fields
        The candidates; by default every column that is neither an id, the outcome nor a time.
    resamples, level, seed
        Of the bootstrap that gives the intervals; the same seed gives the same table.

    Returns
    -------
    pandas.DataFrame
        Columns as in `EXPLANATIONS`, what explains most first. A field that could not be judged
        (one value only, fewer than 20 orders) is there too, and says so.

    Raises
    ------
    KeyError
        If the target or a field is no column.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"n_items": [1, 2, 3, 4] * 10, "domain": ["a", "b"] * 20})
    >>> orders["order_latency_ms"] = [500 + 100 * n + k for k, n in enumerate(orders["n_items"])]
    >>> explain(orders, resamples=200)[["field", "measure", "effect"]].round(2).to_dict("split")[
    ...     "data"]
    [['n_items', 'Spearman rho', 0.97], ['domain', 'epsilon squared', 0.19]]
    """
    placed = features[features["outcome"] == "placed"] if "outcome" in features else features
    placed = placed[placed[target].notna()].reset_index(drop=True)
    latency = placed[target].to_numpy(dtype=np.float64)
    names = list(fields) if fields is not None else _candidates(placed, target)
    judged = [(name, _field(name, placed[name])) for name in names]
    usable = [field for _, field in judged if field is not None]
    options = {"resamples": resamples, "level": level, "seed": seed}
    rows = [_row(field, latency, options) for field in usable]
    _adjust(rows)
    together = _together(usable)
    for row in rows:
        row["goes_with"] = ", ".join(together.get(row["field"], [])) or None
        row["sentence"] = _sentence(row)
    rows.sort(key=lambda row: -row["explained"])
    rows += [
        {"field": name, "n": int(placed[name].notna().sum()), "sentence": _not_judged(placed[name])}
        for name, field in judged
        if field is None
    ]
    return EXPLANATIONS.frame(rows)


def explain_in_words(table: pd.DataFrame) -> str:
    """Tell what the table of `explain` says, and what it does not.

    Examples
    --------
    >>> explain_in_words(EXPLANATIONS.empty())
    'No field could be judged: there are too few placed orders, or all are alike.'
    """
    tested = table[table["effect"].notna()]
    if tested.empty:
        return "No field could be judged: there are too few placed orders, or all are alike."
    clear = tested[tested["p_holm"] < ALARM]
    lines = [f"{len(tested)} fields were tried on up to {tested['n'].max()} placed orders."]
    if clear.empty:
        lines.append(
            "None stands out: with so many tries, the largest of these effects comes by chance."
        )
    else:
        lines.append(
            f"{len(clear)} stand{'s' if len(clear) == 1 else ''} out after allowing for the "
            "number of fields tried (Holm):"
        )
        lines += [f"- {sentence}" for sentence in clear["sentence"]]
    lines.append(
        "Orders were not assigned at random: a field that goes with the cause looks like the cause."
    )
    return "\n".join(lines)


def _candidates(placed: pd.DataFrame, target: str) -> list[str]:
    return [
        name
        for name in placed.columns.tolist()
        if name != target and name not in NOT_CANDIDATES and not name.endswith(("_ms", "_at"))
    ]


def _field(name: str, column: pd.Series[Any]) -> _Field | None:
    """Code a column; None where nothing can be said about it."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    known = column[column.notna()]
    is_numeric = is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)
    if is_numeric:
        values = known.to_numpy(dtype=np.float64)
    else:
        values = known.astype("str").to_numpy(dtype=object)
        levels, counts = np.unique(values.astype(str), return_counts=True)
        rare = set(levels[counts < FEWEST_OF_A_LEVEL].tolist())
        values = np.array([RARE if value in rare else value for value in values], dtype=object)
    if len(values) < FEWEST_ORDERS or len(set(values.tolist())) < 2:
        return None
    coded = values if is_numeric else values.astype(str)
    return _Field(name, is_numeric, known.index.to_numpy(), effects.codes_of(coded), values)


def _row(field: _Field, latency: np.ndarray[Any, Any], options: dict[str, Any]) -> dict[str, Any]:
    times = latency[field.rows]
    judge = effects.numeric_effect if field.is_numeric else effects.categorical_effect
    found: Effect = judge(field.codes, effects.codes_of(times), **options)
    fast, slow, ratio = _contrast(field, times)
    return {
        "field": field.name,
        "kind": "numeric" if field.is_numeric else "categorical",
        "n": len(times),
        "n_levels": int(field.codes.max()) + 1,
        "measure": "Spearman rho" if field.is_numeric else "epsilon squared",
        "effect": found.size,
        "low": found.low,
        "high": found.high,
        "explained": found.size**2 if field.is_numeric else found.size,
        "by_chance": 1 / (len(times) - 1) if field.is_numeric else found.by_chance,
        "p_value": found.p_value,
        "fastest": fast,
        "slowest": slow,
        "ratio": ratio,
    }


def _contrast(field: _Field, times: np.ndarray[Any, Any]) -> tuple[str, str, float]:
    """Compare the typical latency (geometric mean) of the fastest and the slowest part."""
    log = np.log(np.maximum(times, 1e-9))
    if field.is_numeric:
        low, high = np.quantile(field.values, [1 / 3, 2 / 3])
        if low == high:
            low, high = field.values.min(), field.values.max()
        parts = {
            f"{field.name} <= {low:g}": log[field.values <= low].mean(),
            f"{field.name} >= {high:g}": log[field.values >= high].mean(),
        }
    else:
        parts = {
            f"{field.name} {level}": log[field.values == level].mean()
            for level in sorted(set(field.values.tolist()))
        }
    fast, slow = min(parts, key=parts.__getitem__), max(parts, key=parts.__getitem__)
    return fast, slow, float(np.exp(parts[slow] - parts[fast]))


def _adjust(rows: list[dict[str, Any]]) -> None:
    p_values = np.array([row["p_value"] for row in rows], dtype=np.float64)
    for name, adjusted in (
        ("p_holm", effects.holm(p_values)),
        ("p_bh", effects.benjamini_hochberg(p_values)),
    ):
        for row, value in zip(rows, adjusted.tolist(), strict=True):
            row[name] = value


def _together(fields: list[_Field]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for a, b in combinations(fields, 2):
        if _association(a, b) >= TOGETHER:
            found.setdefault(a.name, []).append(b.name)
            found.setdefault(b.name, []).append(a.name)
    return found


def _association(a: _Field, b: _Field) -> float:
    rows, in_a, in_b = np.intersect1d(a.rows, b.rows, return_indices=True)
    if len(rows) < FEWEST_ORDERS:
        return 0.0
    first, second = effects.codes_of(a.codes[in_a]), effects.codes_of(b.codes[in_b])
    if a.is_numeric and b.is_numeric:
        return abs(effects.spearman(first, second))
    if not a.is_numeric and not b.is_numeric:
        return effects.cramers_v(first, second)
    groups, numbers = (second, first) if a.is_numeric else (first, second)
    return float(np.sqrt(effects.epsilon_squared(groups, numbers)))


def _sentence(row: dict[str, Any]) -> str:
    size = f"{row['measure']} {row['effect']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    chance = f"chance alone explains {row['by_chance']:.1%}, this {row['explained']:.1%}"
    if row["p_holm"] >= ALARM and row["p_bh"] >= ALARM:
        return (
            f"No sign that {row['field']} matters: {size}; {chance}; "
            f"Holm-adjusted p = {row['p_holm']:.2g}."
        )
    sentence = (
        f"{row['slowest']} took {row['ratio']:.2f} times as long as {row['fastest']}: "
        f"{size}; {chance}."
    )
    if row["p_holm"] >= ALARM:
        sentence = f"A hint, no more (Holm-adjusted p = {row['p_holm']:.2g}): {sentence}"
    if row["goes_with"]:
        sentence += f" It goes with {row['goes_with']}: these orders cannot tell them apart."
    return sentence


def _not_judged(column: pd.Series[Any]) -> str:
    known = column[column.notna()]
    if len(known) < FEWEST_ORDERS:
        return f"Not judged: {len(known)} placed orders have it, {FEWEST_ORDERS} are needed."
    if known.astype("str").nunique() == 1:
        return f"Not judged: it is {known.astype('str').iloc[0]} in all orders."
    return f"Not judged: too few orders of each value, {FEWEST_OF_A_LEVEL} are needed."
