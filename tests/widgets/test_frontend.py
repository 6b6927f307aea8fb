"""The front-end modules: how they are put together, and what they must not contain."""

from __future__ import annotations

import gc
import re
import weakref

import pytest

import firmly_nb as fnb
from firmly_nb.widgets.frontend import DARK, EXPORT, IMPORT, STATIC, module, style, the_lab

MODULES = sorted(path.stem for path in STATIC.glob("*.js"))
NAMED = r"^(?:export )?(?:async )?(?:function|const|class) (\w+)"
SHEETS = sorted(path.stem for path in STATIC.glob("*.css"))


def source(name):
    return (STATIC / f"{name}.js").read_text("utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_imports_is_written_before_it_once(name):
    whole = module(name)
    assert not re.search(r"^\s*import\b", whole, re.MULTILINE)
    defined = re.findall(NAMED, whole, re.MULTILINE)
    assert sorted(defined) == sorted(set(defined))


@pytest.mark.parametrize("name", MODULES)
def test_modules_keep_to_the_form_that_is_put_together(name):
    text = source(name)
    assert len(re.findall(r"^\s*import\b", text, re.MULTILINE)) == len(IMPORT.findall(text))
    exports = re.findall(r"^[ \t]*export\b.*", text, re.MULTILINE)
    others = [line for line in exports if not EXPORT.match(line)]
    assert others in ([], ["export default { render };"])


@pytest.mark.parametrize("name", MODULES)
def test_no_module_makes_markup_of_text_or_asks_the_network(name):
    code = re.sub(r"//.*", "", source(name))
    # The static image is markup of Python's, which JupyterLab itself shows in the same way.
    made = ["innerHTML"] if name == "static_image" else []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", code) == made
    assert not re.findall(r"\beval\(|new Function|\bfetch\(|XMLHttpRequest|WebSocket", code)
    assert not re.findall(r"localStorage|sessionStorage|indexedDB|document\.cookie", code)


@pytest.mark.parametrize("name", SHEETS)
def test_style_sheets_fetch_nothing_and_reach_only_our_own_elements(name):
    text = re.sub(r"/\*.*?\*/", "", (STATIC / f"{name}.css").read_text("utf-8"), flags=re.DOTALL)
    assert "url(" not in text
    assert "@import" not in text
    selectors = [part.strip() for part in re.findall(r"([^{}]+)\{", text)]
    plain = [s for group in selectors if not group.startswith("@") for s in group.split(",")]
    assert [s for s in plain if ".firmly" not in s] == []


def test_every_widget_has_the_shared_sheet():
    assert all(style(name).startswith("/* JupyterLab's own") for name in SHEETS)


def test_a_dark_page_is_dark_to_the_colours_of_python_as_to_those_of_the_sheet():
    assert f"{DARK} {{" in (STATIC / "theme.css").read_text("utf-8")


LIGHT = ["rgb(33, 33, 33)", "rgb(255, 255, 255)", "rgb(198, 40, 40)"]
NIGHT = ["rgb(224, 224, 224)", "rgb(24, 24, 24)", "rgb(255, 138, 128)"]


@pytest.mark.parametrize(("theme", "colours"), [("light", LIGHT), ("dark", NIGHT)])
def test_a_widget_follows_the_theme_of_marimo(browser, theme, colours):
    page = browser.new_page()
    page.set_content("<main></main>")
    # marimo puts each widget into a shadow root of its own, below an element of this class.
    found = page.evaluate(
        """([css, theme]) => {
            const root = document.querySelector("main").attachShadow({ mode: "open" });
            root.innerHTML = `<style>${css}</style>
                <div class="contents ${theme}"><p class="firmly"><b class="bad">!</b></p></div>`;
            const look = (name) => getComputedStyle(root.querySelector(name));
            return [look(".firmly").color, look(".firmly").backgroundColor, look(".bad").color];
        }""",
        [style("timeline"), theme],
    )
    page.close()
    assert found == colours


def test_a_lab_that_is_looked_at_is_kept_by_nobody(simulator):
    lab = fnb.connect(api_url=simulator.url, app_id="any", allow_domains=["a.test"])
    seen = weakref.ref(the_lab(lab))
    del lab
    gc.collect()
    assert seen() is None
