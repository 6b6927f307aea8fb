"""Several threads for one long piece of work, most of which runs without Python's lock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


def beside(one: Callable[[], T], other: Callable[[], R]) -> tuple[T, R]:
    """Do two pieces of work at once; return both results.

    Examples
    --------
    >>> beside(lambda: 1, lambda: "a")
    (1, 'a')
    """
    found: Any = in_threads(lambda make: make(), [one, other], 2)
    return found[0], found[1]


def in_threads(work: Callable[[T], R], items: Iterable[T], most: int) -> list[R]:
    """Do the same for each item, several at a time; return the results in order.

    Each thread takes an item when it is free: to hand over each by itself can take as long as the
    work. An error ends the work; it is raised when what was begun is done.

    Parameters
    ----------
    work, items
        What to do, and with what. One item is asked for at a time, by any of the threads.
    most
        How many threads at most, this one among them.

    Examples
    --------
    >>> in_threads(abs, [-3, 2, -1], 2)
    [3, 2, 1]
    """
    found: dict[int, R] = {}
    todo: Iterator[tuple[int, T]] = enumerate(items)
    lock = Lock()

    def go_on() -> None:
        nonlocal todo
        try:
            while True:
                with lock:
                    one = next(todo, None)
                if one is None:
                    return
                found[one[0]] = work(one[1])
        except BaseException:
            todo = iter(())
            raise

    others = min(os.cpu_count() or 1, most) - 1
    if others < 1:
        go_on()
    else:
        with ThreadPoolExecutor(max_workers=others) as pool:
            under_way = [pool.submit(go_on) for _ in range(others)]
            go_on()
        for each in under_way:
            each.result()
    return [found[at] for at in range(len(found))]
