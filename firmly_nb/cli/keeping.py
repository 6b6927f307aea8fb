"""Commands about what is kept: ``orders``, ``sets``, ``prune``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firmly_nb.cli.terminal import STDOUT, app, print_table, say, warn
from firmly_nb.disk import write_whole
from firmly_nb.display.messages import coded_error, quoted, unknown
from firmly_nb.display.text import count, listed, printable, storage

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.recordings.kept import Kept

AGE = re.compile(r"\s*(\d+)\s*(d|days?|w|weeks?)\s*", re.ASCII)
PLACES = ("staging", "custom", "external", "simulator")
MOST_SAID = 5
LISTED_COLUMNS = [
    "domain",
    "order_number",
    "order_exists",
    "started_at",
    "request_id",
    "environment",
    "outcome",
    "evidence",
    "total_minor",
    "currency",
    "recording_id",
]


@app.command()
def orders(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Saved sets, journals or folders; by default all on this machine."),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option("--env", help=f"{', '.join(PLACES)}; by default all but simulator."),
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Only of this merchant.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write them to this file for a merchant; - prints them.")
    ] = None,
) -> None:
    """List the orders that exist or may exist, by merchant: for whoever is to void them."""
    from firmly_nb.recorder.journal import default_directory
    from firmly_nb.recordings.kept import may_exist
    from firmly_nb.recordings.recordings import Recordings, load

    if environment not in (None, *PLACES):
        text = unknown("environment", environment, PLACES, "--env")
        raise coded_error(ValueError, "FNB801", text)
    # On a new machine there is no folder of journals yet.
    folder = default_directory()
    wanted = paths or ([folder] if folder.exists() else [])
    recs = sum((load(path) for path in wanted), start=Recordings([]))
    table = recs.orders
    table = table[may_exist(table, environment)]
    if domain is not None:
        table = table[table["domain"] == domain]
    table = table.sort_values(["domain", "started_at"], kind="stable")
    if csv is not None:
        _write_csv(csv, table)
    if csv != STDOUT:
        if not len(table):
            place = f"in {environment}" if environment else "outside of the simulator"
            merchant = "" if domain is None else f" at {printable(domain)}"
            say(f"No order {place}{merchant} exists or may exist.")
        _print_orders(table)
        if not len(table) and len(recs):
            _say_what_there_is(recs.orders)
        elif not wanted:
            # A wrong FIRMLY_NB_HOME is not to look as if there was nothing to void.
            say(f"No folder {printable(str(folder))}: no order was recorded there.")
        warn(recs.warnings)
        if csv is not None:
            say(f"{csv}: {count(len(table), 'order')}")


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    from firmly_nb.exchange.tables import as_csv
    from firmly_nb.recorder.tables import ORDERS
    from firmly_nb.schema import Table

    declared = {column.name: column for column in ORDERS.columns}
    columns = tuple(declared[name] for name in LISTED_COLUMNS)
    content = as_csv(Table("orders", "one row an order", columns), table[LISTED_COLUMNS])
    if path == STDOUT:
        sys.stdout.write(content.decode("utf-8-sig"))
        return
    try:
        write_whole(path, content)
    except OSError as error:
        text = f"{path} cannot be written: {error.strerror or error}. Name another file."
        raise coded_error(OSError, "FNB441", text) from error


def _print_orders(table: pd.DataFrame) -> None:
    started = table["started_at"].dt.strftime("%Y-%m-%d %H:%M").fillna("-")
    for merchant, of_merchant in table.groupby("domain", observed=True, sort=True):
        exist = int((of_merchant["order_exists"] == "yes").sum())
        may = len(of_merchant) - exist
        said = [count(exist, "order exists", "orders exist")] if exist else []
        said += [count(may, "order may exist", "orders may exist")] if may else []
        say(f"{printable(merchant)}: {' and '.join(said)}", "bold")
        print_table(
            [
                {
                    "order": row["order_number"],
                    "exists": row["order_exists"],
                    "started (UTC)": started[at],
                    "request id": row["request_id"],
                }
                for at, row in of_merchant.to_dict("index").items()
            ]
        )


def _say_what_there_is(table: pd.DataFrame) -> None:
    """Say which orders were looked at, so that nobody takes a wrong name for none."""
    places = table[["domain", "environment"]].astype(str).value_counts(sort=False)
    said = [f"{printable(domain)} ({environment})" for domain, environment in places.index]
    say(f"Recorded: {count(len(table), 'order')} at {_first(said)}.", "dim")


def _first(said: list[str]) -> str:
    """Put words in a row; of many the first, and how many more there are.

    Examples
    --------
    >>> _first(list("abcdefg"))
    'a, b, c, d, e and 2 more'
    """
    left = len(said) - MOST_SAID
    return listed([*said[:MOST_SAID], f"{left} more"] if left > 0 else said)


@app.command()
def sets(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder that is searched for saved sets with all below it.", file_okay=False
        ),
    ] = Path(),
) -> None:
    """List what is kept: the journals of this machine by day, and saved sets: size, age, tags."""
    from firmly_nb.recordings.kept import by_folder, kept

    # A folder that has the journals of this machine shows them once.
    found = {one.path.absolute(): one for one in [*by_folder(kept()), *by_folder(kept(path))]}
    if not found:
        say(f"There are no recordings on this machine, nor in {path.absolute()}.")
        return
    rows = sorted(found.values(), key=lambda one: (one.kind, one.path))
    print_table([_row(one) for one in rows])
    total = storage(sum(one.n_bytes for one in rows))
    say(f"{total}; firmly-nb prune --older-than 90d removes journals without tags", "dim")


def _row(one: Kept) -> dict[str, object]:
    return {
        "what": one.kind,
        "path": str(one.path),
        "orders": "unread" if one.recordings is None else count(one.recordings),
        "size": storage(one.n_bytes),
        "age": f"{max(one.age_days, 0):.0f} d",
        "tags": _first(sorted(one.tags)),
    }


@app.command()
def prune(
    path: Annotated[
        Path | None,
        typer.Argument(help="Folder with saved sets; by default the journals of this machine."),
    ] = None,
    older_than: Annotated[
        str, typer.Option("--older-than", help="Age since it was written, like 90d or 12w.")
    ] = "90d",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, as in a cron job.")] = False,
) -> None:
    """Remove old recordings; it asks first, and keeps what is tagged."""
    from firmly_nb.recordings.kept import kept, remove

    days = _days(older_than)
    old = [one for one in kept(path) if one.age_days > days]
    going = [one for one in old if one.may_go]
    unread = sum(one.recordings is None for one in old)
    if unread:
        warn([f"{count(unread, 'file')} cannot be read and will stay."])
    tagged = len(old) - len(going) - unread
    stay = f" {count(tagged, 'journal or set', 'journals and sets')} with tags stay." * bool(tagged)
    if not going:
        say(f"Nothing without tags is older than {count(days, 'day')}.{stay}")
        return
    say(f"{_said(going)}, older than {count(days, 'day')}.{stay}")
    open_orders = sum(one.open_orders for one in going)
    if open_orders:
        what = count(open_orders, "order exists or may exist", "orders exist or may exist")
        warn([f"{what} outside of the simulator. firmly-nb orders --csv FILE lists them."])
    if not yes and not typer.confirm("Remove them for good?"):
        say("Nothing was removed.")
        return
    gone = list(remove(going, days))
    say(f"Removed: {_said(gone)}" if gone else "Nothing was removed: all are in use now.")


def _said(found: list[Kept]) -> str:
    from firmly_nb.recordings.kept import SET

    n_sets = sum(one.kind == SET for one in found)
    said = [count(n_sets, "saved set")] if n_sets else []
    said += [count(len(found) - n_sets, "journal")] if len(found) > n_sets else []
    n_orders = count(sum(one.recordings or 0 for one in found), "order")
    size = storage(sum(one.n_bytes for one in found))
    return f"{' and '.join(said)} with {n_orders}, {size}"


def _days(text: str) -> int:
    found = AGE.fullmatch(text)
    days = 0 if found is None else int(found[1]) * (7 if found[2].startswith("w") else 1)
    if days < 1:
        what = f"--older-than must be days or weeks, at least 1d, got {quoted(text)}."
        raise coded_error(ValueError, "FNB801", f"{what} Example: --older-than 90d.")
    return days
