"""The arguments of ``lab.sweep`` that say how, each checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from firmly_nb.api.secrets import redact_text
from firmly_nb.sweep.plan_file import checked_run_id
from firmly_nb.sweep.schedule import ARRIVALS, per_second, seconds, whole
from firmly_nb.sweep.sender import ORDER_NUMBER_TAG, SET_ASIDE_TAG

if TYPE_CHECKING:
    from firmly_nb.sweep.budget import Budget

MAX_CONCURRENCY = 256
MAX_COUNT = 10_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; each None is a default."""

    count: int | None = None
    rate: float | str | None = None
    concurrency: int | None = None
    arrival: str | None = None
    duration: float | str | None = None
    seed: int | None = None
    budget: Budget | Mapping[str, Any] | None = None
    name: str | None = None
    run_id: str | None = None
    tags: Mapping[str, str] | None = None
    resume: str | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """Take what is a sweep's own out of the arguments; the rest are options of each order."""
        own = {f.name for f in fields(cls)}
        return cls(**{n: v for n, v in arguments.items() if n in own}), {
            n: v for n, v in arguments.items() if n not in own
        }

    def checked(self) -> dict[str, Any]:
        """Return what was given, each thing checked, by its name in the plan.

        Raises
        ------
        ValueError
            If something is wrong; TypeError for tags that are no dict.
        """
        if self.rate is not None and self.arrival == "closed":
            raise ValueError("a closed loop has no rate: the next order starts when one ends")
        if self.resume is not None and self.run_id is not None:
            raise ValueError("resume names the run already; leave run_id out")
        given = {name: getattr(self, name) for name in CHECKS}
        return {
            key: check(given[name])
            for name, (key, check) in CHECKS.items()
            if given[name] is not None
        }


def _arrival(arrival: Any) -> Any:
    if arrival not in ARRIVALS:
        raise ValueError(f"arrival {arrival!r}: there are {', '.join(ARRIVALS)}")
    return arrival


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed {seed!r}: must be a whole number")  # noqa: TRY004 - as the others
    return seed


def _written(text: Any) -> str:
    """Return a text as the plan's file may hold it."""
    return redact_text(str(text))


def _tags(tags: Any) -> dict[str, str]:
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags must be a dict of texts by name, got {type(tags).__name__}")
    noted = {_written(name): _written(value) for name, value in tags.items()}
    own = {ORDER_NUMBER_TAG, SET_ASIDE_TAG} & set(noted)
    if own:
        raise ValueError(f"tags: {min(own)!r} is what a sweep itself notes; take another name")
    return noted


# The name in the plan of each argument, and what checks it.
CHECKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "arrival": ("arrival", _arrival),
    "rate": ("rate_per_s", per_second),
    "concurrency": ("concurrency", partial(whole, "concurrency", most=MAX_CONCURRENCY)),
    "count": ("count", partial(whole, "count", most=MAX_COUNT)),
    "duration": ("duration_s", seconds),
    "seed": ("seed", _seed),
    "name": ("name", _written),
    "run_id": ("run_id", checked_run_id),
    "tags": ("tags", _tags),
}
