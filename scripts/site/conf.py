"""Settings of the site; ``scripts/build_site.py`` gathers its pages and runs Sphinx."""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING

import firmly_nb

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Sphinx makes very many objects that stay; a collector that looks less often saves a fifth.
gc.set_threshold(30_000)

project = "firmly-nb"
author = copyright = "The firmly-nb developers"  # noqa: A001 - Sphinx reads this name
release = version = firmly_nb.__version__
extensions = ["myst_parser"]

html_theme = "furo"
html_title = f"firmly-nb {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_show_sphinx = False
html_copy_source = False
templates_path: list[str] = []
exclude_patterns = ["README.md"]

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

highlight_language = "none"  # a fence without a language is output
pygments_style = "default"
pygments_dark_style = "monokai"

# The first page lists the sections, each section its pages: what they link, in that order.
SECTIONS = ("index", "tutorials", "how-to", "reference", "explanation", "benchmarks")
LISTED = re.compile(
    r"^(?:- |\|(?: [^|\n]+ \|)* |- .*, )\[[^\]]+\]\(([\w/.-]+)\.(?:md|ipynb)\)", re.MULTILINE
)


def _list_pages(_: Sphinx, name: str, text: list[str]) -> None:
    """Make a page of a section from its links."""
    if name in SECTIONS:
        pages = [one for one in LISTED.findall(text[0]) if name != "index" or one in SECTIONS]
        listed = "\n".join(dict.fromkeys(pages))
        text[0] += f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is done to a page as it is read."""
    app.connect("source-read", _list_pages)
