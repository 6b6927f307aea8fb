"""Forms saved by name: whole or not at all, for the user alone, and read with care."""

from __future__ import annotations

import stat
import sys
import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.widgets.draft import Draft, changes_for
from firmly_nb.widgets.order_form import OrderForm
from firmly_nb.widgets.presets import LARGEST_FILE, LONGEST_NAME, PresetError, Presets
from tests.disks import files_of_at_most

DRAFT = vars(Draft(**changes_for(fnb.Order.example())))


@pytest.fixture
def presets(tmp_path):
    return Presets(tmp_path / "presets")


def test_a_form_comes_back_as_it_was_saved(lab, home):
    form = OrderForm(lab)
    assert form.presets == []
    hoodie = fnb.Item(variant_id="MH07-XS-Gray", quantity=2)
    form.order = order = fnb.Order.example(
        items=[*fnb.Order.example().items, hoodie],
        billing_info=fnb.Address.example(city="Tacoma", company="A & Co"),
    )
    form.card_name, form.sse, form.warm, form.times = "amex", False, False, 7
    form.save_preset("Two lines")
    other = OrderForm(lab)
    assert other.presets == ["Two lines"]
    other.load_preset("Two lines")
    assert other.order == order
    assert (other.card_name, other.sse, other.warm, other.times) == ("amex", False, False, 7)
    assert other.problems == {}
    other.delete_preset("Two lines")
    assert form.presets == []
    assert list((home / "presets").iterdir()) == []


def test_the_strip_saves_loads_and_deletes(lab):
    form = OrderForm(lab)

    def send(kind, name):
        form._strip.view._handle_custom_msg({"type": kind, "name": name}, [])

    send("save", "Tee")
    assert form._strip.view.presets == ["Tee"]
    form.card_name = "amex"
    send("load", "Tee")
    assert form.card_name == "visa"
    send("delete", "Tee")
    assert form._strip.view.presets == []
    send("load", "Tee")
    assert form._strip.view.notice.startswith("Unknown preset ")
    send("save", " ")
    assert form._strip.view.notice == (
        f"name must be 1 to {LONGEST_NAME} printable characters, got ''. Choose another. [FNB409]"
    )


def test_an_open_panel_has_what_another_form_saved(lab):
    form, other = OrderForm(lab), OrderForm(lab)
    other.save_preset("theirs")
    form._strip.view.set_state({"shown": "presets"})
    assert form._strip.view.presets == ["theirs"]


def test_a_form_that_is_not_finished_can_be_saved_too(lab):
    form = OrderForm(lab)
    city = {**form._draft.now.shipping, "city": ""}
    form._draft.put({"merchant": "", "items": [], "shipping": city})
    form.save_preset("half")
    other = OrderForm(lab)
    other.load_preset("half")
    assert other.problems == form.problems != {}


def test_only_the_user_may_read_it(presets):
    presets.save("mine", DRAFT)
    (path,) = presets.directory.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(presets.directory.stat().st_mode) == 0o700


def test_no_card_data_is_in_a_file(presets):
    presets.save("typed", {**DRAFT, "card_name": "typed"})
    (path,) = presets.directory.iterdir()
    assert set(orjson.loads(path.read_bytes())) == {*DRAFT, "name", "format_version"}


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "C:\\x",
    "<script>",
    "né 🧦",
    "سلام",
]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.isprintable()])
def test_a_name_can_be_anything_that_can_be_printed(presets, tmp_path, name):
    presets.save(name, DRAFT)
    assert presets.names() == [name]
    assert presets.load(name) == DRAFT
    assert {path.parent for path in tmp_path.rglob("*.json")} == {presets.directory}


@pytest.mark.parametrize("name", ["", "  ", "x" * (LONGEST_NAME + 1), "a\nb", "a\x00b", "\u202ea"])
def test_what_cannot_be_a_name_is_refused(presets, name):
    with pytest.raises(ValueError, match="printable characters, got"):
        presets.save(name, DRAFT)


@given(name=st.text(max_size=100))
def test_whatever_the_name_nothing_is_written_outside_the_folder(name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    presets = Presets(folder / "inner")
    try:
        presets.save(name, DRAFT)
    except ValueError:
        assert list(folder.rglob("*.json")) == []
    else:
        assert presets.names() == [name.strip()]
        assert {path.parent for path in folder.rglob("*.json")} == {folder / "inner"}


def test_saving_again_replaces(presets):
    presets.save("a", DRAFT)
    presets.save("a", {**DRAFT, "card_name": "amex"})
    assert presets.names() == ["a"]
    assert presets.load("a")["card_name"] == "amex"


def test_one_that_is_not_there_says_which_are(presets):
    presets.save("a", DRAFT)
    with pytest.raises(KeyError, match=r"^Unknown preset 'b'\. Use a\."):
        presets.load("b")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"name": "x"}', b"\xff", b" " * (LARGEST_FILE + 1), b'{"name": 1}'],
)
def test_a_damaged_file_is_left_out_and_said_when_it_is_asked_for(presets, content):
    presets.save("good", DRAFT)
    presets.save("bad", DRAFT)
    presets._path("bad").write_bytes(content)
    assert presets.names() == ["good"]
    with pytest.raises(PresetError, match="Delete "):
        presets.load("bad")


def test_a_file_from_elsewhere_brings_only_what_a_form_holds(presets):
    presets.save("a", DRAFT)
    path = presets._path("a")
    more = {**orjson.loads(path.read_bytes()), "number": "4111111111111111", "_lab": 1}
    path.write_bytes(orjson.dumps(more))
    assert set(presets.load("a")) == set(DRAFT)


def test_a_text_without_bounds_is_refused(presets):
    with pytest.raises(ValueError, match="merchant is too long"):
        presets.save("a", {**DRAFT, "merchant": "x" * 501})


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "presets").write_text("a file where the folder should be")
    with pytest.raises(PresetError, match="Set FIRMLY_NB_HOME"):
        Presets(tmp_path / "presets").save("a", DRAFT)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits")
def test_a_full_disk_is_said_and_leaves_the_preset_as_it_was(presets):
    presets.save("a", DRAFT)
    with files_of_at_most(100), pytest.raises(PresetError, match=r"File too large\. Set FIRMLY"):
        presets.save("a", {**DRAFT, "card_name": "amex"})
    assert presets.load("a") == DRAFT
    assert len(list(presets.directory.iterdir())) == 1


def test_writers_at_once_leave_one_whole_file(presets):
    names = [str(n) for n in range(8)]

    def write(city):
        presets.save("same", {**DRAFT, "shipping": {**DRAFT["shipping"], "city": city}})

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert presets.load("same")["shipping"]["city"] in names
    assert len(list(presets.directory.iterdir())) == 1
