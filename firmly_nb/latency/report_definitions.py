"""How each figure of a report is defined: the short form of docs/latency.md, for its readers."""

from __future__ import annotations

DEFINITIONS: tuple[tuple[str, str], ...] = (
    (
        "time zero",
        (
            "The moment just before the request is handed to the HTTP client. Every time counts "
            "from there unless it says otherwise."
        ),
    ),
    (
        "arrival of an event",
        (
            "When the read that brought the event's last byte was received: the kernel's stamp "
            "where there is one, else the time right after the read. Each has a bound for its "
            "error."
        ),
    ),
    (
        "stage",
        (
            "From one milestone to the next; of a repeated event the last one counts. The "
            "stages of an order add up to its time to order-placed. Where a milestone is "
            "missing its stage has no time and the next is called a->c. Milestones out of order "
            "give a negative time, which is kept."
        ),
    ),
    (
        "time to order-placed",
        "From time zero to the order-placed event. Only placed orders have one.",
    ),
    (
        "order latency",
        "From time zero to the end of the answer, whatever the outcome.",
    ),
    (
        "planned start",
        (
            "When an order was due. Time from there includes the wait for a late start "
            "(coordinated omission); the lag is the difference."
        ),
    ),
    (
        "outcome",
        (
            "Exactly one for each attempted order: placed, error_event, http_error, "
            "transport_error, timeout, incomplete, cancelled. An error event inside a 200 "
            "answer is a failure."
        ),
    ),
    (
        "share placed",
        (
            "Placed orders of all attempted ones; those that the analyst cancelled are not "
            "attempted. The interval is Wilson's."
        ),
    ),
    (
        "p50, p90, p95",
        (
            "The time that 50, 90, 95% of the orders do not exceed (quantile of type 7), over "
            "orders that completed the stage. The interval runs from one measured time to "
            "another and holds whatever the distribution is. Where orders are too few for both "
            "ends there is no figure: 6, 36 and 72 are needed, 368 for p99. A lower end alone is "
            "written as \u2265."
        ),
    ),
    (
        "runs",
        (
            "Orders placed together are alike. With two runs or more the intervals come from "
            "drawing whole runs again."
        ),
    ),
    (
        "share of the time",
        "All time spent in the stage by placed orders, of all their time.",
    ),
    (
        "\u00b1 p99",
        "The bound of the error of 99% of the stage's times, in ms.",
    ),
    (
        "coalesced",
        ("Came in the same read as the event before, so that the time between the two is unknown."),
    ),
    (
        "comparison",
        (
            "How many times as long: the median of all ratios between the two sides (Hodges-"
            "Lehmann). The verdict holds the interval against a margin that was stated before "
            "looking: inside it is no change; wholly above or below 1 is slower or faster; else "
            "data are not enough."
        ),
    ),
    (
        "shift",
        "By how much each percentile differs, with a band that holds all of them at once.",
    ),
)
