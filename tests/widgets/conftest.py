"""A lab and an order form that the widgets' tests share."""

from __future__ import annotations

import pytest

import firmly_nb as fnb
from firmly_nb.widgets.order_form import OrderForm


@pytest.fixture(scope="module")
def lab(simulator):
    """One lab for a module's tests, on the shared simulator: its recorder is started once."""
    options = {"app_id": simulator.app_id, "allow_domains": simulator.domains}
    with fnb.connect(api_url=simulator.url, **options) as opened:
        yield opened


@pytest.fixture
def form(lab):
    """A form that begins with an order that works."""
    return OrderForm(lab)
