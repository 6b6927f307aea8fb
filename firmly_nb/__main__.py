"""``python -m firmly_nb`` is the command line."""

from firmly_nb.cli import main

main()
