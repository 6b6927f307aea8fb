"""Turn single bits of a saved set and of journals, and see whether each damage is told.

``python -m benchmarks damage --flips 300``.

Each turn copies recordings of every kind, turns one bit of one file and reads every table. All
files of a set are hit equally often, so the small manifest is as well. The result is printed and
written to ``docs/benchmarks-damage.md``.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import firmly_nb as fnb
from firmly_nb.recorder.journal import SUFFIX, Journal
from tests.recorder.made_records import cart
from tests.store.stored_recordings import (
    EQUAL,
    REFUSED,
    TABLES,
    WARNED,
    files,
    flip,
    how_it_reads,
    placed,
    several,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-damage.md"
CHANGED, ANOTHER_ERROR = "a table changed without a word", "another error"
GOOD, BAD = (EQUAL, WARNED, REFUSED), (CHANGED, ANOTHER_ERROR)
TEXT = """# Damage of a saved set, and of journals

Can one wrong bit on a disk change a table unnoticed? {flips} times, one bit of one file of a saved
set was turned at random (seed {seed}), and {flips} times one bit of a journal. Then all {tables}
tables were read. The toolkit must warn, or raise an error instead of giving changed tables.

| file | flips | {head} |
| --- | ---: |{rule}
{rows}

{verdict}

The set has {recordings} recordings with {outcomes} outcomes, in {files} files. Each file is
hit equally often. A set that an older version saved has no SHA-256 to be checked with.

The journals are those of the same recordings, and one of {large} kB with large carts. A damaged
line is left out, and the others are read. If it is the first, it costs the order. A bit in the name
of the checksum changes nothing. Lines of older versions have no checksum: of 150 flips there, 63
changed a value without a word.

## How to reproduce

```sh
pip install -e '.[dev]'
python -m benchmarks damage --flips {number} --seed {seed}
```

This takes some five minutes. `--seed` draws others. The status is 1 if a table changed
and nothing said so.
"""
LINES = [{"line_item_id": f"l{n}", "sku": "WS12", "quantity": 1} for n in range(2_000)]


def write_journals(folder: Path) -> int:
    """Write the journals of every kind of recording, and one with large carts; return its size."""
    start, *events, end = placed(40).records()
    large = [replace(event, data=cart(100, line_items=LINES)) for event in events]
    for records in [*(rec.records() for rec in several()), [start, *large, end]]:
        journal = Journal(folder)
        for record in records:
            journal.append(record)
        journal.close()
    return journal.path.stat().st_size


def turn(folder: Path, saved: Path, expected: fnb.Recordings, dice: random.Random) -> tuple:
    """Turn one bit of a copy; return which file it was in, and how that is read then."""
    shutil.copytree(saved, folder)
    path = dice.choice(files(folder))
    bit = dice.randrange(8 * path.stat().st_size)
    flip(path, bit)
    try:
        read = how_it_reads(folder, expected)
    except AssertionError:
        read = CHANGED
    except Exception as error:  # noqa: BLE001 - any other error is what is looked for
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        read = ANOTHER_ERROR
    if read in BAD:
        print(f"{read}: bit {bit} of {path.relative_to(folder)}", file=sys.stderr)
    shutil.rmtree(folder)
    return ("journals" if path.suffix == SUFFIX else path.relative_to(folder).parts[0]), read


def main() -> None:
    """Turn bits, print and write the page; the status is 1 if any damage was not told."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--flips", type=int, default=300)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    dice = random.Random(options.seed)
    found: Counter = Counter()
    with tempfile.TemporaryDirectory() as place:
        saved, journals = Path(place) / "saved", Path(place) / "journals"
        fnb.Recordings(several()).save(saved, notes="the notes")
        large = write_journals(journals)
        for source in (saved, journals):
            expected = fnb.load(source)
            for number in range(options.flips):
                found[turn(Path(place) / str(number), source, expected, dice)] += 1
        count = len(files(saved))
    seen = [*GOOD, *(name for name in BAD if any(read == name for _, read in found))]
    kinds = [*sorted({kind for kind, _ in found}), "all"]
    rows = []
    for kind in kinds:
        of = [
            sum(n for (k, r), n in found.items() if r == read and kind in {k, "all"})
            for read in seen
        ]
        rows.append(f"| {kind} | {sum(of)} | " + " | ".join(map(str, of)) + " |")
    silent = sum(n for (_, read), n in found.items() if read in BAD)
    page = TEXT.format(
        flips=f"{options.flips:,}",
        number=options.flips,
        seed=options.seed,
        tables=len(TABLES),
        head=" | ".join(seen),
        rule=" ---: |" * len(seen),
        rows="\n".join(rows),
        verdict=f"Changed without a word: **{silent} of {2 * options.flips:,}**.",
        large=large // 1_000,
        recordings=len(several()),
        files=count,
        outcomes=len({rec.outcome for rec in several()}),
    )
    print(page)
    PAGE.write_text(page, "utf-8")
    sys.exit(silent > 0)


if __name__ == "__main__":
    main()
