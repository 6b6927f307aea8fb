"""How a saved set is laid out, and what can go wrong with it; known without loading Parquet."""

from __future__ import annotations

MANIFEST = "manifest.json"
KIND = "firmly-nb recordings"
KINDS = ("orders", "events")
LOCK = ".lock"
WRITING = ".writing-"  # begins the folder of a saving that is under way, or was killed


class StoreError(OSError):
    """A set of recordings that cannot be saved or loaded: where, why, what to do."""


class NewerFormatError(StoreError):
    """A set that only a newer version of firmly-nb can read."""
