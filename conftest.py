"""What holds for every test, the doctests included: no home is written to, no clock decides."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, settings

_numbers = count()

# How long an example takes is the machine's business: 200 ms are soon over where four test
# processes share two cores. Speed is measured in benchmarks/.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    """Give each test a home of its own; the folder is made by the first who writes there."""
    path = tmp_path_factory.getbasetemp() / "homes" / f"{next(_numbers)}"
    monkeypatch.setenv("FIRMLY_NB_HOME", str(path))
    monkeypatch.delenv("FIRMLY_APP_ID", raising=False)
    return path
