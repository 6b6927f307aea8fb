"""Calls that do not fit: each is met with what is wrong, what is allowed and what to do.

Every option of every public call is misspelt; what analysts do wrong is done, and the words are
compared whole.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
import re
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import card_lines, code_of
from scripts import check_messages

ROOMS = [
    fnb,
    *(import_module(f"firmly_nb.{m.name}") for m in iter_modules(fnb.__path__) if m.ispkg),
]
# What analysts hold in their hands, made by calls of others.
HELD = [
    fnb.Lab,
    fnb.Recording,
    fnb.Recordings,
    fnb.Sweep,
    fnb.OrderForm,
    fnb.SweepPanel,
    fnb.Timeline,
    fnb.CartView,
    fnb.Budget,
    fnb.Order,
    fnb.Item,
    fnb.Address,
    fnb.Card,
    fnb.Flow,
    import_module("firmly_nb.checkout").Checkout,
    import_module("firmly_nb.recordings.groups").Groups,
    import_module("firmly_nb.recordings.show").Charts,
    import_module("firmly_nb.widgets.order_run").OrderRun,
    import_module("firmly_nb.conformance.result").Conformance,
    import_module("firmly_nb.attempt").Attempt,
]
# Whatever is passed by name is a column, a filter or a field there: those have tests of their own.
TAKE_ANY_NAME = {
    "firmly_nb.grid", "firmly_nb.report", "firmly_nb.sweep.grid", "firmly_nb.report.report_html",
    "Lab.search", "Lab.search_async", "Recordings.where", "SweepPanel", "SweepPanel.set",
    "Lab.complete_order", "Lab.complete_order_async",
    "Order.example", "Address.example", "Card.test", "Flow.example", "Flow.changed",
}  # fmt: skip


def functions_of_rooms():
    for room in ROOMS:
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isfunction(value):
                yield f"{room.__name__}.{name}", value, False


def methods():
    for kind in HELD:
        for base in kind.__mro__:
            if not base.__module__.startswith("firmly_nb"):
                continue
            for name, member in vars(base).items():
                inner = getattr(member, "__func__", member)
                if inspect.isfunction(inner) and (name == "__init__" or name[0] != "_"):
                    where = kind.__name__ if name == "__init__" else f"{kind.__name__}.{name}"
                    yield where, inner, not isinstance(member, staticmethod)


OF_PYDANTIC = {"model_validate", "model_validate_json", "model_validate_strings"}
CALLS = {where: (call, bound) for where, call, bound in [*functions_of_rooms(), *methods()]}
OURS = {
    where: one
    for where, one in CALLS.items()
    if where.rpartition(".")[2] not in OF_PYDANTIC and one[0].__qualname__ != "ApiModel.__init__"
}
NAMED = [where for where in OURS if where not in TAKE_ANY_NAME]


def names_of(call, bound):
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    asked = list(inspect.signature(call).parameters.values())[bound:]
    return [one.name for one in asked if one.kind in by_name]


def refused(call, bound, options):
    async def awaited():
        made = call(*[None] * bound, **options)
        return await made if inspect.iscoroutine(made) else made

    with pytest.raises(TypeError) as caught:
        asyncio.run(awaited())
    return caught.value


def test_there_are_calls_to_look_at():
    assert len(NAMED) > 250
    assert set(OURS) >= TAKE_ANY_NAME
    assert sum(bool(names_of(*OURS[where])) for where in NAMED) > 150


@pytest.mark.parametrize("where", OURS)
def test_each_public_call_answers_for_itself_and_looks_as_it_did(where):
    call, _ = OURS[where]
    inner = call.__wrapped__
    assert str(inspect.signature(call)) == str(inspect.signature(inner))
    names = ("__name__", "__qualname__", "__doc__")
    assert [getattr(call, name) for name in names] == [getattr(inner, name) for name in names]
    assert inner.__module__.startswith(call.__module__), "where it is, or the room that shows it"
    assert inspect.iscoroutinefunction(call) == inspect.iscoroutinefunction(inner)
    assert inspect.unwrap(call) is inner, "what shows its source finds it"


@pytest.mark.parametrize("where", NAMED)
def test_a_misspelt_option_is_met_with_the_one_that_was_meant(where):
    call, bound = OURS[where]
    names = names_of(call, bound)
    for name in names:
        for at in range(len(name)):
            slip = name[:at] + name[at + 1 :]
            if slip not in names and slip:
                error = refused(call, bound, {slip: "planted"})
                assert code_of(error) == "FNB104"
                assert str(error).startswith(f"Unknown option '{slip}' for ")
                # order_a and order_b are as near to order_.
                assert name in str(error).partition(". ")[2] or slip == "order_"
                assert len(card_lines(error)) <= 6
    error = refused(call, bound, {"something_else_altogether": "planted"})
    assert code_of(error) == "FNB104"
    assert "planted" not in str(error)
    assert len(card_lines(error)) <= 6


def test_functions_travel_between_processes_and_stay_the_same():
    for where, call, _ in functions_of_rooms():
        assert pickle.loads(pickle.dumps(call)) is call, where


def test_doctests_of_what_answers_for_itself_are_still_found():
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
         "firmly_nb/carts/paths.py", "firmly_nb/connect.py", "firmly_nb/lab.py"],
        capture_output=True, text=True, timeout=200, check=False,
    ).stdout  # fmt: skip
    assert "firmly_nb.lab.Lab.settle" in said
    assert "firmly_nb.connect.connect" in said


# What people do wrong, and what they read. Each message whole, without its code.

ORDER = "fnb.Order.example()"
MISTAKES = {
    # options and arguments
    "lab.place(order, setle=True)": "Unknown option 'setle' for place(). Did you mean settle?",
    "lab.place(order, settle='maybe')": (
        "settle must be True or False, got 'maybe'. Try settle=True."
    ),
    "lab.place(order, card='visa')": "card must be a fnb.Card, got str. Try fnb.Card.test().",
    "lab.place(order, on_record=7)": "on_record must be a function, got int. Try on_record=print.",
    "lab.place(order, run_id='\\ud800')": (
        "run_id has the character '\\ud800', which cannot be written. Remove it from run_id."
    ),
    "fnb.Recordings(3)": "recordings must be a list, got int. Try recordings=[...].",
    "fnb.Recordings([rec, 3])": (
        "each of recordings must be a fnb.Recording, got int. Try fnb.Recordings([lab.last])."
    ),
    "fnb.Recordings(rec)": "recordings must be a list, got Recording. Try recordings=[...].",
    "lab.place(order, run_id=5)": 'run_id must be a text, got int. Try run_id="...".',
    "lab.place(order, tags='nightly')": (
        'tags must be a dict of texts by name, got str. Try tags={"branch": "main"}.'
    ),
    "lab.place(order, tags={'a': '\\ud800'})": (
        "tags has the character '\\ud800', which cannot be written. Remove it from tags."
    ),
    "lab.place()": "place() needs order. Write place(order=...).",
    "lab.start(order, setle=True)": "Unknown option 'setle' for start(). Did you mean settle?",
    "lab.flow(domian='a')": "Unknown option 'domian' for flow(). Did you mean domain?",
    "lab.sweep(order, cuont=5)": "Unknown option 'cuont' for sweep(). Did you mean count?",
    "lab.sweep(count=5)": "sweep() needs orders. Write sweep(orders=...).",
    "lab.sweep(order, count=-5)": (
        "count must be a whole number from 1 to 10\u202f000\u202f000, got -5. Try count=20."
    ),
    "lab.sweep(order, count=1, seed=10**30)": (
        "seed must be a whole number up to 9223372036854775807, got "
        "1000000000000000000000000000000. Pass seed=7."
    ),
    "lab.sweep(order, count=1, name='a\\ud800')": (
        "name has the character '\\ud800', which cannot be written. Remove it from name."
    ),
    "lab.sweep(order, rate='fast')": (
        'rate must be orders per second, or a text like "30/min", "2/s" or "100/h", got \'fast\'. '
        'Try rate="30/min".'
    ),
    "lab.session(True)": (
        "session() takes no argument by place, got 1 argument. Write session(renew=...)."
    ),
    "lab.close('now')": "close() takes no argument by place, got 1 argument. Remove it.",
    "lab.products('')": (
        "domain must be the host name of a merchant, got ''. Example: staging.luma.gift. Nothing "
        "was sent."
    ),
    "lab.cart('https://staging.luma.gift/')": (
        "domain must be the host name of a merchant, got 'https://staging.luma.gift/'. Example: "
        "staging.luma.gift. Nothing was sent."
    ),
    "lab.variants(' ')": (
        "handle must name a product, got ' '. List them with lab.products(). Nothing was sent."
    ),
    "lab.search('')": (
        "query must have words to search for, got ''. Try lab.search(\"hoodie\"). Nothing was sent."
    ),
    "lab.flow('')": (
        "The order names no merchant. Example: staging.luma.gift. Nothing was sent."
    ),
    "lab.variants()": "variants() needs handle. Write variants(handle=...).",
    "lab.products('\\ud800')": (
        "domain has the character '\\ud800', which cannot be written. Remove it from domain."
    ),
    "lab.settle(7)": "rec must be a fnb.Recording, got int. Try lab.last.",
    "lab.calibrate(events=0)": "events must be at least 1, got 0. Try events=200.",
    "fnb.Lab()": "Lab() needs bench. Open one with fnb.connect().",
    "lab.complete_order('staging.luma.gift', crd=5)": (
        "Unknown option 'crd' for complete_order(). Did you mean card?"
    ),
    # connect
    "fnb.connect(seed='x')": "seed must be a whole number, got 'x'. Example: seed=7.",
    "fnb.connect(token_lifetime_s='x')": (
        "token_lifetime_s must be a whole number, got 'x'. Example: token_lifetime_s=3600."
    ),
    "fnb.connect(profile='instnt')": "Unknown profile 'instnt'. Did you mean instant?",
    "fnb.connect(fault='stal')": "Unknown fault 'stal'. Did you mean stall?",
    "fnb.connect(event_names='x')": "Unknown event_names 'x'. Use reference, guide.",
    "fnb.connect(keep_personal='yes')": (
        "keep_personal must be True or False, got 'yes'. Try keep_personal=True."
    ),
    "fnb.connect('stagin')": "Unknown environment 'stagin'. Did you mean 'staging'?",
    "fnb.connect(app_id=5)": 'app_id must be a text, got int. Try app_id="...".',
    # recordings
    "recs.where(domian='a')": "Unknown column 'domian' for orders. Did you mean domain?",
    "recs.where(outcome='plced')": "Unknown outcome 'plced'. Did you mean placed?",
    "recs.by('domian')": "Unknown column 'domian' for by(). Did you mean domain?",
    "recs.by(evry='1h')": "Unknown option 'evry' for by(). Did you mean every?",
    "recs.slo(1500)": "slo() needs share. Write slo(share=...).",
    "recs.slo(1500, 95)": "share must be between 0 and 1, got 95. For 95% pass 0.95.",
    "recs.slo(order=1500)": "Unknown option 'order' for slo(). Did you mean order_ms?",
    "recs.latency(levl=0.9)": "Unknown option 'levl' for latency(). Did you mean level?",
    "recs.compare(recs, magin=0.1)": "Unknown option 'magin' for compare(). Did you mean margin?",
    "recs.compare(recs, 0.1, 0.2)": (
        "compare() takes other and margin by place, got 3 arguments. "
        "Write compare(other, margin, tail_margin=...)."
    ),
    "recs.compare(recs, other=recs)": (
        "compare() got other twice: by place and by name. Pass it once."
    ),
    "recs.compare(recs, like_for_like='domain')": (
        "like_for_like must be True or False, got 'domain'. Try like_for_like=True."
    ),
    "recs.explain(resample=5)": "Unknown option 'resample' for explain(). Did you mean resamples?",
    "recs.order_column('domian')": "Unknown column 'domian' for orders. Did you mean domain?",
    "recs.relation('orders', connection='x')": (
        "connection must be a DuckDB connection, got str. Try duckdb.connect()."
    ),
    "recs.export('x', fromat='csv')": "Unknown option 'fromat' for export(). Did you mean format?",
    "recs.export('x', format='cvs')": "Unknown format 'cvs'. Use parquet, csv, xlsx, jsonl.",
    "recs.har('')": "The path is empty: ''. Write the whole path, or ~/ for your home folder.",
    "recs.har('.')": (
        "`.` cannot be written: It is a folder. Name a file in a folder that exists."
    ),
    "recs.har('a\\0b')": (
        "path has the character '\\x00', which cannot be written. Remove it from path."
    ),
    "recs.save('s', notes='\\ud800')": (
        "notes has the character '\\ud800', which cannot be written. Remove it from notes."
    ),
    "recs.charts.waterfall(most=0)": (
        "most must be a whole number of at least 1, got 0. Try most=40."
    ),
    "recs.charts.compare(recs, names=[1])": (
        'names must be two texts, got list. Try names=("monday", "tuesday").'
    ),
    "recs[5]": "There is 1 recording, counted from 0; got 5.",
    "fnb.load('x' * 300)": (
        "path has a name of 300 characters; 255 are possible. Pass a shorter path."
    ),
    "fnb.load(path=5)": 'path must be a path, got int. Try path="...".',
    "fnb.plan(recs, chnge=0.1)": "Unknown option 'chnge' for plan(). Did you mean change?",
    "fnb.report(recs, ttle='x')": "Unknown option 'ttle' for report(). Did you mean title?",
    # orders
    "fnb.Budget(order=5)": "Unknown option 'order' for Budget(). Did you mean orders?",
    "fnb.Budget(orders=-5)": (
        "budget.orders must be a whole number above 0, got -5. Try orders=100."
    ),
    "fnb.Order.example(quantty=5)": (
        "Unknown option 'quantty' for example(). Did you mean quantity?"
    ),
    "fnb.Card.test(knd='visa')": "Unknown option 'knd' for test(). Did you mean kind?",
    "fnb.Order()": "Order is not valid:\n  domain, items, shipping_info: are required.",
    # widgets
    "fnb.OrderForm()": "OrderForm() needs lab. Write OrderForm(lab=...).",
    "fnb.OrderForm('x')": "lab must be a lab, got str. Try fnb.connect().",
    "fnb.OrderForm(lab, ordr=order)": (
        "Unknown option 'ordr' for OrderForm(). Did you mean order?"
    ),
    "fnb.Timeline(rec, algn='x')": "Unknown option 'algn' for Timeline(). Did you mean align?",
    "setattr(fnb.Timeline(rec), 'align', 5)": (
        "align must be a text, got int. help(...) says more."
    ),
    "setattr(fnb.Timeline(rec), 'details', 'yes')": (
        "details must be True or False, got str. help(...) says more."
    ),
    "fnb.CartView(rec, seq=99)": "The recording has no event 99. Events: 1, 2, 3, 4.",
    "fnb.allow_nested_loops(True)": (
        "allow_nested_loops() takes no argument by place, got 1 argument. Remove it."
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def at_hand(tmp_path_factory):
    """What an analyst has after the first order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRMLY_NB_HOME", str(tmp_path_factory.mktemp("home")))
        with fnb.connect(profile="instant") as lab:
            order = fnb.Order.example()
            rec = lab.place(order, progress=False)
            yield {
                "fnb": fnb, "lab": lab, "order": order, "rec": rec, "recs": fnb.Recordings([rec]),
            }  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_met_with_these_words(mistake, at_hand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sent = at_hand["lab"].last
    with pytest.raises(Exception, match=r"\[FNB\d{3}\]$") as caught:
        eval(mistake, dict(at_hand))
    said = str(caught.value)
    assert said == f"{MISTAKES[mistake].replace('`', '')} [{code_of(caught.value)}]"
    assert len(card_lines(caught.value)) <= 6
    assert at_hand["lab"].last is sent, "nothing was sent"
    assert not list(tmp_path.iterdir()), "nothing was written"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plce", "No such command 'plce'. Did you mean place?"),
        ("place --cuont 3", "No such option: --cuont. See firmly-nb place --help."),
        ("sweep --cuont 3", "No such option: --cuont. Did you mean --count?"),
        (
            "sweep --count x",
            ("Invalid value for '--count': must be a whole number, got 'x'. "
             "See firmly-nb sweep --help."),
        ),
        ("sweep --count -3", ("--count must be a whole number from 1 to 10\u202f000\u202f000, "
                              "got -3. Try --count 20.")),
        ("explain", "Missing argument 'code'. See firmly-nb explain --help."),
        ("place --card vsia", "Unknown test card 'vsia'. Did you mean visa?"),
        ("place --environment stagin", "Unknown environment 'stagin'. Did you mean 'staging'?"),
        ("demo --profile instnt", "Unknown profile 'instnt'. Did you mean instant?"),
        ("load nope", "No such path: 'nope'. Pass a saved set, journal or folder."),
    ],
)  # fmt: skip
def test_a_command_that_is_wrong_is_met_with_one_line_with_a_code(words, said, command):
    code, written, complained = command(*words.split())
    assert (code, written) == (2, "")
    assert re.fullmatch(rf"firmly-nb: {re.escape(said)} \[FNB\d{{3}}\]\n", complained)


def test_a_field_that_is_wrong_in_many_ways_is_told_in_a_few_lines():
    with pytest.raises(fnb.InvalidOrder) as caught:
        fnb.Address.example(**dict.fromkeys(fnb.Address.model_fields, 5))
    assert len(card_lines(caught.value)) <= 6
    assert "and 9 more: correct these first." in str(caught.value)
    assert len(caught.value.problems) == len(fnb.Address.model_fields)


NUMBER = "4111111111111111"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: fnb.connect(keep_personal=NUMBER),
        lambda: fnb.connect(NUMBER, NUMBER),
        lambda: fnb.load(pth=NUMBER),
        lambda: fnb.Card.test(knd=NUMBER),
        lambda: fnb.OrderForm(NUMBER),
        lambda: fnb.Recordings([]).slo(NUMBER, NUMBER, NUMBER, NUMBER),
    ],
)
def test_what_was_passed_is_in_no_message_where_it_could_be_a_card(mistake):
    with pytest.raises((TypeError, ValueError)) as caught:
        mistake()
    assert code_of(caught.value)
    assert NUMBER not in f"{caught.value} {caught.value!r}"


@public
def asked(
    number: float = 1.0,
    text: str | None = None,
    *,
    flag: bool = False,
    many: list[int] | None = None,
) -> str:
    return f"{float(number)}{text}{flag}{sorted(many or [])}"


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.lists(st.integers() | st.text(), max_size=3), st.dictionaries(st.text(), st.integers()),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["number", "text", "flag", "many"]) | st.text(), ANYTHING))
def test_whatever_is_passed_is_taken_or_met_with_a_code(options):
    try:
        said = asked(**options)
    except (TypeError, ValueError) as error:
        said, code = str(error), code_of(error)
    else:
        code = "taken" if options.keys() <= {"number", "text", "flag", "many"} else None
    assert code
    assert said.isprintable() or code == "taken"


@pytest.mark.parametrize("flag", [True, False, 0, 1])
def test_a_flag_may_be_what_pandas_has_for_one(flag):
    import numpy as np

    assert asked(flag=flag)
    assert asked(flag=np.bool_(flag))


def test_a_fault_of_our_own_is_not_taken_for_a_mistake():
    @public
    def broken(number: int = 1):
        return {}["nothing"]

    with pytest.raises(KeyError) as caught:
        broken(2)
    assert code_of(caught.value) is None
    with pytest.raises(TypeError, match=r"number must be a whole number, got str\."):
        broken("x")


# The rules of scripts/check_messages.py find planted faults, and nothing in a good text.


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("{x} must be 1, got {y}. Pass 1.", []),
        ("No such path: '{path}'. Pass a saved set.", []),
        ("{unknown('column', name, names)}", []),
        ("{x} must be 1, got {y}.", ["no next step"]),
        ("The plan is no plan. Pass one.", ["'is no' (say 'is not a')"]),
        ("The _PlanFile is broken. Pass one.", ["'_PlanFile' (a private name)"]),
        ("ValidationError in x. Pass one.", ["'ValidationError' (a library's name)"]),
    ],
)
def test_the_rules_of_messages_find_what_is_wrong_with_a_text(text, problems):
    assert list(check_messages.text_problems(check_messages.Said("a", 1, "f", text))) == problems


def test_a_code_without_a_section_is_found():
    page = check_messages.PAGE.read_text("utf-8")
    assert list(check_messages.page_problems(page)) == []
    without = page.replace('<a id="fnb010"></a>', "").replace("Fix: Use the type", "")
    assert list(check_messages.page_problems(without)) == [
        "FNB010 has no section in messages.md with its code as anchor"
    ]
    assert "FNB001 has no cause or no fix" in list(
        check_messages.page_problems(page.replace("Cause: connect() has", "connect() has"))
    )


def test_there_are_texts_to_judge():
    assert len(list(check_messages.all_texts())) > 200
