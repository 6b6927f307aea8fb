"""Settings of environments in ``firmly-nb.toml``: what one would otherwise repeat in each notebook.

The file of the working folder counts, else that of the user; they are not mixed. A table for each
environment holds milestones, merchants, the CA file, the variable of the app id, and defaults of
sweeps. No secret is taken, and no production host.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import platformdirs

from firmly_nb.api.models import bare_domain
from firmly_nb.api.secrets import APP_ID_VARIABLE, is_app_id_variable, redact_text
from firmly_nb.display.messages import code_of, coded_error, unknown, without_code
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import listed
from firmly_nb.environments import is_production

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "firmly-nb.toml"
MOST_BYTES = 1_000_000
# Names under which somebody would write a secret down.
SECRET_NAME = re.compile(
    r"(?i)app_?id|token|secret|passw|card|cvv|verification|captcha|credential|api_?key|authori"
)
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
BARE_KEY = re.compile(r"""\s*(?:[\w.-]+\.)?["']?([\w-]+)["']?\s*=""")
TABLE = re.compile(r"""\s*\[\[?\s*([\w.'" -]+?)\s*\]""")

TEXT, WHOLE, NUMBER, SWITCH = "a text", "a whole number", "a number", "true or false"
TEXTS, TABLE_OF = "a list of texts", "a table"
NUMBER_OR_TEXT = "a number or a text"
SETTINGS = {
    "milestones": TEXTS,
    "allow_domains": TEXTS,
    "ca_file": TEXT,
    "app_id_variable": TEXT,
    "sweep": TABLE_OF,
}
SWEEP = {
    "count": WHOLE,
    "rate": NUMBER_OR_TEXT,
    "concurrency": WHOLE,
    "arrival": TEXT,
    "duration": NUMBER_OR_TEXT,
    "seed": WHOLE,
    "timeout_s": NUMBER,
    "warm": SWITCH,
    "settle": SWITCH,
    "budget": TABLE_OF,
}
BUDGET = {"orders": WHOLE, "minutes": NUMBER, "total_minor": TABLE_OF}
ENVIRONMENTS = ("simulator", "staging", "custom")
# Of each pair of defaults the one that is not asked for goes, where the other one is asked for.
EXCLUDES = {"arrival": "rate", "rate": "arrival", "count": "duration", "duration": "count"}


@dataclass(frozen=True, slots=True)
class FileSettings:
    """Settings of one environment, and the file that they are from.

    Attributes
    ----------
    file
        Where they were read; None if there is no file.
    names
        Which settings the file has for this environment.
    """

    file: Path | None = None
    names: tuple[str, ...] = ()
    milestones: tuple[str, ...] | None = None
    allow_domains: frozenset[str] = frozenset()
    ca_file: str | None = None
    app_id_variable: str = APP_ID_VARIABLE
    sweep: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.file is None:
            return f"no {FILE}"
        return f"{self.file}: {', '.join(self.names) or 'nothing for this environment'}"

    def for_sweep(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a sweep: what is given, and defaults for the rest.

        A sweep that is resumed goes on as it was begun.

        Examples
        --------
        >>> kept = FileSettings(sweep={"rate": "20/min", "concurrency": 4})
        >>> kept.for_sweep({"count": 5, "concurrency": 2})
        {'rate': '20/min', 'concurrency': 2, 'count': 5}
        """
        if given.get("resume"):
            return dict(given)
        ruled_out = {EXCLUDES.get(name) for name in given}
        kept = {name: value for name, value in self.sweep.items() if name not in ruled_out}
        return {**kept, **given}

    def blamed(self, error: ValueError | TypeError, given: Mapping[str, Any]) -> Exception:
        """Return a sweep's error; one of a default in the file names the file.

        Examples
        --------
        >>> kept = FileSettings(Path("firmly-nb.toml"), sweep={"count": 0})
        >>> str(kept.blamed(ValueError("count must be at least 1, got 0."), {}))
        'firmly-nb.toml, default of sweeps: count must be at least 1, got 0. [FNB414]'
        """
        text = without_code(str(error))
        named = [name for name in self.sweep if re.search(rf"\b{name}\b", text)]
        if not named or any(name in given for name in named):
            return error
        code = code_of(error) or "FNB414"
        return coded_error(type(error), code, f"{self.file}, default of sweeps: {text}")


def user_file() -> Path:
    """Return where the user's settings are: below ``FIRMLY_NB_HOME``, else in the usual folder."""
    if home := os.environ.get("FIRMLY_NB_HOME"):
        return expanded(home, "FIRMLY_NB_HOME") / FILE
    return platformdirs.user_config_path("firmly-nb", appauthor=False) / FILE


def find_file() -> Path | None:
    """Return the file that counts: the working folder's, else the user's; None without one."""
    # A link that leads nowhere is there as well: who put it there wants to know.
    return next((path for path in (Path.cwd() / FILE, user_file()) if os.path.lexists(path)), None)


def settings_of(environment: str) -> FileSettings:
    """Read the settings of an environment: ``simulator``, ``staging`` or ``custom``.

    The whole file is looked at, so that a mistake is found at once.

    Raises
    ------
    ValueError
        If the file has a mistake; with its line where it is known.
    OSError
        If it cannot be read.
    """
    path = find_file()
    if path is None:
        return FileSettings()
    reader = _Reader(path, _text(path))
    found = {name: reader.environment(name) for name in reader.tables()}
    return found.get(environment, FileSettings(path))


def _text(path: Path) -> str:
    why = ""
    try:
        if not path.is_dir() and not path.is_fifo():  # a pipe would keep whoever opens it waiting
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
            if len(content) <= MOST_BYTES:
                return content.decode("utf-8-sig")  # some editors begin a file with a mark
        why = "it is larger than 1 MB" if path.is_file() else "it is not a file"
    except UnicodeDecodeError:
        why = "it is not UTF-8"
    except OSError as error:
        why = error.strerror or type(error).__name__
    # Raised out here: chained to it would be the file's content.
    text = f"{path} cannot be read: {why}. Mend the file, or remove it."
    raise coded_error(OSError, "FNB412", text)


class _Reader:
    """Reader of one file; each mistake names file and line."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.lines = path, text.splitlines()
        self.content: dict[str, Any] = {}
        why = ""
        try:
            self.content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            why = redact_text(str(error))
        if why:
            text = f"{path} is not valid TOML: {why}. Mend that place."
            raise coded_error(ValueError, "FNB412", text)

    def tables(self) -> list[str]:
        """Return the names of the environments in the file."""
        for name, value in self.content.items():
            self._check_no_secret((name,), value)
            self._check_no_production((name,), value)
            if name in SETTINGS or name in SWEEP:
                table = "[staging]" if name in SETTINGS else "[staging.sweep]"
                text = f"{name} is below no environment. Write {table}, or another one, above it."
                self._fail("FNB413", (name,), text)
            if name not in ENVIRONMENTS:
                self._fail("FNB413", (name,), unknown("environment", name, ENVIRONMENTS))
            if not isinstance(value, dict):
                self._fail("FNB414", (name,), f"{name} must be a table. Write [{name}].")
        return list(self.content)

    def environment(self, name: str) -> FileSettings:
        """Read the table of an environment."""
        given = self.content[name]
        self._check_types((name,), given, SETTINGS)
        domains = self._domains(name, given.get("allow_domains", []))
        sweep = given.get("sweep", {})
        self._check_types((name, "sweep"), sweep, SWEEP)
        budget = sweep.get("budget", {})
        self._check_types((name, "sweep", "budget"), budget, BUDGET)
        for currency, minor in budget.get("total_minor", {}).items():
            place = (name, "sweep", "budget", "total_minor", currency)
            self._check_type(place, minor, WHOLE)
        ca_file = given.get("ca_file")
        milestones = tuple(given.get("milestones", ()))
        if not all(map(str.strip, milestones)) or len({*milestones}) < len(milestones):
            text = "milestones must be names of events, each once and none empty."
            self._fail("FNB414", (name, "milestones"), text)
        return FileSettings(
            self.path,
            tuple(given),
            milestones or None,
            domains,
            # Where the file is, and not where somebody happens to work.
            self._file(name, ca_file) if ca_file else None,
            self._variable(name, given.get("app_id_variable", APP_ID_VARIABLE)),
            sweep,
        )

    def _file(self, name: str, path: str) -> str:
        try:
            return str(self.path.parent / expanded(path, "ca_file"))
        except ValueError as error:
            self._fail("FNB411", (name, "ca_file"), without_code(str(error)))

    def _domains(self, name: str, given: list[str]) -> frozenset[str]:
        found = set()
        for domain in given:
            try:
                found.add(bare_domain(domain))
            except ValueError:
                text = "allow_domains holds a text that is not a merchant's host name."
                self._fail("FNB414", (name, "allow_domains"), f"{text} Example: staging.luma.gift.")
        return frozenset(found)

    def _variable(self, name: str, given: str) -> str:
        if not (VARIABLE.fullmatch(given) and is_app_id_variable(given)):
            # It may be the app id itself, and is not repeated.
            text = "app_id_variable must be the name of an environment variable with APP_ID in it, "
            text += "such as FIRMLY_APP_ID_UAT. An app id itself never belongs into this file."
            self._fail("FNB415", (name, "app_id_variable"), text)
        return given

    def _check_types(self, place: tuple[str, ...], given: Any, known: Mapping[str, str]) -> None:
        for key, value in given.items():
            if key not in known:
                said = unknown("setting", key, known, f"[{'.'.join(place)}]")
                self._fail("FNB413", (*place, key), said)
            self._check_type((*place, key), value, known[key])

    def _check_type(self, place: tuple[str, ...], value: Any, wanted: str) -> None:
        if not _is(value, wanted):
            got = _kind(value)
            self._fail("FNB414", place, f"{place[-1]} must be {wanted}, got {got}.")

    def _check_no_secret(self, place: tuple[str, ...], value: Any) -> None:
        if place[-1] != "app_id_variable" and SECRET_NAME.search(place[-1]):
            text = f"{place[-1]} would be a secret in a file. Remove it. The app id belongs into"
            text = f"{text} FIRMLY_APP_ID or a .env file; app_id_variable names another variable."
            self._fail("FNB415", place, text)
        inside = value.items() if isinstance(value, dict) else ()
        for key, one in inside:
            self._check_no_secret((*place, key), one)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and redact_text(text) != text:
                said = f"the value of {place[-1]} looks like a secret. Remove it from this file."
                self._fail("FNB415", place, said)

    def _check_no_production(self, place: tuple[str, ...], value: Any) -> None:
        named = [place[-1]] if len(place) == 1 else []
        named += [text for text in _texts(value) if "://" in text or place[-1] == "allow_domains"]
        for text in named:
            if text.lower() in {"production", "prod", "live"} or is_production(text):
                said = "production cannot be set up: orders there are real. It is always refused."
                self._fail("FNB416", place, f"{said} Remove it.")
        for key, one in value.items() if isinstance(value, dict) else ():
            self._check_no_production((*place, key), one)

    def _fail(self, code: str, place: tuple[str, ...], text: str) -> NoReturn:
        line = self._line_of(place)
        where = f"{self.path}, line {line}" if line else f"{self.path}, [{'.'.join(place[:-1])}]"
        kind = TypeError if code == "FNB414" else ValueError
        raise coded_error(kind, code, f"{where}: {text}")

    def _line_of(self, place: tuple[str, ...]) -> int | None:
        """Return the line of a key or of a table's heading; None where it is not seen."""
        table: tuple[str, ...] = ()
        for number, line in enumerate(self.lines, start=1):
            if heading := TABLE.match(line):
                table = tuple(part.strip(" '\"") for part in heading[1].split("."))
                if table == place:
                    return number
            elif (key := BARE_KEY.match(line)) and key[1] == place[-1]:
                written = line.partition("=")[0].strip()
                dotted = tuple(part.strip(" '\"") for part in written.split("."))
                if (*table, *dotted) == place:
                    return number
        return None if len(place) < 3 else self._line_of(place[:-1])


def _is(value: Any, wanted: str) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted == TEXTS:
        return isinstance(value, list) and bool(value) and all(isinstance(t, str) for t in value)
    return {
        TEXT: isinstance(value, str) and bool(value),
        WHOLE: is_number and isinstance(value, int),
        NUMBER: is_number,
        NUMBER_OR_TEXT: is_number or isinstance(value, str),
        SWITCH: isinstance(value, bool),
        TABLE_OF: isinstance(value, dict),
    }[wanted]


def _kind(value: Any) -> str:
    names = {bool: SWITCH, int: WHOLE, float: NUMBER, str: TEXT, dict: TABLE_OF, list: "a list"}
    if value in ("", []):
        return "an empty one"
    if isinstance(value, list):
        return f"a list with {listed(sorted({_kind(one) for one in value}))}"
    return names.get(type(value), "a date or time")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
