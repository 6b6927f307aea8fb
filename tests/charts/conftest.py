"""Made-up orders for charts and reports, and a name that would like to be more than a name."""

from __future__ import annotations

import pytest

from tests.charts.made_orders import made_orders

HOSTILE = "<script>alert(1)</script><b>x</b><a href='javascript:alert(2)'>y</a> %{x} $\\alpha$"


@pytest.fixture(scope="session")
def made():
    """Make orders: `made(200, failures=0.1)`."""
    return made_orders


@pytest.fixture(scope="session")
def hostile():
    """A name that would like to be markup, a template and a formula."""
    return HOSTILE


@pytest.fixture(scope="session")
def usual():
    """Some two hundred orders of two merchants in six runs, a few of them failed."""
    return made_orders(200, runs=6)


@pytest.fixture(scope="session")
def many():
    """So many orders that they are binned."""
    return made_orders(20_000, failures=0.01, runs=8)
