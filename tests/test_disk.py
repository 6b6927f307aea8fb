"""A file is there whole or not at all, and a lock ends with its process, whatever happens."""

from __future__ import annotations

import errno
import gc
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmly_nb.disk import TemporaryFolder, clear_unfinished, database, lock, write_whole
from tests.disks import files_of_at_most, without_permission

OLD, NEW = b"the old one", b"the new one, which is longer" * 1_000
# Says when the content is beside the file, and waits there to be killed.
WRITES = """
import os, sys
from pathlib import Path
from firmly_nb.disk import write_whole

def stop(descriptor):
    print("written", flush=True)
    sys.stdin.read()

os.fsync = stop
write_whole(Path(sys.argv[1]), b"new" * 1_000)
"""

# Makes a temporary folder and says where, and keeps it until its input ends.
KEEPS = """
import sys, tempfile
from firmly_nb.disk import TemporaryFolder

tempfile.tempdir = sys.argv[1]
folder = TemporaryFolder()
print(folder.path, flush=True)
sys.stdin.read()
"""

# Says that it holds the lock, and holds it until it is killed or its input ends.
HOLDS = """
import sys
from pathlib import Path
from firmly_nb.disk import lock

held = lock(Path(sys.argv[1]), wait=True)
print("held", flush=True)
sys.stdin.read()
"""
# Forks while it holds the lock; the child says so and stays.
FORKS = """
import os, sys, time
from pathlib import Path
from firmly_nb.disk import lock

held = lock(Path(sys.argv[1]), wait=True)
if os.fork() == 0:
    held.release()
    print(os.getpid(), flush=True)
    time.sleep(600)
sys.stdin.read()
"""
COUNTS = """
import sys
from pathlib import Path
from firmly_nb.disk import lock

path, number = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(100):
    held = lock(path, wait=True)
    number.write_text(str(int(number.read_text()) + 1))
    held.release()
"""
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "plan.json"
    path.write_bytes(OLD)
    return path


def child(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def names(path):
    return sorted(each.name for each in path.parent.iterdir())


def test_the_content_is_another_one_afterwards_and_nothing_is_beside_it(path):
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    assert names(path) == ["plan.json"]


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_only_the_user_may_read_it_unless_it_is_for_others_too(path, mask):
    before = os.umask(mask)
    try:
        write_whole(path, NEW)
        write_whole(path.with_name("shared"), NEW, mode=0o666)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("shared").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits")
@pytest.mark.parametrize("size", [0, 100, len(NEW) - 1])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(path, size):
    with files_of_at_most(size), pytest.raises(OSError, match="File too large") as caught:
        write_whole(path, NEW)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == OLD
    assert names(path) == ["plan.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions of Unix")
def test_a_folder_that_is_read_only_names_the_file_and_leaves_the_old_one(path):
    said = without_permission(
        path.parent,
        """
        from pathlib import Path
        from firmly_nb.disk import write_whole

        try:
            write_whole(Path("plan.json"), b"new")
        except PermissionError as error:
            print(error)
        """,
    )
    assert said == "[Errno 13] Permission denied: 'plan.json'\n"
    assert path.read_bytes() == OLD
    assert names(path) == ["plan.json"]


def test_a_folder_in_its_place_is_not_replaced(tmp_path):
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(OSError, match=r"plan\.json'$"):
        write_whole(tmp_path / "plan.json", NEW)
    assert names(tmp_path / "plan.json") == ["plan.json"]


def test_a_pipe_or_a_device_in_its_place_is_not_replaced(tmp_path):
    """Renamed over, /dev/full was an ordinary file until the next start of the machine."""
    os.mkfifo(tmp_path / "plan.json")
    (tmp_path / "link.json").symlink_to("/dev/null")
    for name in ("plan.json", "link.json"):
        with pytest.raises(OSError, match=rf"It is not a file: .*{name}'$"):
            write_whole(tmp_path / name, NEW)
    assert (tmp_path / "plan.json").is_fifo()
    assert (tmp_path / "link.json").is_symlink()


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_an_interrupt_leaves_the_old_one(path, monkeypatch, where):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os if where == "fsync" else Path, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, NEW)
    assert path.read_bytes() == OLD
    assert names(path) == ["plan.json"]


@needs_signals
def test_a_writer_that_is_killed_leaves_the_old_one_and_what_it_left_can_be_cleared(path):
    for name in (".plan.json-notes", "plan.json-0123456789ab", ".plan.jso-0123456789ab"):
        path.with_name(name).write_bytes(b"of the user")
    before = names(path)
    with child(WRITES, path) as writer:
        assert writer.stdout.readline() == "written\n"
        assert path.read_bytes() == OLD
        writer.kill()
    assert writer.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    assert len(names(path)) == len(before) + 1
    write_whole(path, NEW)
    clear_unfinished(path)
    assert names(path) == before
    assert path.read_bytes() == NEW


def test_what_another_file_of_a_name_with_wildcards_left_is_not_cleared(tmp_path):
    left = tmp_path / ".plan.json-0123456789ab"
    left.touch()
    clear_unfinished(tmp_path / "*.json")
    assert left.exists()
    clear_unfinished(tmp_path / "plan.json")
    assert not left.exists()


def is_a_name(text):
    return text not in {".", ".."} and len(os.fsencode(text)) <= 255


@given(
    name=st.text(
        st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255
    ).filter(is_a_name)
)
@example(name="x" * 255)
@example(name="é" * 127)
@example(name="🧦" * 63)
@example(name="[a]*?.json")
@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names are of another kind there")
def test_a_file_may_have_any_name_that_a_file_can_have(name, tmp_path_factory):
    path = tmp_path_factory.mktemp("names") / name
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    assert names(path) == [name]


def test_a_name_that_is_no_text_is_one_too(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9")
    write_whole(path, NEW)
    assert path.read_bytes() == NEW


def test_whoever_reads_while_others_write_finds_a_whole_one(path):
    contents = [bytes([n]) * 1_000 * n for n in range(1, 5)]

    def write(content):
        for _ in range(20):
            write_whole(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in {OLD, *contents}
    assert path.read_bytes() in contents
    assert names(path) == ["plan.json"]


def is_free(path):
    try:
        lock(path, wait=False).release()
    except BlockingIOError:
        return False
    return True


def test_a_lock_is_held_by_one_at_a_time_in_this_process_too(path):
    held = lock(path, wait=False)
    assert held.sure
    with pytest.raises(BlockingIOError, match=r"another one holds the lock: .*plan\.json'"):
        lock(path, wait=False)
    held.release()
    held.release()
    assert is_free(path)
    assert path.read_bytes() == OLD


def test_a_lock_is_for_its_user_alone_and_its_file_stays(tmp_path):
    before = os.umask(0)
    try:
        lock(tmp_path / "lock", wait=True).release()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
    assert is_free(tmp_path / "lock")


def test_a_lock_that_is_only_looked_at_makes_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        lock(tmp_path / "lock", wait=False, create=False)
    assert list(tmp_path.iterdir()) == []


def test_who_waits_has_it_once_the_other_lets_go(path):
    held, got = lock(path, wait=True), []
    waiting = threading.Thread(target=lambda: got.append(lock(path, wait=True)))
    waiting.start()
    held.release()
    waiting.join()
    assert got[0].sure
    assert not is_free(path)
    got[0].release()


@needs_signals
def test_a_process_that_is_killed_holds_nothing(path):
    with child(HOLDS, path) as holder:
        assert holder.stdout.readline() == "held\n"
        assert not is_free(path)
        holder.kill()
    assert is_free(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("ending", ["killed", "by itself"])
def test_a_forked_child_neither_lets_go_of_its_parents_lock_nor_keeps_it(path, ending):
    with child(FORKS, path) as parent:
        forked = int(parent.stdout.readline())
        try:
            assert not is_free(path)
            if ending == "killed":
                parent.kill()
            parent.stdin.close()
            parent.wait()
            os.kill(forked, 0)  # it is still there
            assert is_free(path)
        finally:
            os.kill(forked, signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_is_let_go_of_also_while_a_child_is_about_to_run_another_program(path):
    held = lock(path, wait=True)
    copy = os.dup(held._descriptor)  # as a child has it between fork and exec
    held.release()
    assert is_free(path)
    os.close(copy)


def test_processes_that_wait_for_one_another_lose_no_turn(path, tmp_path):
    number = tmp_path / "number"
    number.write_text("0")
    counting = [child(COUNTS, path, number) for _ in range(3)]
    for process in counting:
        process.communicate(timeout=100)
    assert [process.returncode for process in counting] == [0, 0, 0]
    assert number.read_text() == "300"


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions of Unix")
def test_a_lock_in_a_folder_that_is_read_only_is_an_error_that_names_it(tmp_path):
    said = without_permission(
        tmp_path,
        """
        from pathlib import Path
        from firmly_nb.disk import lock

        try:
            lock(Path("lock"), wait=True)
        except PermissionError as error:
            print(error)
        """,
    )
    assert said == "[Errno 13] Permission denied: 'lock'\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
@pytest.mark.parametrize("wait", [False, True])
def test_where_there_are_no_locks_it_is_not_sure_and_not_refused(path, monkeypatch, number, wait):
    import fcntl

    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    held = lock(path, wait=wait)
    assert not held.sure
    held.release()


def test_an_interrupt_while_waiting_leaves_nothing_open(path, monkeypatch):
    held = lock(path, wait=True)

    def interrupt(_):
        raise KeyboardInterrupt

    def opened():
        # Of this file only: other threads of the process may take locks of their own meanwhile.
        file = path.stat()
        return [fd for fd in descriptors() if os.path.samestat(os.fstat(fd), file)]

    with monkeypatch.context() as patch:
        patch.setattr("time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            lock(path, wait=True)
    assert len(opened()) == 1
    held.release()
    assert opened() == []


def descriptors():
    """Return what this process has open; one that is closed meanwhile is left out."""
    for each in Path("/dev/fd").iterdir():
        with suppress(OSError):
            os.fstat(int(each.name))
            yield int(each.name)


SORT = "select count(*) from (select i from range(1500000) t(i) order by hash(i) limit 1400000)"


def test_rows_that_do_not_fit_into_memory_go_where_only_their_owner_reads_them(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    connection = database(memory_limit="24MB", threads="2")
    assert connection.execute(SORT).fetchall() == [(1_400_000,)]
    [[spilled]] = connection.execute("select current_setting('temp_directory')").fetchall()
    folder = Path(spilled).parent
    assert (folder.stat().st_mode & 0o777, any(Path(spilled).iterdir())) == (0o700, True)
    assert not any(tmp_path.iterdir())
    del connection
    gc.collect()
    assert not folder.exists()


def test_a_temporary_folder_whose_process_was_killed_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    command = [sys.executable, "-c", KEEPS, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        folder = Path(process.stdout.readline().strip())
        other = TemporaryFolder()
        assert folder.is_dir()  # its process lives
        process.kill()
        process.wait()
        TemporaryFolder().remove()
        assert [*tmp_path.iterdir()] == [other.path]
