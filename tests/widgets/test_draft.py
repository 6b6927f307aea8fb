"""The draft between kernel and pages: each change is answered, in order, and is in no state."""

from __future__ import annotations

import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.widgets.draft import LONGEST_NAME, MOST_BYTES, MOST_VIEWS, Draft, SharedDraft
from firmly_nb.widgets.order_form import OrderForm
from firmly_nb.widgets.sweep_panel import SweepPanel
from tests.widgets.pages import edit, page_of


class Pages:
    """All pages of a form: what they were told, newest last."""

    def __init__(self):
        self.told = []
        self.changes = 0
        self.draft = SharedDraft(Draft(), self._hear, self._check, self._count)

    def _hear(self, content, buffers=None):
        self.told.append((content, orjson.loads(buffers[0])))

    def _check(self, draft):
        return {} if draft.merchant else {"domain": "must not be empty"}

    def _count(self):
        self.changes += 1


@pytest.fixture
def pages():
    return Pages()


def test_what_python_sets_is_told_to_every_page(pages):
    pages.draft.put({"merchant": "a.test", "times": 3})
    ((content, draft),) = pages.told
    assert content == {
        "type": "draft",
        "revision": 1,
        "view": "",
        "number": 0,
        "fields": [],
        "problems": {},
        "about": {},
    }
    assert draft == {**vars(Draft()), "merchant": "a.test", "times": 3}
    assert pages.draft.now.merchant == "a.test"
    assert pages.changes == 1


def test_an_edit_is_answered_by_its_view_and_number_with_what_is_wrong(pages):
    pages.draft.take({"view": "v1", "number": 7}, orjson.dumps({"card_name": "amex"}))
    ((content, draft),) = pages.told
    assert content == {
        "type": "draft",
        "revision": 1,
        "view": "v1",
        "number": 7,
        "fields": ["card_name"],
        "problems": {"domain": "must not be empty"},
        "about": {},
    }
    assert draft["card_name"] == pages.draft.now.card_name == "amex"


def test_an_edit_that_was_overtaken_by_a_later_one_changes_nothing_any_more(pages):
    """A name that was typed was gone: the edit before it, without it, came after it."""

    def edit(view, number, **changes):
        pages.draft.take({"view": view, "number": number}, orjson.dumps(changes))

    edit("v1", 1, card={"month": "11"})
    edit("v1", 3, card={"month": "11", "name": "Ada"})
    edit("v1", 2, card={"month": "11", "year": "2031"}, merchant="a.test")
    assert pages.draft.now.card == {"month": "11", "name": "Ada"}
    assert pages.draft.now.merchant == "a.test", "nothing newer stands there"
    answered = [(one["number"], one["fields"]) for one, _ in pages.told]
    assert answered == [(1, ["card"]), (3, ["card"]), (2, ["merchant", "card"])]
    edit("v2", 1, card={"month": "12"})
    assert pages.draft.now.card == {"month": "12"}, "another page counts for itself"


def test_pages_that_were_left_long_ago_are_forgotten(pages):
    for number in range(2 * MOST_VIEWS):
        pages.draft.take({"view": f"v{number}", "number": 1}, b'{"times": 2}')
    assert len(pages.draft._taken) == MOST_VIEWS


def test_a_page_that_is_drawn_asks_and_nothing_changes(pages):
    pages.draft.tell({"view": "v2", "number": 0})
    assert pages.told[0][1] == vars(Draft())
    assert pages.changes == 0


@pytest.mark.parametrize(
    "buffer",
    [b"", b"{", b"7", b"[]", b'{"items": 7}', b'{"shipping": "Ada-canary"}', b"\xff-canary"],
)
def test_what_cannot_be_a_draft_changes_nothing_and_is_never_quoted(pages, buffer):
    with pytest.raises((ValueError, TypeError)) as caught:
        pages.draft.take({"view": "v1", "number": 1}, buffer)
    assert "canary" not in str(caught.value)
    assert pages.draft.now == Draft()


def test_a_page_that_sent_a_wrong_kind_is_told_what_stands(pages):
    with pytest.raises(TypeError, match="items must be list, got int"):
        pages.draft.take({"view": "v1", "number": 4}, b'{"items": 7}')
    assert [(one["view"], one["number"]) for one, _ in pages.told] == [("v1", 4)]


def test_an_edit_has_a_limit(pages):
    with pytest.raises(ValueError, match="cannot be read"):
        pages.draft.take({}, b'{"merchant": "' + b"a" * MOST_BYTES + b'"}')


@given(view=st.text() | st.integers() | st.none(), number=st.text() | st.integers() | st.none())
def test_whoever_asks_is_answered_with_a_bounded_name(view, number):
    pages = Pages()
    pages.draft.tell({"view": view, "number": number})
    assert len(pages.told[0][0]["view"]) <= LONGEST_NAME
    assert isinstance(pages.told[0][0]["number"], int)


def test_changes_from_many_threads_are_told_in_the_order_in_which_they_were_made(pages):
    def change(first):
        for times in range(first, first + 50):
            pages.draft.put({"times": times})

    threads = [threading.Thread(target=change, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages.told) == 200
    # The last that the pages heard is what stands; otherwise they would show something else.
    assert pages.told[-1][1]["times"] == pages.draft.now.times


@pytest.fixture(params=["order form", "sweep panel"])
def shared(request, lab, monkeypatch):
    """A real form, a field of text in it, and the answers that its pages got."""
    form = OrderForm(lab) if request.param == "order form" else SweepPanel(lab)
    answers = []
    hear = lambda content, buffers=None: answers.append((content, orjson.loads(buffers[0])))  # noqa: E731
    monkeypatch.setattr(form._draft, "_send", hear)
    return form, "merchant" if request.param == "order form" else "name", answers


def test_each_form_answers_an_edit_by_view_number_and_field(shared):
    form, field, answers = shared
    edit(form, "v1", 7, **{field: "typed"})
    ((content, draft),) = answers
    assert (content["view"], content["number"], content["fields"]) == ("v1", 7, [field])
    assert content["problems"] == form.problems
    assert draft[field] == "typed"


def test_each_form_keeps_the_newest_edit_of_a_view_whatever_overtakes_it(shared):
    form, field, answers = shared
    for number in (2, 5, 3, 4):
        edit(form, "v1", number, **{field: f"typed {number}"})
    assert [draft[field] for _, draft in answers] == ["typed 2", "typed 5", "typed 5", "typed 5"]


def test_each_form_tells_its_draft_to_a_page_that_asks(shared):
    form, _, answers = shared
    page_of(form)._handle_custom_msg({"type": "draft", "view": "new", "number": 0}, [])
    assert answers[0][1] == vars(form._draft.now)


def test_nothing_that_is_typed_is_in_the_state_of_a_form(shared):
    form, field, _ = shared
    edit(form, **{field: "canary"})
    assert "canary" not in repr(page_of(form).get_state())
    assert getattr(form._draft.now, field) == "canary"


@pytest.mark.parametrize("buffers", [[], [b""], [b"{"], [b"7"], [b'{"name": 7, "merchant": 7}']])
def test_no_edit_raises_in_the_kernel_or_changes_what_stands(shared, buffers):
    form, _, _ = shared
    before = form._draft.now
    page_of(form)._handle_custom_msg({"type": "edit", "view": "v1", "number": 1}, buffers)
    assert form._draft.now == before
