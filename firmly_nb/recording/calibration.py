"""How far off the times are on this machine, now: the result of ``lab.calibrate()``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from firmly_nb.recording.calibration_display import calibration_html, calibration_text
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

ERRORS = Table(
    "calibration errors",
    "one row an event of the known pattern",
    (
        Column("condition", "category", "", "what the notebook did meanwhile: idle or busy"),
        Column("n", "int64", "", "number of the event in its pattern, from 1"),
        Column("sent_at", "datetime64[ns, UTC]", "", "the sender's clock immediately before"),
        Column("error_ms", "float64", "ms", "recorded arrival minus sent_at"),
        Column("own_error_us", "float64", "µs", "recorded arrival minus the kernel's hand-over"),
        Column("uncertainty_us", "float64", "µs", "how much earlier it can have come, as recorded"),
        Column(
            "inside",
            "bool",
            "",
            "the recorded interval agrees with when it was sent",
        ),
        Column("clock", "category", "", "kernel: receive stamp; user: time after the read"),
        Column("coalesced", "bool", "", "came in the same read as the event before"),
        Column("read_no", "int64", "", "number of the read that brought its last byte"),
        Column("read_delay_us", "float64", "µs", "from the stamp to the recorder having the bytes"),
        Column("send_us", "float64", "µs", "from sent_at to the end of the sender's call; or null"),
    ),
)

SUMMARY = Table(
    "calibration",
    "one row a condition",
    (
        Column("condition", "str", "", "what the notebook did meanwhile: idle or busy"),
        Column("events", "int64", "", "events sent, all of which came"),
        Column("median_ms", "float64", "ms", "median of recorded arrival minus time of sending"),
        Column("p99_ms", "float64", "ms", "99th percentile (type 7) of it"),
        Column("max_ms", "float64", "ms", "largest of it"),
        Column("own_median_ms", "float64", "ms", "median without the sender's own delay; or null"),
        Column("own_p99_ms", "float64", "ms", "99th percentile without it; or null"),
        Column("inside_share", "float64", "", "share of events inside their own error bound"),
        Column("clock", "str", "", "how they were stamped"),
    ),
)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a known pattern of events from this machine to itself showed.

    Attributes
    ----------
    errors
        One row an event (``ERRORS``); all times in it are the machine's wall clock.
    tls
        Whether it went over TLS. What the sender spends on encrypting then counts as error.

    Examples
    --------
    >>> rows = [{"condition": "busy", "n": n, "error_ms": n / 100, "inside": True,
    ...          "clock": "kernel"} for n in range(1, 10)]
    >>> Calibration.from_rows(rows).sentence
    'On this machine, now, an arrival is off by 0.05 ms (median), 0.09 ms (p99).'
    """

    errors: pd.DataFrame
    tls: bool = False

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, tls: bool = False) -> Calibration:
        """Make it from one mapping an event; see ``ERRORS``."""
        unmeasured = {"coalesced": False, "read_no": 0}
        return cls(ERRORS.frame([{**unmeasured, **row} for row in rows]), tls)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a condition; see ``SUMMARY``."""
        groups = self.errors.groupby("condition", observed=True, sort=False)
        return SUMMARY.frame([_summary(str(name), group) for name, group in groups])

    @property
    def sentence(self) -> str:
        """The result in one sentence: the condition with the larger p99.

        The sender's clock is read before it sends, so its own delay is part of the error. Where
        the kernel tells when it handed the bytes over (Linux), the error without it is said too.
        """
        worst = self.table.sort_values("p99_ms").to_dict("records")[-1]
        own = [worst["own_median_ms"], worst["own_p99_ms"]]
        without = f"; without the local sender's own delay {_ms(own[0])} and {_ms(own[1])} ms"
        return (
            f"On this machine, now, an arrival is off by {_ms(worst['median_ms'])} ms (median), "
            f"{_ms(worst['p99_ms'])} ms (p99){'' if math.isnan(own[0]) else without}."
        )

    def __repr__(self) -> str:
        return calibration_text(self.sentence, self.table, tls=self.tls)

    def _repr_html_(self) -> str:
        return calibration_html(self.sentence, self.table, self.errors, tls=self.tls)


def _summary(condition: str, group: pd.DataFrame) -> dict[str, Any]:
    error = group["error_ms"]
    return {
        "condition": condition,
        "events": len(group),
        "median_ms": error.median(),
        "p99_ms": error.quantile(0.99),
        "max_ms": error.max(),
        "own_median_ms": group["own_error_us"].median() / 1000,
        "own_p99_ms": group["own_error_us"].quantile(0.99) / 1000,
        "inside_share": group["inside"].mean(),
        "clock": " and ".join(sorted(set(group["clock"].astype(str)))),
    }


def _ms(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.3f}"
