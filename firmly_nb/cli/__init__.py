"""The command line: ``firmly-nb demo | place | sweep | gate | report | load | ticket | ...``.

Output is for people (rich; plain when piped) or, with ``--json``, for machines. The exit code says
whether the order exists (of a sweep: every order of its plan): 0 yes, 1 no, 2 refused before
anything was sent, 3 it may exist, 130 interrupted; of a gate, and of a report with ``--check``: 0
pass, 1 worse or a target missed, 2 a mistake in the call, 3 cannot tell.

- ``placing``, ``reading``, ``keeping``, ``machine``: the commands;
- ``terminal``: options and output that they share;
- ``command``: :func:`main`, which ends each mistake in a sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.cli.command import main

__all__ = ["main"]

show(__name__, {"command": "main"})
