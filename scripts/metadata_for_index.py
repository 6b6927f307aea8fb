"""Write what a package index shows: the project's URLs, and README.md without dead links.

Hatchling calls this when it builds the package. The address of the repository is not in it: whoever
builds the package names it with ``make package SOURCE=https://...``, and links to files lead there.
Without it such links become plain text, since an invented address may be anybody's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

try:
    from hatchling.metadata.plugin.interface import MetadataHookInterface
except ImportError:  # where somebody only wants the text
    MetadataHookInterface = object  # type: ignore[assignment,misc]

VARIABLE = "FIRMLY_NB_SOURCE"
API = "https://developers.firmly.ai"
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def for_index(text: str, source: str) -> str:
    """Return a page with absolute links; without a source, files have none.

    Examples
    --------
    >>> for_index("[a](README.md) [c](https://c.test)", "https://code.test/x")
    '[a](https://code.test/x/blob/main/README.md) [c](https://c.test)'
    >>> for_index("see [a](README.md), ![picture](a.png)", "")
    'see a, picture'
    """
    if not source:
        return LINK.sub(r"\2", text)

    def absolute(link: re.Match[str]) -> str:
        # A page about a picture is none.
        kind = "raw" if link[1] else "blob"
        return f"{link[1]}[{link[2]}]({source}/{kind}/main/{link[3]})"

    return LINK.sub(absolute, text)


def urls(source: str) -> dict[str, str]:
    """Return the project's URLs.

    Examples
    --------
    >>> urls("")
    {'API': 'https://developers.firmly.ai'}
    """
    if not source:
        return {"API": API}
    return {
        "Documentation": f"{source}/tree/main/docs",
        "Source": source,
        "Issues": f"{source}/issues",
        "Changelog": f"{source}/blob/main/CHANGELOG.md",
        "API": API,
    }


def source_of(text: str) -> str:
    """Return the address of the repository.

    Raises
    ------
    ValueError
        If it is not one.

    Examples
    --------
    >>> source_of("https://code.test/x.git/")
    'https://code.test/x'
    """
    source = text.strip().rstrip("/").removesuffix(".git")
    if source and not re.fullmatch(r"https://[\w.-]+/[\w./~-]+", source, re.ASCII):
        raise ValueError(f"{VARIABLE} must be like https://HOST/OWNER/NAME, got {text!r}.")
    return source


class MetadataHook(MetadataHookInterface):
    """Hook that gives the metadata its readme and its URLs."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme and the URLs."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        source = source_of(os.environ.get(VARIABLE, ""))
        metadata["urls"] = urls(source)
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": for_index(text, source),
        }
