"""Run the simulator in this process: ``python -m firmly_nb.sim --profile calm``."""

from __future__ import annotations

import gc
import os
import sys

from firmly_nb.sim.settings import parse

HELD = "--held"
REFUSED = 2  # as for every command


def main() -> None:
    """Read the command line and serve."""
    arguments = sys.argv[1:]
    held = HELD in arguments
    try:
        settings = parse([argument for argument in arguments if argument != HELD])
    except ValueError as error:
        sys.stderr.write(f"firmly-nb sim: {error}\n")
        sys.exit(REFUSED)
    # Else pydantic would look for plugins in all that is installed, for 15 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # What is imported stays: to look through it again and again takes a tenth of the start.
    gc.disable()
    from firmly_nb.sim.app import serve

    serve(settings, held=held)


if __name__ == "__main__":
    main()
