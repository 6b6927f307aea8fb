"""Saving recordings as a Parquet data set, partitioned by day and merchant; again is harmless."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has no types

from firmly_nb.api.secrets import redact_text
from firmly_nb.recording.manifest import (
    Manifest,
    Save,
    now,
    read_manifest,
    written_with,
)
from firmly_nb.recording.parquet_files import (
    clear_leftovers,
    explained,
    locked,
    move_in,
    parts_on_disk,
    staged,
)
from firmly_nb.recording.parquet_groups import Written, write_parts
from firmly_nb.recording.stored_names import KINDS, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from firmly_nb.recording.recording import Recording


@dataclass(frozen=True, slots=True)
class Saved:
    """What a saving did: how many were added, and how many were there before.

    Examples
    --------
    >>> Saved(Path("runs/monday"), 200, 3)
    saved 200 recordings to runs/monday; 3 were there before
    """

    path: Path
    added: int
    there_before: int = 0
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        noun = "recording" if self.added == 1 else "recordings"
        verb = "was" if self.there_before == 1 else "were"
        before = f"; {self.there_before} {verb} there before" if self.there_before else ""
        notes = "".join(f"\n! {text}" for text in self.left_out)
        return f"saved {self.added} {noun} to {self.path}{before}{notes}"


@dataclass(frozen=True, slots=True)
class _Options:
    """How a saving is done."""

    tags: dict[str, str]
    notes: str
    keep_personal: bool


def save(
    recordings: Iterable[Recording],
    path: str | Path,
    *,
    tags: dict[str, str] | None = None,
    notes: str = "",
    keep_personal: bool = False,
) -> Saved:
    """Save recordings to a folder; see ``Recordings.save``."""
    root = Path(path)
    tags = {str(key): redact_text(str(text)) for key, text in (tags or {}).items()}
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(root) as alone:
            manifest = _manifest(root)
            if alone:
                clear_leftovers(root, manifest)
            options = _Options(tags, redact_text(notes), keep_personal)
            return _save(root, recordings, manifest, options)
    except StoreError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise explained(root, error) from error


def _save(
    root: Path, recordings: Iterable[Recording], manifest: Manifest, options: _Options
) -> Saved:
    """Save while the lock is held."""
    known = _known_ids(root, manifest)
    before = 0

    def new() -> Iterator[Recording]:
        nonlocal before
        for recording in recordings:
            if recording.recording_id in known:
                before += 1
            else:
                known.add(recording.recording_id)
                yield recording

    with staged(root) as staging:
        written = write_parts(staging, new(), options.tags, keep_personal=options.keep_personal)
        # A set of no recordings is a set, too; saving nothing new to one changes nothing.
        if written.parts or options.notes or not manifest.saves:
            move_in(root, staging, written.parts, manifest.plus(_entry(written, options)))
    return Saved(root, written.recordings, before, tuple(written.left_out))


def _entry(written: Written, options: _Options) -> Save:
    return Save(
        at=now(),
        recordings=written.recordings,
        events=written.events,
        parts=tuple(written.parts),
        notes=options.notes,
        tags=options.tags,
        environments=tuple(sorted(written.environments)),
        runs=written.runs,
        written_with=written_with(),
    )


def _manifest(root: Path) -> Manifest:
    try:
        manifest = read_manifest(root)
    except StoreError as error:
        raise StoreError(
            f"nothing was added to {root}: {error} Move that file away to have a new one made "
            "from the parts that are there, or save to another folder."
        ) from error
    return manifest if manifest is not None else _adopted(root)


def _adopted(root: Path) -> Manifest:
    """Make a manifest of the parts that lie there without one."""
    parts = [part for part in parts_on_disk(root) if (root / "events" / part).exists()]
    if not parts:
        return Manifest()
    counts = {kind: sum(_rows(root / kind / part) for part in parts) for kind in KINDS}
    notes = "the manifest was missing and was made again from the parts there"
    return Manifest((Save(now(), counts["orders"], counts["events"], tuple(parts), notes),))


def _rows(path: Path) -> int:
    try:
        return int(pq.ParquetFile(path).metadata.num_rows)
    except (OSError, pa.ArrowException):
        return 0


def _known_ids(root: Path, manifest: Manifest) -> set[str]:
    """Return the ids that are in the set; what cannot be read is as if it were not there."""
    found: set[str] = set()
    for part in manifest.parts:
        try:
            with pq.ParquetFile(root / "orders" / part) as file:
                found.update(file.read(["recording_id"])["recording_id"].to_pylist())
        except (OSError, KeyError, pa.ArrowException):
            continue
    return found
