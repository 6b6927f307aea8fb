"""Environments and their hosts, the guard of what may be ordered where, and firmly's app id.

The host alone does not prove that an order is harmless, because UAT also reaches live merchants. So
three things must hold before a card leaves the process: a host known not to be production, a
merchant on the allow-list, and a well-known test card.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from firmly_nb.api.models import Card, bare_domain
from firmly_nb.api.secrets import APP_ID_VARIABLE, REDACTED, SecretStr, redact_text
from firmly_nb.display.messages import coded_error, quoted, tells_names, wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


DEMO_MERCHANT = "staging.luma.gift"
PRODUCTION = ("firmly.online", "firmly.live", "firmlyaperture.com")
NOT_PRODUCTION = ("firmly.work", "firmly.tools", "firmlyci.com", "goiaba.art", "lvh.me")

# As in DNS. Whatever else stands in a host name is read differently by different programs.
HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")

SIMULATOR_HEADER = re.compile(r"x-sim-[a-z-]+", re.ASCII | re.IGNORECASE)

Name = Literal["simulator", "staging", "custom"]


class GuardError(PermissionError):
    """Host, merchant or card not allowed; nothing was sent.

    Examples
    --------
    ::

        try:
            fnb.connect(api_url="https://api.firmly.live", app_id="any")
        except fnb.GuardError as error:
            print(error)
    """


@tells_names
@dataclass(frozen=True, slots=True)
class Environment:
    """Environment for orders: its name, two base URLs and allow-list of merchants.

    ``replay`` is how ``connect()`` was asked for recorded orders; else empty.
    """

    name: Name
    api_url: str
    card_url: str
    allow_domains: frozenset[str]
    replay: str = ""

    @property
    def is_local(self) -> bool:
        """True if every host is this machine, so that no other system is reached."""
        return is_local(self.api_url) and is_local(self.card_url)


def staging(allow_domains: frozenset[str] = frozenset()) -> Environment:
    """Return firmly's UAT environment; only the demo merchant is allowed by itself.

    Examples
    --------
    >>> sorted(staging().allow_domains)
    ['staging.luma.gift']
    """
    return Environment(
        "staging",
        "https://api.firmly.work",
        "https://cc.firmly.work",
        frozenset({DEMO_MERCHANT}) | allow_domains,
    )


def without_user(url: str | None) -> str | None:
    """Return a URL without the user name and password that it may hold; it is refused later on.

    Examples
    --------
    >>> without_user("https://app:secret@127.0.0.1/x")
    'https://[redacted]@127.0.0.1/x'
    """
    begin, at, rest = url.rpartition("@") if isinstance(url, str) else ("", "", "")
    return f"{begin.partition('//')[0]}//{REDACTED}@{rest}" if at else url


def some_of(domains: Iterable[str]) -> str:
    """Return the first merchants of an allow-list in words, the demo merchant before the others.

    Examples
    --------
    >>> some_of(["b.test", "staging.luma.gift", "a.test", "c.test"])
    'staging.luma.gift, a.test, b.test and 1 more'
    """
    names = sorted(domains, key=lambda name: (name != DEMO_MERCHANT, name))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def custom(api_url: str, card_url: str | None, allow_domains: frozenset[str]) -> Environment:
    """Return an environment at URLs of one's own; the hosts are checked at once.

    Without ``card_url`` it is derived as firmly's own front end does: ``api.`` becomes ``cc.``.

    Examples
    --------
    >>> custom("http://127.0.0.1:8000", None, frozenset()).card_url
    'http://127.0.0.1:8000'
    >>> custom("https://api.firmly.online", None, frozenset())
    Traceback (most recent call last):
    ...
    firmly_nb.environments.GuardError: api.firmly.online is a production host, where orders are \
real. It is always refused. Use staging or the simulator. [FNB004]
    """
    card_url = card_url or re.sub(r"(?i)(?<=//)api(?=\.)", "cc", api_url, count=1)
    for url in (api_url, card_url):
        check_host(url)
    if is_local(api_url) != is_local(card_url):
        raise coded_error(
            GuardError,
            "FNB008",
            "api_url and card_url must be of one environment, but only one is this machine. It "
            "would get the other's tokens. Pass two URLs of the same environment.",
        )
    return Environment("custom", api_url, card_url, allow_domains)


def merchants(names: Iterable[str]) -> frozenset[str]:
    """Read an allow-list: each merchant named, as it is compared with an order's.

    Raises
    ------
    GuardError
        For what names no single merchant.

    Examples
    --------
    >>> sorted(merchants(["Shop.test.", "shop.test"]))
    ['shop.test']
    >>> merchants(["*"])
    Traceback (most recent call last):
    ...
    firmly_nb.environments.GuardError: allow_domains: '*' is not a merchant domain. Name each \
merchant by its bare host name, like staging.luma.gift. [FNB009]
    """
    if isinstance(names, str):
        text = f"allow_domains must be a list of merchants, got a text. Try [{quoted(names)}]."
        raise coded_error(GuardError, "FNB009", text)
    allowed = set()
    for name in names:
        try:
            allowed.add(bare_domain(name))
        except (AttributeError, TypeError, ValueError):
            raise coded_error(
                GuardError,
                "FNB009",
                f"allow_domains: {quoted(name)} is not a merchant domain. Name each merchant by "
                f"its bare host name, like {DEMO_MERCHANT}.",
            ) from None
    return frozenset(allowed)


def check_host(url: str) -> None:
    """Refuse a URL that is not known to be harmless.

    Raises
    ------
    GuardError
        For a production host, for any host that is not known, and for plain HTTP beyond loopback.
    """
    scheme, host = _scheme_and_host(url)
    if _is_below(host, PRODUCTION):
        raise coded_error(
            GuardError,
            "FNB004",
            f"{host} is a production host, where orders are real. It is always refused. Use "
            "staging or the simulator.",
        )
    if is_loopback(host):
        return
    if not _is_below(host, NOT_PRODUCTION):
        raise coded_error(
            GuardError,
            "FNB005",
            f"{host} is not a known staging host. Use a host of {', '.join(NOT_PRODUCTION)}, or "
            "this machine (127.0.0.1).",
        )
    if scheme != "https":
        text = f"{host} must be reached by https: tokens and cards travel to it. Write https://."
        raise coded_error(GuardError, "FNB006", text)


@lru_cache(maxsize=256)
def _scheme_and_host(url: str) -> tuple[str, str]:
    """Take a URL apart; only one that every program reads in the same way is taken."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".").lower()
        # Asked for because it raises where it is no port.
        plain = parts.port is None or parts.port > 0
    except ValueError:
        scheme, host, plain = "", "", False
    else:
        scheme = parts.scheme
        plain = plain and "@" not in parts.netloc and url.isascii() and url.isprintable()
        plain = plain and not re.search(r"[\s\\]", url)
    is_host = bool(HOST_NAME.fullmatch(host)) or is_loopback(host)
    if not (plain and is_host and scheme in {"http", "https"}):
        raise coded_error(
            GuardError,
            "FNB007",
            "The URL is not usable. Write it like https://host or http://127.0.0.1:port, without "
            "user name or password.",
        )
    return scheme, host


def is_production(text: str) -> bool:
    """Return whether a host name or URL leads to a production host of firmly.

    Examples
    --------
    >>> is_production("https://api.firmly.online"), is_production("staging.luma.gift")
    (True, False)
    """
    bare = text.strip().lower().partition("://")[2] or text.strip().lower()
    host = re.split(r"[/:?#\\]", bare.rpartition("@")[2])[0].removesuffix(".")
    return _is_below(host, PRODUCTION)


def is_loopback(host: str) -> bool:
    """Return whether a host name is this machine.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost.example.com")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(url: str) -> bool:
    """Return whether a URL is one of this machine."""
    return is_loopback(_scheme_and_host(url)[1])


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that are not the simulator's.

    Behind one address there can be several services: what ``Host`` names gets the order, whatever
    the URL says. Tokens and the kind of answer are not for a caller to set, either.

    Raises
    ------
    GuardError
        With the header's name, never its value.
    """
    for name, value in headers.items():
        if not (isinstance(name, str) and SIMULATOR_HEADER.fullmatch(name)):
            raise coded_error(
                GuardError,
                "FNB011",
                f"Header {redact_text(quoted(name))} is not allowed: it could lead the order "
                "elsewhere. Use only headers of the simulator, like x-sim-fault. Nothing was sent.",
            )
        if not (isinstance(value, str) and value.isascii() and value.isprintable()):
            text = f"The value of header {name} must be one line of ASCII text. Correct it."
            raise coded_error(GuardError, "FNB011", f"{text} Nothing was sent.")


def guard(
    environment: Environment, domain: str, card: Card | None, *, by_calls: bool = False
) -> None:
    """Say whether an order may be sent; called before the first byte leaves.

    ``by_calls`` asks for an order that is made call by call.

    Raises
    ------
    GuardError
        With what is refused, why, and how to allow it where it can be allowed.
    """
    for url in (environment.api_url, environment.card_url):
        check_host(url)
    if not domain.strip():
        text = f"The order names no merchant. Example: {DEMO_MERCHANT}. Nothing was sent."
        raise coded_error(GuardError, "FNB118", text)
    if domain not in environment.allow_domains and environment.replay:
        listed = ", ".join(sorted(environment.allow_domains)[:5])
        raise coded_error(
            GuardError,
            "FNB042",
            f"No order at {domain} was recorded; this lab replays orders at {listed}. Order there, "
            "or replay other recordings. Nothing was sent.",
        )
    if by_calls and environment.replay:
        text = (
            "A replay answers Place Order alone, and no calls that change a cart. Use lab.place(), "
            "or another lab for the calls. Nothing was sent."
        )
        raise coded_error(GuardError, "FNB043", text)
    if domain not in environment.allow_domains:
        allowed = some_of(environment.allow_domains) or "none"
        raise coded_error(
            GuardError,
            "FNB010",
            f"{domain} is not on the allow-list of this lab ({allowed}). Orders at live "
            "merchants can be real. If it is a test merchant, use "
            f'fnb.connect(..., allow_domains=["{domain}"]). Nothing was sent.',
        )
    if card is not None and not isinstance(card, Card):
        raise wrong_type("card", "a fnb.Card", card, "fnb.Card.test()")
    if card is not None and not takes_any_card(environment) and not card.is_test:
        raise coded_error(
            GuardError,
            "FNB012",
            "The card is not a well-known test card; only the simulator takes others. Use "
            'fnb.Card.test(), or fnb.Card.test("mastercard"). Nothing was sent.',
        )


def takes_any_card(environment: Environment) -> bool:
    """Return whether other cards than the well-known test cards are taken: by the simulator."""
    # A name alone proves nothing: the simulator is on this machine.
    return environment.name == "simulator" and environment.is_local


def _is_below(host: str, parents: tuple[str, ...]) -> bool:
    return any(host == parent or host.endswith(f".{parent}") for parent in parents)


# What a header can carry; nobody's app id has more.
APP_ID = re.compile(r"[!-~]{1,512}")


def find_app_id(given: SecretStr | None, variable: str = APP_ID_VARIABLE) -> SecretStr:
    """Return the app id from the argument, the environment or a ``.env`` file, in this order.

    Parameters
    ----------
    given
        The argument, if there is one.
    variable
        What the environment and the file call it.

    Raises
    ------
    ValueError
        If there is none, or it cannot be one.
    """
    found = given or SecretStr(os.environ.get(variable, "")) or from_dotenv(variable)
    if not found:
        raise coded_error(
            ValueError,
            "FNB013",
            f"No app id. Pass app_id=..., set {variable}, or write {variable}=... to a .env file "
            "outside version control.",
        )
    app_id = SecretStr(found.get_secret_value().strip())
    if not APP_ID.fullmatch(app_id.get_secret_value()):
        raise coded_error(
            ValueError,
            "FNB014",
            "The app id must be 1 to 512 ASCII characters without spaces. Copy it again.",
        )
    return app_id


def from_dotenv(variable: str = APP_ID_VARIABLE) -> SecretStr:
    """Return the app id of the nearest ``.env`` file; an empty one if it has none.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    from dotenv import dotenv_values, find_dotenv

    path = find_dotenv(usecwd=True)
    why = ""
    try:
        return SecretStr(dotenv_values(path).get(variable) or "")
    except OSError as error:
        why = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        why = "not UTF-8"
    # Raised out here: chained to it would be the file's content.
    text = f"{path} cannot be read: {why}. Mend the file, or pass app_id."
    raise coded_error(ValueError, "FNB015", text)
