"""Run the notebooks from top to bottom and save them with their outputs: ``make notebooks``.

Widget state is never saved, nor anything that would differ without a reason (execution times,
the kernel's own version). With ``--check`` nothing is written.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
TIMEOUT_S = 240


def run(path: Path) -> nbformat.NotebookNode:
    """Run one notebook in its folder; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    """Run all notebooks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="run, but write nothing")
    arguments = parser.parse_args()
    paths = arguments.names or sorted(NOTEBOOKS.glob("*.ipynb"))
    # Recordings made here are nobody's; they must not be found among an analyst's own.
    with tempfile.TemporaryDirectory() as home:
        os.environ["FIRMLY_NB_HOME"] = home
        for path in paths:
            notebook = run(path)
            if not arguments.check:
                nbformat.write(notebook, path)
            print(f"{path.name}: {len(notebook.cells)} cells")


if __name__ == "__main__":
    main()
