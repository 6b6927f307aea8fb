"""For other people's ``asyncio.run`` in notebook cells; nothing of ours needs it."""

from __future__ import annotations

import importlib

from firmly_nb.display.messages import coded_error


def allow_nested_loops() -> str:
    """Let ``asyncio.run`` and ``loop.run_until_complete`` be called where a loop already runs.

    Applies ``nest_asyncio2`` where it is installed (ipykernel 7.4 brings it), else
    ``nest_asyncio``. firmly-nb works with and without it. What it costs: the patch holds for the
    whole process and cannot be taken back; it replaces C code by Python code, so everything async
    is slower; and with the older ``nest_asyncio`` on ipykernel 7.4 a widget's click that arrives
    during a nested call is lost, and every later one too. Times recorded by a lab are not affected:
    they are taken in another process.

    Returns
    -------
    str
        Name of the package that was applied.

    Raises
    ------
    RuntimeError
        If the running loop is of a kind that cannot be patched (uvloop).

    Examples
    --------
    ::

        fnb.allow_nested_loops()
    """
    for name in ("nest_asyncio2", "nest_asyncio"):
        try:
            package = importlib.import_module(name)
        except ImportError:
            continue
        try:
            package.apply()
        except ValueError as error:
            text = f"{name} cannot patch this event loop ({error}). Use await in the cell."
            raise coded_error(RuntimeError, "FNB021", text) from error
        return name
    raise coded_error(
        RuntimeError,
        "FNB020",
        "Neither nest_asyncio2 nor nest_asyncio is installed. Run pip install nest-asyncio2, or "
        "use await in the cell.",
    )
