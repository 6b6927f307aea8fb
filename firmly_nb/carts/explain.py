"""Which field explains slow orders: a table of candidates, each with its effect and its interval.

Many fields are tried at once and orders are not assigned to fields at random, so the table says
what chance alone would give, adjusts its p values for the number of fields tried, and names fields
that go together and cannot be told apart.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.carts.schemas import EXPLANATIONS
from firmly_nb.carts.tables import discounts, snapshots
from firmly_nb.display.messages import UnknownName, coded_error, unknown
from firmly_nb.display.text import interval, number, percent, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

# Effect sizes on ranks, because latencies are skewed and have outliers; what holds for the ranks of
# a latency holds for those of its logarithm. Spearman's rho for numbers, epsilon squared of Kruskal
# and Wallis for categories: H / (n - 1), the share of the ranks' variance that lies between the
# categories (M. Tomczak and E. Tomczak, "The need to report effect size estimates revisited",
# 2014).


class EffectSize(NamedTuple):
    """An effect size with its interval, and what it would be by chance alone."""

    size: float
    low: float
    high: float
    by_chance: float
    p_value: float


def codes_of(values: Sequence[Any] | NDArray[Any]) -> Codes:
    """Code values by the rank of each among the distinct ones."""
    return np.unique(np.asarray(values), return_inverse=True)[1]


def spearman(x: Codes, y: Codes, weights: Floats | None = None) -> float:
    """Return Spearman's rho of two coded variables; weights say how often each row counts.

    Examples
    --------
    >>> x = codes_of([1, 2, 3, 4])
    >>> round(spearman(x, codes_of([10, 20, 40, 30])), 3)
    0.8
    """
    w = np.ones(len(x)) if weights is None else weights
    rx, ry = _ranks(x, w), _ranks(y, w)
    rx, ry = rx - np.average(rx, weights=w), ry - np.average(ry, weights=w)
    spread = np.sqrt((w * rx * rx).sum() * (w * ry * ry).sum())
    return float((w * rx * ry).sum() / spread) if spread > 0 else 0.0


def epsilon_squared(groups: Codes, y: Codes, weights: Floats | None = None) -> float:
    """Return epsilon squared: the share of y's rank variance that lies between the groups.

    Examples
    --------
    >>> groups = codes_of(["a", "a", "b", "b"])
    >>> epsilon_squared(groups, codes_of([1, 2, 3, 4]))
    0.8
    """
    w = np.ones(len(y)) if weights is None else weights
    ranks = _ranks(y, w)
    ranks = ranks - np.average(ranks, weights=w)
    sizes = np.bincount(groups, weights=w)
    sums = np.bincount(groups, weights=w * ranks)
    between = (sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum()
    whole = (w * ranks * ranks).sum()
    return float(between / whole) if whole > 0 else 0.0


def cramers_v(a: Codes, b: Codes) -> float:
    """Return Cramér's V of two categorical variables, 0 to 1.

    Examples
    --------
    >>> a = codes_of(["x", "x", "y", "y"])
    >>> cramers_v(a, a)
    1.0
    """
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    smaller = min(table.shape) - 1
    if smaller == 0:
        return 0.0
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (len(a) * smaller)))


def numeric_effect(x: Codes, y: Codes, *, resamples: int, seed: int, level: float) -> EffectSize:
    """Return rho with its interval; p from the t approximation of its null distribution."""
    from scipy.stats import t as student

    n, rho = len(x), spearman(x, y)
    low, high = _interval(spearman, x, y, resamples=resamples, seed=seed, level=level)
    near_one = min(abs(rho), 1 - 1e-15)
    score = near_one * np.sqrt((n - 2) / (1 - near_one**2))
    return EffectSize(rho, max(low, -1.0), min(high, 1.0), 0.0, float(2 * student.sf(score, n - 2)))


def categorical_effect(
    groups: Codes, y: Codes, *, resamples: int, seed: int, level: float
) -> EffectSize:
    """Return epsilon squared with its interval; p from the chi-squared approximation of H."""
    from scipy.stats import chi2

    n, others = len(y), int(groups.max())
    size = epsilon_squared(groups, y)
    low, high = _interval(epsilon_squared, groups, y, resamples=resamples, seed=seed, level=level)
    p_value = float(chi2.sf(size * (n - 1), others))
    return EffectSize(size, max(low, 0.0), min(high, 1.0), others / (n - 1), p_value)


def holm(p_values: Floats) -> Floats:
    """Adjust p values so that the chance of one false alarm in the whole list is bounded.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    by_size = np.argsort(p_values)
    count = len(p_values)
    stepped = np.maximum.accumulate(p_values[by_size] * np.arange(count, 0, -1))
    adjusted = np.empty(count)
    adjusted[by_size] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjust p values so that the share of false alarms among the alarms is bounded.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.04, 0.04]
    """
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return p_values
    return np.asarray(false_discovery_control(p_values, method="bh"), dtype=np.float64)


def _ranks(codes: Codes, weights: Floats) -> Floats:
    """Rank rows that count ``weights`` times; equal values share their middle rank."""
    per_value = np.bincount(codes, weights=weights)
    middle: Floats = np.cumsum(per_value) - per_value / 2 + 0.5
    return middle[codes]


def _interval(
    measure: Callable[[Codes, Codes, Floats], float],
    a: Codes,
    b: Codes,
    *,
    resamples: int,
    seed: int,
    level: float,
) -> tuple[float, float]:
    """Bootstrap an interval: whole orders are drawn again, ranks are taken anew each time.

    A squared measure comes out too large in resamples, by what chance adds to it; the interval is
    moved back by that much.
    """
    rng, n = np.random.default_rng(seed), len(a)
    drawn = np.empty(resamples)
    for at in range(resamples):
        times = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        drawn[at] = measure(a, b, times)
    bias = drawn.mean() - measure(a, b, np.ones(n))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) - bias
    return float(low), float(high)


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
        One row an order, as made by `firmly_nb.carts.explain.features`. Where there is an
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
    named = None if fields is None else list(fields)
    for name in [target, *(named or ())]:
        if name not in features:
            raise coded_error(UnknownName, "FNB303", unknown("column", name, features.columns))
    placed = features[features["outcome"] == "placed"] if "outcome" in features else features
    placed = placed[placed[target].notna()].reset_index(drop=True)
    latency = placed[target].to_numpy(dtype=np.float64)
    names = _candidates(placed, target) if named is None else named
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
    """Return in words what the table of `explain` says, and what it does not.

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
    return "\n".join(map(printable, lines))


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
    return _Field(name, is_numeric, known.index.to_numpy(), codes_of(coded), values)


def _row(field: _Field, latency: np.ndarray[Any, Any], options: dict[str, Any]) -> dict[str, Any]:
    times = latency[field.rows]
    judge = numeric_effect if field.is_numeric else categorical_effect
    found: EffectSize = judge(field.codes, codes_of(times), **options)
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
        ("p_holm", holm(p_values)),
        ("p_bh", benjamini_hochberg(p_values)),
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
    first, second = codes_of(a.codes[in_a]), codes_of(b.codes[in_b])
    if a.is_numeric and b.is_numeric:
        return abs(spearman(first, second))
    if not a.is_numeric and not b.is_numeric:
        return cramers_v(first, second)
    groups, numbers = (second, first) if a.is_numeric else (first, second)
    return float(np.sqrt(epsilon_squared(groups, numbers)))


def _sentence(row: dict[str, Any]) -> str:
    range_ = interval(row["low"], row["high"], "")
    size = f"{row['measure']} {number(row['effect'])} ({range_})"
    chance = f"chance alone explains {percent(row['by_chance'])}, this {percent(row['explained'])}"
    if row["p_holm"] >= ALARM and row["p_bh"] >= ALARM:
        return (
            f"No sign that {row['field']} matters: {size}; {chance}; "
            f"Holm-adjusted p = {row['p_holm']:.2g}."
        )
    sentence = (
        f"{row['slowest']} took {number(row['ratio'])} times as long as {row['fastest']}: "
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


FROM_ORDERS = ["domain", "environment", "run_id", "connection", "n_items", "quantity", "currency"]
FROM_CARTS = [
    "platform_id",
    "shipping_method",
    "shipping_country",
    "shipping_region",
    "n_shipments",
]
KEPT = ["outcome", "order_latency_ms", "time_to_order_placed_ms"]


def features(events: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Collect what is known of each order, one row an order.

    Parameters
    ----------
    events, orders
        The tables of the recordings; both need ``recording_id``. Of the columns of ``orders``
        those which are there are used.

    Returns
    -------
    pandas.DataFrame
        ``recording_id``, the outcome and the latencies as they are, and the candidates: who sold
        (``domain``, ``platform_id``), what (``n_items``, ``quantity``, ``total`` in whole units of
        the currency, if there is only one currency), how it is sent (``shipping_method``,
        ``n_shipments``, ...), whether there was a discount or a notice (of the last snapshot),
        when (``minutes_since_first``), how (``connection``, ``environment``, ``run_id``), and one
        ``tag_...`` for each tag.

    Examples
    --------
    >>> import pandas as pd
    >>> events = pd.DataFrame({"recording_id": ["r1"], "seq": [1], "event": ["item-added"],
    ...     "data": [{"cart": {"platform_id": "magento", "coupons": ["TEN"]}}]})
    >>> orders = pd.DataFrame({"recording_id": ["r1"], "n_items": [2], "tags": [{"day": "mon"}]})
    >>> features(events, orders)[["platform_id", "has_discount", "tag_day"]].to_dict("records")
    [{'platform_id': 'magento', 'has_discount': True, 'tag_day': 'mon'}]
    """
    plain = [name for name in ("recording_id", *KEPT, *FROM_ORDERS) if name in orders]
    table = orders[plain].reset_index(drop=True)
    if "started_at" in orders:
        since = (orders["started_at"] - orders["started_at"].min()).reset_index(drop=True)
        table["minutes_since_first"] = since.dt.total_seconds() / 60
    table = table.merge(_of_carts(events), on="recording_id", how="left")
    tags = _of_tags(orders)
    return table.assign(**{name: tags[name] for name in tags})


def _of_carts(events: pd.DataFrame) -> pd.DataFrame:
    from firmly_nb.api.money import from_minor

    carts = snapshots(events).sort_values(["recording_id", "seq"], kind="stable")
    last = carts.drop_duplicates("recording_id", keep="last")
    known = last[["recording_id", *FROM_CARTS]].assign(has_notice=last["n_notices"] > 0)
    with_discount = set(discounts(events)["recording_id"].tolist())
    known["has_discount"] = known["recording_id"].isin(with_discount)
    currencies = last["currency"].dropna().unique()
    if len(currencies) == 1:
        scale = float(from_minor(1, str(currencies[0])))
        known["total"] = last["total_minor"].astype("Float64") * scale
    return known


def _of_tags(orders: pd.DataFrame) -> dict[str, list[Any]]:
    sets = orders["tags"].tolist() if "tags" in orders else []
    tags = [each if isinstance(each, dict) else {} for each in sets]
    names = dict.fromkeys(name for each in tags for name in each)
    return {f"tag_{name}": [each.get(name) for each in tags] for name in names}
