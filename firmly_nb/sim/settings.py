"""Settings of the whole simulator, defined once: the command line is made from them."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class MoreOptions(TypedDict, total=False):
    """The less common settings of a simulator; see :class:`Settings`."""

    error_shape: str
    error_event: str
    statuses: str
    token_lifetime_s: int
    fault: str
    fault_rate: float
    clock_rate: float
    lenient_card: bool
    tls: bool
    access_log: bool
    patience_s: float
    no_cors: bool
    hosts: str


class ReplayOptions(MoreOptions, total=False):
    """Settings of a replay beside its seed; see :class:`Settings`."""

    port: int
    speed: float
    slow: str


class SimulatorOptions(MoreOptions, total=False):
    """All settings that whoever starts a simulator from Python can choose."""

    profile: str
    seed: int
    port: int
    event_names: str


def _option(default: Any, meaning: str, choices: Sequence[str] = ()) -> Any:
    return field(default=default, metadata={"help": meaning, "choices": tuple(choices) or None})


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a simulator.

    Where firmly's own pages contradict each other, the default is what the endpoint's reference
    page says, and an option gives the other variant.

    Examples
    --------
    >>> Settings(profile="calm").flags()
    ['--profile', 'calm']
    >>> parse(["--event-names", "guide", "--lenient-card"]).event_names
    'guide'
    """

    profile: str = _option("typical", "latency profile of merchants without one of their own")
    seed: int = _option(7, "seed of every draw")
    port: int = _option(0, "port on 127.0.0.1; 0 takes a free one")
    event_names: str = _option(
        "reference", "which of the two documented event vocabularies", ("reference", "guide")
    )
    error_shape: str = _option(
        "documented",
        "error bodies: each page's own, or one shape everywhere",
        ("documented", "code", "message"),
    )
    error_event: str = _option(
        "flat", "data of the error event", ("flat", "nested", "message", "string")
    )
    statuses: str = _option(
        "error-codes",
        "statuses that pages contradict each other on: the error-codes page's or the endpoint's",
        ("error-codes", "endpoint"),
    )
    token_lifetime_s: int = _option(3600, "lifetime of a device token; negative makes expired ones")
    fault: str = _option("", "a fault for every order, by name (see /sim/faults)")
    fault_rate: float = _option(1.0, "share of the orders that get that fault")
    clock_rate: float = _option(1.0, "speed of the clock that drift and shifts follow")
    lenient_card: bool = _option(False, "also accept the card keys of firmly's v5 front end")
    tls: bool = _option(False, "serve HTTPS with a certificate made at start")
    access_log: bool = _option(False, "log a line for each request")
    patience_s: float = _option(10.0, "how long a request may take to arrive")
    no_cors: bool = _option(False, "let no web page of another origin call it")
    replay: str = _option("", "recordings to replay: a saved set, a journal, a folder")
    speed: float = _option(1.0, "of a replay: 10 takes a tenth of the time")
    slow: str = _option("", "of a replay: STAGE=FACTOR, with commas between several")
    drawn: bool = _option(False, "of a replay: draw orders with the seed, instead of in turn")
    hosts: str = _option("", "further names that clients may call it by, with commas between them")
    folder: str = _option("", "where to write truth.jsonl and certificate.pem")

    def flags(self) -> list[str]:
        """Return the command line that makes these settings."""
        flags: list[str] = []
        for name, value in asdict(self).items():
            if value == _defaults()[name]:
                continue
            flag = "--" + name.replace("_", "-")
            flags += [flag] if value is True else [flag, str(value)]
        return flags


def _meaning(text: str, choices: Sequence[str] | None) -> str:
    named = f": {', '.join(f'``{one}``' for one in choices)}" if choices else ""
    return f"{text[0].upper()}{text[1:]}{named}."


MEANINGS = {
    one.name: _meaning(one.metadata["help"], one.metadata["choices"]) for one in fields(Settings)
}


def _defaults() -> dict[str, Any]:
    return {f.name: f.default for f in fields(Settings) if f.default is not MISSING}


class _Parser(argparse.ArgumentParser):
    """Parser that says what is wrong in one line, with what to do."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}. See firmly-nb sim --help.\n")


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser, one flag for each setting."""
    made = _Parser(
        prog="firmly-nb sim",
        description="A simulator of firmly's API on loopback.",
        allow_abbrev=False,
    )
    for one in fields(Settings):
        flag = "--" + one.name.replace("_", "-")
        text = one.metadata["help"]
        if isinstance(one.default, bool):
            made.add_argument(flag, action="store_true", help=text)
        else:
            made.add_argument(
                flag,
                type=type(one.default),
                default=one.default,
                choices=one.metadata["choices"],
                help=text,
            )
    return made


def parse(flags: Sequence[str]) -> Settings:
    """Read settings from a command line; a replay with a seed draws its orders."""
    given = vars(parser().parse_args(flags))
    seeded = any(flag.partition("=")[0] == "--seed" for flag in flags)
    given["drawn"] = given["drawn"] or (seeded and bool(given["replay"]))
    if given["replay"] and not Path(given["replay"]).is_file():
        raise ValueError("replay is not a tape; firmly-nb sim --replay makes one of recordings")
    return checked(Settings(**given))


# What orders would have without a replay: a replay has what was recorded.
NOT_IN_A_REPLAY = ("profile", "event_names", "fault", "fault_rate", "clock_rate", "error_event")
ONLY_IN_A_REPLAY = ("speed", "slow", "drawn")


def factors_of(slow: str) -> dict[str, float]:
    """Read how many times as long stages are to take.

    Raises
    ------
    ValueError
        If it is not ``STAGE=FACTOR``, with a factor above 0.

    Examples
    --------
    >>> factors_of("shipping-updated=1.3, order-placed=2")
    {'shipping-updated': 1.3, 'order-placed': 2.0}
    """
    read = {}
    for text in filter(None, (part.strip() for part in slow.split(","))):
        stage, _, factor = text.rpartition("=")
        try:
            read[stage.strip()] = float(factor)
        except ValueError:
            stage = ""
        if not stage.strip() or not 0 < read[stage.strip()] < math.inf:
            raise ValueError(f"slow must be like shipping-updated=1.3, got {text!r}")
    return read


# A name or an address as a Host header has it, but for the port.
HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


def host_names(hosts: str) -> frozenset[str]:
    """Return the names that clients may call a simulator by, beside this machine's.

    Examples
    --------
    >>> sorted(host_names("sim.internal, Other.test"))
    ['other.test', 'sim.internal']
    """
    return frozenset(filter(None, (name.strip().lower() for name in hosts.split(","))))


def _check_replay(settings: Settings) -> None:
    names = ONLY_IN_A_REPLAY if not settings.replay else NOT_IN_A_REPLAY
    given = [name for name in names if getattr(settings, name) != _defaults()[name]]
    if given and settings.replay:
        raise ValueError(f"{given[0]} is not for a replay, which has what was recorded")
    if given:
        raise ValueError(f"{given[0]} is for a replay; name recordings with replay")
    if not 0 < settings.speed < math.inf:
        raise ValueError(f"speed must be more than 0, got {settings.speed:g}")
    factors_of(settings.slow)


def checked(settings: Settings) -> Settings:
    """Return the settings, or raise an error that names the mistake.

    Raises
    ------
    ValueError
        If a name is unknown or a number out of range.

    Examples
    --------
    >>> checked(Settings(profile="quick"))
    Traceback (most recent call last):
    ...
    ValueError: no latency profile 'quick'; there are bimodal, calm, daily, degrading, ...
    """
    from firmly_nb.sim.behaviour import FAULTS, PROFILES

    _check_replay(settings)
    if settings.profile not in PROFILES:
        raise ValueError(_unknown("latency profile", settings.profile, PROFILES))
    if settings.fault and settings.fault not in FAULTS:
        raise ValueError(_unknown("fault", settings.fault, FAULTS))
    for one in fields(Settings):
        choices = one.metadata["choices"]
        if choices and getattr(settings, one.name) not in choices:
            raise ValueError(f"{one.name} must be one of {', '.join(choices)}")
    for name in host_names(settings.hosts):
        if not HOST.fullmatch(name):
            text = "hosts must be names such as sim.internal, without scheme and port"
            raise ValueError(f"{text}, got {name!r}")
    if settings.patience_s <= 0 or settings.clock_rate < 0:
        raise ValueError("patience_s must be more than 0, and clock_rate not less than 0")
    if not 0 <= settings.port <= 65535 or not 0 <= settings.fault_rate <= 1:
        raise ValueError("port must be 0 to 65535, and fault_rate 0 to 1")
    return settings


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {_names(known)}"
    return f"no {kind} {name!r}; {hint}"


def _names(known: Iterable[str]) -> str:
    return re.sub(r"((?:[\w-]+, ){4}).*", r"\1...", ", ".join(sorted(known)))
