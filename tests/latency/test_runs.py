"""Runs of orders, by their ids."""

import numpy as np
import pandas as pd

from firmly_nb.latency.runs import runs_of


def test_there_are_runs_from_two_on():
    assert runs_of(pd.DataFrame({"run_id": ["a", "a"]})) is None
    assert runs_of(pd.DataFrame({"run_id": [None, None]})) is None
    assert runs_of(pd.DataFrame({"other": [1]})) is None
    found = runs_of(pd.DataFrame({"run_id": ["a", None, "b", None]}))
    assert found.names == ("a", "(no run)", "b")
    assert found.codes.tolist() == [0, 1, 2, 1]


def test_the_runs_of_some_orders_keep_their_names():
    found = runs_of(pd.DataFrame({"run_id": ["a", "b", "a"]}))
    assert found.of(np.array([False, True, True])).codes.tolist() == [1, 0]
    assert found.of(np.array([2, 1])).codes.tolist() == [0, 1]
    assert found.of(np.array([2])).names == found.of(np.array([True] * 3)).names == ("a", "b")
