"""Measured comparisons, run by hand or nightly and never by the tests."""
