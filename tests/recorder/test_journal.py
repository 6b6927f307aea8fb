"""What was shown is on disk; what could not be written is said; what is damaged is left out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace

import orjson
import pytest

import firmly_nb as fnb
from firmly_nb.recorder.journal import (
    Journal,
    JournalError,
    RecordLog,
    append_record,
    default_directory,
    find_journal,
    read_journal,
)
from firmly_nb.recorder.records import End, Event, Start
from tests.shown import whole

START = Start("r1", 1, "custom", "shop.test", [{"variant_id": "a"}], True, "warm", 1.0)
END = End("placed", 9_000)
ADDRESS = {"first_name": "Ada", "email": "ada@example.test", "city": "Seattle", "company": None}
MASKED = {"first_name": "***", "email": "***", "city": "Seattle", "company": None}


def event(seq, data=None):
    return Event(seq, "item-added", data, seq * 1000, 0, "kernel", 1.0, seq, False, 0.0, 2)


def write(folder, *records, **options):
    journal = Journal(folder, **options)
    for record in records:
        journal.append(record)
    journal.close()
    return journal.path


def older_lines(path):
    """The lines as a version without checksums wrote them."""
    return [re.sub(rb',"crc32":"[0-9a-f]{8}"}$', b"}", x) for x in path.read_bytes().split(b"\n")]


def test_what_is_written_can_be_read(tmp_path):
    records = [START, event(1, {"a": 1}), event(2), END]
    path = write(tmp_path, *records)
    assert read_journal(path) == (records, [])
    assert path.name == "r1.jsonl"
    assert find_journal(tmp_path, "r1") == path
    assert find_journal(tmp_path, "r*") is None


def test_each_record_is_with_the_system_when_append_returns(tmp_path):
    journal = Journal(tmp_path)
    for count, record in enumerate([START, event(1), END], start=1):
        journal.append(record)
        assert journal.path.read_bytes().count(b"\n") == count
    journal.close()
    journal.close()


def test_nobody_else_may_read_it(tmp_path):
    path = write(tmp_path, START)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_addresses_are_masked_unless_asked_for(tmp_path):
    told = event(1, {"cart": {"shipping_info": ADDRESS}})
    records = [
        START,
        replace(told, raw="Ada"),
        replace(END, confirmation={"billing_info": ADDRESS}),
    ]
    masked = write(tmp_path / "masked", *records)
    found, _ = read_journal(masked)
    assert found[1].data == {"cart": {"shipping_info": MASKED}}
    assert found[1].raw is None
    assert found[2].confirmation == {"billing_info": MASKED}
    assert b"Ada" not in masked.read_bytes()
    kept = write(tmp_path / "kept", *records, keep_personal=True)
    assert read_journal(kept)[0] == records


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_tail_is_left_out_and_said(tmp_path, cut):
    path = write(tmp_path, START, event(1), event(2))
    path.write_bytes(path.read_bytes()[:-cut])
    records, warnings = read_journal(path)
    if cut == 1:  # only the line end is missing
        assert records == [START, event(1), event(2)]
    else:
        assert records == [START, event(1)]
        assert warnings[0] == "line 3 of the journal is damaged and was left out"
    assert warnings[-1].startswith("the recording was cut off after")


@pytest.mark.parametrize("junk", [b"\0" * 100, b"{}", b"[1]", b'{"kind": "event"}', b"\xff\xfe"])
def test_a_damaged_line_costs_that_line_only(tmp_path, junk):
    path = write(tmp_path, START, event(1), event(2), END)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], junk, *lines[2:]]))
    records, warnings = read_journal(path)
    assert records == [START, event(2), END]
    assert warnings == ["line 2 of the journal is damaged and was left out"]


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_an_end_can_be_added_to_what_a_dead_recorder_left(tmp_path, cut):
    path = write(tmp_path, START, event(1), event(2))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])
    end = replace(END, confirmation={"billing_info": ADDRESS})
    append_record(path, START, end)
    records, warnings = read_journal(path)
    kept = [START, event(1), event(2)][: 3 if cut < 2 else 2]
    assert records == [*kept, replace(END, confirmation={"billing_info": MASKED})]
    assert warnings == ([] if cut < 2 else ["line 3 of the journal is damaged and was left out"])
    with pytest.raises(JournalError, match="cannot be written"):
        append_record(tmp_path / "gone.jsonl", START, END)


@pytest.mark.parametrize("content", [b"", b"\n", b"hello", b'{"kind":"end"}\n'])
def test_what_is_no_journal_is_said_and_stops_nothing(tmp_path, content):
    write(tmp_path, START, END)
    other = tmp_path / "other.jsonl"
    other.write_bytes(content)
    with pytest.raises(JournalError, match="its start is missing or damaged"):
        read_journal(other)
    recs = fnb.load(tmp_path)
    assert [rec.recording_id for rec in recs] == ["r1"]
    said = f"{other} is not a journal of a recording: its start is missing or damaged."
    assert recs.warnings == [f"{said} Pass another. [FNB403]"]


def test_nothing_there_is_said(tmp_path, home):
    with pytest.raises(FileNotFoundError, match="No such path: "):
        fnb.load(tmp_path / "nothing")
    assert default_directory() == home / "journals"


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        (["creating-cart"], "incomplete"),
        (["creating-cart", "order-placed"], "placed"),
        (["order_completed"], "placed"),
        (["error"], "error_event"),
        (["error", "order-placed"], "placed"),
        ([], "incomplete"),
    ],
)
def test_a_recording_that_was_cut_off_says_what_its_events_tell(tmp_path, events, outcome):
    told = [
        replace(event(n), event=name, data={"error": "ErrorPaymentDeclined"})
        for n, name in enumerate(events, start=1)
    ]
    write(tmp_path, START, *told)
    [rec] = fnb.load(tmp_path)
    assert (rec.outcome, rec.cut_off) == (outcome, True)
    assert "the recording was cut off after" in rec.warnings[-1]
    assert f"after {len(events)} events" in whole(rec)


class Full(Journal):
    """A journal on a disk that is full for some of its writes."""

    def __init__(self, folder, fails):
        super().__init__(folder)
        self.fails, self.count = fails, 0

    def _write(self, line):
        self.count += 1
        if self.count in self.fails:
            os.write(self._file, line[:5])
            self._torn = True
            raise OSError(28, "No space left on device")
        super()._write(line)


@pytest.mark.parametrize("fails", [{2}, {2, 3}, {4}, {2, 4}, {2, 3, 4}])
def test_an_order_survives_a_full_disk_and_says_what_is_missing(tmp_path, fails):
    log = RecordLog(Full(tmp_path, fails))
    shown = [log.write(record) for record in (START, event(1), event(2), END)]
    assert shown[:3] == [START, event(1), event(2)]
    [warning] = shown[3].warnings
    assert "not everything is on disk" in warning
    assert "No space left on device" in warning
    records, _ = read_journal(log.journal.path)
    kept = [r for n, r in enumerate(shown[:3], start=1) if n not in fails]
    assert records == (kept if 4 in fails else [*kept, shown[3]])


def test_where_the_start_cannot_be_written_no_file_is_left(tmp_path):
    """An empty file stayed behind and was reported as a broken journal at each load."""
    log = RecordLog(Full(tmp_path, {1}))
    with pytest.raises(JournalError, match=r"FIRMLY_NB_HOME .* Nothing was sent\."):
        log.write(START)
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path, lab, connect, simulator):
    (tmp_path / "file").write_text("in the way")
    before = len(simulator.truth())
    blocked = connect(journal=tmp_path / "file" / "journals")
    for isolated in (True, False):
        with pytest.raises(JournalError, match=r"cannot be written: .*Free space, or set"):
            blocked.place(fnb.Order.example(), progress=False, isolated=isolated)
    assert len(simulator.truth()) == before
    assert blocked.last is None


LIMITED = """
    import resource, signal, sys
    import firmly_nb as fnb
    from firmly_nb.recorder.journal import JournalError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    lab = fnb.connect(api_url=sys.argv[1], app_id=sys.argv[2], allow_domains=["staging.luma.gift"])
    lab.public_key()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 8192))
    try:
        lab.place(fnb.Order.example(), progress=False, isolated=False)
    except JournalError as error:
        print("refused", "File too large" in str(error))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 8192))
    rec = lab.place(fnb.Order.example(), progress=False)
    print(rec.outcome, len(rec.events), len(rec.warnings))
    [loaded] = fnb.load()
    print(len(loaded.events) < 4, loaded.cut_off, len(loaded.warnings) > 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_a_disk_that_is_really_full(simulator):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), simulator.url, simulator.app_id],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.stdout.split("\n") == ["refused True", "placed 4 1", "True True True", ""], (
        done.stderr
    )


KILLED = """
    import sys
    import firmly_nb as fnb
    import firmly_nb.attempt
    import firmly_nb.lab
    url, app_id = sys.argv[1:]
    now = []
    class Told:
        def show(self, record):
            if record.kind == "start":
                now[:] = [record.recording_id]
                print("start", *now, flush=True)
            elif record.kind == "event":
                print("event", *now, record.seq, record.event, record.t_ns, flush=True)
    firmly_nb.lab.EventLines = Told
    firmly_nb.attempt.SHOW_EVERY_S = 0.001
    lab = fnb.connect(api_url=url, app_id=app_id, allow_domains=["staging.luma.gift"])
    lab.place(fnb.Order.example(), progress=False)
    print("worker", lab._bench.worker().pid, flush=True)
    while True:
        lab.place(fnb.Order.example(), headers={"x-sim-profile": "calm"})
        print("end", *now, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("lines", [1, 3, 8])
def test_every_event_that_was_shown_is_loaded_after_the_notebook_was_killed(
    simulator, home, until, gone, lines
):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), simulator.url, simulator.app_id],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        said = []
        worker = None
        for line in process.stdout:
            said.append(line.split())
            if said[-1][0] == "worker":
                worker = int(said[-1][1])
            if sum(words[0] in {"start", "event"} for words in said) == lines:
                break
        process.kill()
        said += [line.split() for line in process.stdout]
        process.stderr.read()
    until(lambda: gone(worker), "the worker's end")
    loaded = {rec.recording_id: rec for rec in fnb.load(home / "journals")}
    shown = [words for words in said if words[0] == "event"]
    for _, order, seq, name, t_ns in shown:
        rows = loaded[order].events.set_index("seq").loc[int(seq)]
        assert (rows["event"], round(rows["t_ms"] * 1e6)) == (name, int(t_ns))
    ended = {words[1] for words in said if words[0] == "end"}
    for order in {words[1] for words in said if words[0] == "start"} - ended:
        rec = loaded[order]
        if rec.outcome != "placed":
            assert any("cut off" in warning for warning in rec.warnings), rec


WRONG = [
    ("seq", "1"), ("event", 7), ("event", None), ("t_ns", "soon"), ("t_ns", 1.5), ("t_ns", 2**63),
    ("t_ns", None), ("wall_ns", []), ("clock", {}), ("clock", "sun"), ("uncertainty_us", "x"),
    ("coalesced", 1), ("size", True), ("rtt_us", "1"), ("id", None), ("raw", 5),
    ("read_no", -(2**63) - 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_event_whose_values_have_wrong_types_is_left_out_and_said(tmp_path, name, value):
    path = write(tmp_path, START, event(1), event(2), END)
    lines = older_lines(path)
    lines[1] = orjson.dumps(json.loads(lines[1]) | {name: "?"}).replace(
        b'"?"', json.dumps(value).encode()
    )
    path.write_bytes(b"\n".join(lines))
    records, warnings = read_journal(path)
    assert records == [START, event(2), END]
    assert warnings == ["line 2 of the journal is damaged and was left out"]


YEAR_NS = 366 * 86_400 * 10**9


@pytest.mark.parametrize(
    ("name", "value"),
    [("t_ns", -1), ("t_ns", 11 * YEAR_NS), ("wall_ns", -20 * YEAR_NS), ("wall_ns", 2**62),
     ("seq", 0), ("seq", 1), ("uncertainty_us", -0.5), ("read_delay_us", -1e9), ("size", -1)],
)  # fmt: skip
def test_an_event_at_an_impossible_time_is_in_no_table(tmp_path, name, value):
    path = write(tmp_path, START, event(1), event(2), event(3), END)
    lines = older_lines(path)
    lines[2] = json.dumps(json.loads(lines[2]) | {name: value}).encode()
    path.write_bytes(b"\n".join(lines))
    [rec] = fnb.load(path)
    assert rec.events["seq"].tolist() == [1, 3]
    assert rec.warnings == ["line 3 of the journal is damaged and was left out"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("outcome", "exploded"), ("connection", "hot"), ("t_end_ns", -1), ("t_headers_ns", -9),
     ("comments_ns", [5, -5]), ("phases", {"waiting_ns": -1}), ("schedule_lag_ns", -60 * YEAR_NS),
     ("schedule_lag_ns", -2 * 10**9)],
)  # fmt: skip
def test_an_end_that_no_recorder_writes_is_left_out_and_said(tmp_path, name, value):
    path = write(tmp_path, START, event(1), END)
    lines = older_lines(path)
    lines[2] = json.dumps(json.loads(lines[2]) | {name: value}).encode()
    path.write_bytes(b"\n".join(lines))
    records, warnings = read_journal(path)
    assert records == [START, event(1)]  # it began at the first second of 1970
    assert warnings[0] == "line 3 of the journal is damaged and was left out"


@pytest.mark.parametrize(
    ("name", "value"),
    [("items", [7]), ("items", None), ("tags", {"a": 1}), ("tags", []), ("milestones", [1]),
     ("started_at_ns", "now"), ("timeout_s", None), ("run_id", 5), ("domain", None),
     ("items", [{"variant_id": "a", "quantity": "2"}]), ("items", [{"quantity": [1]}]),
     ("items", [{"quantity": None}]), ("items", [{"quantity": 10**18}]),
     ("items", [{"variant_id": 5}]), ("started_at_ns", -1), ("started_at_ns", 2**63 - 1),
     ("connection", "hot")],
)  # fmt: skip
def test_one_journal_with_a_wrong_start_costs_no_other(tmp_path, name, value):
    whole = write(tmp_path, replace(START, recording_id="whole"), event(1), END)
    path = write(tmp_path, START, event(1), END)
    lines = older_lines(path)
    lines[0] = json.dumps(json.loads(lines[0]) | {name: value}).encode()
    path.write_bytes(b"\n".join(lines))
    found = fnb.load(tmp_path)
    assert [rec.recording_id for rec in found] == ["whole"]
    assert str(path) in found.warnings[0]
    assert whole.exists()
    assert len(found.orders) == len(found.events) == 1


def test_a_set_says_that_a_journal_in_it_is_damaged(tmp_path):
    path = write(tmp_path, START, event(1), event(2), END)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"seq":1', b'"seq":[]'))
    found = fnb.load(tmp_path)
    assert found.warnings == [f"{path}: 1 damaged line is left out. rec.warnings says which."]
    assert str(path) in repr(found)
    assert read_journal(path)[0] == [START, event(2), END]
    # A recorder that was killed in the middle of a line damaged nothing.
    path.write_bytes(whole[:-5])
    assert fnb.load(tmp_path).warnings == []


def test_a_journal_of_a_version_without_checksums_is_read(tmp_path):
    path = write(tmp_path, START, event(1), END)
    path.write_bytes(b"\n".join(older_lines(path)))
    assert read_journal(path) == ([START, event(1), END], [])


def test_a_value_that_is_not_what_was_written_is_told(tmp_path):
    """It is a possible one: only the checksum of its line tells."""
    path = write(tmp_path, START, event(1), event(2), END)
    path.write_bytes(path.read_bytes().replace(b'"t_ns":2000', b'"t_ns":2001'))
    records, warnings = read_journal(path)
    assert records == [START, event(1), END]
    assert warnings == ["line 3 of the journal is damaged and was left out"]


@pytest.mark.parametrize("damaged", [b'"started_at_ns":1', b'"kind":"start"', b'{"recording_id":'])
def test_an_order_whose_start_is_damaged_gives_none_of_its_records_to_another(tmp_path, damaged):
    """In a file of several orders its end came to be that of the order before."""
    ids = ("r1", "r2", "r3")
    names = [write(tmp_path, replace(START, recording_id=one), event(1), END) for one in ids]
    names[1].write_bytes(names[1].read_bytes().replace(damaged, damaged[:-1] + b"?", 1))
    path = tmp_path / "several.jsonl"
    path.write_bytes(b"".join(name.read_bytes() for name in names))
    found = fnb.load(path)
    assert [rec.recording_id for rec in found] == ["r1", "r3"]
    assert [len(rec.records()) for rec in found] == [3, 3]
    assert [text[:6] for text in found[0].warnings] == ["line 4", "line 5", "line 6"]
    assert "3 damaged lines are left out" in found.warnings[0]


def test_a_pipe_among_journals_is_not_waited_for(tmp_path):
    path = write(tmp_path, START, event(1), END)
    os.mkfifo(path.with_name("pipe.jsonl"))
    found = fnb.load(tmp_path)
    assert len(found) == 1
    assert "pipe.jsonl is not a file" in found.warnings[0]
    assert len(fnb.load(path.with_name("pipe.jsonl"))) == 0


def test_a_home_below_the_users_own_is_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FIRMLY_NB_HOME", "~/recordings")
    assert default_directory() == tmp_path / "recordings" / "journals"


def test_a_home_of_an_unknown_user_is_said(monkeypatch):
    monkeypatch.setenv("FIRMLY_NB_HOME", "~no-such-user-here/x")
    with pytest.raises(ValueError, match="FIRMLY_NB_HOME names a user without a home folder"):
        default_directory()
    with pytest.raises(ValueError, match="FIRMLY_NB_HOME names a user without a home folder"):
        fnb.connect()
    with pytest.raises(ValueError, match=r"The path names a user .*Write the whole path"):
        fnb.load("~no-such-user-here/runs")


NO_PATHS = {
    "$HOME/x": "has a variable that nothing replaced, $HOME",
    "${HOME}/x": "has a variable that nothing replaced, ${HOME}",
    "/data/$USER": "has a variable that nothing replaced, $USER",
    "%USERPROFILE%\\x": "has a variable that nothing replaced, %USERPROFILE%",
    "'/data/x'": "has quotes around it",
    '"~/x"': "has quotes around it",
    "/data/x\n": "has blanks around it",
    " /data/x": "has blanks around it",
    "   ": "has blanks around it",
    "file:///data/x": "is an address",
    "https://bucket.example.test/x": "is an address",
    "~no-such-user-here": "names a user without a home folder",
}


@pytest.mark.parametrize("text", NO_PATHS)
def test_a_text_that_nobody_made_a_path_of_is_refused_by_every_setting(
    text, monkeypatch, tmp_path, connect
):
    """A folder named $HOME, quotes or blanks came to be in the working folder."""
    monkeypatch.chdir(tmp_path)
    why = re.escape(NO_PATHS[text])
    rec = connect().place(fnb.Order.example(), progress=False)
    recs = fnb.Recordings([rec])
    there = sorted(tmp_path.rglob("*"))
    for name, use in {
        "journal": lambda: fnb.connect(journal=text),
        "ca_file": lambda: fnb.connect(ca_file=text),
        "The path": lambda: fnb.load(text),
        "The path ": lambda: recs.save(text),
        "The path  ": lambda: recs.har(text),
        "The path   ": lambda: recs.export(text),
        "The path    ": lambda: rec.perfetto(text),
        "The path     ": lambda: fnb.report(recs, text),
    }.items():
        with pytest.raises(ValueError, match=f"^{name.strip()} {why}: .*Write the whole path"):
            use()
    monkeypatch.setenv("FIRMLY_NB_HOME", text)
    with pytest.raises(ValueError, match=f"^FIRMLY_NB_HOME {why}"):
        fnb.connect()
    monkeypatch.delenv("FIRMLY_NB_HOME")
    settings = tmp_path / "firmly-nb.toml"
    settings.write_text(f"[custom]\nca_file = {json.dumps(text)}\n")
    with pytest.raises(ValueError, match=f"line 2: ca_file {why}"):
        fnb.connect(api_url="https://api.example.test", app_id="a", allow_domains=["a.test"])
    assert sorted(tmp_path.rglob("*")) == sorted([*there, settings])


def test_an_empty_home_is_none_and_an_empty_path_is_refused(monkeypatch):
    usual = default_directory()
    monkeypatch.setenv("FIRMLY_NB_HOME", "")
    assert default_directory().name == usual.name
    with pytest.raises(ValueError, match=r"^The path is empty"):
        fnb.load("")


def test_a_folder_that_is_really_called_so_is_named_by_a_path(tmp_path, lab):
    rec = lab.place(fnb.Order.example(), progress=False)
    fnb.Recordings([rec]).save(tmp_path / "$HOME")
    assert len(fnb.load(tmp_path / "$HOME")) == 1


def test_a_lab_keeps_its_journals_where_they_were_when_the_working_folder_changes(
    tmp_path, monkeypatch, connect
):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    lab = connect(journal="kept")
    monkeypatch.chdir(tmp_path / "second")
    rec = lab.place(fnb.Order.example(), progress=False)
    [journal] = tmp_path.rglob("*.jsonl")
    assert journal.is_relative_to(tmp_path / "first" / "kept")
    assert (rec.warnings, lab.journal) == ([], tmp_path / "first" / "kept")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_home_that_is_not_text_is_understood(connect, tmp_path):
    """Journals and plans in a folder whose name is not UTF-8; Parquet cannot write there."""
    home = tmp_path / os.fsdecode(b"odd \xff %41 home")
    lab = connect(journal=home / "journals")
    rec = lab.place(fnb.Order.example(), progress=False)
    lab.sweep(fnb.Order.example(), count=2, progress=False)
    assert rec.warnings == []
    found = fnb.load(home)
    assert len(found) == 3
    with pytest.raises(OSError, match=r"is not UTF-8, which Parquet needs\. Nothing was saved"):
        found.save(home / "set")
    assert not (home / "set").exists()


@pytest.fixture(scope="module")
def home_of_a_module():
    return default_directory()


def test_fixtures_of_modules_write_into_no_home_of_a_person(home_of_a_module, tmp_path_factory):
    assert home_of_a_module.is_relative_to(tmp_path_factory.getbasetemp())
