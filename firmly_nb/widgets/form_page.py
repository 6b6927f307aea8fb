"""Pages of an order form: the form, the strip on top, and the answers to their questions.

Synced traits hold the state of orders, so that a page that is loaded again finds it. No trait holds
what is typed (:mod:`firmly_nb.widgets.draft`). Secrets come in the buffer of one message: what
logs messages, at any level, does not log buffers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anywidget
import orjson
import traitlets.traitlets as t

from firmly_nb import catalogue
from firmly_nb.api.errors import safe_text
from firmly_nb.api.models import TEST_CARDS, Card, InvalidOrder, bare_domain
from firmly_nb.api.secrets import SecretStr
from firmly_nb.background import submit
from firmly_nb.display.messages import code_of, coded_error
from firmly_nb.display.text import printable, short_name
from firmly_nb.widgets.draft import CARD_RULES, MOST_TIMES
from firmly_nb.widgets.frontend import AtOnce, module, style
from firmly_nb.widgets.presets import Presets

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from concurrent.futures import Future

    from firmly_nb.engine import Bench
    from firmly_nb.recordings.recording import Recording
    from firmly_nb.widgets.draft import Draft, SharedDraft


MOST_SECRETS = 16_384  # bytes


@dataclass(frozen=True, slots=True)
class Typed:
    """Secrets that were typed; they live until a card and an order are made of them."""

    number: SecretStr = field(default_factory=lambda: SecretStr(""))
    verification_value: SecretStr = field(default_factory=lambda: SecretStr(""))
    captcha_token: SecretStr = field(default_factory=lambda: SecretStr(""))


def take_secrets(buffer: Any) -> Typed:
    """Read the buffer of a message; nothing that is wrong with it is ever quoted."""
    raw = bytes(buffer)
    try:
        found = orjson.loads(raw) if len(raw) <= MOST_SECRETS else None
        return Typed(**{name: SecretStr(str(text)) for name, text in found.items()})  # type: ignore[union-attr]  # what is none is caught
    except (ValueError, TypeError, AttributeError):
        text = "The page sent a card or token that cannot be read. Reload the page."
        raise coded_error(ValueError, "FNB705", text) from None


def known_cards() -> list[list[str]]:
    """Return the test cards for a picker: name and label."""
    return [[name, repr(Card.test(name))[5:-1]] for name in TEST_CARDS]


def mark_of(number: str) -> int:
    """Return a number by which a page knows a test card again (``static/fields.js`` has it, too).

    A page's state is saved, and no card number is in what is saved: not even a public one, since
    whoever searches for what was typed would find it.

    Examples
    --------
    >>> mark_of("12")
    33
    """
    mark = 0
    for digit in number:
        mark = (mark * 31 + int(digit)) % (2**31 - 1)
    return mark


def words_of(error: BaseException) -> str:
    """Return an error's words as a page may show them: safe, and in the lines that they had."""
    return "\n  ".join(printable(line) for line in safe_text(error).splitlines())


def guarded(view: Any, action: Callable[[], object]) -> None:
    """Do what a page asks for; show the user an error as the view's notice."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - a kernel's log is where nobody looks
        kind = "" if code_of(error) else f"{type(error).__name__}: "
        view.notice = f"{kind}{words_of(error)}"


class FormView(AtOnce, anywidget.AnyWidget):
    """Widget of the form. It shows the draft and tells what was pressed; it decides nothing.

    Attributes
    ----------
    run
        State of the run: ``state`` (idle, running, cancelling), ``number``, ``of``, ``doing``.
    runs
        The last presses, newest first (``order_run.run_words``, with ``at_ms`` and ``how``).
    result
        What to do after the last order (``order_run.result_words``).
    turn
        A press counts only for the turn that it was made in, so that a double click, or the same
        form in two places, is one order.
    """

    _esm = module("order_form")
    _css = style("order_form")

    captcha: t.List[str] = t.List(help="merchants that asked for a captcha token").tag(sync=True)
    run: t.Dict[str, Any] = t.Dict({"state": "idle"}).tag(sync=True)
    runs: t.List[dict[str, Any]] = t.List().tag(sync=True)
    result = t.Dict().tag(sync=True)
    notice = t.Unicode().tag(sync=True)
    looked = t.Unicode().tag(sync=True)
    turn = t.Int(0).tag(sync=True)
    facts = t.Dict().tag(sync=True)
    closed = t.Bool(False, help="whether the lab is closed").tag(sync=True)

    def __init__(
        self,
        on_message: Callable[[Mapping[str, Any], Sequence[Any]], None],
        *,
        takes_any_card: bool = True,
    ) -> None:
        super().__init__()
        # By them a page says of a typed number that it will be refused.
        marks = None if takes_any_card else [mark_of(number) for number in TEST_CARDS.values()]
        self.facts = {
            "cards": known_cards(),
            "rules": CARD_RULES,
            "marks": marks,
            "most_times": MOST_TIMES,
        }
        self.on_msg(lambda _, content, buffers: on_message(content, buffers))

    def __repr__(self) -> str:
        return "FormView()"


class StripView(AtOnce, anywidget.AnyWidget):
    """Widget of the strip on top: the environment, the code, the presets.

    Attributes
    ----------
    shown
        The panel that is open: ``""``, ``"code"`` or ``"presets"``.
    code
        Text of the open panel; written only while it is open. It holds addresses, so it is sent in
        a message and is in no saved state.
    """

    _esm = module("order_form_strip")
    _css = style("order_form_strip")

    environment = t.Dict().tag(sync=True)
    shown = t.Unicode().tag(sync=True)
    presets: t.List[str] = t.List().tag(sync=True)
    notice = t.Unicode().tag(sync=True)

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(environment=environment)
        self.code = ""

    def show_code(self, code: str) -> None:
        """Send the code to the pages."""
        self.code = code
        self.send({"type": "code"}, [code.encode()])

    def __repr__(self) -> str:
        return f"StripView({self.environment.get('label', '')})"


class FormStrip:
    """Logic of the strip: it keeps the panels up to date and does what the buttons say.

    Parameters
    ----------
    environment
        Environment in words (``order_run.environment_words``).
    draft
        Draft of the form.
    code
        Writes the Python that does the same; ``InvalidOrder`` while something is wrong.
    """

    def __init__(
        self, environment: dict[str, str], draft: SharedDraft[Draft], code: Callable[[], str]
    ) -> None:
        self._draft = draft
        self._code = code
        self._presets = Presets()
        self.view = StripView(environment)
        self.view.presets = self.presets
        self.view.observe(lambda _: guarded(self.view, self._fill_panel), "shown")
        self.view.on_msg(lambda _, content, __: self._asked(content))

    @property
    def presets(self) -> list[str]:
        """Names of the presets that can be loaded."""
        return self._presets.names()

    def save(self, name: str) -> None:
        """Save the form under a name."""
        self._presets.save(name, vars(self._draft.now))
        self.view.presets = self.presets

    def load(self, name: str) -> None:
        """Fill the form in from a preset."""
        self._draft.put(self._presets.load(name))

    def delete(self, name: str) -> None:
        """Delete a preset, if there is one of that name."""
        self._presets.delete(name)
        self.view.presets = self.presets

    def write_code(self) -> None:
        """Show the code as it is now, where it is open."""
        if self.view.shown == "code":
            self.view.show_code(self._code_or_why_not())

    def _code_or_why_not(self) -> str:
        try:
            return self._code()
        except InvalidOrder:
            told = "\n".join(f"# {path}: {text}" for path, text in self._draft.problems.items())
            return f"# Something in the form is not right yet.\n{told}\n"

    def _fill_panel(self) -> None:
        self.write_code()
        if self.view.shown == "presets":
            # Another form may have saved one.
            self.view.presets = self.presets

    def _asked(self, content: Mapping[str, Any]) -> None:
        """Take what the strip's page sends."""
        name = str(content.get("name", ""))
        answers: dict[str, Callable[[], None]] = {
            "save": lambda: self.save(name),
            "load": lambda: self.load(name),
            "delete": lambda: self.delete(name),
            "code": self.write_code,
        }
        answer = answers.get(str(content.get("type")))
        if answer:
            self.view.notice = ""
            guarded(self.view, answer)


def _is_domain(text: str) -> bool:
    try:
        return bool(bare_domain(text))
    except ValueError:
        return False


class Requests:
    """Answers for one form's page: products, variants, a search, the cart.

    Nothing is waited for: the question goes onto the background loop, the answer from there to the
    page.
    """

    def __init__(self, bench: Bench, form: FormView) -> None:
        self._bench = bench
        self._form = form
        self._turn = asyncio.Lock()

    def answer(self, question: Mapping[str, Any]) -> None:
        """Look something up in the catalogue and send it: ``merchants``, ``products`` and so on."""
        about = str(question.get("about", ""))
        domain, handle = str(question.get("domain", "")), str(question.get("handle", ""))
        reply = {"type": "catalogue", "about": about, "domain": domain, "handle": handle}
        if about == "merchants":
            allowed = sorted(self._bench.environment.allow_domains)
            self._form.send({**reply, "found": allowed})
        elif about in {"products", "variants"} and not _is_domain(domain):
            self._form.send({**reply, "found": []})  # beside the merchant is said what is wrong
        elif about == "products":
            self._send_later(reply, self._ask(catalogue.product_choices, domain))
        elif about == "variants":
            self._send_later(reply, self._ask(catalogue.variant_choices, domain, handle))
        elif about == "search":
            words = str(question.get("words", ""))[:200]
            self._send_later({**reply, "words": words}, self._ask(catalogue.found_choices, words))

    def settle(self, recording: Recording, show: Callable[[Recording], None]) -> None:
        """Ask the cart whether an order exists, as ``lab.settle`` does, and show its recording."""
        self._form.looked = f"Looking at the cart at {short_name(recording.domain)} …"
        future = submit(self._bench.settle, recording)
        future.add_done_callback(partial(self._settled, show))

    def _ask(self, question: Callable[..., Coroutine[Any, Any, Any]], *about: str) -> Future[Any]:
        async def in_turn() -> Any:
            # One call at a time needs one device; at once each would open its own.
            async with self._turn:
                return await question(self._bench, *about)

        return submit(in_turn)

    def _settled(self, show: Callable[[Recording], None], future: Future[Recording]) -> None:
        if future.cancelled():
            return
        if error := future.exception():
            self._form.looked = f"The cart cannot be read: {words_of(error)}"
        else:
            guarded(self._form, lambda: show(future.result()))

    def _send_later(self, reply: dict[str, Any], future: Future[Any]) -> None:
        def send(done: Future[Any]) -> None:
            if done.cancelled():
                return
            error = done.exception()
            found = {"problem": words_of(error)} if error else {"found": done.result()}
            self._form.send({**reply, **found})

        future.add_done_callback(send)
