"""Noise whose neighbours are alike is measured as it is, and made again as it was."""

import numpy as np
import pytest

from firmly_nb.neighbours import Noise, noise_of


def autoregressive(rng, size, alike):
    x = rng.standard_normal(size)
    for at in range(1, size):
        x[at] = alike * x[at - 1] + np.sqrt(1 - alike**2) * x[at]
    return x


def lag_one(x):
    x = x - x.mean()
    return float(x[1:] @ x[:-1] / (x @ x))


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.6, 0.8])
def test_the_correlation_of_neighbours_is_found_and_rather_too_high(alike):
    rng = np.random.default_rng(1)
    found = [noise_of(autoregressive(rng, 200, alike)).alike for _ in range(100)]
    assert alike < np.mean(found) < alike + 0.12


@pytest.mark.parametrize("alike", [0.0, 0.6])
def test_noise_that_is_made_again_is_like_the_noise(alike):
    rng = np.random.default_rng(2)
    x = autoregressive(rng, 400, alike)
    noise = noise_of(x)
    again = noise.again(50, 400, rng)
    assert again.shape == (50, 400)
    assert np.mean([lag_one(one) for one in again]) == pytest.approx(noise.alike, abs=0.05)
    # The correlation is taken a little higher than it is, and that widens the series.
    assert again.std() == pytest.approx(x.std(), rel=0.12)


def test_without_likeness_the_same_values_come_in_another_order():
    x = np.random.default_rng(3).permutation(np.tile([-1.0, 1.0, -1.0, 1.0, 3.0, -3.0], 5))
    noise = Noise(0.0, x)
    for one in noise.again(20, 30, np.random.default_rng(4)):
        assert sorted(one) == sorted(x)


@pytest.mark.parametrize("rest", [[], [1.0], [0.0] * 12, [2.0] * 30])
def test_what_is_constant_or_too_short_has_no_noise(rest):
    noise = noise_of(np.array(rest, dtype=float))
    assert noise.alike == 0.0
    assert not noise.again(3, 5, np.random.default_rng(5)).any()


def test_a_series_that_only_grows_is_not_alike_beyond_measure():
    assert noise_of(np.arange(50.0)).alike == 0.95
