"""How many orders are in each cell of two axes: the darker, the more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.latency.charts.theme import COUNTS
from firmly_nb.latency.charts.words import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def cells(found: Floats, x: Any, y: Any, *, scale: bool = False, hover: str = "") -> Any:
    """Draw counts; empty cells stay empty.

    Parameters
    ----------
    found
        How many, by column and row.
    x, y
        The edges of the cells.
    scale
        Whether a bar beside them says which colour is how many.
    hover
        What hovering tells after the count and the time.
    """
    filled = np.where(found.T > 0, found.T, np.nan)
    most = max(float(found.max()), 1.0)
    ticks = sorted({1, *(round(most / 10**step) for step in (0, 1, 2) if most >= 10**step)})
    bar = {"title": {"text": "orders", "side": "top"}, "thickness": 12, "outlinewidth": 0}
    bar |= {"len": 0.84, "y": 0, "yanchor": "bottom"}
    return go.Heatmap(
        x=x,
        y=y,
        # Counts span decades; a cell with one order must still be seen.
        z=np.log10(filled).astype(np.float32),
        customdata=filled.astype(np.float32),
        zmin=-0.05,
        zmax=max(math.log10(most), 0.3),
        colorscale=[[at / (len(COUNTS) - 1), colour] for at, colour in enumerate(COUNTS)],
        showscale=scale,
        showlegend=False,
        colorbar={**bar, "tickvals": np.log10(ticks), "ticktext": [count(t) for t in ticks]},
        hovertemplate=f"orders: %{{customdata:,d}}, of about %{{y:,.0f}} ms{hover}<extra></extra>",
        name="",
    )
