"""A lab whose journals are the test's own."""

import pytest


@pytest.fixture
def lab(connect, tmp_path):
    """A lab on the shared simulator, with journals of its own."""
    return connect(journal=tmp_path / "journals")
