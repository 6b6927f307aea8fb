"""The same for many things, by several threads: all of them once and in order, or the error."""

from __future__ import annotations

import threading

import pytest

from firmly_nb.threads import in_threads


@pytest.fixture(autouse=True)
def several_processors(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)


def test_each_is_done_once_and_results_come_in_order():
    both = threading.Barrier(2, timeout=60)

    def work(n):
        if n < 2:
            both.wait()  # neither goes on alone
        return 2 * n

    assert in_threads(work, iter(range(100)), 2) == [*range(0, 200, 2)]


def test_no_more_threads_are_used_than_asked_for():
    assert in_threads(lambda _: threading.get_ident(), range(9), 1) == [threading.get_ident()] * 9


@pytest.mark.parametrize("most", [1, 3])
def test_an_error_ends_the_work_and_is_raised(most):
    begun = []

    def work(n):
        begun.append(n)
        if n == 5:
            raise KeyError(n)

    with pytest.raises(KeyError, match="5"):
        in_threads(work, iter(range(1_000_000)), most)
    assert len(begun) < 1_000_000


def test_an_error_of_the_items_is_raised():
    def items():
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        in_threads(abs, items(), 3)
