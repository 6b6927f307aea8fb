"""Turn single bits of a saved set, and see whether each damage is told.

``python -m benchmarks damage --flips 300``.

Each turn copies a set of every kind of recording, turns one bit of one file and reads every table.
All files are hit equally often, so the small manifest is as well. The result is printed and written
to ``docs/benchmarks-damage.md``.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import firmly_nb as fnb
from tests.store.stored_recordings import (
    EQUAL,
    REFUSED,
    TABLES,
    WARNED,
    files,
    flip,
    how_it_reads,
    several,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-damage.md"
CHANGED, ANOTHER_ERROR = "a table changed without a word", "another error"
GOOD, BAD = (EQUAL, WARNED, REFUSED), (CHANGED, ANOTHER_ERROR)
TEXT = """# Damage of a saved set

Can one wrong bit on a disk change a table unnoticed? {flips} times, one bit of one file of a saved
set was turned at random (seed {seed}). Then all {tables} tables were read. The toolkit must warn,
or raise an error instead of giving changed tables.

| file | flips | {head} |
| --- | ---: |{rule}
{rows}

{verdict}

The set has {recordings} recordings with {outcomes} outcomes, in {files} files. Each file is
hit equally often. A set that an older version saved has no SHA-256 to be checked with.

## How to reproduce

```sh
pip install -e '.[dev]'
python -m benchmarks damage --flips 1000
```

1,000 flips take some three minutes. `--seed` draws others. The status is 1 if a table changed
and nothing said so.
"""


def turn(folder: Path, saved: Path, expected: fnb.Recordings, dice: random.Random) -> tuple:
    """Turn one bit of a copy; return which file it was in, and how the set is read then."""
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
    return path.relative_to(folder).parts[0], read


def main() -> None:
    """Turn bits, print and write the page; the status is 1 if any damage was not told."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--flips", type=int, default=300)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    dice = random.Random(options.seed)
    found: Counter = Counter()
    with tempfile.TemporaryDirectory() as place:
        saved = Path(place) / "saved"
        fnb.Recordings(several()).save(saved, notes="the notes")
        expected = fnb.load(saved)
        for number in range(options.flips):
            found[turn(Path(place) / str(number), saved, expected, dice)] += 1
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
        flips=options.flips,
        seed=options.seed,
        tables=len(TABLES),
        head=" | ".join(seen),
        rule=" ---: |" * len(seen),
        rows="\n".join(rows),
        verdict=f"Changed without a word: **{silent} of {options.flips}**.",
        recordings=len(several()),
        files=count,
        outcomes=len({rec.outcome for rec in several()}),
    )
    print(page)
    PAGE.write_text(page, "utf-8")
    sys.exit(silent > 0)


if __name__ == "__main__":
    main()
