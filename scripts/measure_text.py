"""Measure how hard the pages are to read: words a sentence, passive voice, long sentences.

``make check`` runs it with ``--check``: the counts over README and docs/ must stay within limits.
Only whole sentences of paragraphs and list items count, not headings, tables, links and code.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.check_pages import plain, read_page, sentences, word_count  # noqa: E402 - of this checkout

# Pages of words that others gave: the changelog is history, two pages are made from the code.
LEFT_OUT = frozenset({"messages.md", "tables.md"})
LIMITS = {"words": 15.0, "passive": 0.20, "long": 0.03}
LONG = 30

IRREGULAR = (
    "been|begun|bought|brought|built|caught|chosen|cut|done|drawn|driven|fallen|felt|found|forgotten|"
    "given|gone|got|held|hidden|hit|kept|known|laid|led|left|lent|lost|made|meant|met|paid|put|read|"
    "run|said|seen|sent|set|shown|shut|split|spent|spread|stood|stopped|stored|struck|sought|sold|"
    "taken|taught|told|thought|thrown|understood|withdrawn|won|worn|written"
)
PASSIVE = re.compile(
    r"\b(?:am|is|are|was|were|be|been|being|gets?|isn't|aren't)\b(?:\s+(?:not|never|only|always|"
    r"also|then|still|already|often|seldom|\w+ly))*\s+(?:\w{2,}ed|" + IRREGULAR + r")\b",
    re.IGNORECASE,
)
# They end in -ed and say how something is, not what is done to it.
ADJECTIVES = re.compile(r"\b(?:need|indeed|red|speed|bed|seed|exceed|proceed|succeed|feed)\b")


class Counts(NamedTuple):
    """Counts of a text: sentences, and of these the passive and the long ones."""

    sentences: int
    words: int
    passive: int
    long: int
    semicolons: int
    you: int

    @property
    def shares(self) -> dict[str, float]:
        """Words a sentence, and shares of sentences."""
        number = max(self.sentences, 1)
        return {
            "words": self.words / number,
            "passive": self.passive / number,
            "long": self.long / number,
            "semicolon": self.semicolons / number,
            "you": self.you / number,
        }


def whole_sentences(text: str) -> list[str]:
    r"""Return the whole sentences of a page.

    Examples
    --------
    >>> whole_sentences("# Head\n\nOne is told. Two\n\n- [link](timing.md)\n")
    ['One is told.']
    """
    return [
        sentence
        for part in read_page(text)[0]
        if part.kind in {"paragraph", "item"}
        for sentence in sentences(plain(part.text))
        if re.search(r"[.!?:][\"')\]]*$", sentence) and word_count(sentence) > 1
    ]


def is_passive(sentence: str) -> bool:
    """Say whether a sentence has a form of be and a past participle.

    Examples
    --------
    >>> is_passive("The order is sent once."), is_passive("The lab sends it.")
    (True, False)
    """
    found = PASSIVE.search(sentence)
    return bool(found) and not ADJECTIVES.search(found[0] if found else "")


def count(found: list[str]) -> Counts:
    """Count sentences by what makes them hard."""
    return Counts(
        len(found),
        sum(map(word_count, found)),
        sum(map(is_passive, found)),
        sum(word_count(one) > LONG for one in found),
        sum(";" in one for one in found),
        sum(bool(re.search(r"\byours?\b|\byou\b", one, re.IGNORECASE)) for one in found),
    )


def pages() -> list[Path]:
    """Return the pages that are measured."""
    docs = sorted((ROOT / "docs").glob("*.md"))
    return [ROOT / "README.md", *(page for page in docs if page.name not in LEFT_OUT)]


def line(name: str, counts: Counts) -> str:
    """Return the counts of a page in one line."""
    has = counts.shares
    rest = "".join(f"{has[key]:9.0%}" for key in ("passive", "long", "semicolon", "you"))
    return f"{name:32}{counts.sentences:6}{has['words']:8.1f}{rest}"


def main() -> None:
    """Print the counts of each page; with ``--check`` only what is over a limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="say only what is over a limit")
    parser.add_argument("--passive", metavar="PAGE", help="list the passive sentences of a page")
    asked = parser.parse_args()
    read = {page.name: whole_sentences(page.read_text("utf-8")) for page in pages()}
    total = count([one for found in read.values() for one in found])
    if asked.passive:
        print("\n".join(filter(is_passive, read[asked.passive])))
    elif not asked.check:
        print(f"{'page':32}{'count':>6}{'words':>8}{'passive':>9}{'long':>9}{'semi':>9}{'you':>9}")
        worst = sorted(read, key=lambda name: -count(read[name]).passive)
        print("\n".join(line(name, count(read[name])) for name in worst if read[name]))
        print(line("all", total))
    over = {key: value for key, value in total.shares.items() if value > LIMITS.get(key, 2**30)}
    for key, value in over.items():
        print(f"{key}: {value:.3g} over README and docs/, at most {LIMITS[key]:.3g}")
    sys.exit(1 if asked.check and over else 0)


if __name__ == "__main__":
    main()
