"""What README and the pages say is true: their Python runs, their links lead somewhere."""

import re
import shutil
from pathlib import Path

import pytest

import firmly_nb

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
PATH = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|ipynb|toml|yml))`")
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text("utf-8")))
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A home with one recorded order, as whoever reads on has it."""
    home = tmp_path_factory.mktemp("recorded")
    with firmly_nb.connect(profile="instant", journal=home / "journals") as lab:
        lab.place(firmly_nb.Order.example(), progress=False)
    return home


@pytest.mark.parametrize("code", BLOCKS)
def test_the_python_of_a_page_runs(code, tmp_path, monkeypatch, recorded, home):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(recorded, home)
    if '"staging"' in code:
        # Staging is not to be reached by a test: the same code, on the simulator.
        code = code.replace('"staging"', '"simulator"')
    space = {"fnb": firmly_nb}
    exec(compile(code, "page", "exec"), space)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_to_a_file(page):
    missing = [
        link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_exists(page):
    named = PATH.findall(page.read_text("utf-8"))
    folders = [ROOT, ROOT / "firmly_nb", ROOT / "tests"]
    assert not [path for path in named if not any((at / path).exists() for at in folders)]


def test_the_first_screen_of_the_readme_has_the_commands():
    first_screen = (ROOT / "README.md").read_text("utf-8")[:1200]
    for command in ("make lab", "make test", "make demo"):
        assert command in first_screen


def test_the_tables_page_is_what_the_code_says():
    space = {"__name__": "page", "__file__": str(ROOT / "scripts" / "write_tables_page.py")}
    exec((ROOT / "scripts" / "write_tables_page.py").read_text("utf-8"), space)
    assert space["page"]() == (ROOT / "docs" / "tables.md").read_text("utf-8")
