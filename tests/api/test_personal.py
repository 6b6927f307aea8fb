"""What names a person is masked however a server repeats it; everything else stays."""

from __future__ import annotations

import base64
import html
import json
import unicodedata
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api import personal
from firmly_nb.api.personal import (
    is_without_personal,
    mask_personal,
    mask_personal_name,
    mask_personal_text,
    personal_values,
)
from firmly_nb.api.secrets import MAX_DEPTH

PLANTED = {
    "first_name": "Zoë",
    "last_name": "O'Quill",
    "email": "zoe.oquill+test@planted.example",
    "phone": "(206) 555-0147",
    "address1": "4711 Plănted Way",
    "address2": "Apt. 99-Q",
    "company": "Quill & Søns",
    "city": "Seattle",
    "state_or_province": "WA",
    "country": "US",
    "postal_code": "98101",
}
VALUES = personal_values(PLANTED)
NAMES = [
    key for key in PLANTED if key not in {"city", "state_or_province", "country", "postal_code"}
]


def entities(text):
    return "".join(f"&#{ord(char)};" for char in text)


def hex_entities(text):
    return "".join(f"&#x{ord(char):X};" for char in text)


def quoted_printable(text):
    return "".join(
        c if c.isascii() and c.isalnum() else "".join(f"={b:02X}" for b in c.encode()) for c in text
    )


ECHOES = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "in a sentence": "Dear {}, we are closed.".format,
    "at the end of a sentence": "This was not delivered to {}.".format,
    "in brackets": "unknown (<{}>)".format,
    "in quotes": "'{}' is not known".format,
    "after an equals sign": "q={}&x=1".format,
    "after a colon": "name:{};".format,
    "url-encoded": lambda text: f"/search?q={quote(text, safe='')}&page=1",
    "url-encoded as a form": lambda text: f"a=1&b={quote_plus(text)}&c=2",
    "url-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "url-encoded in lower case": lambda text: quote(text, safe="").lower(),
    "html-escaped": lambda text: f"<p>{html.escape(text)}</p>",
    "html-escaped twice": lambda text: html.escape(html.escape(text)),
    "as decimal entities": entities,
    "as hexadecimal entities": hex_entities,
    "in an attribute": lambda text: f'<input value="{html.escape(text)}"/>',
    "in a page": lambda text: f"<html><title>500</title><body>{html.escape(text)}</body>",
    "json-escaped": json.dumps,
    "json-escaped twice": lambda text: json.dumps(json.dumps(text)),
    "JSON inside a text": lambda text: json.dumps({"note": text}),
    "JSON inside a text, twice": lambda text: json.dumps(json.dumps({"a": [text]})),
    "unreadable JSON": lambda text: f'{{"total": NaN, "to": {json.dumps(text)}',
    "unreadable JSON, cut off": lambda text: f'{{"total": 1, "to": {json.dumps(text)[:-1]}',
    "with a line break": lambda text: text.replace(" ", "\n"),
    "with non-breaking spaces": lambda text: text.replace(" ", "\u00a0"),
    "with several spaces": lambda text: text.replace(" ", "   "),
    "with underscores": lambda text: text.replace(" ", "_"),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "quoted-printable": quoted_printable,
    "title case": str.title,
    "in an e-mail's head": 'To: "{}" <someone@example.test>'.format,
    "as a field of a form": "first_name={}&last_name=x".format,
    "between tags": "<td>{}</td>".format,
    "after a tabulator": "a\t{}\tb".format,
    "in tags of its own": lambda text: " ".join(f"<b>{word}</b>" for word in text.split()),
    "with line breaks of a page": lambda text: text.replace(" ", '<br class="x"/>\n'),
    "json-escaped sign by sign": lambda text: "".join(
        f"\\u{ord(char):04x}" for char in unicodedata.normalize("NFC", text)
    ),
    "every byte quoted-printable": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "every byte url-encoded": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "named entities": lambda text: (
        html.escape(text).replace("@", "&commat;").replace(".", "&period;").replace("+", "&plus;")
    ),
    "with zero-width spaces": "\u200b".join,
    "with zero-width spaces, url-encoded": lambda text: quote("\u200b".join(text), safe=""),
    "with soft hyphens": "\xad".join,
    "with soft hyphens of a page": lambda text: "&shy;".join(html.escape(c) for c in text),
    "with a mark of direction": lambda text: f"{text[0]}\u200e{text[1:]}",
    "with NUL between letters": "\0".join,
    "in full-width letters": lambda text: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text
    ),
    "in bold letters of mathematics": lambda text: "".join(
        chr(0x1D3BF + ord(c))
        if "A" <= c <= "Z"
        else chr(0x1D3B9 + ord(c))
        if "a" <= c <= "z"
        else c
        for c in text
    ),
    "in escapes of bytes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "in octal escapes": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "as bytes of Python": lambda text: repr(text.encode()),
    "as code points of a script": lambda text: "".join(f"\\u{{{ord(c):x}}}" for c in text),
    "as code points of a style sheet": lambda text: "".join(f"\\{ord(c):06x}" for c in text),
    "as escape() of a browser": lambda text: "".join(f"%u{ord(c):04X}" for c in text),
    "UTF-8 read as Windows-1252": lambda text: text.encode().decode("cp1252", "replace"),
    "in digits of another script": lambda text: "".join(
        chr(0x0660 + int(c)) if c in "0123456789" else c for c in text
    ),
    "in digits of a third script": lambda text: "".join(
        chr(0x0966 + int(c)) if c in "0123456789" else c for c in text
    ),
    "as a dump in hex": lambda text: f"<{text}>".encode().hex(" "),
    "as a dump in hex, by colons": lambda text: f"<{text}>".encode().hex(":").upper(),
    "as hex numbers of a script": lambda text: ", ".join(map(hex, f"<{text}>".encode())),
    "as a list of bytes": lambda text: str([*text.encode()]),
    "as a list of bytes without spaces": lambda text: json.dumps(
        {"type": "Buffer", "data": [*text.encode()]}, separators=(",", ":")
    ),
    "as a list of bytes with signs": lambda text: str(
        [(b + 128) % 256 - 128 for b in text.encode()]
    ),
    "with a tag inside": lambda text: f"{text[0]}<wbr>{text[1:]}",
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "JSON in base64": lambda text: base64.urlsafe_b64encode(json.dumps([text]).encode()).decode(),
    "in hex": lambda text: f"0x{text.encode().hex()}",
    "in a mail's head": lambda text: f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?=",
    "Latin-1, url-encoded": lambda text: quote(text.encode("latin-1", "replace")),
    "url-encoded four times": lambda text: quote(quote(quote(quote(text, safe="")))),
    "entities, url-encoded": lambda text: quote(html.escape(text), safe=""),
    "entities without semicolons": lambda text: "".join(f"&#{ord(char)}" for char in text),
    "in colours of a terminal": lambda text: f"\x1b[1m{text[0]}\x1b[0m{text[1:]}",
    "in letters that look alike": lambda text: text.translate(LOOK_ALIKE),
    "in other letters that look alike": lambda text: text.translate(
        str.maketrans("oOPZ", "\u03bf\u039f\u03a1\u0396")
    ),
    "with a dotless i": lambda text: text.replace("i", "\u0131"),
    "without accents": lambda text: "".join(
        char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char)
    ),
    "letter by letter": "-".join,
    "quoted for SQL": lambda text: text.replace("'", "''"),
    "quoted for a shell": lambda text: text.replace("'", "'\\''"),
    "as a list of code points": lambda text: str([*map(ord, text)]),
}
# In one line with other text, as other tests write them, these would say something else.
WRAPPED = {
    "wrapped as a mail": lambda text: f"{text[:2]}=\r\n{text[2:]}",
    "wrapped by a shell": lambda text: f"{text[:2]}\\\n{text[2:]}",
}
LOOK_ALIKE = str.maketrans("aeoOA", "\u0430\u0435\u043e\u041e\u0410")


def leaks(said, values=VALUES):
    """What is not masked of some pairs of a text and the one that it becomes."""
    masked = {text: mask_personal_text(text, values) for text, _ in said}
    return {text: masked[text] for text, wanted in said if masked[text] != wanted}


@pytest.mark.parametrize("echo", [*ECHOES, *WRAPPED])
def test_a_value_is_masked_however_it_is_repeated(echo):
    for name in NAMES:
        text = (ECHOES | WRAPPED)[echo](PLANTED[name])
        masked = mask_personal_text(text, VALUES)
        assert masked != text
        for form in (PLANTED[name], text):
            assert form not in masked
        letters = "".join(filter(str.isalnum, PLANTED[name])).lower()
        assert letters not in "".join(filter(str.isalnum, masked)).lower()
        assert mask_personal({"notice": [text]}, VALUES) != {"notice": [text]}


@pytest.mark.parametrize(
    "ways",
    [
        ("OQuill|O Quill|O\u2019Quill|O\u02bcQuill|O`Quill|O-Quill|O&rsquo;Quill|O%2527Quill"
         "|Quill|O\\u0027Quill|o'quill|OQUILL|O'Qui\xadll|O'Qui\u200bll|O'QU\u0130LL"
         "|\uff2f\uff07Quill|\u041e'Quill|O'Qu\u0456ll|O=27Quill|O&amp;#39;Quill|O''Quill"
         "|O.Q.u.i.l.l|4f275175696c6c"),
        ("ZO\xcb|zoe|Zoe\u0308|Zo\xe9|Zo&euml;|Zo%c3%ab|Zo%25C3%25AB|Zo\\xeb|Zo\xc3\xab|Zo=EB"
         "|Z-o-\xeb|\u0396o\xeb|Zo\\u00eb|Zo\\\\u00eb|Zo&#235;|Zo&#xEB;|\u1d22o\xeb"),
        ("Zo\xeb O'Quill|O'Quill, Zo\xeb|OQUILL ZOE|Z. O'Quill|Z.O'Quill|zoquill|ZoeOQuill"
         "|zoe.oquill|zoe_oquill|Zo%C3%AB+O%27Quill|Zo\xeb<br>O'Quill|Zo\xeb\u00a0O'Quill"),
        ("ZOE.OQUILL+TEST@PLANTED.EXAMPLE|zoe.oquill@planted.example|zoeoquill@planted.example"
         "|ZoeOquill%40planted.example|zoe.oquill%2Btest%40planted.example"
         "|zoe.oquill+test (at) planted.example|zoe.oquill\\u0040planted.example"
         "|z\u043ee.oquill@planted.example|zoe.oquill=40planted.example"),
        ("206-555-0147|2065550147|206 555 01 47|20 65 55 01 47|206%20555%200147"
         "|206&#8209;555&#8209;0147|206\u2013555\u20130147|\uff12\uff10\uff16 555 0147"
         "|206<wbr>555<wbr>0147"),
        ("4711 PLANTED WAY|4711 Planted Wy|Planted Way 4711|Planted Way, 4711|4711-planted-way"
         "|Pl\u0103nted Way|4711+Pl%c4%83nted+Way|4711\nPlanted\nWay|4711PlantedWay"),
        ("Apt 99Q|apartment 99-Q|UNIT 99-Q|Quill and S\xf8ns|QUILL & SOENS|quill-sons"
         "|Quill &amp;amp; Sons|Quill und S\xf8ns|Quill %26 S%C3%B8ns"),
    ],
)  # fmt: skip
def test_a_value_is_masked_as_people_and_programs_write_it(ways):
    assert leaks([(way, "***") for way in ways.split("|")]) == {}


@pytest.mark.parametrize(
    ("address", "ways", "rest"),
    [
        ({"first_name": "J\xfcrgen", "last_name": "M\xfcller"},
         "JUERGEN MUELLER|Jurgen Muller|J?rgen M?ller|MU\u0308LLER", "***"),
        ({"first_name": "\u0130pek", "last_name": "Y\u0131ld\u0131z"},
         "IPEK YILDIZ|i\u0307pek|\u0130PEK|yildiz", "***"),
        ({"first_name": "\u5c0f\u9f99", "last_name": "\u674e"},
         "\u674e\u5c0f\u9f99\u5148\u751f", "***\u5148\u751f"),
        ({"first_name": "\ubbfc\uc218", "last_name": "\uae40"},
         "\uae40\ubbfc\uc218\ub2d8", "***\ub2d8"),
        ({"last_name": "\u0412\u043e\u0432\u043a"},
         "\u0412\u041e\u0412\u041a|%D0%92%D0%BE%D0%B2%D0%BA", "***"),
        ({"email": "zo\xeb@m\xfcnchen.example"},
         "zo\xeb@xn--mnchen-3ya.example|ZOE@M\xdcNCHEN.EXAMPLE", "***"),
        ({"address1": "Hauptstra\xdfe 5"}, "Hauptstr. 5|HAUPTSTRASSE 5|5 Hauptstra\xdfe", "***"),
        ({"address1": "12 Main Street"}, "12 Main St|12 MAIN STREET|Main Street 12", "***"),
        ({"phone": "+49 (0)30 1234567"}, "030/123 45 67|0301234567", "***"),
        ({"phone": "206-555-0147 ext. 12"}, "206 555 0147|2065550147", "***"),
        ({"last_name": "Smith-Jones"}, "Smith Jones|Jones|SMITHJONES|Smith\u2013Jones", "***"),
        ({"first_name": "Bo", "last_name": "Li"}, "Li, Bo|BO.LI|bo_li", "***"),
    ],
)  # fmt: skip
def test_names_of_other_scripts_and_countries_are_masked(address, ways, rest):
    assert leaks([(way, rest) for way in ways.split("|")], personal_values(address)) == {}


HARMLESS = (
    "order 100004711 placed in 4711 ms", "tracking 1Z999AA10123456784", "the zoo is open", "4711",
    "cart 3f2504e0-4f89-11d3-9a0c-0305e82c3301 expired", "2026-11-30T20:65:55.0147Z", "room 99",
    "from 206 to 555 orders, 0147 of them late", "sizes 20, 65, 55, 01, 47", "206 555 and 0147",
    "https://harbor.example.test/cart/c1?step=2", "harbor.example.test is closed", "47 11 12",
    "www.planted.example.test", "http://10.0.0.7:8080/health", "Zoom meeting, zoetrope, Zoey",
    "a quilled card, quills, tranquil, the quiller's art", "Planted ways to grow", "no quarrel",
    "many ways were planted", "O'Quinn and O'Connor", "Quilt & Sons", "Sons of quilters",
    "apt-get install 99", "an apt remark: 99 of Q", "Apt. 99-R", "Apt. 199-Q", "471 Planted Rd",
    "test@planted.example.org", "info@harbor.example.test", "zo@example.test", "206555014",
    "Oslo, \xd8re, Z\xfcrich, S\xe3o Paulo", "na\xefve caf\xe9 \u2014 d\xe9j\xe0 vu", "a=3D&b=20",
    "%7B%22a%22%3A1%7D", "=?utf-8?q?Hello=20World?=", "SGVsbG8gd29ybGQsIHRoaXMgaXMgYSB0ZXN0",
    "5f4dcc3b5aa765d61d8327deb882cf99", "68656c6c6f20776f726c64", "12 34 56 78 9a bc de f0",
    "[104, 101, 108, 108, 111]", "\\u0048\\u0065\\u006c\\u006c\\u006f", "C:\\new\\table\\zoo.txt",
    "\\x1b[0m ok", "\x1b[32mok\x1b[0m", "<b>Zo</b>om", "Zo<wbr>om", "&copy; 2026 &amp; more",
    "Z-order, o-rings and e-mail", "x = 206; y = 555; z = 0147", "$2,065,550,147.00", "v2.06.555",
    "120655501479", "06:1a:2b:3c:4d:5e", "quill.example.test", "zoe.example.test/x", "ZOE2-RED",
    "\u041f\u0440\u0438\u0432\u0435\u0442", "\u4f60\u597d\uff0c\u4e16\u754c", "#206555",
)  # fmt: skip


def test_texts_that_name_nobody_stay():
    assert len(HARMLESS) >= 60
    assert leaks([(text, text) for text in HARMLESS]) == {}
    assert mask_personal([*HARMLESS], VALUES) == [*HARMLESS]


@pytest.mark.parametrize("last", ["Cart", "Order", "Line", "Test", "Small", "Example"])
@pytest.mark.parametrize("first", ["Ada", "Test", "Small"])
def test_names_that_are_words_damage_no_data(first, last):
    address = {"first_name": first, "last_name": last, "email": f"{first}@mail.example"}
    values = personal_values(address)
    data = {
        "event": "order-placed", "small": {"cart": 1, "order": 2, "line": 3, "test": 4},
        "cart-total": 1, "order_line": {"testOrder": True}, "test_order": {"small_line": 0},
        "cart_status": "order placed", "status": "test_order", "type": "small-cart",
        "shop_id": "small.example.test", "cart_id": "cart_small_1", "city": "Small",
        "platform_order_number": "TEST-ORDER-1", "customer_id": "small-order",
        "url": "https://small.example.test/cart/order/line?page=1", "image": "https://a.test/line/",
        "line_items": [{"title": "Small Test Tee", "line_item_id": "line-1", "sku": "SMALL-TEST"}],
        "products": [{"title": "Test Cart", "description": "The small order line test"}],
        "shipping_method_options": [{"description": "Small order", "estimated_delivery": "1 line"}],
    }  # fmt: skip
    assert mask_personal(data, values) == data
    for name in ("order-placed", "cart-created", "small_line.test"):
        assert mask_personal_name(name, values) == name
    # What is no JSON is a text, whose fields keep their names.
    broken = json.dumps({"cart": {"Order": 1}, "small_line": {"test": 2}, "example": 3})[:-1]
    assert leaks([(broken, broken), (f"for {first} {last}", "for ***")], values) == {}


@pytest.mark.parametrize("name", ["email", "phone", "address1", "company"])
@pytest.mark.parametrize("pad", ["", "x", "xy"])
def test_a_longer_value_is_masked_in_base64_and_in_hex(name, pad):
    raw = f"{pad}{PLANTED[name]} and more".encode()
    for text in (base64.b64encode(raw).decode(), raw.hex(), base64.urlsafe_b64encode(raw).decode()):
        assert "***" in mask_personal_text(text, VALUES)


@pytest.mark.parametrize(
    "telephone",
    [
        "2065550147",
        "206-555-0147",
        "206.555.0147",
        "(206)555-0147",
        "206 555 01 47",
        "+1 206 555 0147",
        "+12065550147",
        "0012065550147",
        "1-206-555-0147",
        "206%20555%200147",
        "206&nbsp;555&nbsp;0147",
        "206 / 555 - 0147",
    ],
)
def test_a_telephone_number_is_masked_whatever_stands_between_its_digits(telephone):
    masked = mask_personal_text(f"call {telephone} now", VALUES)
    assert "0147" not in masked
    assert masked.startswith("call ")
    assert masked.endswith("*** now")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("4711 Pl?nted Way", "***"),
        ("4711 Pl\ufffdnted Way", "***"),
        ("4711 Plnted Way", "***"),
        ("Quill & Soens", "***"),
        ("Quill & Sons", "***"),
        ("Zo%EB is not at home", "*** is not at home"),
        ("Dear Zo?, hello", "Dear ***, hello"),
        ("the parcel of O'Qui\u2026", "the parcel of ***\u2026"),
        ("at 4711 Pl\u0103n\u2026", "at ***\u2026"),
        ("for [81, 117, 105, 108, 108, 32, 38\u2026", "for [***\u2026"),
        ("for [81, 117, 105, 108, 10\u2026", "for [***\u2026"),
        ("at 0x34, 0x37, 0x31, 0x31, 0x20, 0x50, 0x6c, 0xc4, 0x\u2026", "at ***\u2026"),
        ("at 34:37:31:31:20:5\u2026", "at ***\u2026"),
        ("sizes [38, 40, 42, 44\u2026", "sizes [38, 40, 42, 44\u2026"),
        ("a word that begins so: quiet\u2026", "a word that begins so: quiet\u2026"),
        ("Dear Zo\ufffd\ufffd, hello", "Dear ***, hello"),
        ("the Zo of Zoroaster? zo", "the Zo of Zoroaster? zo"),
        ("O\u2018Quill", "***"),
        ("Apt. 99\u201199Q, Apt. 99\u2011Q", "Apt. 99\u201199Q, ***"),
        ("206 555\u20130147", "***"),
        ("Dear O'Qui=\r\nll", "Dear ***"),
    ],
)
def test_a_value_is_masked_where_letters_and_signs_were_lost_or_replaced(text, masked):
    assert mask_personal_text(text, VALUES) == masked


@pytest.mark.parametrize(
    "written",
    [
        str,
        lambda raw: bytes(raw).hex(" "),
        lambda raw: bytes(raw).hex(":"),
        lambda raw: ", ".join(map(hex, raw)),
        lambda raw: json.dumps(raw, separators=(",", ":")),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_bytes_one_by_one_are_masked_in_a_long_text(name, written):
    raw = [*f"for {PLANTED[name]}, please".encode()]
    text = f"{'Nobody is at home, and so it goes on. ' * 20}{written(raw)}"
    assert written(raw) not in (masked := mask_personal_text(text, VALUES))
    assert "***" in masked


@pytest.mark.parametrize("name", NAMES)
def test_a_list_of_bytes_in_data_is_masked_whole(name):
    raw = f"for {PLANTED[name]}.".encode()
    for numbers in ([*raw], [(byte + 128) % 256 - 128 for byte in raw]):
        data = {"buffer": {"type": "Buffer", "data": numbers}, "sizes": [38, 40, 42], "n": 1}
        masked = mask_personal(data, VALUES)
        assert masked == {**data, "buffer": {"type": "Buffer", "data": "***"}}


def test_a_telephone_number_that_is_a_number_is_masked():
    assert mask_personal({"n": 2065550147, "m": 2065550148}, VALUES) == {
        "n": "***",
        "m": 2065550148,
    }


@pytest.mark.parametrize(
    "key",
    [
        "first_name",
        "firstName",
        "FirstName",
        "FIRST_NAME",
        "first-name",
        "First Name",
        "fullName",
        "emailAddress",
        "E-Mail",
        "addressLine1",
        "Address_1",
        "streetAddress",
        "phoneNumber",
        "Surname",
    ],
)
def test_a_field_is_masked_however_it_is_spelled(key):
    assert mask_personal({"a": [{key: "Xi"}]}) == {"a": [{key: "***"}]}
    text = f'{{"{key}": "Xi", "total": NaN'
    assert mask_personal_text(text) == f'{{"{key}": "***", "total": NaN'
    assert "Xi" not in mask_personal_text(json.dumps(json.dumps({key: "Xi"}))[:-2])


KEPT = ("harbor.example.test", "EXAMPLE-XS-Orange")
EXAMPLE = personal_values({"first_name": "Ada", "last_name": "Example", "phone": "2065550100"})


@pytest.mark.parametrize(
    "value",
    [
        "harbor.example.test", "https://harbor.example.test/cart", "www.example.com is closed",
        "no EXAMPLE-XS-Orange left", "Nevada", "Canada", "Can\xadada", "Neva\u0301da",
        "\\x41damant",
        "adamant", "examples", "Exampleton",
        "order 120655501002 of today", "2026-11-28T20:65:55.0100",
        {"domain": "example.test"}, {"variant_id": "Ada-1"}, {"cartId": "example"},
        {"line_items": [{"description": "Ada Lovelace mug", "sku": "ADA-1", "quantity": 1}]},
        {"products": [{"title": "The Example Tee", "handle": "example-tee"}]},
        {"city": "Example", "state_or_province": "Ada", "country": "US", "postal_code": "98101"},
        {"sizes": [38, 40, 42]}, "12:30:45:10 of 20 11 29", "98 99 100 101 is the row",
        "06:1a:2b:3c:4d:5e", [255, 216, 255, 224],
        {"example": 1, "ada": 2}, {"total": {"value": 20.65, "number": 2065}}, None, True, 20.65,
    ],
)  # fmt: skip
def test_what_names_no_person_stays(value):
    assert mask_personal(value, EXAMPLE, KEPT) == value


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Mr.Example", "Mr.***"),
        ("ada.example@other.test", "***@other.test"),
        ("Sincerely, Example.", "Sincerely, ***."),
        ("AdaExample", "***"),
        ("ada_example", "***"),
        ("customer 'Example, Ada'", "customer '***'"),
    ],
)
def test_a_name_is_a_word_also_between_signs(text, masked):
    assert mask_personal_text(text, EXAMPLE, KEPT) == masked


def test_an_order_number_with_a_name_in_it_stays():
    """A journal has the number by which the merchant finds the order, or it has none."""
    order = {"platform_order_number": "ADA-1001", "note": "ADA-1001"}
    assert mask_personal(order, ("Ada",))["platform_order_number"] == "ADA-1001"
    assert mask_personal(order, ("Ada",))["note"] == "***-1001"


def test_an_id_that_is_an_e_mail_address_is_masked():
    values = personal_values({"email": "ada@example.test"})
    echoed = {"customer_id": "ada@example.test", "ada@example.test": "bounced"}
    assert mask_personal(echoed, values) == {"customer_id": "***", "***": "bounced"}


def test_names_below_three_characters_are_masked_with_their_first_name_only():
    values = personal_values({"first_name": "Bo", "last_name": "Li"})
    assert values == ("Bo Li",)
    assert mask_personal_text("Bo Li, Bologna, BO LI, alibi", values) == "***, Bologna, ***, alibi"


@pytest.mark.parametrize(
    ("address", "text", "masked"),
    [
        ({"first_name": "Mary Jane"}, "Dear Jane, dear mary!", "Dear ***, dear ***!"),
        ({"last_name": "van der Berg"}, "the van of the Bergs: Berg", "the van of the Bergs: ***"),
        ({"email": "ada.x@example.test"}, "mailbox ada.x is full", "mailbox *** is full"),
        ({"email": "a1@example.test"}, "mailbox a1 is full", "mailbox a1 is full"),
        ({"email": "info@example.test"}, "more info at info@example.test", "more info at ***"),
        ({"email": "adalovelace@example.test"}, "ADALOVELACE bounced", "*** bounced"),
        ({"email": "info+a@shop.test"}, "info+b@shop.test, info+b@a.test", "***, info+b@a.test"),
        (
            {"email": "ada@shop.test"},
            "ADA%2Bx.y%40Shop.test; nada+x@shop.test",
            "***; nada+x@shop.test",
        ),
        ({"phone": "+1 206 555 0147"}, "ring 555-0147, not 15550147", "ring ***, not 15550147"),
        ({"phone": "030 1234567"}, "123 45 67 of 123,45,67", "*** of 123,45,67"),
    ],
)
def test_a_part_that_tells_who_it_is_is_masked_alone(address, text, masked):
    assert mask_personal_text(text, personal_values(address)) == masked


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=12)
    | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_masking_again_changes_nothing(tree):
    masked = mask_personal(tree, VALUES)
    assert mask_personal(masked, VALUES) == masked


# Of which texts are made that hold fields, JSON in a text, and quotes that end none.
PIECES = ('"', "\\", '\\"', "\n", "{", "}", "[", ":", ",", " ", "u0022", "email", '"email": "', "x",
          '{"first_name": "', '"}', "\0", "\1", *PLANTED.values())  # fmt: skip
pieces = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


quoted_values = st.recursive(
    pieces, lambda inner: st.lists(inner) | st.dictionaries(pieces, inner), max_leaves=5
)


@given(json_values, quoted_values)
def test_strings_looked_at_for_themselves_are_masked_as_the_whole_is(tree, quoted):
    """Strings are looked at some at a time; what may hold a value is then masked as a whole."""
    for values in ((), VALUES):
        whole = {"a": tree, "b": quoted, "email": "a@b.test"}
        found = mask_personal(whole, values)
        assert found == personal._masked(whole, personal._finders(values), (), MAX_DEPTH, False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("firmly_nb.api.personal.SPLIT_AT_ONCE", 0)
            assert mask_personal(whole, values) == found
        rest = {"a": tree, "b": quoted}
        if is_without_personal(orjson.dumps(rest).decode(), values):
            assert mask_personal(rest, values) == rest


@pytest.mark.parametrize("number", ["2065550100", 2065550100, "T-2065550100"])
def test_an_order_number_stays_although_it_is_the_telephone(number):
    values = personal_values({"phone": "+1 206-555-0100"})
    data = {"order": {"platform_order_number": number}, "call": number}
    masked = mask_personal(data, values)
    assert masked["order"] == data["order"]
    assert "2065550100" not in str(masked["call"])


def test_only_digits_are_taken_for_an_order_number():
    values = personal_values({"email": "ada@example.test"})
    data = {"platform_order_number": "ada@example.test"}
    assert mask_personal(data, values) == {"platform_order_number": "***"}


@given(
    st.text(max_size=20),
    st.sampled_from(sorted(ECHOES)),
    st.sampled_from(NAMES),
    st.text(max_size=20),
)
def test_a_value_is_masked_among_any_other_text(before, echo, name, after):
    repeated = ECHOES[echo](PLANTED[name])
    text = f"{before} {repeated} {after}"
    if repeated not in f"{before} {after}":
        assert repeated not in mask_personal_text(text, VALUES)


@pytest.mark.parametrize(
    "text",
    ["\\" * 200_000, " " * 200_000, "2 " * 100_000, "%25" * 70_000, "&amp;" * 50_000,
     "&#0" * 60_000, '{"' * 60_000, '\\"' * 60_000, "Zo" * 100_000, "4711" + " " * 200_000,
     "z.o." * 50_000 + "zoë", "22 " * 80_000, "22, 4a " * 30_000, "111,  " * 40_000 + "x"],
)  # fmt: skip
def test_a_text_made_to_be_slow_is_masked_in_linear_time(text):
    """The time limit of tests is far above what this takes and far below a quadratic search."""
    for planted in ("", PLANTED["email"], PLANTED["phone"], PLANTED["address1"]):
        assert PLANTED["email"] not in mask_personal_text(text + planted, VALUES)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 300, 5_000])
def test_what_is_nested_too_deeply_to_be_written_is_masked_all_the_same(levels):
    value = {"first_name": "Ada"}
    for _ in range(levels):
        value = {"first_name": "Ada", "notice": "Dear Ada", "cart": value}
    assert "Ada" not in str(personal.mask_personal(value, ("Ada",)))
