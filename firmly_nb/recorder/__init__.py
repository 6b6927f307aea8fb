"""From bytes on a socket to a Recording."""

from __future__ import annotations
