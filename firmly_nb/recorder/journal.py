"""Journals: each record is on disk before anything else hears of it.

A journal is one file a recording, one record a line (``records``), appended as they come. Secrets
are out of a record before it gets here; personal data is masked here unless it is asked for. A
write reaches the operating system before the notebook hears of the event, so killing either process
loses nothing that was shown; a power failure can.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from glob import escape
from typing import TYPE_CHECKING

from firmly_nb.display.messages import coded_error
from firmly_nb.display.paths import expanded
from firmly_nb.recorder.endings import recorded
from firmly_nb.recorder.masking import masked
from firmly_nb.recorder.records import End, Event, Record, Start, check_record, decode, encode_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".jsonl"
RECORDINGS = "recordings.jsonl"  # what is exported: the records of several orders
# Beside the days of a run's journals on a host in a sweep from several machines: the number of the
# coordinator that it obeys, the start of the machine that this was in, and who holds the folder.
EPOCH, BOOTED, HELD = "epoch", "boot", "recorder.lock"


LEFT_OUT = "is damaged and was left out"  # ends the warning about a line


class JournalError(OSError):
    """Journal that cannot be written or read: which file, why, what to do."""


def default_directory() -> Path:
    """Return where journals go: ``FIRMLY_NB_HOME``, else the user's state directory."""
    home = os.environ.get("FIRMLY_NB_HOME")
    if home:
        return expanded(home, "FIRMLY_NB_HOME") / "journals"
    import platformdirs  # the recorder is told the directory

    return platformdirs.user_state_path("firmly-nb", appauthor=False) / "journals"


class Journal:
    """Journal of one recording; its first record creates the file, or opens that of its order.

    Parameters
    ----------
    directory
        Where journals are kept; a folder for each day is made below it.
    keep_personal
        Whether names, streets, telephone numbers and e-mail addresses are written.
    """

    def __init__(self, directory: Path, *, keep_personal: bool = False) -> None:
        self.directory = directory
        self.keep_personal = keep_personal
        self.path: Path | None = None
        self._start: Start | None = None
        self._file = -1
        self._torn = False
        self._goes_on = False  # the file has records of earlier calls

    def append(self, record: Record) -> None:
        """Write one record; it is with the operating system when this returns.

        Raises
        ------
        JournalError
            If the folder cannot be written or the disk is full.
        """
        if isinstance(record, Start):
            self._start = record
        if self._start and not self.keep_personal:
            record = masked(record, self._start)
        if not isinstance(record, Start):
            record.packed()  # now, so that whoever is told of it takes the same text
        line = encode_line(record)
        try:
            if self._file < 0:
                self._create(record)
            self._write(b"\n" + line if self._torn else line)
        except OSError as error:
            where = self.path or self.directory
            unsent = ""
            if isinstance(record, Start):
                unsent = "" if self._goes_on else " Nothing was sent."
                self._discard()
            raise coded_error(
                JournalError,
                "FNB402",
                f"The journal {where} cannot be written: {error.strerror or error}. Free space, or "
                f"set FIRMLY_NB_HOME to a writable folder.{unsent}",
            ) from error
        if isinstance(record, End):
            self.close()

    def close(self) -> None:
        """Close the file; safe to call again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _discard(self) -> None:
        """Leave no file behind of an order that will not be sent."""
        self.close()
        if self.path and not self._goes_on:
            with suppress(OSError):
                self.path.unlink()
            self.path = None

    def _create(self, record: Record) -> None:
        if isinstance(record, Start) and record.flow and self._reopen(record.recording_id):
            return
        day = self.directory / time.strftime("%Y-%m-%d", time.gmtime())
        day.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = record.recording_id if isinstance(record, Start) else f"unknown-{os.getpid()}"
        self.path = day / f"{name}{SUFFIX}"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _reopen(self, recording_id: str) -> bool:
        """Open the journal that earlier calls of an order left; False if there is none."""
        self.path = find_journal(self.directory, recording_id)
        if self.path is None:
            return False
        self._goes_on = True
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND)
        size = os.fstat(self._file).st_size
        # Whoever wrote before may have died in the middle of a line.
        os.lseek(self._file, max(size - 1, 0), os.SEEK_SET)
        self._torn = os.read(self._file, 1) not in {b"", b"\n"}
        return True

    def _write(self, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        finally:
            # A line that was written in part must not run into the next one.
            self._torn = 0 < written < len(line)


class RecordLog:
    """Journal whose failure does not stop the order: its end says what was not written.

    The first record is different. If it cannot be written nothing has been sent yet, so the error
    is raised and nothing will be.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.failure: str | None = None

    def write(self, record: Record) -> Record:
        """Write a record and return it as it may be shown."""
        shown = self._with_failure(record)
        try:
            self.journal.append(shown)
        except JournalError as error:
            if isinstance(record, Start):
                raise
            self.failure = self.failure or f"not everything is on disk: {error}"
            return self._with_failure(record)
        return shown

    def _with_failure(self, record: Record) -> Record:
        if self.failure is None or not isinstance(record, End):
            return record
        return record.changed(warnings=[*record.warnings, self.failure])


def read_journal(path: Path) -> tuple[list[Record], list[str]]:
    """Read one journal; what is damaged is left out and said.

    Returns
    -------
    records, warnings
        The records in order, and a sentence for each thing that was wrong.

    Raises
    ------
    JournalError
        If the file cannot be read, or does not begin with the start of a recording.
    """
    found = read_recordings(path)
    records = [record for one, _ in found for record in one]
    return records, [text for _, warnings in found for text in warnings]


def read_recordings(path: Path) -> list[tuple[list[Record], list[str]]]:
    """Read a journal, or a file with the records of several orders, one after another.

    Returns
    -------
    list
        For each order its records, and a sentence for each thing that was wrong.

    Raises
    ------
    JournalError
        If the file cannot be read, or does not begin with the start of a recording.
    """
    found: list[tuple[list[Record], list[str]]] = []
    before: list[str] = []  # of lines that belong to no order
    current: str | None = None  # a flow writes its start anew before each call
    is_lost = False  # the start of these records is damaged
    for number, line in enumerate(_lines(path), start=1):
        if line.isspace():
            continue
        warnings = found[-1][1] if found else before
        try:
            record = decode(line)
            is_next = isinstance(record, Start) and record.recording_id != current
            check_record(record, () if is_next or not found else found[-1][0])
        except ValueError:
            is_lost = is_lost or _begins_another(line, current)
            warnings.append(f"line {number} of the journal {LEFT_OUT}")
            continue
        if isinstance(record, Start):
            is_lost = False
            if is_next:
                current = record.recording_id
                found.append(([], []))
        elif is_lost:
            # They are not those of the order before.
            warnings.append(f"line {number} is of an order whose start {LEFT_OUT}")
            continue
        if not found:
            break
        found[-1][0].append(record)
    if not found:
        what = "its start is missing or damaged"
        text = f"{path} is not a journal of a recording: {what}. Pass another."
        raise coded_error(JournalError, "FNB403", text)
    found[0][1][:0] = before
    for records, warnings in found:
        warnings.extend(_cut_off(records))
    return found


def _cut_off(records: list[Record]) -> list[str]:
    """Say that a recording has no end, if so."""
    if isinstance(records[-1], End):
        return []
    start, events, *_ = recorded(records)
    after = f"{len(events)} calls" if start.flow else f"{len(events)} events"
    return [f"the recording was cut off after {after}: the process that wrote it ended"]


def _begins_another(line: bytes, current: str | None) -> bool:
    """Say whether a damaged line is another order's start: one bit hides one sign of that."""
    is_start = line.startswith(b'{"recording_id":') or b'"kind":"start"' in line
    return is_start and (current is None or current.encode() not in line)


def _lines(path: Path) -> Iterator[bytes]:
    """Give one line after another: a file can have large ones, and many."""
    try:
        if path.exists() and not path.is_file():
            # A pipe has no end.
            text = f"{path} is not a file, and was not opened. Move it out of the folder."
            raise coded_error(JournalError, "FNB403", text)
        with path.open("rb") as file:
            yield from file
    except JournalError:
        raise
    except OSError as error:
        denied = isinstance(error, PermissionError)
        advice = "Check its permissions." if denied else "Move it out of the folder."
        text = f"The journal {path} cannot be read: {error.strerror}. {advice}"
        raise coded_error(JournalError, "FNB403", text) from error


def append_record(
    path: Path, start: Start, record: Event | End, *, keep_personal: bool = False
) -> None:
    """Write a record into a journal that is closed, so that loading tells the same.

    It is of an order whose recorder died, that was settled, or that was left; the last end counts.

    Raises
    ------
    JournalError
        If the file cannot be written.
    """
    try:
        with path.open("r+b") as file:
            last = file.seek(0, os.SEEK_END) - 1
            file.seek(max(last, 0))
            # The recorder may have died in the middle of a line.
            line_end = b"" if file.read(1) in {b"", b"\n"} else b"\n"
            file.write(line_end + encode_line(record if keep_personal else masked(record, start)))
    except OSError as error:
        text = f"The journal {path} cannot be written: {error.strerror}. Free space."
        raise coded_error(JournalError, "FNB402", text) from error


def find_journal(directory: Path, recording_id: str) -> Path | None:
    """Return the journal of a recording, or None if there is none."""
    return next(directory.glob(f"*/{escape(recording_id)}{SUFFIX}"), None)
