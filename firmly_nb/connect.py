"""``connect()``: opens a lab on a simulator, on staging, at other URLs, or on recordings."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import asdict, fields, replace
from difflib import get_close_matches
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Unpack

from firmly_nb import environments
from firmly_nb.api.causes import find_trust
from firmly_nb.api.secrets import SecretStr
from firmly_nb.background import follow, submit
from firmly_nb.display.messages import check_names, code_of, coded_error, quoted, unknown
from firmly_nb.display.paths import expanded
from firmly_nb.docstrings import takes_options
from firmly_nb.engine import Bench
from firmly_nb.environments import Environment, find_app_id
from firmly_nb.lab import Lab
from firmly_nb.reach import look
from firmly_nb.recorder.journal import default_directory
from firmly_nb.settings_file import settings_of
from firmly_nb.sim.settings import MEANINGS, Settings, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from firmly_nb.exchange.tape import Taped
    from firmly_nb.reach import Reach
    from firmly_nb.recordings.recording import Recording
    from firmly_nb.recordings.recordings import Recordings
    from firmly_nb.sim.server import Simulator


ENVIRONMENTS = ("simulator", "staging")
LONGEST_ENVIRONMENT = 16  # a longer text may be an app id that was passed first


@takes_options(SimulatorOptions, asdict(Settings()), MEANINGS)
def connect(  # noqa: PLR0913 - each is a keyword with a default that most leave alone
    environment: str | None = None,
    *,
    app_id: str | SecretStr | None = None,
    api_url: str | None = None,
    card_url: str | None = None,
    allow_domains: Iterable[str] = (),
    ca_file: str | Path | None = None,
    journal: str | Path | None = None,
    keep_personal: bool = False,
    milestones: Iterable[str] | None = None,
    replay: Recordings | Recording | Sequence[Recording] | str | Path | None = None,
    speed: float = 1.0,
    slow: Mapping[str, float] | None = None,
    **simulator_options: Unpack[SimulatorOptions],
) -> Lab:
    """Open a lab: on the embedded simulator, on staging, at URLs of your own, or on recordings.

    Parameters
    ----------
    environment
        ``"simulator"`` (the default), ``"staging"``, or nothing together with ``api_url``.
    app_id
        firmly's app id; by default ``FIRMLY_APP_ID`` from the environment or a ``.env`` file. The
        simulator has its own.
    api_url, card_url
        A custom environment. Only hosts known not to be production are taken.
    allow_domains
        Further merchants that may be ordered from. Staging allows only its demo merchant by
        itself, the simulator its own catalogue.
    ca_file
        Certificates to trust instead of the usual ones: a PEM file, such as that of your company's
        authority. By default what ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` or ``REQUESTS_CA_BUNDLE``
        names, else certifi's list. TLS is always verified.
    journal
        Folder for journals; by default the user's state directory, or ``FIRMLY_NB_HOME``.
    keep_personal
        Whether journals hold addresses unmasked.
    milestones
        Event names in order, where a stream speaks another vocabulary than the documented ones.
        These, ``ca_file``, ``allow_domains`` and more may stand in a file: docs/networks.md.
    replay
        Recordings, or where they are saved. The simulator then answers each order with a recorded
        one of the same merchant and items: each event at its time, in turn, or drawn with ``seed``.
    speed
        Of a replay: 10 takes a tenth of the time.
    slow
        Of a replay: how many times as long a stage takes, like ``{"shipping-updated": 1.3}``.
    **simulator_options
        For the simulator: ``profile``, ``seed`` and so on; see docs/simulator.md.

    Returns
    -------
    Lab

    Raises
    ------
    GuardError
        If a host is, or may be, a production host.
    ValueError
        If there is no app id, or the environment is unknown.

    Examples
    --------
    >>> import firmly_nb as fnb
    >>> with fnb.connect(profile="instant") as lab:
    ...     lab.place(fnb.Order.example(), progress=False).outcome
    'placed'
    """
    # Before anything can fail: a traceback may show the locals of its frames.
    app_id = SecretStr(app_id) if isinstance(app_id, str) else app_id
    api_url, card_url = environments.without_user(api_url), environments.without_user(card_url)
    check_names("connect()", simulator_options, signature(connect).parameters)
    shown = quoted(environment) if len(str(environment)) <= LONGEST_ENVIRONMENT else "a text"
    _check_one_place(None if environment is None else shown, api_url, card_url)
    domains = environments.merchants(allow_domains)
    folder = expanded(journal, "journal") if journal else default_directory()
    if ca_file is not None:
        ca_file = expanded(ca_file, "ca_file").absolute()
        find_trust(str(ca_file)).context()
    kept = settings_of("custom" if api_url else environment or "simulator")
    domains |= kept.allow_domains
    simulator: Simulator | None = None
    if replay is not None and (api_url or environment not in {None, "simulator"}):
        text = "replay opens a simulator, but another environment is named. Pass one of them."
        raise coded_error(ValueError, "FNB002", text)
    if replay is None and (speed != 1 or slow):
        text = "speed and slow are for a replay. Add replay=..., such as a saved set."
        raise coded_error(ValueError, "FNB041", text)
    if api_url is not None:
        where = environments.custom(api_url, card_url, domains)
    elif environment in {None, "simulator"}:
        _check_simulator(simulator_options)
        if replay is None:
            simulator, where = _start_simulator(domains, partial(_simulator, simulator_options))
        else:
            asked = {"speed": speed, "slow": slow, **simulator_options}
            simulator, where = _start_simulator(domains, partial(_replay, replay, asked))
            where = replace(where, replay=_replay_in_words(replay, asked))
        app_id, simulator_options = SecretStr(simulator.app_id), {}
        ca_file = ca_file or simulator.certificate
    elif environment == "staging":
        where = environments.staging(domains)
    else:
        near = get_close_matches(str(environment), ENVIRONMENTS, 1)
        hint = f"Did you mean '{near[0]}'?" if near else "Use 'simulator', 'staging' or api_url."
        text = f"Unknown environment {shown}. {hint}"
        raise coded_error(ValueError, "FNB001", text)
    if simulator_options:
        raise _no_simulator(where.name, simulator_options)
    bench = Bench(
        where,
        find_app_id(app_id, kept.app_id_variable),
        # Whoever changes the working folder later moves no journals.
        folder.absolute(),
        ca_file=str(ca_file) if ca_file else None,
        keep_personal=keep_personal,
        milestones=tuple(milestones) if milestones else kept.milestones,
        simulator=simulator,
        kept=kept,
    )
    if bench.trust.file and ca_file is None:
        bench.trust.context()  # a variable may name a file that is not there
    return Lab(bench)


def _check_one_place(environment: str | None, api_url: str | None, card_url: str | None) -> None:
    if environment is not None and api_url is not None:
        text = f"environment is {environment}, but api_url names another one. Pass one of them."
        raise coded_error(ValueError, "FNB002", text)
    if card_url is not None and api_url is None:
        text = "card_url is given without api_url. Pass both, or an environment."
        raise coded_error(ValueError, "FNB002", text)


def diagnose(environment: str | None, **given: Any) -> Reach:
    """Take each step on the way to an environment, even without an app id.

    The arguments are those of :func:`connect`; see :meth:`Lab.doctor`.
    """
    missing = ""
    try:
        lab = connect(environment, **given)
    except ValueError as error:
        if code_of(error) not in {"FNB013", "FNB014", "FNB015"}:
            raise
        missing = str(error)
        lab = connect(environment, app_id="none", **given)
    with lab:
        return follow(submit(look, lab._open(), missing))  # noqa: SLF001 - of this file


KINDS = {int: "a whole number", float: "a number", str: "a text"}


def _check_simulator(options: Mapping[str, Any]) -> None:
    """Refuse an option that the simulator's command line could not read."""
    from firmly_nb.sim.behaviour import FAULTS, PROFILES

    known = {"profile": PROFILES, "fault": ["", *FAULTS]}
    for one in fields(Settings):
        default: Any = one.default
        value, kind = options.get(one.name), type(default)
        if value is None or kind is bool:
            continue
        taken = int | float if kind is float else kind
        if isinstance(value, bool) or not isinstance(value, taken):
            text = f"{one.name} must be {KINDS[kind]}, got {quoted(value)}."
            example = f" Example: {one.name}={default!r}."
            raise coded_error(ValueError, "FNB016", text + (example if default != "" else ""))
        names = known.get(one.name) or one.metadata["choices"]
        if names and value not in names:
            said = unknown(one.name, value, filter(None, names))
            raise coded_error(ValueError, "FNB016", said)


def _start_simulator(
    allow_domains: frozenset[str], start: Callable[[], Simulator]
) -> tuple[Simulator, Environment]:
    from firmly_nb.sim.server import SimulatorError

    try:
        simulator = start()
    except ValueError as error:
        if code_of(error):
            raise
        text = f"Simulator option not valid: {str(error).rstrip('.')}. See docs/simulator.md."
        raise coded_error(ValueError, "FNB016", text) from None
    except SimulatorError as error:
        last = str(error).splitlines()[-1]
        missing, _, told = last.partition("ModuleNotFoundError: ")[2].partition(" is not")
        if told.endswith("[FNB026]"):
            text = f"The simulator needs {missing}. Run pip install firmly-nb for all of it."
            raise coded_error(ModuleNotFoundError, "FNB026", text) from None
        text = f"The simulator did not start: {last}. Check its options."
        raise coded_error(SimulatorError, "FNB023", text) from error
    domains = simulator.domains | allow_domains
    return simulator, Environment("simulator", simulator.url, simulator.url, domains)


def _simulator(options: SimulatorOptions) -> Simulator:
    from firmly_nb.sim.server import start

    return start(**options)


def _replay_in_words(replay: Any, options: Mapping[str, Any]) -> str:
    """Return the arguments of ``connect()`` as code; recordings in memory have no name."""
    source = json.dumps(os.fspath(replay)) if isinstance(replay, (str, os.PathLike)) else "recs"
    parts = [f"replay={source}"]
    if options["speed"] != 1:
        parts.append(f"speed={options['speed']:g}")
    if options["slow"]:
        parts.append(f"slow={json.dumps(dict(options['slow']))}")
    if options.get("seed") is not None:
        parts.append(f"seed={options['seed']}")
    return ", ".join(parts)


def _replay(replay: Any, options: Mapping[str, Any]) -> Simulator:
    """Start a simulator that answers with recordings; what cannot be replayed is a warning."""
    from firmly_nb.exchange.tape import slow_text, write_tape
    from firmly_nb.recordings.recordings import as_recordings
    from firmly_nb.sim.server import start_replay

    recs = as_recordings("replay", replay)
    slow, speed = options["slow"] or {}, options["speed"]
    taped: list[Taped] = []
    text = slow_text(slow)
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not 0 < speed < math.inf:
        text = f"speed must be above 0, got {quoted(speed)}. Example: speed=10 for a tenth."
        raise coded_error(ValueError, "FNB041", text)

    def write(path: Path) -> None:
        taped.append(write_tape((rec.recorded for rec in recs), path, slow))

    simulator = start_replay(write, **{**options, "slow": text})
    for problem in taped[0].problems:
        warnings.warn(problem, stacklevel=4)
    return simulator


def _no_simulator(name: str, options: Iterable[str]) -> TypeError:
    """Return the error for options that this environment does not have."""
    listed = ", ".join(options)
    verb = "is a simulator option" if len(list(options)) == 1 else "are simulator options"
    return coded_error(TypeError, "FNB003", f"{listed} {verb}; this lab uses {name}.")
