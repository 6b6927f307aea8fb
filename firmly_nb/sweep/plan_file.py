"""A sweep's plan on disk, beside the journals: what is needed to go on with it.

It names no address and holds no secret, so an order itself is not in it: who resumes brings the
orders again, and what they are is compared.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import orjson

from firmly_nb.recording.journal import JournalError, read_journal
from firmly_nb.recording.records import Start
from firmly_nb.sweep.budget import Budget
from firmly_nb.sweep.plan import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from firmly_nb.recording.records import Record
    from firmly_nb.sweep.plan import Plan

FOLDER = "sweeps"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, repr=False)
class PlanFile:
    """What is written down of a sweep; ``lab.last_sweep.plan`` says it in a few lines.

    Examples
    --------
    >>> PlanFile(
    ...     run_id="r-1", name="nightly", tags={}, environment="simulator", began_at_ns=0,
    ...     arrival="poisson", rate_per_s=0.5, concurrency=4, duration_s=None, count=20, seed=7,
    ...     budget={"orders": 20},
    ... )
    run r-1, nightly: 20 orders
    poisson, 30 a minute, at most 4 in flight
    within Budget(20 orders), seed 7
    """

    run_id: str
    name: str
    tags: dict[str, str]
    environment: str
    began_at_ns: int
    arrival: str
    rate_per_s: float | None
    concurrency: int
    duration_s: float | None
    count: int | None
    seed: int
    budget: dict[str, Any]
    kinds: list[Any] = field(default_factory=list)  # merchant, items and quantity; no address
    message: str = ""  # why it stopped, once it has
    # What was found to be ordered where the order's own items are not sold.
    stand_ins: list[dict[str, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        lines = [f"run {self.run_id}{f', {self.name}' if self.name else ''}: {self._what()}"]
        lines += [self._pace(), f"within {Budget.of(self.budget)!r}, seed {self.seed}"]
        lines += [one["said"] for one in self.stand_ins]
        return "\n".join(lines)

    def _what(self) -> str:
        of = f" of {len(self.kinds)} kinds" if len(self.kinds) > 1 else ""
        return f"{self.count:,} orders{of}" if self.count is not None else f"orders{of}"

    def _pace(self) -> str:
        for_s = f" for {self.duration_s:g} s" if self.duration_s is not None else ""
        if self.rate_per_s is None:
            return f"closed loop, {self.concurrency} in flight{for_s}"
        rate = f"{self.rate_per_s:g} a second"
        if self.rate_per_s < 1:
            rate = f"{self.rate_per_s * 60:g} a minute"
        return f"{self.arrival}, {rate}{for_s}, at most {self.concurrency} in flight"

    def write(self, journal: Path) -> None:
        """Write it; whoever reads it finds the old one or the new one whole.

        Raises
        ------
        JournalError
            If it cannot be written; nothing was sent.
        """
        path = _path(journal, self.run_id)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
            draft.replace(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise JournalError(
                f"the sweep's plan {path} cannot be written: {error.strerror or error}. Free some "
                "space or set FIRMLY_NB_HOME to a folder that can be written."
            ) from error

    @classmethod
    def read(cls, journal: Path, run_id: str) -> Self:
        """Read it back.

        Raises
        ------
        LookupError
            If there is no such sweep here.
        ValueError
            If the file is damaged.
        """
        path = _path(journal, checked_run_id(run_id))
        if not path.exists():
            known = sorted(p.stem for p in path.parent.glob("*.json"))[-5:]
            there = f"the last ones are {', '.join(known)}" if known else "there is none yet"
            raise LookupError(f"there is no sweep {run_id} in {path.parent}; {there}")
        try:
            values = orjson.loads(path.read_bytes())
            # What an earlier version did not write down has its default.
            return cls(**{n: values[n] for n in cls.__dataclass_fields__ if n in values})
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"the sweep's plan {path} is damaged: {error}") from None


def is_known(journal: Path, run_id: str) -> bool:
    """Whether a sweep of this id was begun here."""
    return _path(journal, run_id).exists()


def checked_run_id(run_id: str) -> str:
    """Refuse a run id that would not be a file's name."""
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise ValueError(
            f"run_id {run_id!r}: use letters, digits, '.', '_' and '-', at most 100 of them"
        )
    return run_id


def kinds_of(plan: Plan) -> list[Any]:
    """Return what a plan orders where, as JSON can hold it."""
    return [
        [domain, [list(item) for item in items], variant.tags]
        for variant in plan.variants
        for domain, items in [kind_of(variant.order)]
    ]


def recorded(journal: Path, run_id: str, since_ns: int) -> Iterator[tuple[list[Record], list[str]]]:
    """Give out the recordings of a run that are in the journals, with their warnings."""
    wanted = f'"run_id":{orjson.dumps(run_id).decode()}'.encode()
    for path in sorted(journal.glob("*/*.jsonl")):
        if path.stat().st_mtime_ns < since_ns:
            continue
        with path.open("rb") as file:
            # Its start is the first line: enough to see whose it is.
            if wanted not in file.readline():
                continue
        with suppress(JournalError):
            records, warnings = read_journal(path)
            # The same text may stand in a tag.
            if isinstance(records[0], Start) and records[0].run_id == run_id:
                yield records, warnings


def _path(journal: Path, run_id: str) -> Path:
    return journal / FOLDER / f"{run_id}.json"
