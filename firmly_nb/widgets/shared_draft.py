"""The draft of a form: the kernel holds it, each page that shows the form has a copy.

Addresses are personal data, which is kept in memory only (design.md, section 9), and a widget's
synced state is saved with notebooks. So a draft is in no trait: a page asks for it when it is
drawn, sends what is typed, and is told of every change, whoever made it. It travels in the buffers
of messages, because what logs messages does not log buffers.

Messages can overtake each other and be lost: a kernel may take them on several threads, a page may
have been loaded that moment. So each edit carries the whole field and a number, an older one is
never put over a newer, and an answer says which fields it answers and which state it tells.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from firmly_nb.widgets.form_state import FIELDS, Draft, changed_draft

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST_BYTES = 1 << 20
LONGEST_NAME = 40
MOST_VIEWS = 100


class Send(Protocol):
    """Sends a message to every page that shows the form."""

    def __call__(self, content: Mapping[str, Any], buffers: Sequence[bytes] | None = None) -> None:
        """Send it; from any thread."""


class SharedDraft:
    """What stands in a form; it can be changed by pages and by Python, from any thread.

    Each change is answered to all pages, in the order in which the changes were made, with the
    whole draft and what is wrong in it. The answer to a page's edit names the page's view, the
    edit's number and its fields, so that the view keeps what was typed since, and sends again what
    did not arrive (``order_form_draft.js``).

    Parameters
    ----------
    send
        Sends a message to the pages.
    check
        Says what is wrong in a draft, by the field's path.
    changed
        Is called after each change.
    """

    def __init__(
        self,
        send: Send,
        check: Callable[[Draft], dict[str, str]],
        changed: Callable[[], None],
    ) -> None:
        self._send = send
        self._check = check
        self._changed = changed
        self._turns = threading.RLock()
        self._now = Draft()
        self._revision = 0
        self._taken: dict[str, dict[str, int]] = {}  # by view and field: its newest edit so far

    @property
    def now(self) -> Draft:
        """The draft as it stands."""
        return self._now

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong in it, by the field's path."""
        return self._check(self._now)

    def put(self, changes: Any) -> None:
        """Change fields and tell the pages.

        Parameters
        ----------
        changes
            New values by field; names that are none are left out.

        Raises
        ------
        TypeError
            If a value is of another kind than its field; then nothing is changed.
        """
        self._change(changes, {}, ())

    def take(self, content: Mapping[str, Any], buffer: Any) -> None:
        """Take what a page sends: an edit, or the draft as it stood when something was pressed."""
        sent = _read(buffer)
        fields = [name for name in FIELDS if isinstance(sent, dict) and name in sent]
        with self._turns:
            newest = self._newest(_view(content))
            number = _whole(content.get("number"))
            for name in fields:
                if number < newest.get(name, number):
                    del sent[name]  # overtaken by a later edit of the same view
                else:
                    newest[name] = number
            self._change(sent, content, fields)

    def tell(self, answering: Mapping[str, Any] | None = None, fields: Sequence[str] = ()) -> None:
        """Send the draft and what is wrong in it to all pages.

        Parameters
        ----------
        answering
            The page's message that this answers, if it does.
        fields
            The fields that the message had.
        """
        asked = answering or {}
        with self._turns:
            self._revision += 1
            answer = {
                "type": "draft",
                "revision": self._revision,
                "view": _view(asked),
                "number": _whole(asked.get("number")),
                "fields": list(fields),
                "problems": self.problems,
            }
            self._send(answer, [orjson.dumps(vars(self._now))])

    def _change(self, changes: Any, answering: Mapping[str, Any], fields: Sequence[str]) -> None:
        with self._turns:
            try:
                self._now = changed_draft(self._now, changes)
            finally:
                # A page that sent something impossible is told what stands.
                self.tell(answering, fields)
        self._changed()

    def _newest(self, view: str) -> dict[str, int]:
        newest = self._taken.setdefault(view, {})
        if len(self._taken) > MOST_VIEWS:
            del self._taken[next(iter(self._taken))]
        return newest


def _view(content: Mapping[str, Any]) -> str:
    return str(content.get("view", ""))[:LONGEST_NAME]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _read(buffer: Any) -> Any:
    """Read JSON from a buffer; nothing that is wrong with it is ever quoted."""
    raw = bytes(buffer)
    try:
        if len(raw) <= MOST_BYTES:
            return orjson.loads(raw)
    except ValueError:
        pass
    raise ValueError("what the page sent of the form cannot be read") from None
