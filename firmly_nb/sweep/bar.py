"""The progress bar of a sweep, moved by whoever waits for it.

In a notebook, tqdm's own widget; in a terminal, its line; where neither is, a line now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firmly_nb.sweep.progress import Progress

MARKS = {"placed": "✓"}


class Bar:
    """Shows how far a sweep is: counts by outcome, and what is left."""

    def __init__(self) -> None:
        self._bar: Any = None

    def show(self, progress: Progress) -> None:
        """Show it as it is now."""
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=progress.planned, unit=" orders", dynamic_ncols=True)
        self._bar.set_postfix_str(words(progress), refresh=False)
        self._bar.n = progress.finished + progress.not_started
        self._bar.refresh()
        if progress.state in {"finished", "stopped"}:
            self._bar.close()


def words(progress: Progress) -> str:
    """Say how far it is.

    Examples
    --------
    >>> from firmly_nb.sweep.progress import Progress
    >>> words(Progress("running", 9, started=4, running=1, finished=3, outcomes={"placed": 3}))
    '3 placed, 1 in flight, 5 left'
    """
    parts = [f"{n:,} {outcome.replace('_', ' ')}" for outcome, n in progress.outcomes.items()]
    parts += [f"{progress.not_started:,} not sent"] if progress.not_started else []
    parts += [f"{progress.running:,} in flight"] if progress.running else []
    parts += [f"{progress.left:,} left"] if progress.left else []
    parts += [progress.message] if progress.message else []
    return ", ".join(parts)
