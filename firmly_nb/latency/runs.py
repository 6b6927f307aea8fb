"""Runs: orders that were placed together; ``dependence`` says what an interval may rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Codes = NDArray[np.intp]

ENOUGH_RUNS = 5


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs, and the run of each order.

    Attributes
    ----------
    codes
        For each order the number of its run, from 0.
    names
        The runs' ids, in order of appearance.
    """

    codes: Codes
    names: tuple[str, ...]

    def of(self, rows: NDArray[np.bool_ | np.signedinteger[Any]]) -> Runs:
        """Return the runs of some of the orders: a mask, or their indices."""
        return Runs(self.codes[rows], self.names)


def runs_of(orders: pd.DataFrame) -> Runs | None:
    """Return the runs of orders, or None where there are not two.

    Orders without a run are taken as one run of their own.

    Examples
    --------
    >>> import pandas as pd
    >>> runs_of(pd.DataFrame({"run_id": ["a", "b", "a"]})).names
    ('a', 'b')
    >>> runs_of(pd.DataFrame({"run_id": ["a", "a"]})) is None
    True
    """
    import pandas as pd

    if "run_id" not in orders:
        return None
    if isinstance(orders["run_id"].dtype, pd.CategoricalDtype):
        own = orders["run_id"].cat.codes.to_numpy()
        if not len(own) or own.min() == own.max():
            return None
    codes, names = pd.factorize(orders["run_id"], use_na_sentinel=False)
    if len(names) < 2:
        return None
    return Runs(codes, tuple("(no run)" if pd.isna(name) else str(name) for name in names))
