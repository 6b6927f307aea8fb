"""The front-end modules of ``static/``, put together for anywidget.

anywidget loads one module from memory, where relative imports lead nowhere. So what a module
imports from its own folder is written before it; nothing is built, fetched or stored.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from firmly_nb.outcomes import STAGE_COLOURS, TONES

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC = Path(__file__).parent / "static"
DARK = '[data-jp-theme-light="false"] .firmly,\nbody.vscode-dark .firmly'
# The only form of import and export of these modules; a test holds them to it.
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(?P<name>[a-z_]+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?function |const |class )", re.MULTILINE)


@cache
def module(name: str) -> str:
    """Return the source of a widget's module with all that it imports.

    Examples
    --------
    >>> "import" in module("dom")
    False
    """
    needed: list[str] = []
    _collect(name, needed)
    *others, own = needed
    sources = [EXPORT.sub("", IMPORT.sub("", _source(other))) for other in others]
    return "\n".join([*sources, IMPORT.sub("", _source(own))])


@cache
def style(name: str) -> str:
    """Return a widget's style sheet after the one that all share, and the colours."""
    theme, own = ((STATIC / f"{part}.css").read_text("utf-8") for part in ("theme", name))
    return f"{theme}\n{colours()}\n{own}"


def colours() -> str:
    """Return the colours of tones and stages as variables of a style sheet.

    Examples
    --------
    >>> [line for line in colours().splitlines() if "bad" in line]
    ['  --firmly-bad: #c62828;', '  --firmly-bad: #ff8a80;']
    """
    day = {name: tone.light for name, tone in TONES.items()}
    day |= {f"stage-{place}": colour for place, colour in enumerate(STAGE_COLOURS, 1)}
    night = {name: tone.dark for name, tone in TONES.items()}
    return f"{_variables('.firmly', day)}\n{_variables(DARK, night)}"


def _variables(selector: str, values: Mapping[str, str]) -> str:
    lines = "\n".join(f"  --firmly-{name}: {value};" for name, value in values.items())
    return f"{selector} {{\n{lines}\n}}"


def _collect(name: str, needed: list[str]) -> None:
    for found in IMPORT.finditer(_source(name)):
        if found["name"] not in needed:
            _collect(found["name"], needed)
    needed.append(name)


def _source(name: str) -> str:
    return (STATIC / f"{name}.js").read_text("utf-8")
