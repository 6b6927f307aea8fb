"""What holds for every test, the doctests included: no home is written to, no clock decides."""

from __future__ import annotations

import os
from itertools import count

# For this process and all that it starts, and before NumPy is loaded: on cores that others use as
# well, threads of BLAS wait for one another; tests of statistics took twice as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, Phase, settings

pytest_plugins = ["tests.loopback"]

_numbers = count()

# How long an example takes is the machine's business: 200 ms are soon over where four test
# processes share two cores. Speed is measured in benchmarks/.
settings.register_profile(
    "any machine",
    settings(),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# `make test` gives the same inputs in each run, `make fuzz` others. An input that fails is told at
# once, as it is: to make it small can take minutes, longer than the limit of a test. The profiles
# "fixed-small" and "fuzz-small" do that.
FIXED_EXAMPLES = 50  # where a test asks for no other number; `make fuzz` runs as long as you like
AT_ONCE = {"phases": [Phase.explicit, Phase.generate]}
any_machine = settings.get_profile("any machine")
settings.register_profile("fixed-small", any_machine, derandomize=True, max_examples=FIXED_EXAMPLES)
settings.register_profile("fixed", settings.get_profile("fixed-small"), **AT_ONCE)
settings.register_profile("fuzz-small", any_machine, max_examples=300, print_blob=True)
settings.register_profile("fuzz", settings.get_profile("fuzz-small"), **AT_ONCE)
settings.load_profile("fixed")


def pytest_xdist_auto_num_workers() -> int:
    """Return two test processes more than there are cores: browsers and notebooks wait a lot."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session", autouse=True)
def home_of_modules(tmp_path_factory):
    """Give the fixtures of modules a home, too: they are made before that of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRMLY_NB_HOME", str(tmp_path_factory.getbasetemp() / "homes" / "modules"))
        yield


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    """Give each test a home of its own; the folder is made by the first who writes there."""
    path = tmp_path_factory.getbasetemp() / "homes" / f"{next(_numbers)}"
    monkeypatch.setenv("FIRMLY_NB_HOME", str(path))
    monkeypatch.delenv("FIRMLY_APP_ID", raising=False)
    return path
