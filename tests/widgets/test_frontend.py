"""The front-end modules: how they are put together, and what they must not contain."""

from __future__ import annotations

import re

import pytest

from firmly_nb.widgets.frontend import EXPORT, IMPORT, STATIC, module, style

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
