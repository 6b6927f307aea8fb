"""What a person is told has a code, and each code a cause and a fix.

The source is read for what holds of every place; messages are provoked for what they say.
"""

from __future__ import annotations

import ast
import copy
import pickle
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.api.errors import make_error
from firmly_nb.carts.explain import explain as explain_orders
from firmly_nb.carts.report import run_checks
from firmly_nb.carts.rules import remove_check
from firmly_nb.display.messages import (
    GROUPS,
    MESSAGES,
    UnknownName,
    code_of,
    coded_error,
    explain,
    quoted,
    unknown,
    without_code,
)
from firmly_nb.environments import GuardError
from firmly_nb.store.files import NewerFormatError
from firmly_nb.sweep.budget import BudgetError

ROOT = Path(fnb.__file__).parents[1]
CODE = re.compile(r"FNB\d{3}")
# The simulator speaks as firmly's API does: its errors have the API's names.
PATHS = {
    path.relative_to(ROOT / "firmly_nb").with_suffix("").as_posix(): path
    for path in sorted((ROOT / "firmly_nb").rglob("*.py"))
    if "sim" not in path.relative_to(ROOT / "firmly_nb").parts
}
# Their class has a code: what the API said, and what is wrong with the fields of a model.
HAVE_A_CODE = {"FirmlyError", "InvalidOrder"}
# Errors that are made elsewhere, with their code, and raised later; or raised anew.
RAISED_LATER = {"failure", "refusal", "refused", "wrong", "made", "self._failure"}
# What is raised without a code, and why nobody meets it.
NO_PERSON_MEETS = {
    "ends a command with its exit code": {
        "cli/command._version", "cli/machine.lab", "cli/machine.doctor", "cli/placing._finish",
        "cli/placing.sweep", "cli/placing.conformance", "cli/placing.compare",
        "cli/reading.report", "cli/reading.verify", "cli/reading.gate",
    },
    "Python's own words for what a module does not have": {
        "faces.__getattr__", "api/secrets.__getattr__",
    },
    "words under a field; the error that has them all has the code": {
        "api/models.bare_domain", "api/models.check", "api/models._keep_what_the_catalogue_gave",
        "widgets/sweep_draft._value", "widgets/sweep_draft._rate",
        "widgets/sweep_draft._whole", "widgets/sweep_draft._minutes", "widgets/sweep_draft._money",
    },
    "words about a manifest, part, plan or record; who read it adds the path and a code": {
        "store/files.read", "store/files._check_version", "store/files._save",
        "store/columns.__init__", "store/columns._read_events", "store/write.recorded_of",
        "store/schema.check_columns", "store/schema.conform", "store/columns.check_ids",
        "store/columns.of", "store/stages._noted", "store/stages._checked", "store/stages.look",
        "store/stages._check_all",
        "store/write.stored_rows", "recorder/records.decode",
        "recorder/records.from_dict", "disk.write_whole", "disk.lock", "disk.check_is_file",
        "recorder/records.checked_fields", "store/columns._believe", "sweep/plan.check",
        "sweep/plan.read",
    },
    "words about an entry of a HAR; a warning names the file and the entry": {
        "exchange/har_load._own", "exchange/har_load._unix_ns",
        "exchange/har_clean.body_of", "exchange/har_clean._unpacked",
    },
    "recorded as the outcome transport_error or timeout, in the words of httpx": {
        "exchange/har_load.__aiter__", "exchange/har_load.handle_async_request",
        "wire/transport.read", "wire/transport.write", "wire/transport.connect_tcp",
        "wire/transport.connect_unix_socket", "wire/transport._connect_errors",
        "wire/transport.handle_async_request", "wire/transport._proxy",
        "wire/encodings._brotli", "wire/encodings._until_the_damage",
        "wire/encodings.feed", "recorder/records.check_record", "recorder/records._check_items",
        "recorder/records._check_times",
        "wire/transport._httpx_errors", "wire/sockets.connect", "wire/sockets.receive",
        "wire/sockets._wait",
    },
    "between our own processes and threads: caught there, or a mistake in this package": {
        "recorder/process.frame", "recorder/records.written", "recorder/records.__getattr__",
        "recorder/process.read_frame", "recorder/process._read",
        "recorder/process.read_job", "recorder/process._take", "recorder/process.place",
        "recorder/recorder.last_read", "recorder/records.start_of", "sweep/study.result",
        "recorder/process._unanswered", "recorder/calibration.measure",
        "checkout._open", "recorder/job.check", "sweep/cluster._on_loop", "sweep/fleet._meet",
        "sweep/fleet._enter", "sweep/fleet._lend", "sweep/fleet._listen",
        "sweep/host._ask_station", "sweep/host._may_start",
        "engine._place_here", "charts/pictures._within", "recordings/stored_stages.place",
    },
}  # fmt: skip


def called(node):
    """The last name of what is called, or None."""
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", None)


# Not when tests are collected: each process does that, and one of them runs these.
@cache
def sources():
    return {module: ast.parse(path.read_text("utf-8")) for module, path in PATHS.items()}


@cache
def raises():
    """Each place that raises something: where, and what."""

    def walk(node, module, function):
        for child in ast.iter_child_nodes(node):
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            name = child.name if inside else function
            if isinstance(child, ast.Raise) and child.exc is not None:
                yield f"{module}.{name}", child.exc
            yield from walk(child, module, name)

    return [place for module, tree in sources().items() for place in walk(tree, module, "")]


@cache
def functions():
    return [
        (f"{module}.{node.name}", node)
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@cache
def makers():
    """``coded_error``, and the functions that return what it makes."""
    return {"coded_error"} | {
        node.name
        for _, node in functions()
        for inner in ast.walk(node)
        if isinstance(inner, ast.Return) and called(inner.value) == "coded_error"
    }


def codes_in(node):
    return [
        inner.value
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and CODE.fullmatch(str(inner.value))
    ]


def words_in(node):
    """All texts of a function except its docstring."""
    first = node.body[0]
    described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    for statement in node.body[described:]:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value


@cache
def said():
    """Each text of a function that makes an error with a code: where, and the text."""
    return [
        (where, text)
        for where, node in functions()
        if any(called(inner) == "coded_error" for inner in ast.walk(node))
        for text in words_in(node)
    ]


def test_whatever_a_person_can_meet_is_raised_with_a_code():
    exempt = set().union(*NO_PERSON_MEETS.values())
    known = makers() | HAVE_A_CODE
    without = {
        where
        for where, what in raises()
        if called(what) not in known and ast.unparse(what) not in RAISED_LATER
    }
    assert without == exempt


def test_there_are_places_to_look_at():
    assert sum(called(what) in makers() for _, what in raises()) > 120
    assert len({where for where, _ in said()}) > 80


def test_every_code_is_used_and_every_used_code_is_in_the_table():
    used = {code for module in sources().values() for code in codes_in(module)}
    assert used == set(MESSAGES)


def test_codes_are_in_order_and_below_a_subject():
    assert list(MESSAGES) == sorted(MESSAGES)
    assert all(CODE.fullmatch(code) and code[3] in GROUPS for code in MESSAGES)
    assert {code[3] for code in MESSAGES} == set(GROUPS)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
def test_each_has_a_title_a_cause_and_a_fix_in_short_sentences(message):
    assert message.title
    assert not message.title.endswith(".")
    for text in (message.cause, message.fix):
        assert text.endswith(".")
        assert all(len(sentence.split()) <= 25 for sentence in text.split(". "))


def test_no_message_has_a_form_that_is_hard_to_read():
    hard = re.compile(r"\bis no\b|, too\b|;.*;")
    assert not [(where, text) for where, text in said() if hard.search(text)]


def test_no_message_is_a_quoted_key_error():
    assert not [where for where, what in raises() if called(what) == "KeyError"]
    assert str(coded_error(UnknownName, "FNB308", "Unknown stage 'x'.")) == (
        "Unknown stage 'x'. [FNB308]"
    )
    assert str(UnknownName()) == ""


@cache
def private():
    classes = {
        node.name
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    shown = {
        name
        for path in (ROOT / "firmly_nb").rglob("__init__.py")
        for name in re.findall(r"[\"'](\w+)[\"']", path.read_text("utf-8"))
    }
    # A private class that is called as an English word is not told from the word.
    return {name for name in classes - shown if re.search(r"[a-z][A-Z]|^_|^Options$", name)}


def test_no_message_names_a_private_class():
    named = [(where, private() & set(re.findall(r"\w+", text))) for where, text in said()]
    assert not [found for found in named if found[1]]


def test_there_are_private_classes_to_look_for():
    assert {"Options", "WorkerProcess", "PlanFile"} <= private()


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: remove_check("totl"), "Unknown check 'totl'. Did you mean total? [FNB318]"),
        (
            lambda: run_checks(fnb.Recordings([]).events, only=["totl"]),
            "Unknown check 'totl'. Did you mean total? [FNB318]",
        ),
        (
            lambda: explain_orders(fnb.Recordings([]).orders, fields=["domian"]),
            "Unknown column 'domian'. Did you mean domain? [FNB303]",
        ),
        (
            lambda: explain_orders(fnb.Recordings([]).orders, target="latency"),
            "Unknown column 'latency'. ",
        ),
        (
            lambda: fnb.Recordings([]).where(domian="a"),
            "Unknown column 'domian' for orders. Did you mean domain? [FNB303]",
        ),
        (
            lambda: fnb.Recordings([]).relation("order"),
            "Unknown relation 'order'. Did you mean orders? [FNB305]",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_met_with_one_that_does(mistake, words):
    with pytest.raises(KeyError) as caught:
        mistake()
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("place", [0, -1, 3])
def test_a_recording_that_is_not_there_is_said_to_be_beyond_the_last(place):
    with pytest.raises(IndexError) as caught:
        fnb.Recordings([])[place]
    assert str(caught.value) == f"There are 0 recordings, counted from 0; got {place}. [FNB319]"


# The ten examples of what a message is to say: each is provoked as a user would.


@pytest.fixture
def messages(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    order = fnb.Order.example()
    recording = lab.place(order, progress=False)
    one = fnb.Recordings([recording])
    form = fnb.OrderForm(lab)
    return {
        "an option": lambda: lab.place(order, timout_s=3),
        "an option of a sweep": lambda: lab.sweep(order, count=1, timout_s=3),
        "an option of connect": lambda: fnb.connect(profil="instant"),
        "a path": lambda: fnb.load("nope"),
        "a card": lambda: fnb.Card.test("foo"),
        "a margin": lambda: one.compare(one, margin=10),
        "an order": lambda: lab.place("WS12"),
        "an event": lambda: recording.show_cart(9),
        "an address": lambda: fnb.Address.example(email="ada"),
        "a simulator option": lambda: fnb.connect("staging", app_id="x", profile="typical"),
        "a number of orders": lambda: form.place_times(500),
    }


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("an option", "Unknown option 'timout_s' for place(). Did you mean timeout_s? [FNB104]"),
        (
            "an option of a sweep",
            "Unknown option 'timout_s' for sweep(). Did you mean timeout_s? [FNB104]",
        ),
        (
            "an option of connect",
            "Unknown option 'profil' for connect(). Did you mean profile? [FNB104]",
        ),
        ("a path", "No such path: 'nope'. Pass a saved set, journal or folder. [FNB401]"),
        (
            "a card",
            (
                "Unknown test card 'foo'. Use visa, visa2, mastercard, amex, discover, declined. "
                "[FNB103]"
            ),
        ),
        ("a margin", "margin must be between 0 and 1, got 10. For 10% pass 0.10. [FNB309]"),
        ("an order", "order must be a fnb.Order, got str. Try fnb.Order.example(). [FNB102]"),
        ("an event", "Event 9 has no cart. Events with one: 2, 3, 4. [FNB301]"),
        (
            "an address",
            (
                "Address is not valid:\n"
                "  email: not a valid e-mail address. Example: ada@example.test. [FNB101]"
            ),
        ),
        (
            "a simulator option",
            "profile is a simulator option; this lab uses staging. [FNB003]",
        ),
        (
            "a number of orders",
            "times must be 1 to 100, got 500. For more, use lab.sweep(). [FNB702]",
        ),
    ],
)
def test_a_mistake_is_answered_with_what_is_allowed_and_what_to_do(messages, what, words):
    with pytest.raises(Exception, match=r"\[FNB\d{3}\]$") as caught:
        messages[what]()
    assert str(caught.value) == words
    assert f"[{code_of(caught.value)}]" == words[-8:]
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), code_of(again)) == (
        type(caught.value),
        words,
        code_of(caught.value),
    )


def test_a_form_says_that_it_is_placing_and_how_to_stop(connect, until):
    form = fnb.OrderForm(connect(environment="simulator", profile="instant", fault="stall"))
    placing = form.place()
    until(lambda: form.running, "an order")
    with pytest.raises(RuntimeError) as caught:
        form.place()
    assert str(caught.value) == (
        "An order is already running. Stop it with form.cancel(). [FNB701]"
    )
    form.cancel()
    placing.wait()


@pytest.mark.parametrize(
    "error",
    [
        coded_error(ValueError, "FNB309", "margin must be between 0 and 1, got 10."),
        coded_error(UnknownName, "FNB308", "Unknown stage 'x'."),
        coded_error(GuardError, "FNB004", "x is a production host."),
        coded_error(NewerFormatError, "FNB405", "Upgrade firmly-nb."),
        coded_error(BudgetError, "FNB518", "Nothing was sent."),
        coded_error(FileNotFoundError, "FNB401", "No such path: 'nope'."),
        make_error("ErrorPaymentDeclined", "no", 422),
        make_error("UnexpectedAnswer", "the cart is not a JSON object"),
        fnb.InvalidOrder("Order", [("domain", "must not be empty.")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_code_travels_with_its_error(error):
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), again.code) == (type(error), str(error), error.code)
    assert str(error).endswith(f" [{error.code}]")
    assert code_of(error) == error.code


def test_errors_of_others_have_no_code():
    assert code_of(ValueError("x")) is None
    exit_code = SystemExit(2)
    assert (exit_code.code, code_of(exit_code)) == (2, None)


APP_ID = "5f0c2a9e-1d7b-4c55-9a51-planted00001"
PLANTED = "planted@example.test"
NUMBER = "4111111111111111"


@pytest.mark.parametrize(
    ("mistake", "secret"),
    [
        (lambda: fnb.connect(APP_ID), APP_ID),
        (lambda: fnb.connect(APP_ID, api_url="http://127.0.0.1:1"), APP_ID),
        (lambda: fnb.connect("staging", app_id=f"{APP_ID} "[::-1] + "\n é"), APP_ID[::-1]),
        (lambda: fnb.connect(api_url=f"https://{APP_ID}@api.firmly.work"), APP_ID),
        (lambda: fnb.Card.test(NUMBER), NUMBER),
        (lambda: fnb.Card.test("123"), "123"),
        (lambda: fnb.Card.test(int(NUMBER)), NUMBER),
        (lambda: fnb.Card(number="4111", name=PLANTED), PLANTED),
        (lambda: fnb.Address.example(email=f"{PLANTED}@"), PLANTED),
        (lambda: fnb.grid(fnb.Order.example(), shipping_info=PLANTED), PLANTED),
        (
            lambda: fnb.grid(
                fnb.Order.example(), shipping_info=fnb.Address.example(email=PLANTED)
            ),
            PLANTED,
        ),
        (lambda: fnb.grid({"email": PLANTED}, quantity=[1]), PLANTED),
    ],
)  # fmt: skip
def test_no_message_repeats_a_secret_or_an_address(mistake, secret):
    with pytest.raises((ValueError, TypeError, GuardError)) as caught:
        mistake()
    assert code_of(caught.value)
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value)


@given(st.text() | st.binary() | st.floats() | st.none() | st.lists(st.text()))
def test_whatever_is_quoted_is_one_bounded_line_that_steers_no_terminal(value):
    text = str(coded_error(ValueError, "FNB309", f"x must be y, got {quoted(value)}."))
    assert text.isprintable()
    assert len(text) < 120
    assert text.endswith(" [FNB309]")
    assert without_code(text).startswith("x must be y, got ")


@given(st.sampled_from(["sse", "warm", "timeout_s", "headers"]), st.data())
def test_a_slip_of_one_letter_is_met_with_the_name_that_was_meant(name, data):
    at = data.draw(st.integers(0, len(name) - 1))
    slip = name[:at] + name[at + 1 :]
    known = ["sse", "warm", "timeout_s", "headers"]
    assert f"Did you mean {name}?" in unknown("option", slip, known, "place()")


# The table where people read it.


def test_the_page_of_messages_is_what_the_code_says():
    script = ROOT / "scripts" / "write_tables_page.py"
    space = {"__name__": "page", "__file__": str(script)}
    exec(script.read_text("utf-8"), space)
    page = (ROOT / "docs" / "messages.md").read_text("utf-8")
    assert space["messages_page"]() == page
    assert re.findall(r"^### (FNB\d{3}): ", page, re.MULTILINE) == list(MESSAGES)


@pytest.mark.parametrize("word", ["FNB010", "fnb010", " [FNB010] "])
def test_a_code_is_explained_on_the_command_line(command, word):
    code, said, complained = command("explain", word)
    assert (code, complained) == (0, "")
    message = MESSAGES["FNB010"]
    assert said == (f"FNB010: {message.title}\n\nCause: {message.cause}\nFix: {message.fix}\n")


def test_a_code_that_does_not_exist_leads_to_those_near_it(command):
    code, said, complained = command("explain", "FNB299")
    assert (code, said) == (2, "")
    assert complained == (
        "firmly-nb: Unknown code 'FNB299'. Codes near it: FNB301, FNB302, FNB303. [FNB803]\n"
    )
    with pytest.raises(UnknownName, match="A code is FNB and three digits, such as FNB001"):
        explain("what?")
