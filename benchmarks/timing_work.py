"""What the notebook does while events arrive: one step of each kind of work.

After each step the cell gives its event loop a few milliseconds, which is kinder than most cells.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from IPython.display import clear_output, display

Step = Callable[[], object]
ROWS = 6_000_000
NUMBERS = 4_000_000


def pandas_step() -> Step:
    """Group six million rows."""
    dice = np.random.default_rng(7)
    table = pd.DataFrame({"key": dice.integers(0, 1000, ROWS), "value": dice.random(ROWS)})
    return lambda: table.groupby("key")["value"].agg(["median", "std", "count"])


def python_step() -> Step:
    """Count in pure Python."""
    return lambda: sum(number * number % 7 for number in range(NUMBERS))


def matplotlib_step() -> Step:
    """Draw a figure of four panels anew and show it, as one does to follow something."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    numbers = np.linspace(0, 10, 2000)
    shifts: Iterator[int] = iter(range(1_000_000))

    def draw() -> None:
        figure = Figure(figsize=(8, 6))
        for axes in figure.subplots(2, 2).flat:
            axes.plot(numbers, np.sin(numbers + next(shifts)))
            axes.set_title("latency")
        clear_output(wait=True)
        display(figure)

    return draw


def widget_step() -> Step:
    """Redraw a table in an HTML widget, and move a progress bar."""
    import ipywidgets

    table, bar = ipywidgets.HTML(), ipywidgets.IntProgress(max=1_000_000)
    display(ipywidgets.VBox([bar, table]))
    rows = pd.DataFrame(np.random.default_rng(7).random((200, 6)))

    def draw() -> None:
        bar.value += 1
        table.value = (rows + bar.value).to_html()

    return draw


WORK: dict[str, Callable[[], Step] | None] = {
    "idle": None,
    "pandas": pandas_step,
    "pure Python": python_step,
    "matplotlib": matplotlib_step,
    "widget": widget_step,
}
