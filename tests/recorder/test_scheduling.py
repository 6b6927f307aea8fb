"""The recorder's wish to be woken soon."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from firmly_nb.recorder.worker import ask_for_short_turns


def test_an_unprivileged_process_may_ask_and_keeps_its_policy_and_its_nice_value() -> None:
    if sys.platform != "linux" or not hasattr(os, "sched_getscheduler"):
        pytest.skip("only Linux is asked")
    code = """
import os
from firmly_nb.recorder.worker import ask_for_short_turns
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
nice = os.nice(3)  # whatever it was, it is to stay
print(ask_for_short_turns(), os.sched_getscheduler(0) == os.SCHED_BATCH, os.nice(0) == nice)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "True", "True"]


def test_elsewhere_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert not ask_for_short_turns()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "unheard-of")
    assert not ask_for_short_turns()
