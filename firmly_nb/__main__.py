"""``python -m firmly_nb`` is the command line."""

from __future__ import annotations

from firmly_nb.cli import main

main()
