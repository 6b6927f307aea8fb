"""Write README.md for a package index: there, relative links lead nowhere.

Hatchling calls this when it builds the package. Links to files of the repository become links to
the project's Source URL.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

try:
    from hatchling.metadata.plugin.interface import MetadataHookInterface
except ImportError:  # where somebody only wants the text
    MetadataHookInterface = object  # type: ignore[assignment,misc]

LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def for_index(text: str, source: str) -> str:
    """Return a page with absolute links.

    Examples
    --------
    >>> for_index("[a](README.md) [c](https://c.test)", "https://code.test/x")
    '[a](https://code.test/x/blob/main/README.md) [c](https://c.test)'
    """
    return LINK.sub(rf"]({source}/blob/main/\1)", text)


class ReadmeHook(MetadataHookInterface):
    """Hook that gives the metadata its readme."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        source = metadata["urls"]["Source"]
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": for_index(text, source),
        }
