"""Labs that nobody closes: collected anywhere, forked, and what a killed process leaves."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import firmly_nb as fnb
from firmly_nb.background import follow, submit
from firmly_nb.sim.server import PREFIX, start

ORDER = fnb.Order.example()
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder in which temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_lab_that_is_collected_on_the_background_thread_closes_quietly(connect, until, gone):
    """It was closed by waiting there for itself: refused, and printed as an ignored exception."""
    labs = [fnb.connect(profile="instant")]
    labs[0].place(ORDER, progress=False)
    recorder, simulator = labs[0]._bench.worker().pid, labs[0].simulator.pid

    async def collect():
        labs.clear()
        gc.collect()

    follow(submit(collect))
    until(lambda: gone(recorder) and gone(simulator), "the end of both processes")


def test_a_lab_that_is_forgotten_closes_after_its_order(until, gone):
    running = fnb.connect(profile="instant").start(ORDER)
    gc.collect()
    assert running.wait().outcome == "placed"
    recorder = running._bench.worker().pid
    del running
    gc.collect()
    until(lambda: gone(recorder), "the end of the recorder")


def test_a_lab_that_is_forgotten_closes_after_its_sweep(until, gone):
    sweep = fnb.connect(profile="instant").start_sweep(ORDER, count=2)
    gc.collect()
    simulator = sweep._run.sender.desks[0].bench.simulator.pid
    assert len(sweep.wait().where(outcome="placed")) == 2
    until(lambda: gone(simulator), "the end of the simulator")


def test_a_lab_that_is_forgotten_closes_after_its_flow():
    with fnb.connect(profile="instant").flow(progress=False) as flow:
        gc.collect()
        assert flow.add_line_item(ORDER.items[0])["line_items"]


FORKED = """
import gc, os, sys
import firmly_nb as fnb

order = fnb.Order.example()
lab = fnb.connect(profile="instant")
lab.place(order, progress=False)
running = lab.start(order, headers={"x-sim-fault": "stall"})
child = os.fork()
if not child:
    for call in (lab.session, running.wait, lambda: lab.place(order)):
        try:
            call()
        except RuntimeError as error:
            print(error.code, flush=True)
    del call
    if ending == "close":
        lab.close()
    elif ending == "collect":
        del lab, running
        gc.collect()
    elif ending == "open":
        with fnb.connect(profile="instant") as own:
            print(own.place(order, progress=False).outcome, flush=True)
    sys.exit()
os.waitpid(child, 0)
print(lab.place(order, progress=False).outcome, lab.simulator.running, flush=True)
lab.close()
"""


@needs_fork
@pytest.mark.parametrize(
    ("ending", "more"), [("close", []), ("collect", []), ("open", ["placed"]), ("exit", [])]
)
def test_a_fork_says_what_to_do_and_leaves_its_parent_s_lab_alone(ending, more):
    script = f"ending = {ending!r}\n{FORKED}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == ["FNB024"] * 3 + more + ["placed", "True"]
    assert done.stderr == ""


NOTEBOOK = """
import os, sys
import firmly_nb as fnb

lab = fnb.connect(profile="instant", tls=True)
attempt = lab.start(fnb.Order.example(), headers={"x-sim-fault": "stall"},
                    on_record=lambda record: record.kind == "event" and told())

def told():
    print(os.getpid(), lab._bench.worker().pid, lab.simulator.pid, flush=True)

input()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("first", ["notebook", "recorder", "simulator"])
def test_whoever_is_killed_first_leaves_no_folder_and_no_process(temporary, until, gone, first):
    with subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as notebook:
        pids = dict(zip(("notebook", "recorder", "simulator"), _pids(notebook), strict=True))
        assert list(temporary.iterdir())
        os.kill(pids[first], signal.SIGKILL)
        notebook.communicate("\n")
    until(lambda: all(map(gone, pids.values())), "the end of all processes")
    until(lambda: not list(temporary.iterdir()), "the end of the folder")


def _pids(notebook):
    return map(int, notebook.stdout.readline().split())


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_two_killed_processes_leave_is_removed_by_the_next_simulator(temporary, until, gone):
    """The simulator first, then the notebook: nobody is left who knew of the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as notebook:
        _, _, simulator = _pids(notebook)
        os.kill(simulator, signal.SIGKILL)
        until(lambda: gone(simulator), "its end")
        notebook.kill()
    [left] = temporary.iterdir()
    kept = temporary / f"{PREFIX}of-somebody-else"
    kept.write_text("a file, not a folder")
    with start(profile="instant"), start(profile="instant") as other:
        assert not left.exists()
        assert Path(other._folder).exists(), "a folder in use stays"
        assert len(list(temporary.iterdir())) == 3
