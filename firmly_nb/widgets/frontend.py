"""Shared by all widgets: source and style of front ends, throttle, heartbeat, static page.

anywidget loads one module from memory, where relative imports lead nowhere. So what a module of
``static/`` imports from its own folder is written before it; nothing is built, fetched or stored.
"""

from __future__ import annotations

import json
import re
import threading
import time
import weakref
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from firmly_nb.display.messages import code_of, coded_error, wrong_type
from firmly_nb.lab import Lab
from firmly_nb.outcomes import STAGE_LOOKS, TONES
from firmly_nb.sweep.progress import in_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


SHOW_EVERY_S = 0.1  # more often than this nobody can see
EVERY_S = 2.0  # kernel.js waits for four of them
BEAT: dict[str, Any] = {"type": "beat"}
STATIC = Path(__file__).parent / "static"
DARK = '[data-jp-theme-light="false"] .firmly,\nbody.vscode-dark .firmly,\n.contents.dark .firmly'
# The only form of import and export of these modules; a test holds them to it.
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(?P<name>[a-z_]+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?function |const |class )", re.MULTILINE)


class Throttle:
    """Limit on how often something is called: at once, or once when the wait is over.

    Parameters
    ----------
    call
        Function to call, on the caller's thread or on a timer's. It must be safe on both.
    every_s
        Time between two calls, in s.

    Examples
    --------
    >>> shown = []
    >>> throttle = Throttle(lambda: shown.append("shown"), every_s=3600)
    >>> throttle.soon(), throttle.soon(), shown
    (None, None, ['shown'])
    >>> throttle.now(), shown
    (None, ['shown', 'shown'])
    """

    def __init__(self, call: Callable[[], None], every_s: float) -> None:
        self._call = call
        self._every_s = every_s
        self._lock = threading.Lock()
        self._last_s = float("-inf")
        self._timer: threading.Timer | None = None

    def soon(self) -> None:
        """Call now or a little later."""
        with self._lock:
            if self._timer:
                return
            wait_s = self._last_s + self._every_s - time.monotonic()
            if wait_s > 0:
                timer = threading.Timer(wait_s, self.now)
                timer.daemon = True
                timer.start()
                self._timer = timer  # one that could not be started is not waited for
                return
        self.now()

    def now(self) -> None:
        """Call now, including what was put off."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
            self._timer = None
            self._last_s = time.monotonic()
        self._call()


def the_lab(lab: object) -> Lab:
    """Return what a form or panel was given, if it is a lab."""
    if not isinstance(lab, Lab):
        raise wrong_type("lab", "a lab", lab, "fnb.connect()")
    return lab


def module(name: str) -> str:
    """Return the source of a widget's module with all that it imports.

    Examples
    --------
    >>> "import" in module("dom")
    False
    """
    needed: list[str] = []
    _collect(name, needed)
    *others, own = needed
    sources = [EXPORT.sub("", IMPORT.sub("", _source(other))) for other in others]
    return "\n".join([*sources, IMPORT.sub("", _source(own))])


@cache
def style(name: str) -> str:
    """Return a widget's style sheet after the one that all share, and the colours."""
    theme, own = ((STATIC / f"{part}.css").read_text("utf-8") for part in ("theme", name))
    return f"{theme}\n{colours()}\n{own}"


def colours() -> str:
    """Return the colours of tones and stages as variables of a style sheet.

    Examples
    --------
    >>> [line for line in colours().splitlines() if "bad" in line]
    ['  --firmly-bad: #c62828;', '  --firmly-bad: #ff8a80;']
    """
    day = {name: tone.light for name, tone in TONES.items()}
    day |= {f"stage-{look.number}": look.colour for look in STAGE_LOOKS}
    night = {name: tone.dark for name, tone in TONES.items()}
    stages = "\n".join(
        f".firmly .stage-{look.number} {{ --stage: var(--firmly-stage-{look.number}); "
        f"--hatch: var(--firmly-hatch-{look.number}); }}"
        for look in STAGE_LOOKS
    )
    return f"{_variables('.firmly', day)}\n{_variables(DARK, night)}\n{stages}"


def _variables(selector: str, values: Mapping[str, str]) -> str:
    lines = "\n".join(f"  --firmly-{name}: {value};" for name, value in values.items())
    return f"{selector} {{\n{lines}\n}}"


def _collect(name: str, needed: list[str]) -> None:
    for found in IMPORT.finditer(_source(name)):
        if found["name"] not in needed:
            _collect(found["name"], needed)
    needed.append(name)


def _source(name: str) -> str:
    return (STATIC / f"{name}.js").read_text("utf-8")


class Heartbeat:
    """Beat that is sent every two seconds from ``begin`` to ``end``, on its own thread.

    By it a page tells a long stage from a kernel that is gone. The thread goes on while a cell
    computes; only a kernel that is gone, or that cannot answer anybody, is silent.

    Parameters
    ----------
    send
        Sends a message to the widget's pages.

    Examples
    --------
    >>> heart = Heartbeat(print, every_s=3600)
    >>> heart.begin(), heart.begin(), heart.end()
    (None, None, None)
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], *, every_s: float = EVERY_S) -> None:
        self._send = send
        self._every_s = every_s
        self._turns = threading.Lock()
        self._over: threading.Event | None = None

    def begin(self) -> None:
        """Begin, unless it has begun."""
        with self._turns:
            if self._over is not None:
                return
            self._over = over = threading.Event()
        threading.Thread(target=self._go_on, args=(over,), daemon=True).start()

    def end(self) -> None:
        """End, if it has begun."""
        with self._turns:
            if self._over is not None:
                self._over.set()
            self._over = None

    def _go_on(self, over: threading.Event) -> None:
        while not over.wait(self._every_s):
            self._send(BEAT)


def show_closed(lab: Lab, widget: Any, trait: str) -> None:
    """Show in a widget that its lab is closed, now or as soon as it is."""
    gone = weakref.ref(widget)

    def tell() -> None:
        if (shown := gone()) is not None:
            setattr(shown, trait, True)

    lab._bench.on_close.append(tell)  # noqa: SLF001 - widgets are the lab's own faces
    if lab.closed:
        tell()


def with_static(bundle: Any, html: str | None, text: str | None = None) -> Any:
    """Add a page for readers without a kernel, and a text, to a widget's MIME bundle."""
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    if data is not None:
        data |= {"text/html": html} if html is not None else {}
        data |= {"text/plain": text} if text is not None else {}
    return bundle


def display_with_image(widget: Any) -> None:
    """Display a widget so that its static image is shown once its kernel is gone.

    In a notebook that is not trusted JupyterLab takes the image beside the widget. In a trusted one
    it takes the widget, and shows an error when there is none any more. What puts the image in the
    error's place is a script, which nothing runs or shows but a page that trusts the notebook.
    """
    from IPython.display import display

    bundle = widget._repr_mimebundle_()
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    if data is None:
        print(repr(widget))
        return
    display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]  # IPython
    if in_notebook() and "text/html" in data:
        # Not as HTML: exported as Markdown, a code host would show its source.
        script = {"application/javascript": image_script(data["text/html"]), "text/plain": ""}
        display(script, raw=True)  # type: ignore[no-untyped-call]  # IPython


def image_script(html: str) -> str:
    """Return a script that shows static HTML where a widget is lost.

    Examples
    --------
    >>> image_script("</script>").count("</script>")
    0
    """
    # Nothing in a text can end a script that an exported page makes of it.
    image = json.dumps(html).replace("<", "\\u003c")
    return f"({_image_code()})({image}, element)"


@cache
def _image_code() -> str:
    source = (STATIC / "static_image.js").read_text("utf-8")
    return source[source.index("(image, element)") :].strip()


# What traitlets calls its kinds, and what messages call them.
KINDS = {"a unicode string": "a text", "a boolean": "True or False", "an int": "a whole number"}


class AtOnce(traitlets.HasTraits):
    """Mixin of widgets that other threads change: each change counts and is sent at once.

    While a page's own changes are taken, traitlets would hold back those of every thread. Where one
    of the page's is refused, it would take all of them back: an order that ended meanwhile would be
    under way for ever.
    """

    hold_trait_notifications = staticmethod(nullcontext)  # type: ignore[assignment]  # as good


class Fields(AtOnce):
    """Mixin of widgets: a field that is set to another kind is met with a message with a code."""

    def __setattr__(self, name: str, value: object) -> None:
        try:
            super().__setattr__(name, value)
        except traitlets.TraitError as error:
            if code_of(error):
                raise
            wanted = str(self.traits()[name].info())
            for theirs, ours in KINDS.items():
                wanted = wanted.replace(theirs, ours)
            text = f"{name} must be {wanted}, got {type(value).__name__}. help(...) says more."
        else:
            return
        raise coded_error(traitlets.TraitError, "FNB711", text)
