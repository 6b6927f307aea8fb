"""A notebook that orders until it is stopped: what ``benchmarks.kills`` kills, or kills around it.

It says each record when a person would see it, one JSON line each, and after each order how it
ended. It stops when its input ends.
"""

import json
import select
import sys
import time

import firmly_nb as fnb
import firmly_nb.attempt
import firmly_nb.lab


def say(**words: object) -> None:
    """Write one line for the killer."""
    print(json.dumps(words), flush=True)


class Shown:
    """Stands where the lines of events are printed for a person."""

    order = ""

    def show(self, record: object) -> None:
        """Say a start or an event."""
        if record.kind == "start":
            Shown.order = record.recording_id
            say(kind="start", order=Shown.order)
        elif record.kind == "event":
            say(kind="event", order=Shown.order, seq=record.seq, name=record.event, ns=record.t_ns)


def stopped() -> bool:
    """Return whether the input has ended."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> None:
    """Order until stopped."""
    isolated = sys.argv[1] == "isolated"
    firmly_nb.lab.EventLines = Shown
    firmly_nb.attempt.SHOW_EVERY_S = 0.001
    with fnb.connect(profile="calm") as lab:
        order = fnb.Order.example()
        lab.place(order, progress=False, isolated=isolated)
        recorder = lab._bench.worker().pid if isolated else None  # noqa: SLF001 - to be killed
        say(kind="ready", simulator=lab.simulator.pid, recorder=recorder)
        while not stopped():
            try:
                rec = lab.place(order, isolated=isolated)
            except Exception as error:  # noqa: BLE001 - whatever a person would see
                say(kind="refused", error=f"{type(error).__name__}: {error}")
                time.sleep(0.05)
            else:
                say(
                    kind="end", order=rec.recording_id, outcome=rec.outcome, exists=rec.order_exists
                )


if __name__ == "__main__":
    main()
