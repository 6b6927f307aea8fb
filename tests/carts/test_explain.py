"""Effects agree with references, intervals cover, and what is noise is called noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from firmly_nb.carts import effects
from firmly_nb.carts.explain import explain, explain_in_words
from firmly_nb.carts.features import features
from firmly_nb.carts.schemas import EXPLANATIONS

QUICK = {"resamples": 200, "level": 0.95, "seed": 0}


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
    found = effects.numeric_effect(effects.codes_of(x), effects.codes_of(y), **QUICK)
    reference = stats.spearmanr(x, y)
    assert found.size == pytest.approx(reference.statistic)
    assert found.p_value == pytest.approx(reference.pvalue)
    found = effects.categorical_effect(groups, effects.codes_of(y), **QUICK)
    h = stats.kruskal(*(y[groups == group] for group in range(4)))
    assert found.size == pytest.approx(h.statistic / 79)
    assert found.p_value == pytest.approx(h.pvalue)


def test_a_weight_of_two_is_a_row_twice():
    rng = np.random.default_rng(4)
    x, y, groups = rng.integers(0, 9, 40), rng.integers(0, 9, 40), rng.integers(0, 3, 40)
    times = rng.integers(0, 3, 40)
    again = np.repeat(np.arange(40), times)
    weights = times.astype(float)
    assert effects.spearman(x, y, weights) == pytest.approx(
        stats.spearmanr(x[again], y[again]).statistic
    )
    by_group = [y[again][groups[again] == group] for group in range(3)]
    assert effects.epsilon_squared(groups, y, weights) == pytest.approx(
        stats.kruskal(*by_group).statistic / (len(again) - 1)
    )


def test_intervals_cover_the_true_effect_about_as_often_as_they_say():
    def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        x, groups = rng.normal(size=n), rng.integers(0, 3, n)
        return x, groups, 0.6 * x + 0.5 * groups + rng.normal(size=n)

    x, groups, y = (effects.codes_of(each) for each in draw(100_000, 0))
    true_rho, true_epsilon = effects.spearman(x, y), effects.epsilon_squared(groups, y)
    hits = np.zeros(2)
    for seed in range(1, 101):
        x, groups, y = (effects.codes_of(each) for each in draw(150, seed))
        rho = effects.numeric_effect(x, y, **QUICK)
        epsilon = effects.categorical_effect(groups, y, **QUICK)
        hits += [rho.low <= true_rho <= rho.high, epsilon.low <= true_epsilon <= epsilon.high]
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
    assert found["goes_with"] == "n_items"
    assert "these orders cannot tell them apart" in found["sentence"]


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
