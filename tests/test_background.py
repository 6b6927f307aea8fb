"""The background loop: waiting, awaiting, cancelling, and its end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from contextlib import suppress

import anyio
import pytest

from firmly_nb import background


async def double(value):
    await asyncio.sleep(0)
    return 2 * value


async def fail():
    await asyncio.sleep(0)
    raise KeyError("planned")


def test_everything_runs_on_one_thread_of_its_own():
    async def name():
        return threading.current_thread().name

    names = {background.follow(background.submit(name)) for _ in range(3)}
    assert names == {"firmly-nb"}
    assert threading.current_thread().name != "firmly-nb"


def test_waiting_gives_the_result_or_the_error():
    assert background.follow(background.submit(double, 21)) == 42
    with pytest.raises(KeyError, match="planned"):
        background.follow(background.submit(fail))


def test_a_timeout_of_the_coroutine_itself_is_raised():
    async def time_out():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        background.follow(background.submit(time_out))


def test_it_works_inside_a_running_loop():
    async def main():
        waited = background.follow(background.submit(double, 1))
        return waited, await background.follow_async(background.submit(double, 2))

    assert asyncio.run(main()) == (2, 4)


def test_cancelling_the_task_that_awaits_cancels_the_work():
    begun, ended = threading.Event(), threading.Event()

    async def work():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def main():
        task = asyncio.ensure_future(background.follow_async(background.submit(work)))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended.wait(60)


class Slow:
    """Work that waits until it is let go, and takes its time to clean up when it is stopped."""

    def __init__(self):
        self.begun, self.cleaned = threading.Event(), threading.Event()
        self.let_go = threading.Event()
        self.work = background.submit(self.run)
        assert self.begun.wait(60)

    async def run(self):
        self.begun.set()
        try:
            await asyncio.to_thread(self.let_go.wait, 60)
        except asyncio.CancelledError:
            for _ in range(100):
                # Yields, as closing a stream does; the portal's scope cancels that as well.
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
            self.cleaned.set()
            raise
        finally:
            self.let_go.set()
        return "done"


@pytest.fixture(params=["waited for", "awaited"])
def follow(request):
    """Both ways of waiting."""
    if request.param == "waited for":
        return background.follow
    return lambda *args, **named: asyncio.run(background.follow_async(*args, **named))


def test_whoever_waits_shows_how_far_it_is_and_how_it_ended(follow):
    slow, shown = Slow(), []

    def show():
        shown.append(slow.work.done())
        slow.let_go.set()

    assert follow(slow.work, show, every_s=0.001) == "done"
    assert len(shown) > 1
    assert shown[0] is False
    assert shown[-1] is True


def test_what_has_ended_already_is_shown_once(follow):
    work = background.submit(double, 2)
    background.follow(work)
    shown = []
    assert follow(work, lambda: shown.append(1)) == 4
    assert shown == [1]


def test_cancelled_work_is_done_once_it_has_cleaned_up():
    slow = Slow()
    told = []
    slow.work.add_done_callback(lambda _: told.append(slow.cleaned.is_set()))
    assert slow.work.cancel()
    with pytest.raises(CancelledError):
        background.follow(slow.work)
    assert slow.cleaned.is_set()
    assert told == [True]
    assert slow.work.cancelled()
    assert slow.work.error is None
    assert not slow.work.cancel(), "it has ended"


def test_work_says_why_it_failed():
    work = background.submit(fail)
    with pytest.raises(KeyError):
        background.follow(work)
    assert repr(work.error) == "KeyError('planned')"
    assert background.submit(asyncio.Event().wait).error is None, "it runs"


def test_ctrl_c_stops_the_work_and_waits_until_it_has_ended(ctrl_c):
    slow, shown = Slow(), []

    def show():
        shown.append(slow.work.done())
        if len(shown) == 1:
            ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        background.follow(slow.work, show, every_s=0.001)
    assert slow.cleaned.is_set()
    assert shown[-1] is True, "what came while it ended is shown, too"


@pytest.mark.parametrize("scoped", [False, True])
def test_a_cancelled_task_stops_the_work_and_waits_until_it_has_ended(scoped):
    slow, shown = Slow(), []

    async def main():
        with anyio.CancelScope() as scope:
            task = asyncio.current_task()
            stop = scope.cancel if scoped else task.cancel
            await background.follow_async(
                slow.work,
                lambda: shown.append(slow.work.done()) or (len(shown) == 1 and stop()),
                every_s=0.001,
            )
        return "the scope goes on"

    if scoped:
        assert asyncio.run(main()) == "the scope goes on"
    else:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())
    assert slow.cleaned.is_set()
    assert shown[-1] is True


def test_work_may_have_its_own_way_of_being_stopped(ctrl_c):
    slow = Slow()

    def show():
        if not slow.let_go.is_set():
            ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        background.follow(slow.work, show, slow.let_go.set, every_s=0.001)
    assert slow.work.result() == "done"


def test_waiting_on_the_loops_own_thread_is_refused():
    async def wait_there():
        return background.follow(background.submit(double, 1))

    with pytest.raises(RuntimeError, match="cannot be used from its own background loop"):
        background.follow(background.submit(wait_there))


def test_threads_may_wait_at_the_same_time():
    results = []
    threads = [
        threading.Thread(
            target=lambda n=n: results.append(background.follow(background.submit(double, n)))
        )
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [2 * n for n in range(20)]


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env={**os.environ, **environment},
    )


def test_what_is_to_be_closed_is_closed_at_the_end_of_the_process():
    done = run(
        "import asyncio\n"
        "from firmly_nb import background\n"
        "async def close(name):\n"
        "    await asyncio.sleep(0)\n"
        "    print('closed', name)\n"
        "async def nothing(): pass\n"
        "background.close_at_exit(lambda: close('before'))\n"
        "background.follow(background.submit(nothing))\n"
        "background.close_at_exit(lambda: close('after'))\n"
        "background.forget(background.close_at_exit(lambda: close('two')))\n"
        "print('end')\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == (
        "end\nclosed before\nclosed after\n",
        "",
        0,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_gets_a_loop_of_its_own():
    """It once waited for ever for the thread that only the parent has."""
    done = run(
        "import os, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "from firmly_nb import background\n"
        "async def pid(): return os.getpid()\n"
        "background.follow(background.submit(pid))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if background.follow(background.submit(pid)) == os.getpid() else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
        "if not os.fork():\n"
        "    raise SystemExit(background.follow(background.submit(pid)) - os.getpid())\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)\n"
        "if not os.fork():\n"
        "    raise SystemExit(0)\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)\n"
    )
    assert (done.stdout.split(), done.stderr) == (["0"] * 3, "")
