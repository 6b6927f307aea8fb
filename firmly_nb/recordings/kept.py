"""Journals and saved sets on a machine: how large and how old they are, and which may go.

Only files that this package wrote are removed: journals, the parts of saved sets, and the plans of
runs whose journals are gone. What is tagged, cannot be read, or is being written, stays.
"""

from __future__ import annotations

import stat
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from firmly_nb.disk import lock
from firmly_nb.display.messages import coded_error, no_such_path
from firmly_nb.display.paths import expanded, is_there
from firmly_nb.exchange.har import SUFFIX as HAR
from firmly_nb.outcomes import EXTERNAL, UNKNOWN, YES
from firmly_nb.recorder.journal import BOOTED, EPOCH, HELD, SUFFIX, default_directory
from firmly_nb.recordings.recordings import load
from firmly_nb.recordings.stored import find
from firmly_nb.store.files import (
    KINDS,
    LOCK,
    MANIFEST,
    StoreError,
    clear_leftovers,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pandas as pd

# Sweeps and comparisons write these themselves.
OWN_TAGS = frozenset({"order_no", "set_aside", "side"})
PLANS = ("sweeps", "studies")  # beside the days of the journals
SET, JOURNALS = "saved set", "journals"


@dataclass(frozen=True, slots=True)
class Kept:
    """Saved set, or one journal.

    Attributes
    ----------
    path
        The folder of the set, or the file.
    kind
        ``saved set`` or ``journals``.
    recordings
        How many orders are in it; None if it cannot be read.
    n_bytes
        How much room it takes.
    changed_s
        When it was last written, in Unix seconds.
    tags
        Tags of its orders as ``name=value``, without those of sweeps themselves.
    run_ids
        Runs of its orders.
    open_orders
        How many of its orders exist or may exist outside of the simulator.
    """

    path: Path
    kind: str
    recordings: int | None
    n_bytes: int
    changed_s: float
    tags: frozenset[str] = frozenset()
    run_ids: frozenset[str] = frozenset()
    open_orders: int = 0

    @property
    def age_days(self) -> float:
        """Days since it was last written."""
        return (time.time() - self.changed_s) / 86_400

    @property
    def may_go(self) -> bool:
        """True if it has no tags and could be read."""
        return self.recordings is not None and not self.tags


def kept(path: str | Path | None = None) -> list[Kept]:
    """Find what is kept at a path and below it, by default the journals of this machine.

    Parameters
    ----------
    path
        A folder. HAR files and other files in it are passed over.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    """
    where = default_directory() if path is None else expanded(path)
    if not is_there(where):
        if path is None:
            return []
        raise no_such_path(where)
    folders, files = find(where, [])
    journals = (file for file in files if file.suffix.lower() != HAR)
    return [*map(_set, folders), *map(_journal, journals)]


def by_folder(found: Iterable[Kept]) -> list[Kept]:
    """Put the journals of a folder together, which are those of a day."""
    alone = [one for one in found if one.kind == SET]
    journals = sorted((one for one in found if one.kind == JOURNALS), key=lambda one: one.path)
    for folder, group in groupby(journals, key=lambda one: one.path.parent):
        ones = list(group)
        alone.append(
            Kept(
                folder,
                JOURNALS,
                sum(one.recordings or 0 for one in ones),
                sum(one.n_bytes for one in ones),
                max(one.changed_s for one in ones),
                frozenset().union(*(one.tags for one in ones)),
                frozenset().union(*(one.run_ids for one in ones)),
                sum(one.open_orders for one in ones),
            )
        )
    return alone


def remove(found: Iterable[Kept], days: float) -> Iterator[Kept]:
    """Remove journals and sets; give each that is gone.

    Parameters
    ----------
    found
        As :func:`kept` found them. What was written since, or is being written, stays.
    days
        How old each must be.

    Raises
    ------
    OSError
        If something cannot be removed; what comes after it is still there.
    """
    for one in found:
        now = _set(one.path) if one.kind == SET else _journal(one.path)
        if not (now.may_go and now.age_days > days):
            continue
        try:
            (_remove_set if one.kind == SET else _remove_journal)(now)
        except (BlockingIOError, FileNotFoundError):
            continue  # somebody saves there, or another one removes it
        except OSError as error:
            why = error.strerror or error
            text = f"{one.path} cannot be removed: {why}. Check the permissions of its folder."
            raise coded_error(OSError, "FNB446", text) from error
        yield now


def _remove_set(one: Kept) -> None:
    root = one.path
    held = lock(root / LOCK, wait=False)
    try:
        manifest = read_manifest(root)
        if manifest:
            clear_leftovers(root, manifest)
        # Without its manifest the rest counts for nothing, whenever this ends.
        (root / MANIFEST).unlink()
        # Not the whole folders: somebody may keep files of his own there.
        parts = manifest.parts if manifest else ()
        files = [root / kind / part for kind in KINDS for part in parts]
        for file in files:
            file.unlink(missing_ok=True)
        (root / LOCK).unlink(missing_ok=True)
    finally:
        held.release()
    above = {folder for file in files for folder in list(file.parents)[:3]}
    for folder in [*sorted(above, key=lambda one: len(one.parts), reverse=True), root]:
        with suppress(OSError):  # what somebody else put there stays
            folder.rmdir()


def _remove_journal(one: Kept) -> None:
    home = one.path.parent.parent
    hosts = home / f"{EPOCH}.lock"
    # A folder of somebody else's may have a file of one of these names.
    held = lock(home / HELD, wait=False) if hosts.exists() else None
    try:
        if held:
            # Without it a host says of orders that they may exist, not that they were not sent.
            (home / EPOCH).unlink(missing_ok=True)
        _remove_plans(one, home)
        one.path.unlink()
        with suppress(OSError):  # of a day on which others are kept
            one.path.parent.rmdir()
        if held and not any(home.glob(f"*/*{SUFFIX}")):
            for file in (home / BOOTED, hosts, home / HELD):
                with suppress(OSError):  # Windows removes no file that is open
                    file.unlink()
            with suppress(OSError):
                home.rmdir()
    finally:
        if held:
            held.release()


def _remove_plans(one: Kept, home: Path) -> None:
    # Without its journals a run would be resumed from its begin: all would be ordered again.
    for folder in PLANS:
        for plan in (home / folder).glob("*.json"):
            if any(run == plan.stem or run.startswith(f"{plan.stem}.") for run in one.run_ids):
                plan.unlink()
                plan.with_suffix(".lock").unlink(missing_ok=True)
                plan.with_suffix(".leases.jsonl").unlink(missing_ok=True)


def _set(folder: Path) -> Kept:
    files = (file for kind in KINDS for file in (folder / kind).rglob("*"))
    return _look(folder, SET, [folder / MANIFEST, *files])


def _journal(file: Path) -> Kept:
    return _look(file, JOURNALS, [file])


def _look(path: Path, kind: str, files: Iterable[Path]) -> Kept:
    sizes, changed_s = [], 0.0
    for file in files:
        with suppress(OSError):  # it may go meanwhile
            found = file.stat()
            if stat.S_ISREG(found.st_mode):
                sizes.append(found.st_size)
                changed_s = max(changed_s, found.st_mtime)
    unread = Kept(path, kind, None, sum(sizes), changed_s or time.time())
    try:
        recs = load(path)
        orders = recs.orders
    except (StoreError, OSError, ValueError):
        return unread
    # A journal that was cut off is whole otherwise; of a set a part may be unread, with its tags.
    if not len(recs) or (kind == SET and recs.warnings):
        return unread
    return replace(
        unread,
        recordings=len(recs),
        tags=frozenset(
            f"{name}={value}"
            for tags in orders["tags"]
            for name, value in (tags or {}).items()
            if name not in OWN_TAGS
        ),
        run_ids=frozenset(map(str, orders["run_id"].dropna())),
        open_orders=int(may_exist(orders).sum()),
    )


def may_exist(orders: pd.DataFrame, environment: str | None = None) -> pd.Series[bool]:
    """Return which orders exist or may exist at a merchant, by default outside of the simulator.

    Examples
    --------
    >>> import firmly_nb as fnb
    >>> int(may_exist(fnb.Recordings([]).orders).sum())
    0
    """
    exists, where = orders["order_exists"], orders["environment"]
    if environment is not None:
        return exists.isin([YES, UNKNOWN]) & (where == environment)
    # Of times alone nobody can say it; of a browser's file the merchant's response can.
    told = exists.isin([YES, UNKNOWN]) & (where != EXTERNAL) | (exists == YES)
    return told & (where != "simulator")
