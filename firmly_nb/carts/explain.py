"""Which field explains slow orders: a table of candidates, each with its effect and its interval.

Many fields are tried at once and orders are not assigned to fields at random, so the table says
what chance alone would give, adjusts its p values for the number of fields tried, and names fields
that go together: if neither explains anything beyond the other, neither gets the credit. A field
that is the same within each run is as good as one observation a run, so whole runs are permuted.
Other fields are compared within runs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.carts.effects import (
    basis_of,
    benjamini_hochberg,
    bootstrapped,
    codes_of,
    columns_of,
    epsilon_squared,
    holm,
    ranks_of,
    rarity,
    run_means,
    spearman,
    without_runs,
)
from firmly_nb.carts.schemas import EXPLANATIONS
from firmly_nb.carts.tables import discounts, snapshots
from firmly_nb.display.messages import UnknownName, coded_error, unknown
from firmly_nb.display.text import count, interval, listed, number, percent, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

NOT_CANDIDATES = frozenset({"recording_id", "outcome", "run_id"})
FEWEST_ORDERS = 20
FEWEST_OF_A_LEVEL = 5  # rarer levels are taken together
RARE = "(rare)"
ALARM = 0.05
CONSTANT = 0.9  # share of a field's spread between runs from which it counts as one value a run
DRIFT = " A drift from run to run can look the same. Let its values take turns from run to run."
ARRANGEMENTS = 35  # over the runs; with fewer even the best one is not rare
ENOUGH_RUNS = 5  # from which runs are drawn again as wholes
BLOCKS = 10  # of consecutive orders of a run whose neighbours are alike
STANDS_OUT, TOGETHER, NOT_BEYOND, HINT, NO_SIGN, NOT_JUDGED = (
    "stands out",
    "cannot be told apart",
    "nothing beyond others",
    "hint",
    "no sign",
    "not judged",
)


class _Field(NamedTuple):
    name: str
    is_numeric: bool
    rows: np.ndarray[Any, Any]
    codes: Codes
    values: np.ndarray[Any, Any]


class _Orders(NamedTuple):
    """Placed orders in order of start: the logarithm of their time, and the number of their run."""

    log: Floats
    runs: Codes


class _Sample(NamedTuple):
    """Rows that a field is judged on: orders, or runs as wholes.

    ``runs`` is None if there is one run only, or if a row is a run.
    """

    codes: Codes
    values: np.ndarray[Any, Any]
    log: Floats
    runs: Codes | None
    by_runs: bool


def explain(
    features: pd.DataFrame,
    target: str = "order_latency_ms",
    fields: Iterable[str] | str | None = None,
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
        The candidates, or one; by default every column that is neither an id, the outcome nor a
        time. ``run_id`` says which orders are of one run.
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
    named = [fields] if isinstance(fields, str) else None if fields is None else list(fields)
    for name in [target, *(named or ())]:
        if name not in features:
            raise coded_error(UnknownName, "FNB303", unknown("column", name, features.columns))
    placed = features[features["outcome"] == "placed"] if "outcome" in features else features
    placed = placed[placed[target].notna()]
    if "minutes_since_first" in placed:
        placed = placed.sort_values("minutes_since_first", kind="stable")
    placed = placed.reset_index(drop=True)
    log = np.log(np.maximum(placed[target].to_numpy(dtype=np.float64), 1e-9))
    orders = _Orders(log, _run_codes(placed))
    names = _candidates(placed, target) if named is None else named
    judged = [(name, _field(name, placed[name])) for name in names]
    fields = {name: field for name, field in judged if field is not None}
    samples = {name: _sample(field, orders) for name, field in fields.items()}
    why_not = {name: _not_judged(placed[name]) for name, field in judged if field is None}
    why_not |= {name: sample for name, sample in samples.items() if isinstance(sample, str)}
    options = {"resamples": resamples, "level": level, "seed": seed}
    rows = [
        _row(fields[name], sample, len(fields[name].rows), options)
        for name, sample in samples.items()
        if not isinstance(sample, str)
    ]
    _adjust(rows)
    _give_credit(rows, fields, orders)
    for row in rows:
        row["sentence"] = _sentence(row)
    rows.sort(key=lambda row: -row["explained"])
    rows += [
        {
            "field": name,
            "n": int(placed[name].notna().sum()),
            "finding": NOT_JUDGED,
            "sentence": why_not[name],
        }
        for name in names
        if name in why_not
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
    fields = f"{count(len(tested), 'field')} {'was' if len(tested) == 1 else 'were'}"
    lines = [f"{fields} tried on up to {tested['n'].max()} placed orders."]
    found = {name: tested[tested["finding"] == name] for name in (STANDS_OUT, TOGETHER, NOT_BEYOND)}
    clear, alike, others = found.values()
    if clear.empty and alike.empty and others.empty:
        lines.append(
            "None stands out: with so many tries, the largest of these effects comes by chance."
        )
    if len(clear):
        lines.append(
            f"{len(clear)} stand{'s' if len(clear) == 1 else ''} out after allowing for the "
            "number of fields tried (Holm):"
        )
        lines += [f"- {sentence}" for sentence in clear["sentence"]]
    if len(alike):
        lines.append("These cannot be told apart in these orders. None of them gets the credit:")
        lines += [f"- {sentence}" for sentence in alike["sentence"]]
    if len(others):
        lines.append("These show nothing beyond others that they go with:")
        lines += [f"- {sentence}" for sentence in others["sentence"]]
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


def _run_codes(placed: pd.DataFrame) -> Codes:
    import pandas as pd

    if "run_id" not in placed:
        return np.zeros(len(placed), dtype=np.intp)
    return np.asarray(pd.factorize(placed["run_id"], use_na_sentinel=False)[0], dtype=np.intp)


def _sample(field: _Field, orders: _Orders) -> _Sample | str:
    """Return what a field is judged on, or why it cannot be judged."""
    log, runs = orders.log[field.rows], codes_of(orders.runs[field.rows])
    size, n_runs = len(log), int(runs.max()) + 1
    if n_runs < 2:
        return _Sample(field.codes, field.values, log, None, by_runs=False)
    columns = columns_of(field.codes, is_numeric=field.is_numeric)
    within = columns - run_means(columns, runs)[runs]
    spread = float((columns**2).sum())
    by_chance = (size - n_runs) / (size - 1)
    if spread > 0 and (within**2).sum() > (1 - CONSTANT) * by_chance * spread:
        return _Sample(field.codes, field.values, log, runs, by_runs=False)
    return _of_runs(field, log, runs)


def _of_runs(field: _Field, log: Floats, runs: Codes) -> _Sample | str:
    """Return one row a run: its median time, and its median or most frequent value."""
    n_runs = int(runs.max()) + 1
    rows = [np.flatnonzero(runs == run) for run in range(n_runs)]
    rows.sort(key=lambda mine: int(mine[0]))
    if field.is_numeric:
        values = np.array([np.median(field.values[mine]) for mine in rows])
    else:
        most = [np.bincount(field.codes[mine]).argmax() for mine in rows]
        texts = np.array(sorted(set(field.values.tolist())), dtype=object)
        values = texts[most]
    codes = codes_of(values if field.is_numeric else values.astype(str))
    if _arrangements(np.bincount(codes)) < ARRANGEMENTS:
        return (
            f"Not judged: it is the same within each run, and {n_runs} runs are too few to tell it "
            "from other differences between runs. Let its values take turns within runs."
        )
    if not field.is_numeric and codes.max() + 1 == n_runs:
        return (
            "Not judged: each run has a value of its own, which no other run shares. "
            "Let its values take turns within runs."
        )
    times = np.array([np.median(log[mine]) for mine in rows])
    return _Sample(codes, values, times, None, by_runs=True)


def _arrangements(sizes: NDArray[np.intp]) -> float:
    from math import exp, lgamma

    return round(exp(lgamma(sizes.sum() + 1) - sum(lgamma(one + 1) for one in sizes.tolist())), 6)


def _row(field: _Field, sample: _Sample, n: int, options: dict[str, Any]) -> dict[str, Any]:
    y = codes_of(sample.log)
    ranks = ranks_of(y, np.ones(len(y)))
    columns = columns_of(sample.codes, is_numeric=field.is_numeric)
    chance = rarity(columns, ranks, sample.runs, times=sample.log if sample.by_runs else None)
    others = 1 if field.is_numeric else int(sample.codes.max())
    plain = spearman if field.is_numeric else epsilon_squared
    measure = partial(_measured, plain, sample.runs)
    clusters = _clusters(sample, alike=chance.alike)
    drawn = {**options, "clusters": clusters}
    size = measure(sample.codes, y, np.ones(len(y)))
    low, high = bootstrapped(measure, sample.codes, y, **drawn)
    contrast, fast, slow = _contrast(field, sample)
    ratio = contrast(sample.log, np.ones(len(y)))
    ends = bootstrapped(contrast, sample.log, **drawn)
    return {
        "field": field.name,
        "kind": "numeric" if field.is_numeric else "categorical",
        "n": n,
        "n_levels": int(field.codes.max()) + 1,
        "unit": "runs" if sample.by_runs else "orders",
        "units": len(y),
        "measure": "Spearman rho" if field.is_numeric else "epsilon squared",
        "effect": size,
        "low": max(low, -1.0 if field.is_numeric else 0.0),
        "high": min(high, 1.0),
        "explained": size**2 if field.is_numeric else size,
        "by_chance": others / (len(y) - 1),
        "p_value": chance.p_value,
        "as_drift": chance.shuffled <= ALARM < chance.p_value,
        "fastest": fast,
        "slowest": slow,
        "ratio": float(np.exp(ratio)),
        "ratio_low": float(np.exp(ends[0])),
        "ratio_high": float(np.exp(ends[1])),
    }


def _measured(
    measure: Callable[..., float], runs: Codes | None, x: Codes, y: Codes, weights: Floats
) -> float:
    return measure(x, y, weights, runs)


def _clusters(sample: _Sample, *, alike: bool) -> Codes | None:
    """Return which rows are drawn again together: runs, or stretches of like neighbours."""
    if sample.runs is not None and int(sample.runs.max()) + 1 >= ENOUGH_RUNS:
        return sample.runs
    if sample.by_runs:
        return np.arange(len(sample.log))
    if not alike:
        return None
    runs = np.zeros(len(sample.log), dtype=np.intp) if sample.runs is None else sample.runs
    blocks = np.zeros(len(runs), dtype=np.intp)
    for run in range(int(runs.max()) + 1):
        mine = np.flatnonzero(runs == run)
        blocks[mine] = run * BLOCKS + np.arange(len(mine)) * BLOCKS // max(len(mine), 1)
    return codes_of(blocks)


def _contrast(field: _Field, sample: _Sample) -> tuple[Callable[..., float], str, str]:
    """Return what compares the slowest part with the fastest, and both parts' names.

    It is the difference of the mean logarithms; with runs, within them.
    """
    values, ones = sample.values, np.ones(len(sample.log))
    log = without_runs(sample.log, ones, sample.runs)
    if field.is_numeric:
        low, high = np.quantile(values, [1 / 3, 2 / 3])
        if low == high:
            low, high = values.min(), values.max()
        parts = {
            f"{field.name} <= {low:g}": values <= low,
            f"{field.name} >= {high:g}": values >= high,
        }
    else:
        parts = {f"{field.name} {level}": values == level for level in sorted(set(values.tolist()))}
    means = {name: float(log[mine].mean()) for name, mine in parts.items()}
    fast, slow = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    return partial(_apart, parts[fast], parts[slow], sample.runs), fast, slow


def _apart(
    fast: NDArray[np.bool_],
    slow: NDArray[np.bool_],
    runs: Codes | None,
    log: Floats,
    weights: Floats,
) -> float:
    codes = np.zeros(len(log), dtype=np.intp) if runs is None else runs
    n_fast, n_slow = (np.bincount(codes, weights=weights * part) for part in (fast, slow))
    both = (n_fast > 0) & (n_slow > 0)
    if not both.any():
        return float("nan")
    of_fast, of_slow = (
        np.bincount(codes, weights=weights * part * log)[both] / sizes[both]
        for part, sizes in ((fast, n_fast), (slow, n_slow))
    )
    weight = (n_fast * n_slow)[both] / (n_fast + n_slow)[both]
    return float(np.average(of_slow - of_fast, weights=weight))


def _give_credit(rows: list[dict[str, Any]], fields: dict[str, _Field], orders: _Orders) -> None:
    """Say of each field whether it stands out, and beyond the others that stand out."""
    clear = [row["field"] for row in rows if row["p_holm"] < ALARM]
    rivals = {
        name: {
            other
            for other in clear
            if other != name and _beyond(fields[name], fields[other], orders) > ALARM
        }
        for name in clear
    }
    for row in rows:
        name = row["field"]
        row["goes_with"] = None
        if name not in rivals:
            row["finding"] = HINT if row["p_bh"] < ALARM else NO_SIGN
            continue
        same = {other for other in rivals[name] if name in rivals[other]}
        row["finding"] = STANDS_OUT if not rivals[name] else TOGETHER if same else NOT_BEYOND
        row["others"] = sorted(same or rivals[name])
        row["goes_with"] = ", ".join(row["others"]) or None


def _beyond(field: _Field, other: _Field, orders: _Orders) -> float:
    """Return the p value of a field among orders that are alike in the other field."""
    _, in_field, in_other = np.intersect1d(field.rows, other.rows, return_indices=True)
    if len(in_field) < FEWEST_ORDERS:
        return 0.0
    mine, its = codes_of(field.codes[in_field]), codes_of(other.codes[in_other])
    rows = field.rows[in_field]
    part = _Field(field.name, field.is_numeric, rows, mine, field.values[in_field])
    sample = _sample(part, orders)
    rival = _sample(_Field(other.name, other.is_numeric, rows, its, other.values[in_other]), orders)
    if isinstance(sample, str) or (sample.by_runs and isinstance(rival, str)):
        return 1.0
    if sample.by_runs and not isinstance(rival, str) and not rival.by_runs:
        # Times of the runs, as if all had the same mix of the other field.
        columns = columns_of(its, is_numeric=other.is_numeric, curved=True)
        runs = codes_of(orders.runs[rows])
        within = columns - run_means(columns, runs)[runs]
        slopes = np.linalg.lstsq(within, orders.log[rows], rcond=None)[0]
        adjusted = _of_runs(part, orders.log[rows] - columns @ slopes, runs)
        sample = sample if isinstance(adjusted, str) else adjusted
    y = ranks_of(codes_of(sample.log), np.ones(len(sample.log)))
    times = sample.log - sample.log.mean() if sample.by_runs else None
    columns = columns_of(sample.codes, is_numeric=field.is_numeric)
    if isinstance(rival, str) or rival.by_runs != sample.by_runs:
        return rarity(columns, y, sample.runs, times=times).p_value
    taken = columns_of(rival.codes, is_numeric=other.is_numeric, curved=True)
    blocks = sample.runs
    if blocks is not None:
        columns, taken = (one - run_means(one, blocks)[blocks] for one in (columns, taken))
        y = without_runs(y, np.ones(len(y)), blocks)
    basis = basis_of(taken)
    y = y - y.mean()
    y, columns = y - basis @ (basis.T @ y), columns - basis @ (basis.T @ columns)
    times = None if times is None else times - basis @ (basis.T @ times)
    return rarity(columns, y, blocks, times=times, taken=basis).p_value


def _adjust(rows: list[dict[str, Any]]) -> None:
    p_values = np.array([row["p_value"] for row in rows], dtype=np.float64)
    for name, adjusted in (
        ("p_holm", holm(p_values)),
        ("p_bh", benjamini_hochberg(p_values)),
    ):
        for row, value in zip(rows, adjusted.tolist(), strict=True):
            row[name] = value


def _sentence(row: dict[str, Any]) -> str:
    range_ = interval(row["low"], row["high"], "")
    size = f"{row['measure']} {number(row['effect'])} ({range_})"
    chance = f"chance alone explains {percent(row['by_chance'])}, this {percent(row['explained'])}"
    if row["unit"] == "runs":
        chance += f"; {row['units']} runs, for it is the same within each"
    drift = DRIFT if row["as_drift"] else ""
    if row["finding"] == NO_SIGN:
        return (
            f"No sign that {row['field']} matters: {size}; {chance}; "
            f"Holm-adjusted p = {row['p_holm']:.2g}.{drift}"
        )
    ratio = f"{number(row['ratio'])} times ({interval(row['ratio_low'], row['ratio_high'], '')})"
    sentence = f"{row['slowest']} took {ratio} as long as {row['fastest']}: {size}; {chance}."
    if row["finding"] == HINT:
        return f"A hint, no more (Holm-adjusted p = {row['p_holm']:.2g}): {sentence}"
    if row["finding"] == TOGETHER:
        these = listed([row["field"], *row["others"]])
        return f"{these} go together: these orders cannot tell them apart. {sentence}"
    if row["finding"] == NOT_BEYOND:
        return f"{row['field']} shows nothing beyond {listed(row['others'])}. {sentence}"
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
