"""The real JupyterLab that all browser tests share does what they rely on."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

BUTTON = """
import ipywidgets, firmly_nb
said = ipywidgets.HTML("nothing yet")
button = ipywidgets.Button(description="Say it")
button.on_click(lambda _: setattr(said, "value", "it is said"))
field = ipywidgets.Text(description="Word", value="typed-canary")
ipywidgets.VBox([button, said, field])
"""


def test_a_click_reaches_the_kernel_a_reload_keeps_it_and_a_restart_ends_it(
    notebook, axe, artefact, widget_log
):
    bench = notebook(BUTTON, "said.value")
    shown = bench.run_cell(0)
    shown.get_by_role("button", name="Say it").click()
    expect(shown.get_by_text("it is said", exact=True)).to_be_visible()
    assert "typed-canary" in bench.dom()
    assert "typed-canary" in json.dumps(bench.save()["metadata"]["widgets"])
    axe(shown)
    bench.reload()
    expect(bench.output(0).get_by_text("it is said", exact=True)).to_be_visible()
    for scheme in ("dark", "light"):
        bench.theme(scheme)
        assert artefact(scheme, bench.page).stat().st_size > 1000
    assert "typed-canary" not in widget_log()

    expect(bench.run_cell(1).locator("pre")).to_have_text("'it is said'")
    bench.restart_kernel()
    with pytest.raises(AssertionError, match="NameError: name 'said' is not defined"):
        bench.run_cell(1)
