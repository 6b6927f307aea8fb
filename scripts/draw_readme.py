"""Draw the three pictures of README: ``make pictures``.

The order is placed in a real JupyterLab, with what the browser tests use. Frames last as long as
they did, but half a second at most: the machine that draws can be slow. The errors of clients come
from the table of docs/benchmarks-timing.md. The chart is the toolkit's own.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import firmly_nb as fnb  # noqa: E402 - of this checkout
from firmly_nb.charts import pictures  # noqa: E402 - of this checkout
from tests.browser.jupyter import Notebook, running_jupyter, write_notebook  # noqa: E402 - of this checkout
from tests.browser.order_forms import LAB, last_run, place  # noqa: E402 - of this checkout

PICTURES = ROOT / "docs" / "pictures"
ORDERS, SEED = 200, 7
LONGEST_FRAME_MS, LAST_FRAME_MS = 500, 4000
LAST_CART = "Cart after order-placed"
# The first order of a kernel waits for imports; nobody needs to see that.
READY = "import firmly_nb as fnb; fnb.connect(profile='instant').place(fnb.Order.example());"
WIDTH_PX = 800


def draw_order(path: Path) -> None:
    """Place an order from the form in JupyterLab and keep what a person sees, as it happens."""
    with tempfile.TemporaryDirectory() as home, running_jupyter(Path(home)) as jupyter:
        file = jupyter.root / "order.ipynb"
        write_notebook(file, [READY, LAB.format(profile="slow-shipping")])
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = chromium.new_page(viewport={"width": 1130, "height": 1150})
            page.set_default_timeout(120_000)
            opened = Notebook(jupyter, page, file).open()
            opened.run_cell(0)
            shown = opened.run_cell(1)
            form = shown.locator(".jp-OutputArea-output").first
            place(shown).scroll_into_view_if_needed()
            frames = [(time.monotonic(), form.screenshot())]
            place(shown).click()
            while not last_run(shown).count() or LAST_CART not in form.inner_text():
                frames.append((time.monotonic(), form.screenshot()))
            frames.append((time.monotonic(), form.screenshot()))
            chromium.close()
        jupyter.end_kernels()
    frames = [one for one, before in pairwise([*frames, (0.0, b"")]) if one[1] != before[1]]
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for _, frame in frames]
    size = (WIDTH_PX, round(max(one.height for one in images) * WIDTH_PX / images[0].width))
    fitted = [_on_paper(one, size) for one in images]
    ends = [at for at, _ in frames[1:]]
    lasting = [
        min(round(1000 * (end - at)), LONGEST_FRAME_MS)
        for (at, _), end in zip(frames, ends, strict=False)
    ]
    fitted[0].save(
        path,
        save_all=True,
        append_images=fitted[1:],
        duration=[*lasting, LAST_FRAME_MS],
        loop=0,
        quality=60,
        method=6,
    )


def _on_paper(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an image at the width of all frames; the form grows while an order runs."""
    paper = Image.new("RGB", size, "white")
    height = round(image.height * size[0] / image.width)
    paper.paste(image.resize((size[0], height), Image.Resampling.LANCZOS), (0, 0))
    return paper


def timing_errors(column: str = "pandas, ms") -> dict[str, float]:
    """Return the median error of each client in ms, as the page of the benchmark has it."""
    page = (ROOT / "docs" / "benchmarks-timing.md").read_text("utf-8")
    table = page.partition("## Plain HTTP")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    place_of = rows[0].index(column)
    found = [(row[0], re.match(r"[\d.]+", row[place_of])) for row in rows[1:]]
    return {client: float(number[0]) for client, number in found if number}


def draw_errors(path: Path) -> None:
    """Draw how late each client's times are while the notebook computes."""
    errors = dict(reversed(timing_errors().items()))
    best = "firmly-nb"
    figure: Any = go.Figure(
        go.Bar(
            x=list(errors.values()),
            y=[client.replace(", ", ",<br>") for client in errors],
            orientation="h",
            marker_color=["#0b5d98" if client == best else "#b8bcc4" for client in errors],
            text=[f"{value:.3g} ms" for value in errors.values()],
            textposition="outside",
        )
    )
    answer = f"{best} {errors[best]:.2g} ms, an event loop in the kernel {errors[SLOW]:.0f} ms"
    figure.update_layout(
        title={
            "text": f"<b>How late are event times while pandas computes?</b><br>{answer} (median)",
            "x": 0.02,
            "font": {"size": 16},
        },
        xaxis={
            "type": "log",
            "range": [-2, 3],
            "dtick": 1,
            "title": "median error, ms (log scale)",
        },
        font={"family": "Arial, sans-serif", "size": 14, "color": "#1c1c1e"},
        margin={"l": 130, "r": 20, "t": 70, "b": 50},
        paper_bgcolor="#fefefe",
        plot_bgcolor="#fefefe",
        showlegend=False,
    )
    _keep(path, pictures.picture(figure.to_plotly_json(), 340, width_px=WIDTH_PX, kind="webp"))


SLOW = "httpx-sse, kernel loop"


def draw_stages(path: Path) -> None:
    """Draw the stages of 200 orders on the simulator."""
    with fnb.connect(profile="calm", seed=SEED) as lab:
        recs = lab.sweep(fnb.Order.example(), count=ORDERS, rate=20, seed=SEED, progress=False)
    chart: Any = recs.charts.stages()
    height = int(chart.layout.height or 450)
    drawn = pictures.picture(chart.to_dict(), height, width_px=WIDTH_PX, kind="webp")
    _keep(path, drawn)


def _keep(path: Path, drawn: bytes | None) -> None:
    if drawn is None:
        sys.exit(f"No browser could draw {path.name}: {pictures.why_none()}")
    path.write_bytes(drawn)


DRAWN = {
    "readme-order.webp": draw_order,
    "readme-timing.webp": draw_errors,
    "readme-stages.webp": draw_stages,
}


def main() -> None:
    """Draw all, or those that are named."""
    for name in sys.argv[1:] or DRAWN:
        DRAWN[name](PICTURES / name)
        print(f"docs/pictures/{name}: {(PICTURES / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
