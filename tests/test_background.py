"""The background loop: waiting, awaiting, cancelling, and its end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

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

    names = {background.wait(background.submit(name)) for _ in range(3)}
    assert names == {"firmly-nb"}
    assert threading.current_thread().name != "firmly-nb"


def test_waiting_gives_the_result_or_the_error():
    assert background.wait(background.submit(double, 21)) == 42
    with pytest.raises(KeyError, match="planned"):
        background.wait(background.submit(fail))


def test_a_timeout_of_the_coroutine_itself_is_raised():
    async def time_out():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        background.wait(background.submit(time_out))


def test_it_works_inside_a_running_loop():
    async def main():
        waited = background.wait(background.submit(double, 1))
        return waited, await background.awaited(background.submit(double, 2))

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
        task = asyncio.ensure_future(background.awaited(background.submit(work)))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended.wait(60)


def test_waiting_on_the_loops_own_thread_is_refused():
    async def wait_there():
        return background.wait(background.submit(double, 1))

    with pytest.raises(RuntimeError, match="cannot be used from its own background loop"):
        background.wait(background.submit(wait_there))


def test_threads_may_wait_at_the_same_time():
    results = []
    threads = [
        threading.Thread(
            target=lambda n=n: results.append(background.wait(background.submit(double, n)))
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
        "portal.close_at_exit(lambda: close('before'))\n"
        "portal.wait(portal.submit(nothing))\n"
        "portal.close_at_exit(lambda: close('after'))\n"
        "portal.forget(portal.close_at_exit(lambda: close('two')))\n"
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
        "portal.wait(portal.submit(pid))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if portal.wait(portal.submit(pid)) == os.getpid() else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
        "if not os.fork():\n"
        "    raise SystemExit(portal.wait(portal.submit(pid)) - os.getpid())\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)\n"
        "if not os.fork():\n"
        "    raise SystemExit(0)\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)\n"
    )
    assert (done.stdout.split(), done.stderr) == (["0"] * 3, "")
