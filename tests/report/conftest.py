"""The orders that the charts are tested with."""

from tests.charts.conftest import hostile, made, many, usual

__all__ = ["hostile", "made", "many", "usual"]
