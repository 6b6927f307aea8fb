"""Messages that a person can meet: a code for each kind of mistake, its cause and its fix.

A code names one kind of mistake, not one place in the source. Codes are never reused or
renumbered: they are printed in notebooks, logs and bug reports. A new kind takes the next free
number of its hundred; the code of a kind that can no longer occur stays free for good.

:func:`coded_error` makes the errors. :data:`MESSAGES` is also what ``docs/messages.md`` and
``firmly-nb explain`` show.
"""

from __future__ import annotations

import re
import sys
import traceback
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeVar, cast

from firmly_nb.display.text import printable

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

Error = TypeVar("Error", bound=BaseException)

NEAR = 0.75  # of difflib: a letter more, less or other in a word of four
LONGEST_VALUE = 60  # characters of a value that is quoted
LONGEST_LIST = 200  # of names: with the rest, a message is five lines of a terminal at most
CODE = re.compile(r"FNB\d{3}")
LONG_WORD = re.compile(r"(\S{90})\S{60,}(\S{30})")  # mostly a path: both its ends are shown
SUFFIX = re.compile(r" \[FNB\d{3}\]$")


class Mistake(BaseException):
    """Mixin of every error with a code: IPython and Jupyter show it as a card of a few lines.

    Scripts see the error as it is. Asked again for the same error, as ``%tb`` does, the card gives
    way to the whole traceback.
    """

    _is_shown = False

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints in place of the traceback."""
        if self._is_shown:
            return _whole_traceback(self)
        self._is_shown = True
        return card_lines(self)


class UnknownName(KeyError):  # noqa: N818 - a KeyError for whoever catches one
    """Name that a table or chart does not have; unlike KeyError, it prints without quotes."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True, slots=True)
class Message:
    """Kind of mistake: its code, title, cause and fix."""

    code: str
    title: str
    cause: str
    fix: str


def coded_error(kind: type[Error], code: str, text: str) -> Error:
    r"""Return an error of a kind with its code, as the attribute ``code`` and at the text's end.

    The text becomes one bounded line without control characters, whatever values it quotes.

    Examples
    --------
    >>> error = coded_error(ValueError, "FNB309", "margin must be between 0 and 1, got 10.")
    >>> str(error), error.code
    ('margin must be between 0 and 1, got 10. [FNB309]', 'FNB309')
    >>> str(coded_error(ValueError, "FNB401", "No such path: 'a\x1b[2Jb'."))
    "No such path: 'a·[2Jb'. [FNB401]"
    """
    shown = LONG_WORD.sub(r"\1…\2", printable(text))
    error: Error = _shown_as_card(cast("Hashable", kind))(with_code(shown, code))
    vars(error)["code"] = code
    return error


@cache
def _shown_as_card(kind: Any) -> Any:
    """Return the kind of error with a card; its name, and who catches it, stay the same."""
    if issubclass(kind, Mistake):
        return kind
    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    # A class made here cannot be found by its name: it travels as its kind.
    travels = {"__reduce__": lambda error: (_again, (kind, error.args, vars(error)))}
    return type(kind.__name__, (Mistake, kind), names | travels)


def _again(kind: type[Error], args: tuple[Any, ...], state: dict[str, Any]) -> Error:
    error: Error = _shown_as_card(cast("Hashable", kind))(*args)
    vars(error).update(state)
    return error


WIDTH = 80  # of a terminal
BOLD_RED, PLAIN = "\x1b[1;31m", "\x1b[0m"
ROOM = str(Path(__file__).parents[1])


def card_lines(error: BaseException) -> list[str]:
    r"""Return an error as a person reads it: what is wrong and what to do, where, and more.

    Examples
    --------
    >>> error = coded_error(ValueError, "FNB309", "margin must be between 0 and 1, got 10.")
    >>> print(*card_lines(error), sep="\n")
    ValueError: margin must be between 0 and 1, got 10.
    FNB309: firmly-nb explain FNB309 says more, %tb shows the traceback.
    """
    code = code_of(error) or ""
    said = without_code(str(error)).splitlines() or [""]
    lines = wrap(f"{type(error).__name__}: {said[0]}", WIDTH)
    first, *rest = lines
    red, plain = (BOLD_RED, PLAIN) if _has_colours() else ("", "")
    name, _, text = first.partition(": ")
    lines = [f"{red}{name}{plain}: {text}", *rest]
    for line in said[1:]:  # one line a field
        lines += wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")
    where = _where(error)
    return [
        *lines,
        *([where] if where else []),
        f"{code}: firmly-nb explain {code} says more, %tb shows the traceback.",
    ]


def _where(error: BaseException) -> str:
    """Say which line of the user's called us: the last one before our own."""
    frames = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(ROOM):
            break
        frames.append(frame)
    if not frames or "site-packages" in frames[-1].filename:
        return ""
    last = frames[-1]
    named = getattr(getattr(_shell(), "compile", None), "format_code_name", lambda _: None)
    cell = named(last.filename)
    place = " ".join(cell) if cell else printable(Path(last.filename).name)
    inside = "" if last.name.startswith("<") else f", in {last.name}"
    return f"Where: {place}, line {last.lineno}{inside}"


def _shell() -> Any:
    """Return the running IPython; None outside of it."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _has_colours() -> bool:
    shell = _shell()
    return shell is not None and str(shell.colors).lower() != "nocolor"


def _whole_traceback(error: BaseException) -> list[str]:
    shell = _shell()
    if shell is None:
        return traceback.format_exception(error)
    shown: list[str] = shell.InteractiveTB.structured_traceback(
        type(error), error, error.__traceback__
    )
    return shown


def with_code(text: str, code: str) -> str:
    """Return a text with a code at its end.

    Examples
    --------
    >>> with_code("This lab is closed.", "FNB017")
    'This lab is closed. [FNB017]'
    """
    return f"{text} [{code}]"


def code_of(error: BaseException) -> str | None:
    """Return the code of an error; None if it is not one of ours."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) and code in MESSAGES else None


def without_code(text: str) -> str:
    """Return a message without the code at its end, to be part of another message.

    Examples
    --------
    >>> without_code("This lab is closed. [FNB017]")
    'This lab is closed.'
    """
    return SUFFIX.sub("", text)


def quoted(value: object, longest: int = LONGEST_VALUE) -> str:
    r"""Return a value as Python writes it: one bounded line.

    Never for an app id, a token, a card's digits or a recipient's address.

    Examples
    --------
    >>> quoted("visa\n"), quoted("x" * 9, 6)
    ("'visa\\n'", "'xxxx…")
    """
    return printable(repr(value), longest)


def unknown(what: str, name: object, known: Iterable[str], where: str = "") -> str:
    """Return the words for a name that does not exist, with the nearest one that does.

    Examples
    --------
    >>> unknown("stage", "placd", ["placed", "payment"])
    "Unknown stage 'placd'. Did you mean placed?"
    >>> unknown("option", "timout_s", ["sse", "timeout_s"], "place()")
    "Unknown option 'timout_s' for place(). Did you mean timeout_s?"
    >>> unknown("stage", "x", ["placed", "payment"]), unknown("stage", "x", [])
    ("Unknown stage 'x'. Use placed, payment.", "Unknown stage 'x'. There are none.")
    """
    names = [str(each) for each in known]
    place = f" for {where}" if where else ""
    near = get_close_matches(str(name), names, 1, NEAR)
    if near:
        hint = f"Did you mean {near[0]}?"
    else:
        hint = f"Use {_some(str(name), names)}." if names else "There are none."
    return f"Unknown {what} {quoted(name)}{place}. {hint}"


Kind = TypeVar("Kind", bound=type)


def tells_names(kind: Kind) -> Kind:
    """Let a class name the nearest attribute where one is asked for that it does not have.

    Examples
    --------
    >>> @tells_names
    ... class Summary:
    ...     median_ms = 3.0
    >>> Summary().medain_ms
    Traceback (most recent call last):
    AttributeError: Unknown name 'medain_ms' for Summary. Did you mean median_ms? [FNB117]
    """
    # Pydantic's models have one already; theirs is for names that begin with an underscore.
    before = getattr(kind, "__getattr__", object.__getattribute__)

    def no_attribute(owner: object, name: str) -> Any:
        if name.startswith("_") or hasattr(type(owner), name):
            # Asked for by programs; or there, and what it does has failed: that is to be said.
            return before(owner, name)
        others = [one for one in type(owner).__mro__ if not one.__module__.startswith("firmly_nb")]
        # Nobody looks here for what pydantic or ipywidgets have.
        theirs = {each for one in others if one is not type(owner) for each in vars(one)}
        known = sorted(one for one in {*dir(owner)} - theirs if not one.startswith("_"))
        text = unknown("name", name, known, type(owner).__name__)
        raise coded_error(AttributeError, "FNB117", text)

    kind.__getattr__ = no_attribute  # type: ignore[attr-defined]  # for a reader of names
    return kind


def _some(name: str, names: list[str]) -> str:
    """Return names in a row: all of them, or those nearest to a name, where they are many."""
    if len(", ".join(names)) <= LONGEST_LIST:
        return ", ".join(names)

    def likeness(known: str) -> float:
        return SequenceMatcher(None, name[:LONGEST_VALUE], known).ratio()

    near = sorted(names, key=likeness, reverse=True)
    row = ", ".join(near)[: LONGEST_LIST - 20].rpartition(", ")[0]
    return f"{row} or one of {len(names) - len(row.split(', '))} more"


def check_names(call: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the name of an option that a call does not have.

    Raises
    ------
    TypeError
        With the nearest name that it has.

    Examples
    --------
    >>> check_names("place()", ["timeout_s"], ["sse", "timeout_s"])
    """
    names = list(known)
    for name in given:
        if name not in names:
            raise coded_error(TypeError, "FNB104", unknown("option", name, names, call))


def wrong_type(what: str, wanted: str, value: object, example: str = "") -> TypeError:
    """Return the error for an argument of another type; it names the type, never the value.

    Examples
    --------
    >>> str(wrong_type("order", "a fnb.Order", "WS12", "fnb.Order.example()"))
    'order must be a fnb.Order, got str. Try fnb.Order.example(). [FNB102]'
    """
    hint = f" Try {example}." if example else ""
    text = f"{what} must be {wanted}, got {type(value).__name__}.{hint}"
    return coded_error(TypeError, "FNB102", text)


def no_such_path(path: object) -> FileNotFoundError:
    """Return the error for recordings that are not there.

    Examples
    --------
    >>> str(no_such_path("nope"))
    "No such path: 'nope'. Pass a saved set, journal or folder. [FNB401]"
    """
    text = f"No such path: '{path}'. Pass a saved set, journal or folder."
    return coded_error(FileNotFoundError, "FNB401", text)


def not_a_share(name: str, value: object, example: float) -> ValueError:
    """Return the error for a number that has to be between 0 and 1.

    Examples
    --------
    >>> str(not_a_share("margin", 10, 0.10))
    'margin must be between 0 and 1, got 10. For 10% pass 0.10. [FNB309]'
    """
    text = f"{name} must be between 0 and 1, got {quoted(value)}."
    return coded_error(ValueError, "FNB309", f"{text} For {example:.0%} pass {example:.2f}.")


def explain(code: str) -> str:
    """Return the title, cause and fix of a code.

    Raises
    ------
    UnknownName
        If there is no such code; with those nearest to it.

    Examples
    --------
    >>> print(explain("fnb017"))
    FNB017: The lab is closed
    <BLANKLINE>
    Cause: You used a lab after lab.close() or after its with block, or it was closed during a call.
    Fix: Open another lab with fnb.connect().
    """
    found = MESSAGES.get(code.strip().strip("[]").upper())
    if found is None:
        raise coded_error(UnknownName, "FNB803", f"Unknown code {quoted(code)}. {_near(code)}")
    return f"{found.code}: {found.title}\n\nCause: {found.cause}\nFix: {found.fix}"


def _near(code: str) -> str:
    """Say which codes are near one that does not exist: those around its number."""
    digits = re.search(r"\d{1,9}", code)
    if digits is None:
        return f"A code is FNB and three digits, such as {next(iter(MESSAGES))}."
    number = int(digits[0])
    near = sorted(sorted(MESSAGES, key=lambda known: abs(int(known[3:]) - number))[:3])
    return f"Codes near it: {', '.join(near)}."


GROUPS = {
    "0": "Labs, environments and the app id",
    "1": "Orders, cards and options",
    "2": "Errors of the API",
    "3": "Tables, carts, statistics, charts and reports",
    "4": "Files: journals, saved sets and presets",
    "5": "Sweeps",
    "6": "Recorder and clocks",
    "7": "Forms and other widgets",
    "8": "Command line",
}


# Of each: code and title, cause, fix.
TEXTS = """\
FNB001 Unknown environment
connect() has no environment of that name.
Use "simulator", "staging" or api_url=... for URLs of your own.

FNB002 Environment given twice or in part
You passed environment and api_url together, or card_url without api_url.
Pass an environment, or api_url with or without card_url.

FNB003 Simulator option for another environment
profile, seed and similar options configure the embedded simulator only.
Remove the option, or connect to the simulator.

FNB004 Production host
The URL leads to a production host of firmly, where orders buy real goods.
Use staging or the simulator. Production is always refused.

FNB005 Host not known to be staging
The URL leads to a host that is neither a known staging host nor this machine.
Use a staging host of firmly, or a server on 127.0.0.1.

FNB006 Host needs https
The URL of a remote host begins with http://. Tokens and cards would travel unencrypted.
Write https:// instead.

FNB007 URL not usable
The URL is not like https://host or http://127.0.0.1:port, or holds a user name or password.
Write the scheme, the host and, if needed, the port.

FNB008 URLs of two environments
One of api_url and card_url is this machine, the other is not. It would get the other's tokens.
Pass two URLs of the same environment.

FNB009 Allow-list not usable
allow_domains is not a list of merchant domains. Wildcards are not supported.
Pass a list of bare host names, such as ["staging.luma.gift"].

FNB010 Merchant not on the allow-list
The lab may not order from it. Staging also reaches live merchants, where orders can be real.
If it is a test merchant, add it with allow_domains=[...] (--allow on the command line).

FNB011 Header not allowed
Orders carry no headers of yours except the simulator's. Others could lead it elsewhere.
Use headers that begin with x-sim-, each with a value of one ASCII line.

FNB012 Card not a test card
Outside the simulator, labs take only well-known test cards.
Use fnb.Card.test(), or another test card by name.

FNB013 No app id
Staging needs firmly's app id. None was passed or found.
Pass app_id=..., set FIRMLY_APP_ID, or write it to a .env file outside version control.

FNB014 App id not usable
The app id holds a space or a character that is not ASCII, or is too long.
Copy the app id again.

FNB015 .env file not readable
A .env file was found, but it cannot be read, or is not UTF-8.
Mend the file or its permissions, or pass app_id.

FNB016 Option of the simulator not valid
The simulator has no such option, profile or value.
See docs/simulator.md for its options.

FNB017 The lab is closed
You used a lab after lab.close() or after its with block, or it was closed during a call.
Open another lab with fnb.connect().

FNB018 Lab used on its own background loop
A callback on the background thread called a method that waits. It would wait forever.
Call the lab from another thread, or after the callback.

FNB019 Lab not picklable
Labs hold the app id and open connections. They are neither pickled nor copied.
Open another lab with fnb.connect() where you need one.

FNB020 Nested event loops not available
allow_nested_loops() needs nest_asyncio2 or nest_asyncio. Neither is installed.
Run pip install nest-asyncio2, or use await in the cell.

FNB021 Event loop cannot be patched
The running event loop is of a kind that cannot be nested, such as uvloop.
Use await in the cell.

FNB022 TLS verification switched off
The SSL context does not verify certificates and host names.
Trust one more authority with ssl_context.load_verify_locations().

FNB023 Simulator did not start
The simulator's process ended before it responded, for example for want of a port.
Read its last words in the message, and correct the options.

FNB024 Lab of another process
A forked process has a copy of its parent's lab. Its connections and recorder are the parent's.
Open another lab with fnb.connect() in this process, or start processes with spawn.

FNB025 CA file not usable
The file of certificates to trust is missing, not readable, or has no certificate in PEM form.
Name a PEM file with the certificates, or remove ca_file or the variable that names it.

FNB026 Part not installed
A small installation has what records orders, and not what shows them. Your call needs more.
Run the pip command that the message names, or install all with pip install firmly-nb.

FNB040 Nothing to replay
No order of these recordings can be replayed. A replay needs what was ordered and what came back.
Pass recordings of orders that were sent: a saved set, a journal or a folder.

FNB041 Option of a replay not valid
speed and slow are for a replay only. A factor must be above 0, and its stage must be recorded.
Pass replay=... and the name of a recorded stage, such as slow={"shipping-updated": 1.3}.

FNB042 Merchant not recorded
The lab replays recorded orders, and none of them was an order at that merchant.
Order at a recorded merchant, or replay other recordings.

FNB043 Order by several calls in a replay
A replay knows what came back for whole orders, not for calls that change a cart.
Use lab.place(), or lab.flow() of a lab that replays nothing.

FNB101 Field not valid
A field of an order, address or card is unknown, missing or wrong. The message names it.
Correct the fields. Nothing was sent.

FNB102 Argument of another type
You passed an object of another type, for example a text instead of a fnb.Order.
Pass the type that the message names.

FNB103 Unknown test card
No test card has that name.
Use one of the names in the message.

FNB104 Unknown option
The call has no option of that name.
Correct the spelling. help(...) of the call lists its options.

FNB105 Time limit out of range
timeout_s is not a number of seconds above 0 and up to one day.
Pass seconds, for example timeout_s=120.

FNB106 Objects cannot be changed
Orders, items, addresses and cards are frozen.
Make another one, for example with order.model_copy(update={...}).

FNB107 Secrets are not pickled
Pickling would write the card or the captcha token in plain text.
Make the card, or add the token, where the order is placed.

FNB108 Amount not readable
The value is not a finite number.
Pass a number or a text such as "46.99".

FNB109 Cart of another lab
A cart is visible only with the session that made it, and this lab does not have it.
Ask the lab that placed the order, or pass a merchant domain to lab.cart().

FNB110 Shipment not clear
No shipment of the cart, or more than one, offers the shipping method.
Choose a method that the message lists, or name the shipment with shipment_id.

FNB111 Step of a flow not valid
The step has an unknown name, or other arguments than the method of that name.
Write each step as a tuple: ("set_shipping_method", "TWO_DAY").

FNB112 Flow has ended
The flow was completed or left, and takes no further call.
Begin another with lab.flow().

FNB113 Product sold out
The merchant has no variant of the product that can be ordered now.
Choose another product from lab.products().

FNB114 Argument missing
The call needs an argument that you did not pass.
Pass it as the message shows. help(...) of the call describes each argument.

FNB115 Arguments do not fit
The call takes fewer arguments by place, or got one of them twice.
Pass options by name. help(...) of the call lists them in order.

FNB116 Text not writable
The text holds a character that no file, name or request can hold.
Remove the character that the message names. Damaged copies and wrong encodings have such.

FNB117 Unknown name
The object or package has no attribute or method of that name.
Correct the spelling. Press Tab after the dot for a list.

FNB118 Nothing to look up
The domain, handle or query is empty, or the domain is not the host name of a merchant.
Pass what to look up, such as lab.products("staging.luma.gift").

FNB200 Error without a known name
The API answered with an error that its pages do not name.
Read the API's own words in the message. Repeat the request later, or ask firmly.

FNB201 Request not valid
The API refused a field of the request.
Compare the order's fields with firmly's Place Order page.

FNB202 Device token not accepted
The device token is missing, malformed, revoked or too old.
The lab renews the session before its next order. If that one is refused as well, ask firmly.

FNB203 App id not accepted
The API does not know the app id.
Pass app_id=..., or set FIRMLY_APP_ID.

FNB204 No access to the merchant
The app id has no access to that merchant.
Ask firmly to enable the merchant for your app id, or order from another.

FNB205 Product not found
The merchant has no such variant.
List what can be ordered with lab.products(domain).

FNB206 Not enough stock
The merchant has fewer than you ordered.
Order a smaller quantity or another variant.

FNB207 Payment declined
The payment was declined. Nothing was ordered.
Use another test card, or another merchant.

FNB208 Merchant not available
The merchant cannot be reached at the moment.
Try again later.

FNB209 Cart not found
The device has no cart at that merchant.
Add a line item or place an order there first.

FNB210 Too many requests
The API limits how fast you may send requests.
Wait, then send more slowly.

FNB211 Payment key not usable
The payment key endpoint sent a key that cannot encrypt a card safely. Nothing was sent.
Check card_url. If it is right, ask firmly.

FNB212 Response not understood
The response has another form than the API describes, or is too large.
Check api_url and card_url. If they are right, ask firmly.

FNB213 Connection lost
The connection ended before the response was whole.
Try again later. firmly-nb doctor looks at each step on the way.

FNB214 No response in time
The host accepted the request and did not respond within the limit.
Try again later.

FNB215 Price not known
The cart has no total that can be read. A budget of money needs one.
Remove total_minor from the budget, or order something else.

FNB216 Certificate of an unknown issuer
The host's certificate was issued by nobody whom you trust. Often it is a company's own authority.
Pass ca_file=... or set SSL_CERT_FILE to the issuer's certificate (PEM); your network team has it.

FNB217 Certificate expired or not yet valid
The host's certificate is over, or this machine's clock is wrong.
Check this machine's clock. If it is right, ask whoever runs the host to renew the certificate.

FNB218 Certificate of another host
The host shows a certificate for other names: another server answers, or a proxy on the way.
Check api_url and card_url. If they are right, ask your network team who answers.

FNB219 TLS failed
Host and toolkit found no common TLS, or the port speaks plain HTTP.
Check scheme and port of the URL, and whether a proxy on the way cuts TLS.

FNB220 Proxy wants a login
The proxy let nothing through, because it wants a user name and a password.
Set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, percent-encoded, or ask your network team.

FNB221 Proxy not reachable
The proxy that the environment names does not respond, or cannot be used.
Correct or unset HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, or exempt the host in NO_PROXY.

FNB222 Proxy refuses the host
The proxy responds, but does not lead to that host.
Ask your network team to allow the host, or exempt it in NO_PROXY.

FNB223 Host name does not resolve
No name server knows the host, or none responds.
Check the URL's spelling, the network and the VPN. Behind a proxy, set HTTPS_PROXY.

FNB224 Connection refused
The machine is there, but nothing listens on that port.
Check that the server runs, and the URL's host and port.

FNB225 Simulator has ended
The simulator's process is gone, for example because it was stopped or killed.
Open another lab with fnb.connect().

FNB226 Error that is not in the API's form
The response has no name of an error. Mostly a gateway, a firewall or a login page answered.
Show these words to whoever runs the network or the service. firmly-nb doctor says who answers.

FNB227 No connection
The host did not accept a connection. A firewall may drop it.
Check the network and the VPN. If a proxy is needed, set HTTPS_PROXY.

FNB228 Encrypted card not read
The API does not have the key that the card was encrypted with: it changed, or is of another API.
Order again: the lab fetches the key for each order. If that fails as well, check card_url.

FNB301 No cart
The event, or the recording, has no cart that can be read.
Choose one of the events that the message lists.

FNB302 No such event
The recording has no event of that number.
Choose one of the numbers that the message lists.

FNB303 Unknown column
The table has no column of that name.
Use one of the columns that the message lists.

FNB304 Mask of another length
A mask needs one value for each recording.
Make the mask from recs.orders of the same recordings.

FNB305 Unknown relation
Recordings have no relation of that name.
Use one of the names that the message lists.

FNB306 Unknown measure
The chart has no measure of that name.
Use one of the measures that the message lists.

FNB307 Unknown milestone
No order has a milestone of that name.
Use one of the names that the message lists.

FNB308 Unknown stage
No order has a stage of that name.
Use one of the names that the message lists.

FNB309 Share out of range
Margins, quantiles and shares lie between 0 and 1.
Pass 0.10 or "10%" for 10%.

FNB310 Lists of different length
Each value needs one run id.
Pass two lists of the same length.

FNB311 Events too large for memory
The decoded events would fill the memory.
Narrow them with where(...) or a slice, or use event_times or relation("events").

FNB312 Cart path not valid
The text is not a path of a cart.
Write a path like a.b[name].c.

FNB313 Severity not valid
A check has a severity other than error, warning or info.
Use error, warning or info.

FNB314 No recordings
The report, or the path, has no recordings.
Place orders first, or pass another path.

FNB315 Report cannot be written
The target is a folder, a special file or no page of HTML, or the disk refuses it.
Name another file.

FNB316 Comparison missing
A gate and --check hold orders against earlier ones or a target. Neither was given.
Add --baseline PATH or --slo order=1500ms:95%; of a report --compare PATH or compare_with.

FNB317 Too few events for a calibration
A calibration needs at least 1 event.
Pass events=1 or more.

FNB318 Unknown check
No check of carts has that name.
Use one of the names that the message lists.

FNB319 No such recording
The recordings have fewer than the number says. The first has the number 0.
Use a number below len(recs), or recs[-1] for the last.

FNB320 Control merchant not on both sides
The control merchant has no order on one side of a comparison.
Name a merchant that both sides have, or leave control out.

FNB321 Limit of late orders not valid
The limit from which an order is late must be a time above 0 ms.
Pass slo_ms=1500 for 1.5 s.

FNB322 Value that no order can have
The column has a few known values, and this is none of them; or it has numbers, and this is a text.
Use one that the message lists, or a mask as it shows.

FNB323 Unknown recording id
No recording there has that recording id or request id.
Take an id from firmly-nb load, or from orders["recording_id"].

FNB324 No browser for an image
Images of charts are drawn by Chrome or Chromium, and this machine has none.
Install Chromium, or write the chart as a page with chart.write_html(path).

FNB325 Too few orders to plan from
How much orders differ is not known from so few.
Place at least 20 orders with lab.sweep(), then plan.

FNB326 Size out of range
A number of rows, lines or sides is a whole number of at least 1.
Pass one, such as most=40.

FNB330 Column missing
A table for fnb.from_events lacks a column that it needs.
Rename the column that has these values.

FNB331 Column not valid
A column or milestone for fnb.from_events has values of another kind, or out of range.
Convert or correct the values as the message says.

FNB332 Events and orders do not fit
The tables for fnb.from_events contradict each other: ids, outcomes or times.
Correct the order that the message names.

FNB333 File of events cannot be read
A file for fnb.from_events is not CSV or JSON lines, or a value in it is not what its column needs.
Correct the line that the message names, or read the file with pandas and pass the DataFrame.

FNB340 Groups not valid
by() forms groups by columns of orders, by tags, or by windows of time.
Use by("domain"), by("tag:release") or by(every="1h"), with a few hundred groups at most.

FNB341 Quantiles not valid
Quantiles are one to ten different numbers between 0 and 1.
Pass quantiles=[0.5, 0.75, 0.99].

FNB350 Unknown format
Tables are exported in a few formats, and this is none of them.
Use one that the message lists.

FNB351 Too many rows for a sheet
A table has more rows than a sheet of a spreadsheet can hold.
Export it as Parquet or CSV, or fewer recordings.

FNB352 Query missing
recs.sql needs a query in SQL.
Write one, such as recs.sql("select * from orders").

FNB353 Export to a place of recordings
The export would go into a folder of recordings, or replace the file that is exported.
Name another file or folder.

FNB354 Tables go into a folder
An export of tables writes a file for each table into a folder, and the target looks like one file.
Name a folder, and the format with --format.

FNB355 Query too large for memory
A query of recs.sql needs more memory than DuckDB may use. A median has to hold all its values.
Ask for fewer rows, or raise memory_limit of recs.duckdb().

FNB401 No such path
No file or folder has that name, or you may not look into a folder above it.
Pass a saved set, a journal or a folder of journals.

FNB402 Journal cannot be written
The disk is full or the folder is not writable. Orders are not sent without a journal.
Free space, or set FIRMLY_NB_HOME to a writable folder.

FNB403 Journal cannot be read
The file is not readable, or is not a journal.
Check the path and its permissions.

FNB404 Saved set damaged
The manifest or a part of the saved set is damaged or missing.
Load the set from a backup, or load the journals and save them again.

FNB405 Saved set of a newer version
A newer firmly-nb wrote the saved set.
Upgrade firmly-nb.

FNB406 Saved set cannot be read or written
The disk or its permissions refuse a file of the set.
Check the path, its permissions and the free space.

FNB407 Preset cannot be saved
The folder of presets is not writable.
Set FIRMLY_NB_HOME to a writable folder.

FNB408 Unknown preset
No preset has that name.
Use one of the names that the message lists.

FNB409 Name of a preset not valid
A preset's name is empty, not printable or too long.
Choose a short printable name.

FNB410 Preset cannot be read
The file is damaged, not readable or too large.
Delete the file, or save the preset again.

FNB411 Text that is not a path
It begins with ~ and an unknown user, is empty, is an address, or has blanks, quotes or a variable.
Write the whole path, or ~/ for your home folder. If it is the name of a folder, pass a Path.

FNB412 Settings file cannot be read
firmly-nb.toml is not readable, not UTF-8 or not valid TOML.
Mend the place that the message names, or remove the file. See docs/networks.md.

FNB413 Unknown setting
firmly-nb.toml has an environment or a setting that does not exist.
Correct the spelling at the line in the message.

FNB414 Setting of another kind
A setting of firmly-nb.toml has a value of another type than it needs.
Write a value of the kind that the message names.

FNB415 Secret in the settings file
firmly-nb.toml holds, or may hold, an app id, a token or a card. Such files get shared.
Remove it. Set FIRMLY_APP_ID, or write it to a .env file outside version control.

FNB416 Production in the settings file
firmly-nb.toml names production, where orders are real. It is always refused.
Remove it. Use staging or the simulator.

FNB440 HAR file cannot be read
The file is not a HAR, is too large, or its permissions refuse it.
Export it again in the browser's network panel, with fewer requests.

FNB441 Export cannot be written
The folder does not exist, is not writable, or the disk is full.
Name a file or folder where you may write.

FNB443 Library for an export missing
The export needs a library that is not part of every installation.
Install it as the message says.

FNB444 Endpoint or headers not valid
The endpoint is a URL that begins with http:// or https://. Headers are printable ASCII.
Pass an endpoint such as http://127.0.0.1:4318.

FNB445 Collector did not take the spans
Nothing listens at the endpoint, or it refused the spans; the message has its HTTP status.
Start the collector, or correct the URL and its headers.

FNB446 Recording cannot be removed
The file or its folder is not writable for you, or another program holds it.
Change the permissions of the folder that the message names, then prune again.

FNB501 No orders
The list of orders is empty.
Pass at least one order.

FNB502 Number of orders missing
The sweep has neither count nor duration.
Pass count=20, or duration=600 (seconds).

FNB503 Number out of range
A count, rate, concurrency or seed is not a number in its range.
Pass a number in the range that the message names.

FNB504 Duration not valid
The duration is not a number of seconds above 0.
Pass seconds, or a text like "10 min".

FNB505 Unknown arrival
Sweeps start orders at a constant rate, at random (poisson) or in a closed loop.
Use one of the names that the message lists.

FNB506 Arrival and rate do not fit
An open loop needs a rate; a closed loop has none.
Pass a rate with constant and poisson only.

FNB507 Tags not valid
Tags are texts by name. Some names are used by sweeps themselves.
Pass a dict of texts, with other names.

FNB508 Axis of a grid not valid
grid() cannot vary that field, or has no list of values for it.
Pass a list of values for a field that the message names.

FNB509 Product not found for a sweep
The merchant has no such product or variant, or none in stock.
List what can be ordered with lab.products(domain).

FNB510 Run id not valid
A run id holds another character than letters, digits, ".", "_" and "-", or is too long.
Choose another run id.

FNB511 Run exists
There is a sweep of that run id already.
Continue it with resume=..., or pass another run_id.

FNB512 Unknown run
The journal folder has no sweep of that run id.
Use one of the ids that the message lists.

FNB513 Plan of a sweep damaged
The file that holds the sweep's plan cannot be read.
Begin a new sweep. The journals of its orders are not affected.

FNB514 Plan of a sweep cannot be written
The disk is full or the folder is not writable.
Free space, or set FIRMLY_NB_HOME to a writable folder.

FNB515 Sweep is running
The sweep runs already, here or in another process.
Stop it first with sweep.stop().

FNB516 Resumed with something else
The orders, the environment or the schedule differ from those of the run.
Resume with the same orders on the same environment, or begin a new sweep.

FNB517 Budget not valid
A limit of the budget is unknown, or is not a number above 0.
Pass orders, minutes or total_minor, like fnb.Budget(total_minor={"USD": 50_000}).

FNB518 Budget too small
The sweep has more orders than its budget, or the lab's limit, allows.
Pass budget=fnb.Budget(orders=...), or place fewer.

FNB519 Budget of money cannot be kept
An earlier order of the run has an unknown outcome and no price.
Resume without total_minor, or begin a new run.

FNB520 Run with several kinds of orders
The command line resumes runs of one kind of order.
Resume from Python with lab.sweep(orders, resume=...).

FNB521 Resume and run id together
resume names the run already.
Remove run_id.

FNB522 Journal of a run cannot be read
A journal is damaged or not readable. Its order may be one of the run that you resume.
Restore the file, or move it out of the folder; then the run sends its order again.

FNB530 One side only
A comparison holds B against A: another order, or the same order in another lab.
Pass order_b, or other=fnb.connect(...) (--other-item, --other-domain, --other).

FNB531 Number of orders of a comparison
Orders are placed in blocks of ten a side, and the first look is after five blocks.
Pass count=50, 60, ...

FNB532 End of a comparison
until is "decided" (stop as soon as it is sure) or None (--until all: place all orders first).
Pass one of them.

FNB533 Comparison not found
No plan of this comparison is beside the journals of this lab.
Use the journal folder it began with, or begin a new comparison.

FNB534 Plan of a comparison damaged
The file beside the journals cannot be read. The recordings are in the journals all the same.
Load them with fnb.load(), or begin a new comparison.

FNB535 Comparison cannot change
Margins, count and labs are stated before the first order. Looks would say too much otherwise.
Resume it as it began, or begin a new comparison.

FNB540 Network of a cluster not encrypted
Whoever reaches the scheduler of a Dask cluster can place orders with the app ids of its hosts.
Start all of it with --protocol tls, or on this machine alone with --host 127.0.0.1.

FNB541 Two hosts of one name
Journals, leases and the column host go by the name of the Dask worker.
Start each Dask worker with a name of its own: dask worker ADDRESS --name paris.

FNB542 No Dask worker to send orders from
The scheduler is not reached, or no Dask worker has joined it.
Start scheduler and Dask workers first, and pass a connected client.

FNB543 No host can place orders
Scheduler and hosts need this version of firmly-nb. A host also needs an app id and a disk.
The message says what each lacks. Mend one of them, and begin again.

FNB544 Not for several machines
What is sent to other machines holds no secret, and each order is one request.
Use test cards as they are and plain orders, or sweep from this machine alone.

FNB545 Sweep of another coordinator
Each host knows the newest coordinator of a run, and takes orders from no other.
Resume the run where it was begun, or begin a new one.

FNB546 Sweep of several machines
Other machines were lent orders of this run. Only they know whether these were sent.
Resume it with on=client and the same Dask workers.

FNB547 Order not sent by any host
Each time a host gave it back before its request: too late, taken back, or something failed there.
Read the reason, and resume the sweep.

FNB548 Certificates of a cluster
An encrypted cluster takes only clients with a certificate of its own authority.
Pass --tls-ca-file, --tls-cert and --tls-key, or Client(..., security=...) in Python.

FNB549 Client on the waiting loop
A Dask client of the running loop goes on only while nobody waits in that thread.
Use await lab.sweep_async(..., on=client), or a client made without asynchronous=True.

FNB601 Recorder did not start
The recorder's process ended or did not respond at its start.
Record in this process with lab.place(..., isolated=False).

FNB602 Recorder left no record
The recorder ended without a record of the order.
Check the order at the merchant, then load the journals with fnb.load().

FNB603 Calibration failed
The local sender did not start, or its stream ended early.
Run it again. If it fails again, run firmly-nb doctor.

FNB604 Parser used after its end
An event stream parser is closed, or was interrupted.
Make a new parser for each stream.

FNB605 Size limit not valid
A limit of an event stream is a whole number of at least 1; max_event_bytes is at most 32 MiB.
Pass a number in the range that the message names.

FNB606 Recorder failed before the order
The recorder stopped before it sent the order, for example because the journal cannot be written.
Correct what the message names, and place the order again.

FNB607 Clock differs from the API's
This machine's clock and that of the API are far apart. Sessions may seem over, or last too long.
Set this machine's clock by a time server. Recorded times do not depend on it.

FNB701 An order is running
The form places one order after another.
Stop the order with form.cancel(), or wait for it.

FNB702 Number of orders out of range
The form places 1 to 100 orders.
For more, use lab.sweep().

FNB703 Typed card
Python does not know a card that was typed into the page.
Press Place in the page, or pass card.

FNB704 Captcha token for several orders
A captcha token is good for one order.
Set the number of orders to 1.

FNB705 Message of the page not readable
The page sent something that the form cannot read.
Reload the page and show the form again.

FNB706 Not done in time
The order or sweep was still running when the time to wait was over. It goes on.
Wait longer, or stop it: an order with cancel(), a sweep with stop().

FNB707 Sweep cannot start
A field of the panel is not valid.
Correct the fields that the message names.

FNB708 No sweep to resume
The panel has not started a sweep.
Start one with start().

FNB709 A sweep is running
The panel runs one sweep after another.
Stop it first with panel.stop().

FNB710 Unknown field
The form or panel has no field of that name.
Use one of the names that the message lists.

FNB711 Value of a field not valid
The field takes a value of another kind.
Pass a value of the kind that the message names.

FNB712 Not on the timeline
The timeline shows no such order, event or milestone.
Use one that the message lists.

FNB801 Option of a command not valid
The command has no such option or argument, or reads its text in another form.
Write it as the message shows. --help lists what a command takes.

FNB802 Command cannot finish
The system refused something, such as a file or a port.
Read the system's words in the message.

FNB803 Unknown code
No message has that code.
See docs/messages.md for all codes.

FNB804 Workspace not usable
The folder for your notebooks is a file, is read-only, or has a broken .copied.json.
Choose another folder with --workspace.
"""


def _messages() -> Iterator[Message]:
    for block in TEXTS.strip().split("\n\n"):
        first, cause, fix = block.splitlines()
        code, _, title = first.partition(" ")
        yield Message(code, title, cause, fix)


MESSAGES: dict[str, Message] = {message.code: message for message in _messages()}
