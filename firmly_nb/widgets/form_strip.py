"""The strip on top of a form: where one is; the code and the presets open below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets.traitlets as t

from firmly_nb.api.models import InvalidOrder
from firmly_nb.widgets.form_view import guarded
from firmly_nb.widgets.frontend import module, style
from firmly_nb.widgets.presets import Presets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmly_nb.widgets.shared_draft import SharedDraft


class StripView(anywidget.AnyWidget):
    """The strip on top: where one is, the code, the presets.

    Attributes
    ----------
    shown
        The panel that is open: ``""``, ``"code"`` or ``"presets"``.
    code
        What the open panel shows; written only while it is open. It has addresses in it, so it is
        sent in a message and is in no saved state.
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
    """Keeps the strip's panels up to date and does what its buttons say.

    Parameters
    ----------
    environment
        Where one is (``form_words.place_words``).
    draft
        What stands in the form.
    code
        Writes the Python that does the same; ``InvalidOrder`` while something is wrong.
    """

    def __init__(
        self, environment: dict[str, str], draft: SharedDraft, code: Callable[[], str]
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
        """The names of the presets that can be loaded."""
        return self._presets.names()

    def save(self, name: str) -> None:
        """Save what stands in the form by name."""
        self._presets.save(name, vars(self._draft.now))
        self.view.presets = self.presets

    def load(self, name: str) -> None:
        """Fill the form in from a preset."""
        self._draft.put(self._presets.load(name))

    def delete(self, name: str) -> None:
        """Delete a preset; that there is none of that name is fine."""
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
