"""Build the documentation site from docs/, the notebooks and the docstrings: ``make site``.

It gathers the pages in ``build/site-pages`` and lets Sphinx write ``build/site``. The site needs no
network when it is read, and no server: open ``build/site/index.html``.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "scripts" / "site"
sys.path.insert(0, str(SITE))

import reference_pages  # noqa: E402 - it lies beside the settings of Sphinx

PAGE = ".md"
TOPS = ("CONTRIBUTING.md", "CHANGELOG.md")
# On the site the notebooks and the two pages above lie beside the pages of docs/.
MOVED = (
    (re.compile(r"\]\((?:\.\./)?(?:notebooks/)?([\w-]+)\.ipynb"), rf"](\1{PAGE}"),
    (re.compile(r"\]\((?:\.\./)?docs/"), "]("),
    (re.compile(r"\]\(\.\./(CONTRIBUTING|CHANGELOG)\.md"), rf"](\1{PAGE}"),
    (re.compile(r"\]\((?:\.\./)?README\.md"), "](index.md"),
)
MERMAID = re.compile(r"```mermaid\n.*?```\n\n?The same in words:\n", re.DOTALL)


def moved(text: str) -> str:
    """Return a page whose links lead to pages of the site.

    Examples
    --------
    >>> moved("[times](docs/timing.md#limits)")
    '[times](timing.md#limits)'
    """
    for link, there in MOVED:
        text = link.sub(there, text)
    # A diagram is drawn by the code host only; the words that follow it say the same.
    return MERMAID.sub("", text)


def notebook_page(path: Path, pictures: Path) -> str:
    """Return a notebook as a page, with the outputs that are saved in it.

    Parameters
    ----------
    path
        The notebook.
    pictures
        Folder that its pictures are written to.
    """
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source.strip():
            parts.append(fenced("python", source))
            for _, outputs in groupby(cell["outputs"], lambda one: one["output_type"]):
                parts += [_output(list(outputs), pictures, f"{path.stem}-{len(parts)}")]
    note = "*This page is a notebook. `make lab` opens your own copy of it.*"
    title, _, rest = "\n\n".join(parts).partition("\n")
    return f"{title}\n\n{note}\n{rest}\n"


def fenced(language: str, text: str) -> str:
    """Return a block of code, fenced by more backticks than it holds."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _output(outputs: list[dict[str, Any]], pictures: Path, name: str) -> str:
    if outputs[0]["output_type"] == "stream":
        said = "".join("".join(one["text"]) for one in outputs)
        return fenced("text", said) if said.strip() else ""
    return "\n\n".join(
        _shown(one.get("data", {}), pictures, f"{name}-{number}")
        for number, one in enumerate(outputs)
    )


def _shown(data: dict[str, Any], pictures: Path, name: str) -> str:
    """Return the one form of an output that needs neither a kernel nor a network."""
    if "image/png" in data:
        (pictures / f"{name}.png").write_bytes(base64.b64decode("".join(data["image/png"])))
        said = "".join(data.get("text/plain", ["A chart."])).replace("\n", " ")
        alternative = re.sub(r"[\[\]]", "", said)
        return f"![{alternative}]({pictures.name}/{name}.png)"
    if not "".join(data.get("text/plain", [])).strip():
        return ""  # a script that shows its neighbour's image where there is no kernel
    if "text/html" in data:
        # The corner above an index of pandas is no heading.
        html = "".join(data["text/html"]).replace("<th></th>", "<td></td>")
        return fenced("{raw} html", f'<div class="cell-output">{html}</div>')
    return fenced("text", "".join(data.get("text/plain", [])))


def gather(pages: Path) -> None:
    """Write every page of the site's source into a folder, anew."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages)
    for name in TOPS:
        shutil.copy(ROOT / name, pages)
    drawn = pages / "notebook-pictures"
    drawn.mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (pages / f"{path.stem}.md").write_text(notebook_page(path, drawn), "utf-8")
    for page in pages.glob("*.md"):
        page.write_text(moved(page.read_text("utf-8")), "utf-8")
    reference_pages.write(pages)


def main() -> None:
    """Build the site; a warning of Sphinx is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site")
    output = parser.parse_args().output
    pages = output.with_name(f"{output.name}-pages")
    gather(pages)
    shutil.rmtree(output, ignore_errors=True)
    sphinx = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-E"]
    built = subprocess.run(  # noqa: S603 - of ours
        [*sphinx, "-c", SITE, "-d", pages / ".doctrees", pages, output], check=False
    )
    if built.returncode == 0:
        print(f"The site is in {output}. Open {output / 'index.html'}.")
    sys.exit(built.returncode)


if __name__ == "__main__":
    main()
