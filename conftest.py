"""What holds for every test, the doctests included: nothing is written to anyone's home."""

from __future__ import annotations

from itertools import count

import pytest

_numbers = count()


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    """Give each test a home of its own; the folder is made by the first who writes there."""
    path = tmp_path_factory.getbasetemp() / "homes" / f"{next(_numbers)}"
    monkeypatch.setenv("FIRMLY_NB_HOME", str(path))
    monkeypatch.delenv("FIRMLY_APP_ID", raising=False)
    return path
