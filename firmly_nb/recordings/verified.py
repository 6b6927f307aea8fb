"""Saved set looked through: whether each file is what was saved, fits the others and can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it has no types

from firmly_nb.disk import check_is_file
from firmly_nb.display.messages import coded_error, no_such_path, quoted
from firmly_nb.display.paths import is_there
from firmly_nb.display.text import CLOCKS, count, listed
from firmly_nb.outcomes import KNOWN, NO, UNKNOWN, YES
from firmly_nb.store.columns import DAMAGED, StoredSet, at_once
from firmly_nb.store.files import (
    MANIFEST,
    SOURCES,
    STAGES,
    StoreError,
    read_manifest,
)
from firmly_nb.store.stages import StageFiles

if TYPE_CHECKING:
    from firmly_nb.schema import Column
    from firmly_nb.store.columns import PartFile
    from firmly_nb.store.files import Digest, Manifest


def verify(path: str | Path) -> pd.DataFrame:
    """Look at each file of a saved set: whether it is what was saved, and fits the others.

    Parameters
    ----------
    path
        The folder of a saved set.

    Returns
    -------
    pandas.DataFrame
        One row a file: ``file`` (below the folder), ``bytes`` (as saved) and ``state``:
        ``as saved``, ``missing``, how it differs, or that it was saved without a SHA-256. A file
        that is what was saved and contradicts the others says what loading says of it. One with
        values that cannot be, such as a time before its request, says which.

    Raises
    ------
    StoreError
        If there is no saved set, or its manifest cannot be read.
    FileNotFoundError
        If there is no such path.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from firmly_nb import Order, Recordings, connect
    >>> from firmly_nb.recordings import verify
    >>> with TemporaryDirectory() as folder, connect(profile="instant") as lab:
    ...     saved = Recordings([lab.place(Order.example(), progress=False)]).save(folder)
    ...     verify(folder)["state"].tolist()
    ['as saved', 'as saved', 'as saved', 'as saved']
    """
    root = Path(path)
    manifest = read_manifest(root)
    if manifest is None:
        if not is_there(root):
            raise no_such_path(path)
        text = f"{root} has no {MANIFEST}. Pass the folder of a saved set."
        raise coded_error(StoreError, "FNB406", text)
    names = [f"{kind}/{part}" for kind in SOURCES for part in manifest.parts]
    # Sets of older versions have no stages until somebody asks for these.
    stages = (f"{STAGES}/{part}" for part in manifest.parts)
    names += [name for name in stages if name in manifest.files]
    known = [manifest.files.get(name) for name in names]
    states = at_once(_state, [(root / name, d) for name, d in zip(names, known, strict=True)])
    states = ["not what was written" if manifest.is_damaged else AS_SAVED, *map(str, states)]
    told = _told_of(root, manifest)
    for at, name in enumerate(["", *names]):
        # Of the manifest's own folder what is said is that the set is not what it says.
        mine = [text for text in told if text.startswith((f"{root / name}:", f"{root / name} "))]
        if mine and states[at] in {AS_SAVED, NOT_KNOWN}:
            states[at] = mine[0].removeprefix(str(root / name)).lstrip(": ")
    return pd.DataFrame(
        {
            "file": pd.Series([MANIFEST, *names], dtype="str"),
            "bytes": pd.Series([None, *(d and d.size for d in known)], dtype="Int64"),
            "state": pd.Series(states, dtype="str"),
        }
    )


AS_SAVED, NOT_KNOWN = "as saved", "not known: saved without a SHA-256"


def _told_of(root: Path, manifest: Manifest) -> list[str]:
    """Return what loading says of a set, once everything in it has been read."""
    saves = () if manifest.is_damaged else manifest.saves
    stored = StoredSet(root, manifest.parts, files=manifest.files, saves=saves)
    stored.look()
    StageFiles(stored, gain=False).check_durations()
    files = [part.orders for part in stored.parts]
    files += [part.events for part in stored.parts if part.events]
    found = zip(files, at_once(_impossible, files), strict=True)
    return [*stored.warnings, *(f"{file.path}: {said}" for file, said in found if said)]


WORDS = {"outcome": KNOWN, "order_exists": (YES, NO, UNKNOWN), "clock": tuple(CLOCKS)}
MEASURES = frozenset({"ms", "µs", "ns", "bytes"})  # units of what is 0 at least
# Differences of two times or of two clocks.
SIGNED = frozenset(
    {
        *("gap_ms", "max_gap_ms", "time_per_item_ms", "stream_close_lag_ms", "schedule_lag_ms"),
        *("scheduled_time_to_order_placed_ms", "scheduled_order_latency_ms"),
        *("clock_step_us", "read_delay_us"),
    }
)
LEAST = {"seq": 1, "n_events": 0}
MOST_NAMED = 3


def _impossible(file: PartFile) -> str:
    """Say which values of a file cannot be, whoever wrote them; "" if all can."""
    columns = [column for column in file.table.columns if file.has(column.name)]
    found = [said for column in columns if (said := _impossible_in(file, column))]
    return f"impossible values: {listed(found)}" if found else ""


def _impossible_in(file: PartFile, column: Column) -> str:
    name = column.name
    least = LEAST.get(name, 0 if column.unit in MEASURES and name not in SIGNED else None)
    if least is None and name not in WORDS:
        return ""
    try:
        values = file.read([name])[name]
    except DAMAGED:
        return ""  # which loading says
    if name in WORDS:
        known = pd.Index(WORDS[name])
        unknown = [one for one in pc.unique(values).to_pylist() if one and one not in known]
        return f"{name} {listed(map(quoted, unknown[:MOST_NAMED]))}" if unknown else ""
    is_wrong = pc.less(values, least)
    if column.dtype.lower() == "float64":
        is_wrong = pc.or_(is_wrong, pc.is_inf(values))
    wrong = values.filter(is_wrong)
    return f"{name} {wrong[0]} in {count(len(wrong), 'row')}" if len(wrong) else ""


def _state(known: tuple[Path, Digest | None]) -> str:
    path, digest = known
    try:
        check_is_file(path)
        if digest is None:
            return NOT_KNOWN
        return digest.difference(path) or AS_SAVED
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
