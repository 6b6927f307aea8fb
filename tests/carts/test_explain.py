"""Effects agree with references, intervals cover, and what is noise is called noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from firmly_nb.carts.effects import (
    benjamini_hochberg,
    codes_of,
    epsilon_squared,
    holm,
    spearman,
)
from firmly_nb.carts.explain import explain, explain_in_words, features
from firmly_nb.carts.schemas import EXPLANATIONS

QUICK = {"resamples": 200, "level": 0.95, "seed": 0}


def numeric_effect(x, y, **options):
    """What is told of a number, from a table of one field."""
    table = pd.DataFrame({"x": x, "order_latency_ms": np.asarray(y) + 1.0})
    [found] = explain(table, fields=["x"], **options).to_dict("records")
    return found


def categorical_effect(groups, y, **options):
    """The same of a category."""
    return numeric_effect([f"group {one}" for one in groups], y, **options)


def orders(n: int = 240, seed: int = 1) -> pd.DataFrame:
    """Placed orders whose latency depends on the number of items, and on nothing else."""
    rng = np.random.default_rng(seed)
    items = rng.integers(1, 6, n)
    return pd.DataFrame(
        {
            "recording_id": [f"r{k}" for k in range(n)],
            "outcome": "placed",
            "n_items": items,
            "domain": rng.choice(["a.test", "b.test"], n),
            "noise": rng.normal(size=n),
            "constant": "same",
            "order_latency_ms": np.exp(rng.normal(6, 0.3, n)) * (1 + 0.3 * items),
        }
    )


def row(table: pd.DataFrame, field: str) -> dict[str, object]:
    (found,) = table[table["field"] == field].to_dict("records")
    return found


@pytest.mark.parametrize("ties", [3, 1000])
def test_effects_and_p_values_agree_with_scipy(ties):
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, ties, 80), rng.integers(0, ties, 80)
    y = y + x // 2
    groups = rng.integers(0, 4, 80)
    found = numeric_effect(codes_of(x), codes_of(y), **QUICK)
    reference = stats.spearmanr(x, y)
    assert found["effect"] == pytest.approx(reference.statistic)
    assert found["p_value"] == pytest.approx(reference.pvalue)
    found = categorical_effect(groups, codes_of(y), **QUICK)
    h = stats.kruskal(*(y[groups == group] for group in range(4)))
    assert found["effect"] == pytest.approx(h.statistic / 79)
    assert found["p_value"] == pytest.approx(h.pvalue)


def test_a_weight_of_two_is_a_row_twice():
    rng = np.random.default_rng(4)
    x, y, groups = rng.integers(0, 9, 40), rng.integers(0, 9, 40), rng.integers(0, 3, 40)
    times = rng.integers(0, 3, 40)
    again = np.repeat(np.arange(40), times)
    weights = times.astype(float)
    assert spearman(x, y, weights) == pytest.approx(stats.spearmanr(x[again], y[again]).statistic)
    by_group = [y[again][groups[again] == group] for group in range(3)]
    assert epsilon_squared(groups, y, weights) == pytest.approx(
        stats.kruskal(*by_group).statistic / (len(again) - 1)
    )


def test_intervals_cover_the_true_effect_about_as_often_as_they_say():
    def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        x, groups = rng.normal(size=n), rng.integers(0, 3, n)
        return x, groups, 0.6 * x + 0.5 * groups + rng.normal(size=n)

    x, groups, y = (codes_of(each) for each in draw(100_000, 0))
    true_rho, true_epsilon = spearman(x, y), epsilon_squared(groups, y)
    hits = np.zeros(2)
    for seed in range(1, 101):
        x, groups, y = (codes_of(each) for each in draw(150, seed))
        rho = numeric_effect(x, y, **QUICK)
        epsilon = categorical_effect(groups, y, **QUICK)
        hits += [
            one["low"] <= true <= one["high"]
            for one, true in ((rho, true_rho), (epsilon, true_epsilon))
        ]
    assert (hits >= 88).all(), hits
    assert (hits <= 100).all()


def test_the_field_that_matters_comes_first_and_the_others_are_noise():
    table = explain(orders())
    assert table["field"].tolist()[0] == "n_items"
    first = row(table, "n_items")
    assert first["p_holm"] < 0.001
    assert 0.4 < first["low"] < first["effect"] < first["high"] < 1
    assert first["slowest"] == "n_items >= 4"
    assert 1.3 < first["ratio"] < 2.0
    for name in ("domain", "noise"):
        assert row(table, name)["p_holm"] > 0.05
        assert row(table, name)["sentence"].startswith(f"No sign that {name} matters")
    assert row(table, "constant")["sentence"] == "Not judged: it is same in all orders."
    text = explain_in_words(table)
    assert "3 fields were tried on up to 240 placed orders" in text
    assert "1 stands out" in text
    assert "not assigned at random" in text


def test_many_fields_of_noise_raise_few_alarms():
    """Of 20 tables with 20 fields of noise each, one false alarm in the list is rare."""
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(60, 20)), columns=[f"f{k}" for k in range(20)])
        table["order_latency_ms"] = rng.lognormal(size=60)
        found = explain(table, resamples=20)
        alarms += bool((found["p_holm"] < 0.05).any())
        assert (found["p_holm"] >= found["p_bh"]).all()
        assert (found["p_bh"] >= found["p_value"]).all()
    assert alarms <= 4


def test_fields_that_go_together_are_named():
    table = orders()
    table["platform_id"] = table["n_items"].map(lambda n: "slow" if n > 3 else "fast")
    found = row(explain(table), "platform_id")
    assert (found["goes_with"], found["finding"]) == ("n_items", "nothing beyond others")
    assert found["sentence"].startswith("platform_id shows nothing beyond n_items. ")
    assert row(explain(table), "n_items")["finding"] == "stands out"


def test_only_placed_orders_count():
    table = orders()
    table.loc[:39, "outcome"] = "declined"
    table.loc[:39, "order_latency_ms"] = 1.0
    assert row(explain(table), "n_items")["n"] == 200


def test_rare_values_are_taken_together():
    table = orders(60)
    table["city"] = [f"city {k}" for k in range(30)] + ["Seattle"] * 30
    found = row(explain(table, fields=["city"]), "city")
    assert found["n_levels"] == 2
    assert "city (rare)" in (found["slowest"], found["fastest"])


def test_the_same_seed_gives_the_same_table():
    pd.testing.assert_frame_equal(explain(orders(), seed=5), explain(orders(), seed=5))


def test_too_few_orders_are_not_judged():
    table = explain(orders(10))
    assert table["effect"].isna().all()
    assert row(table, "n_items")["sentence"].startswith("Not judged: 10 placed orders")
    assert explain_in_words(table).startswith("No field could be judged")
    assert explain(orders(0)).columns.tolist() == EXPLANATIONS.names


def test_features_come_from_orders_carts_and_tags(build):
    events = build.events(build.recording(), build.recording()[:2], [])
    table = features(
        events,
        pd.DataFrame(
            {
                "recording_id": ["r1", "r2", "r3"],
                "started_at": pd.to_datetime(
                    ["2026-01-01T00:00", "2026-01-01T00:05", None], utc=True
                ),
                "outcome": ["placed", "declined", "timeout"],
                "order_latency_ms": [1200.0, 800.0, 5000.0],
                "tags": [{"day": "monday"}, {}, None],
            }
        ),
    )
    assert table["minutes_since_first"].tolist()[:2] == [0.0, 5.0]
    assert table["shipping_method"].isna().tolist() == [False, True, True]
    assert table["total"].tolist()[:2] == [30.47, 22.0]
    assert table["tag_day"].isna().tolist() == [False, True, True]
    assert len(table) == 3


def test_totals_in_several_currencies_are_not_compared(build):
    events = build.events(build.recording(), build.recording(currency="JPY"))
    assert "total" not in features(events, pd.DataFrame({"recording_id": ["r1", "r2"]}))


def by_holm(p: np.ndarray) -> list[float]:
    """S. Holm, 1979: the smallest times m, the next times m - 1, ...; none below one before it."""
    smaller_or_equal = [sorted(each for each in p if each <= one) for one in p]
    return [
        min(1.0, max((len(p) - k) * each for k, each in enumerate(below)))
        for below in smaller_or_equal
    ]


def by_benjamini_and_hochberg(p: np.ndarray) -> list[float]:
    """Y. Benjamini and Y. Hochberg, 1995: the k-th smallest times m / k; none above one after."""
    ordered = sorted(p)
    steps = [(each, len(p) / k * each) for k, each in enumerate(ordered, 1)]
    return [min(step for each, step in steps if each >= one) for one in p]


@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)))
def test_adjusted_p_values_are_those_of_their_authors(p):
    np.testing.assert_allclose(holm(p), by_holm(p), atol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), by_benjamini_and_hochberg(p), atol=1e-12)


def test_of_no_p_values_none_is_adjusted():
    assert holm(np.array([])).tolist() == []
    assert benjamini_hochberg(np.array([])).tolist() == []


def test_what_is_all_alike_goes_with_nothing():
    alike, other = np.zeros(9, dtype=int), np.arange(9) % 3
    assert spearman(alike, other) == spearman(other, alike) == 0.0
    assert epsilon_squared(other, alike) == epsilon_squared(alike, other) == 0.0


def test_what_is_the_same_goes_with_itself_entirely():
    x = codes_of(range(30))
    found = numeric_effect(x, x, **QUICK)
    assert (found["effect"], found["high"]) == (pytest.approx(1), pytest.approx(1))
    assert found["high"] <= 1
    assert 0 <= found["p_value"] < 1e-100
    opposite = numeric_effect(x, x[::-1], **QUICK)
    assert (opposite["effect"], opposite["low"]) == (pytest.approx(-1), pytest.approx(-1))
    assert opposite["low"] >= -1
    assert opposite["p_value"] == pytest.approx(found["p_value"])
    groups = np.repeat([0, 1, 2], 10)
    of_groups = categorical_effect(groups, groups, **QUICK)
    assert (of_groups["effect"], of_groups["by_chance"]) == (
        pytest.approx(1),
        pytest.approx(2 / 29),
    )
    assert of_groups["high"] <= 1
    nothing = categorical_effect(groups, np.tile(np.arange(10), 3), **QUICK)
    assert nothing["effect"] == pytest.approx(0, abs=1e-12)
    assert nothing["low"] == 0
    assert nothing["p_value"] == pytest.approx(1)


@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("seed", [0, 7])
def test_an_interval_is_the_quantiles_of_resamples_moved_back_by_their_bias(level, seed):
    """The same resamples, written out row by row and measured by scipy."""
    data = np.random.default_rng(11)
    groups = data.integers(0, 3, 40)
    x = data.integers(0, 30, 40)
    y = codes_of(x + groups * 9 + data.integers(0, 30, 40))
    rng, rhos, epsilons = np.random.default_rng(seed), [], []
    for _ in range(60):
        rows = rng.integers(0, 40, 40)
        rhos.append(stats.spearmanr(x[rows], y[rows]).statistic)
        parts = [y[rows][groups[rows] == group] for group in range(3)]
        epsilons.append(stats.kruskal(*(part for part in parts if len(part))).statistic / 39)
    options = {"resamples": 60, "level": level, "seed": seed}
    for drawn, found in (
        (rhos, numeric_effect(codes_of(x), y, **options)),
        (epsilons, categorical_effect(groups, y, **options)),
    ):
        bias = np.mean(drawn) - found["effect"]
        ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) - bias
        assert [found["low"], found["high"]] == pytest.approx(np.clip(ends, -1, 1).tolist())


def told(**changes: object) -> pd.DataFrame:
    """Forty orders, half of them twice as slow; quick to be judged."""
    slow = np.arange(40) >= 20
    columns = {
        "outcome": "placed",
        "size": np.where(slow, 5, 2),
        "kind": np.where(slow, "big", "small"),
        "order_latency_ms": np.where(slow, 200.0, 100.0) * np.exp(0.001 * (7 * np.arange(40) % 40)),
    }
    return pd.DataFrame(columns | changes)


def test_each_column_of_an_explanation_is_its_own():
    table = explain(told(), fields=["size", "kind"], resamples=50)
    number, category = row(table, "size"), row(table, "kind")
    spearman = stats.spearmanr(told()["size"], told()["order_latency_ms"])
    halves = told()["order_latency_ms"][:20], told()["order_latency_ms"][20:]
    kruskal = stats.kruskal(*halves)
    ratio = np.exp(np.log(halves[1]).mean() - np.log(halves[0]).mean())
    common = {"n": 40, "n_levels": 2, "ratio": pytest.approx(ratio)}
    names = (*common, "kind", "measure", "fastest", "slowest")
    assert {name: number[name] for name in names} == {
        **common,
        "kind": "numeric",
        "measure": "Spearman rho",
        "fastest": "size <= 2",
        "slowest": "size >= 5",
    }
    assert {
        name: category[name] for name in (*common, "kind", "measure", "fastest", "slowest")
    } == {
        **common,
        "kind": "categorical",
        "measure": "epsilon squared",
        "fastest": "kind small",
        "slowest": "kind big",
    }
    assert number["explained"] == pytest.approx(spearman.statistic**2)
    assert number["by_chance"] == category["by_chance"] == pytest.approx(1 / 39)
    assert number["p_value"] == pytest.approx(spearman.pvalue)
    assert category["explained"] == category["effect"] == pytest.approx(kruskal.statistic / 39)
    assert (number["goes_with"], category["goes_with"]) == ("kind", "size")
    p_value = table["p_value"].to_numpy()
    assert table["p_holm"].tolist() == pytest.approx(by_holm(p_value))
    assert table["p_bh"].tolist() == pytest.approx(by_benjamini_and_hochberg(p_value))


@pytest.mark.parametrize(("n", "judged"), [(19, False), (20, True)])
def test_a_field_is_judged_from_twenty_orders_on(n, judged):
    table = told().iloc[40 - 2 * n :: 2] if n > 20 else told().iloc[20 - n // 2 : 20 + (n + 1) // 2]
    found = row(explain(table, fields=["size"], resamples=20), "size")
    assert found["n"] == n
    assert pd.notna(found["effect"]) == judged
    if not judged:
        assert found["sentence"] == "Not judged: 19 placed orders have it, 20 are needed."


@pytest.mark.parametrize(("rare", "levels"), [(4, 2), (5, 3)])
def test_a_value_of_five_orders_stands_for_itself(rare, levels):
    names = ["x"] * rare + ["y"] * 3 + ["z"] * (33 - rare) + ["w"] * 4
    table = told(kind=np.array(names))
    found = row(explain(table, fields=["kind"], resamples=20), "kind")
    assert found["n_levels"] == levels


def test_a_field_of_rare_values_only_is_not_judged():
    table = told(kind=[f"k{n}" for n in range(40)])
    found = row(explain(table, fields=["kind"], resamples=20), "kind")
    assert found["sentence"] == "Not judged: too few orders of each value, 5 are needed."


def test_what_is_no_candidate_is_not_tried():
    table = told(recording_id="r", shop_ms=1, started_at=1, other=range(40))
    table["minutes"] = range(40)
    assert set(explain(table, resamples=20)["field"]) == {"size", "kind", "other", "minutes"}
    with pytest.raises(KeyError):
        explain(table, fields=["no such field"])
    with pytest.raises(KeyError):
        explain(table, target="no such target")


def test_orders_without_a_latency_do_not_count():
    table = told()
    table.loc[[0, 39], "order_latency_ms"] = None
    assert row(explain(table, fields=["size"], resamples=20), "size")["n"] == 38


def test_another_target_may_be_explained():
    table = told(sending_ms=np.where(np.arange(40) % 2, 2.0, 1.0), odd=np.arange(40) % 2)
    found = explain(table, target="sending_ms", fields=["size", "odd"], resamples=20)
    assert found["field"].tolist() == ["odd", "size"]
    assert row(found, "odd")["ratio"] == pytest.approx(2)


def test_a_truth_value_is_a_category():
    table = told(gift=np.arange(40) >= 20)
    found = row(explain(table, fields=["gift"], resamples=20), "gift")
    assert (found["kind"], found["slowest"], found["fastest"]) == (
        "categorical",
        "gift True",
        "gift False",
    )


def test_thirds_are_compared_and_the_ends_where_there_are_no_thirds():
    thirds = told(size=np.arange(40))
    found = row(explain(thirds, fields=["size"], resamples=20), "size")
    assert (found["fastest"], found["slowest"]) == ("size <= 13", "size >= 26")
    one_value = told(size=[1] + [2] * 38 + [3])
    found = row(explain(one_value, fields=["size"], resamples=20), "size")
    assert (found["fastest"], found["slowest"]) == ("size <= 1", "size >= 3")
    assert found["ratio"] == pytest.approx(2 * np.exp(0.033))


def test_an_effect_is_said_in_a_sentence_and_its_strength_in_the_words():
    table = explain(told(), fields=["size"], resamples=50)
    found = row(table, "size")
    interval = f"({found['low']:.2f} to {found['high']:.2f})"
    ratio = f"2.00 times ({found['ratio_low']:.2f} to {found['ratio_high']:.2f})"
    assert found["sentence"] == (
        f"size >= 5 took {ratio} as long as size <= 2: Spearman rho 0.87 {interval}; "
        "chance alone explains 2.6%, this 75.0%."
    )
    assert explain_in_words(table).splitlines()[:3] == [
        "1 field was tried on up to 40 placed orders.",
        "1 stands out after allowing for the number of fields tried (Holm):",
        f"- {found['sentence']}",
    ]


def test_fields_that_cannot_be_told_apart_are_named_together_and_get_no_credit():
    both = explain(told(), fields=["size", "kind"], resamples=50)
    assert both["finding"].tolist() == ["cannot be told apart"] * 2
    assert row(both, "size")["sentence"].startswith(
        "size and kind go together: these orders cannot tell them apart. size >= 5 took 2.00 times"
    )
    words = explain_in_words(both)
    assert "None of them gets the credit:\n- " in words
    assert "stands out" not in words
    assert "stand out" not in words


def test_what_stands_out_only_before_it_is_adjusted_is_a_hint():
    """Four fields of one strength: each p is 0.03, by Holm the smallest is 0.12."""
    rng = np.random.default_rng(26)
    table = told(order_latency_ms=np.exp(rng.normal(size=40)))
    for k in range(4):
        table[f"f{k}"] = table["order_latency_ms"].rank() + 33 * rng.normal(size=40)
    found = explain(table, fields=[f"f{k}" for k in range(4)], resamples=20)
    for each in found.to_dict("records"):
        begin = each["sentence"].split(" ", maxsplit=1)[0]
        if each["p_holm"] < 0.05:
            assert begin == each["slowest"].split(" ")[0]
        elif each["p_bh"] < 0.05:
            assert each["sentence"].startswith("A hint, no more (Holm-adjusted p = ")
        else:
            assert each["sentence"].startswith("No sign that ")


def in_runs(seed: int, runs: int, each: int, *, between: float = 0.3) -> pd.DataFrame:
    """Orders of runs that have good and bad days; nothing else makes them slow."""
    rng = np.random.default_rng(seed)
    run = np.repeat(np.arange(runs), each)
    noise = np.sqrt(between) * rng.normal(size=runs)[run]
    noise = noise + np.sqrt(1 - between) * rng.normal(size=runs * each)
    return pd.DataFrame(
        {
            "run_id": [f"run {one}" for one in run],
            "minutes_since_first": 60.0 * run + np.tile(np.arange(each) / 30, runs),
            "release": np.array(["a", "b"])[rng.permutation(np.arange(runs) % 2)][run],
            "domain": rng.choice(["a.test", "b.test"], runs * each),
            "order_latency_ms": 800 * np.exp(0.25 * noise),
        }
    )


def test_what_is_the_same_within_runs_seldom_stands_out_by_chance():
    alarms = 0
    for seed in range(100):
        found = row(explain(in_runs(seed, 10, 30), fields=["release"], resamples=2), "release")
        assert (found["unit"], found["units"], found["n"]) == ("runs", 10, 300)
        alarms += found["finding"] == "stands out"
    assert alarms <= 8


def test_what_is_the_same_within_runs_is_found_from_many_runs():
    table = in_runs(1, 20, 20)
    table.loc[table["release"] == "b", "order_latency_ms"] *= 1.6
    found = row(explain(table), "release")
    assert found["finding"] == "stands out"
    assert found["ratio_low"] < 1.6 < found["ratio_high"]
    assert found["sentence"].endswith("; 20 runs, for it is the same within each.")


@pytest.mark.parametrize(("runs", "judged"), [(2, False), (6, False), (7, True)])
def test_few_runs_cannot_tell_what_is_the_same_within_them(runs, judged):
    table = in_runs(2, runs, 30)
    found = row(explain(table, fields=["release"], resamples=2), "release")
    assert pd.notna(found["effect"]) == judged
    if not judged:
        assert found["finding"] == "not judged"
        assert found["sentence"] == (
            f"Not judged: it is the same within each run, and {runs} runs are too few to tell it "
            "from other differences between runs. Let its values take turns within runs."
        )


def test_what_takes_turns_within_runs_is_compared_within_them():
    table = in_runs(3, 6, 40, between=0.9)
    table.loc[table["domain"] == "b.test", "order_latency_ms"] *= 1.1
    found = row(explain(table), "domain")
    assert (found["unit"], found["finding"]) == ("orders", "stands out")
    assert found["ratio_low"] < 1.1 < found["ratio_high"]
    assert found["ratio_high"] / found["ratio_low"] < 1.15
    assert pd.isna(found["goes_with"])


def test_a_merchant_that_is_slow_for_a_while_is_not_found_among_like_neighbours():
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=160)
        for at in range(1, 160):
            z[at] = 0.6 * z[at - 1] + 0.8 * z[at]
        kind = np.repeat(["x", "y"], 80)
        table = pd.DataFrame({"kind": kind, "order_latency_ms": np.exp(6 + 0.3 * z)})
        alarms += row(explain(table, resamples=2), "kind")["finding"] == "stands out"
    assert alarms <= 8


def test_cart_size_and_merchant_are_told_apart_by_orders_that_differ_in_one_of_them():
    rng = np.random.default_rng(5)
    big = rng.random(400) < 0.5
    items = np.where(rng.random(400) < 0.8, big, ~big).astype(int) * 3 + 1
    table = pd.DataFrame(
        {
            "domain": np.where(big, "big.test", "small.test"),
            "n_items": items,
            "order_latency_ms": np.exp(6 + 0.2 * rng.normal(size=400))
            * np.where(items > 1, 1.5, 1),
        }
    )
    found = explain(table)
    assert row(found, "n_items")["finding"] == "stands out"
    merchant = row(found, "domain")
    assert (merchant["finding"], merchant["goes_with"]) == ("nothing beyond others", "n_items")
    assert "These show nothing beyond others that they go with:\n- domain" in explain_in_words(
        found
    )


def test_runs_are_no_explanation():
    assert "run_id" not in explain(in_runs(4, 6, 10), resamples=2)["field"].tolist()


def by_runs(rng, runs, *, changed, factor=1.0, alike=0.0):
    """Twenty orders a run; a field is the same within each run."""
    values = np.asarray(changed)
    effect = rng.standard_normal(runs)
    for at in range(1, runs):
        effect[at] = alike * effect[at - 1] + np.sqrt(1 - alike**2) * effect[at]
    run = np.repeat(np.arange(runs), 20)
    logs = 0.1 * effect[run] + np.log(factor) * values[run] + 0.1 * rng.standard_normal(len(run))
    return pd.DataFrame(
        {
            "run_id": [f"run {one}" for one in run],
            "field": [f"v{one}" for one in values[run]],
            "order_latency_ms": np.exp(6 + logs),
        }
    )


@pytest.mark.parametrize("changed", [[0] * 10 + [1] * 10, np.arange(20) * 3 // 20])
def test_a_field_that_changes_seldom_is_no_cause_where_runs_are_like_the_run_before(changed):
    rng = np.random.default_rng(20)
    alarms = 0
    for _ in range(40):
        table = by_runs(rng, 20, changed=changed, alike=0.6)
        alarms += explain(table, fields=["field"], resamples=20)["p_value"].iloc[0] < 0.05
    assert alarms <= 5


@pytest.mark.parametrize("changed", [[0] * 4 + [1] * 4, [0] * 6 + [1] * 6, [0, 1] * 5])
def test_a_field_that_doubles_the_time_of_runs_is_found_among_few(changed):
    table = by_runs(np.random.default_rng(21), len(changed), changed=changed, factor=2.0)
    found = row(explain(table, fields=["field"], resamples=50), "field")
    assert found["finding"] == "stands out"
    assert found["unit"] == "runs"


def test_what_a_drift_can_make_is_told():
    rng = np.random.default_rng(22)
    table = by_runs(rng, 10, changed=[0] * 5 + [1] * 5)
    table["order_latency_ms"] *= 1.1 ** np.repeat(np.arange(10), 20)
    found = row(explain(table, fields=["field"], resamples=50), "field")
    assert found["finding"] == "no sign"
    assert found["sentence"].endswith(
        "A drift from run to run can look the same. Let its values take turns from run to run."
    )


def test_a_field_that_is_another_in_each_run_is_not_judged():
    table = by_runs(np.random.default_rng(23), 10, changed=range(10))
    found = row(explain(table, fields="run_id", resamples=20), "run_id")
    assert found["sentence"].startswith("Not judged: each run has a value of its own")


def test_names_with_commas_stay_whole():
    table = told(**{"a, b": np.where(np.arange(40) >= 20, "x", "y")})
    found = explain(table, fields=["a, b", "kind"], resamples=20)
    assert row(found, "kind")["sentence"].startswith("kind and a, b go together: ")
    assert row(found, "a, b")["sentence"].startswith("a, b and kind go together: ")
