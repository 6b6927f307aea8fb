"""Many orders on a schedule, within a budget; begun by ``lab.sweep`` and ``lab.start_sweep``.

- ``plan``: :func:`grid`: which orders; a :class:`Grid` is what it gives;
- ``budget``: :class:`Budget`: how many, for how long, for how much; :class:`BudgetError`;
- ``sweep``: :class:`Sweep`: one on its way;
- ``study``: :func:`plan`: how large a comparison must be; :class:`StudyComparison`: one that
  may stop early;
- ``progress``, ``run``: :class:`Progress`: how far it is; :class:`Problem`: what was not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.sweep.budget import Budget, BudgetError
    from firmly_nb.sweep.plan import Grid, grid
    from firmly_nb.sweep.progress import Progress
    from firmly_nb.sweep.run import Problem
    from firmly_nb.sweep.study import StudyComparison, plan
    from firmly_nb.sweep.sweep import Sweep

__all__ = [
    "Budget",
    "BudgetError",
    "Grid",
    "Problem",
    "Progress",
    "StudyComparison",
    "Sweep",
    "grid",
    "plan",
]

show(
    __name__,
    {
        "budget": "Budget BudgetError",
        "plan": "Grid grid",
        "progress": "Progress",
        "run": "Problem",
        "study": "StudyComparison plan",
        "sweep": "Sweep",
    },
)
