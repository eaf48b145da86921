# SPDX-License-Identifier: MIT
"""lib/cosem/data_protection.py and protected.py: COSEM data protection (class 30).

The layouts are this project's: see the module. The client makes and opens them with
secure_general.py, and with what is here.
"""

import subprocess
from functools import lru_cache

import pytest
import small
import suites
import tables
from cosem.data_protection import _selection
from cosem.protected import decode
from fakes import u32
from hypothesis import given, settings
from hypothesis import strategies as st
from secure import AE, SERVER_TITLE, THIRD_GUEK, A, Client, E, gcm, take_length
from secure_general import General0, General12, field
from test_profile_generic import Talk
from test_profile_generic import at as time
from tables import show
from small import HERE
from suites import AGREE, CLIENT, SuitesMeter, sign

OBJECTS = """
[[objects]]
class = "COSEM data protection"
device = "one"
access = "all"
capacity = {protection_object_list = "200 octets", protection_parameters_get = "700 octets", protection_parameters_set = "100 octets"}
list = [
    {obis = "0.0.43.2.1", required_protection = 0},
    {obis = "0.0.43.2.2", required_protection = 0},
    {obis = "0.0.43.2.3", required_protection = 0},
    {obis = "0.0.43.2.9", required_protection = 0},
]

[[objects]]
class = "Data"
device = "one"
access = "read_only"
list = [
    {obis = "0.0.96.66.2", value = 5, data_type = "unsigned"},
]

[[objects]]
class = "Data"
device = "one"
access = "answered"
list = [
    {obis = "0.0.96.66.3", value = 6, data_type = "unsigned"},
]
"""  # noqa: E501


@pytest.fixture(scope="module", autouse=True)
def definition(tmp_path_factory):
    """suites.toml with objects of class 30, whose rows are others."""
    text = suites.SUITES.read_text()
    text = text.replace(
        "[access]", '[access]\nread_only = {management = "r"}\nanswered = {management = "r!ae"}'
    )
    path = tmp_path_factory.mktemp("protection") / "protection.toml"
    path.write_text(text + OBJECTS)
    patch = pytest.MonkeyPatch()
    patch.setattr(suites, "SUITES", path)
    rows = small.Meter(path).model.rows(64)
    patch.setattr(suites, "ROWS", {1: rows[0], 2: rows[1]})
    yield
    patch.undo()


# --- What the client says and hears ---------------------------------------------------------

KINDS = {A: 0, E: 1, AE: 2}
TYPES = {"identified": 0, "broadcast": 0, "wrapped": 1, "one-pass": 2, "static": 2}


def octet_string(octets):
    return b"\x09" + field(octets)


def structure(*members):
    return b"\x02" + bytes([len(members)]) + b"".join(members)


def array(members):
    return b"\x01" + bytes([len(members)]) + b"".join(members)


def enum(n):
    return bytes([0x16, n])


def name(class_id, obis, index):
    return (
        b"\x12" + class_id.to_bytes(2, "big"),
        octet_string(bytes([*map(int, obis.split(".")), 255])),
        bytes([0x0F, index]),
    )


NO_RESTRICTION = structure(enum(0), b"\0")


def object_(class_id, obis, index, data_index=0, restriction=NO_RESTRICTION):
    index_ = b"\x12" + data_index.to_bytes(2, "big")
    return structure(*name(class_id, obis, index), index_, restriction)


VALUE = object_(1, "0.0.96.60.1", 2)
COUNTER = object_(1, "0.0.43.1.1", 2)
CONSTANT = object_(1, "0.0.96.66.2", 2)


def parse(octets, at=0):
    """(value, end); lists, ints, bytes."""
    tag = octets[at]
    if tag in (1, 2, 9):
        n, at = take_length(octets, at + 1)
        if tag == 9:
            return octets[at : at + n], at + n
        made = []
        for _ in range(n):
            value, at = parse(octets, at)
            made.append(value)
        return made, at
    n = {0x00: 0, 0x11: 1, 0x0F: 1, 0x16: 1, 0x12: 2, 0x06: 4}[tag]
    return int.from_bytes(octets[at + 1 : at + 1 + n], "big"), at + 1 + n


def key_info(kind, octets):
    """That of an APDU, as this class has it."""
    octets = octets[2:]
    if kind in ("identified", "broadcast"):
        return structure(enum(0), enum(octets[0]))
    if kind == "wrapped":
        n, at = take_length(octets, 1)
        return structure(enum(1), structure(enum(0), octet_string(octets[at:])))
    n, at = take_length(octets, 2)
    scheme = octet_string(bytes([octets[1] + 1]))
    return structure(enum(2), structure(scheme, octet_string(octets[at:])))


NO_KEY = structure(enum(0), enum(0))


def asks(c, *layers, recipient=None):
    """protection_parameters that ask for layers: "sign", or (kind, sc)."""
    elements = []
    recipient = c.title if recipient is None else recipient
    for layer in layers:
        transaction = c.transaction.to_bytes(8, "big")
        c.transaction += 1
        type_, info = 3, NO_KEY
        if layer != "sign":
            kind, sc = layer
            type_ = KINDS[sc]
            info = NO_KEY
            if kind == "wrapped":
                info = key_info(kind, c.key_info(kind, b"")[0])
            elif kind != "identified":
                scheme = b"\x02" if kind == "one-pass" else b"\x03"
                options = structure(octet_string(scheme), octet_string(b""))
                info = structure(enum(2), options)
        options = [octet_string(x) for x in (transaction, b"", recipient, b"")]
        elements.append(structure(enum(type_), structure(*options, info)))
    return array(elements)


def protects(c, plain, *layers, originator=None, **how):
    """(protection_parameters, octets)"""
    elements = []
    originator = c.title if originator is None else originator
    for layer in layers:
        fields = c.fields(originator=originator, other=b"other", **how)
        transaction = c.last_transaction
        type_, info = 3, NO_KEY
        if layer == "sign":
            made = field(plain)
            plain = made + field(sign(c.suite, c.signer, fields + made))
        else:
            kind, sc = layer
            type_ = KINDS[sc]
            apdu_info = c.key_info(kind, transaction)
            ic = c.ic if kind == "identified" else c.fresh_ic
            if kind == "identified":
                c.ic += 1
            else:
                c.fresh_ic += 1
            apdu = c.ciphered(plain, kind, sc | c.suite, ic, fields, apdu_info)
            content = apdu[1 + len(fields) + len(apdu_info[0]) :]
            n, at = take_length(content, 0)
            plain = content[at:]
            info = key_info(kind, apdu_info[0])
        strings = (transaction, originator, SERVER_TITLE, b"other")
        options = structure(*map(octet_string, strings), info)
        elements.append(structure(enum(type_), options))
    return array(elements), plain


def opened(c, elements, octets):
    """The plain octets of an answer, and ["signed", "ciphered"] in the order of the layers."""
    kinds = []
    for type_, options in reversed(elements):
        transaction, originator, recipient, other, (info_type, info) = options
        assert (originator, recipient, other) == (SERVER_TITLE, c.title, b"")
        fields = b"".join(map(field, (transaction, originator, recipient, b"", b"")))
        if type_ == 3:
            n, at = take_length(octets, 0)
            content, signature = octets[at : at + n], octets[at + n :]
            k, at = take_length(signature, 0)
            assert at + k == len(signature)
            c.server_signed(fields + field(content), signature[at:])
            octets = content
            kinds.insert(0, "signed")
            continue
        apdu_info = b"\1" + bytes([info_type])
        if info_type == 0:
            apdu_info += bytes([info])
        elif info_type == 1:
            apdu_info += bytes([info[0]]) + field(info[1])
        else:
            apdu_info += bytes([1, info[0][0] - 1]) + field(info[1])
        key, end = c.answer_key(apdu_info, 0, transaction)
        assert end == len(apdu_info)
        sc, ic, body = octets[0], octets[1:5], octets[5:]
        assert (key, ic) not in c.seen
        c.seen.append((key, ic))
        assert {v: k for k, v in KINDS.items()}[type_] | c.suite == sc
        iv = SERVER_TITLE + ic
        aad = bytes([sc]) + c.gak + fields
        if sc & AE == E:
            octets = gcm(key, iv, b"", body)[0]
        elif sc & AE == A:
            octets = body[:-12]
            assert gcm(key, iv, aad + octets)[1][:12] == body[-12:]
        else:
            octets = gcm(key, iv, b"", body[:-12])[0]
            assert gcm(key, iv, aad, octets)[1][:12] == body[-12:]
        kinds.insert(0, "ciphered")
    return octets, kinds


def client(suite=1, **how):
    meter = SuitesMeter(path=suites.SUITES, rows=suites.ROWS, **how)
    meter.model.start()  # now that there is a vault
    return General12(meter, suite, kind="glo").open()


def call(c, method, *parts, e=None):
    """The answer to a method of the object 0.0.43.2.e, as hex, or its return value parsed."""
    e = c.suite if e is None else e
    parameter = structure(*parts)
    got = c.ask("C30141 001E 00002B02%02XFF %02X 01" % (e, method) + parameter.hex())
    if not got.startswith("C7014100" + "0100"):
        return got
    value, end = parse(bytes.fromhex(got), 6)
    assert end == len(got) // 2
    return value


DONE = "C701410000"
NOT_TAKEN = "C70141FA00"
WEAK = "C701410D00"
DENIED = "C701410300"
TYPE_UNMATCHED = "C701410C00"
GET = "C00141 0001 0000603C01FF 02 00"
LAYERS = [
    ["sign"],
    [("identified", AE)],
    [("identified", A)],
    [("identified", E)],
    [("wrapped", AE)],
    [("one-pass", AE)],
    [("static", AE)],
    ["sign", ("one-pass", AE)],
    ["sign", ("identified", E)],
    [("static", AE), "sign"],
]


# --- Conversations --------------------------------------------------------------------------


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("layers", LAYERS)
def test_get_protected_attributes(suite, layers):
    c = client(suite)
    for _ in range(2):
        elements, octets = call(c, 1, array([VALUE, CONSTANT]), asks(c, *layers))
        plain, kinds = opened(c, elements, octets)
        assert plain.hex().upper() == "020209020102" + "1105"
        assert kinds == ["signed" if layer == "sign" else "ciphered" for layer in layers]


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("layers", LAYERS)
def test_set_protected_attributes(suite, layers):
    c = client(suite)
    for n in range(3):
        made = protects(c, structure(octet_string(b"ab%d" % n)), *layers)
        said = [array([VALUE]), made[0], octet_string(made[1])]
        assert call(c, 2, *said) == DONE
        assert c.ask(GET).endswith(octet_string(b"ab%d" % n).hex().upper())
        assert call(c, 2, *said) == NOT_TAKEN, "the same again"


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("layers", LAYERS)
def test_invoke_protected_method(suite, layers):
    """security_activate of the Security setup, without return value."""
    c = client(suite)
    made = protects(c, enum(0x08 if suite == 1 else 0x0C), *layers)
    method = structure(*name(64, "0.0.43.0.%d" % suite, 1))
    elements, octets = call(c, 3, method, made[0], octet_string(made[1]))
    plain, kinds = opened(c, elements, octets)
    assert plain == b"\0"
    assert len(kinds) == len(layers)
    policy = c.ask("C00141 0040 00002B00%02XFF 02 00" % suite)
    assert policy == "C4014100" + enum(0x08 if suite == 1 else 0x0C).hex().upper()


def test_a_method_that_is_a_job_and_returns_something():
    """generate_key_pair, then generate_certificate_request."""
    c = client()
    for index, expected in ((4, b"\0"), (5, b"\x09")):
        made = protects(c, enum(0), "sign", ("static", AE))
        method = structure(*name(64, "0.0.43.0.1", index))
        elements, octets = call(c, 3, method, made[0], octet_string(made[1]))
        plain, _kinds = opened(c, elements, octets)
        assert plain[:1] == expected
    assert len(plain) > 200


def test_a_method_of_which_a_part_has_to_be_loaded():
    """add_user, of a list that is in ROM: it is asked again when it is there."""
    c = client()
    made = protects(c, structure(b"\x11\x05", b"\x0a\x01a"), ("identified", AE))
    method = structure(*name(15, "0.0.40.0.1", 5))
    assert call(c, 3, method, made[0], octet_string(made[1])) == "C701410300"


def test_suite_0_and_no_security_setup():
    c = client()
    assert call(c, 1, array([VALUE]), asks(c, ("static", AE)), e=3) == NOT_TAKEN
    assert call(c, 1, array([VALUE]), asks(c, "sign"), e=3) == NOT_TAKEN
    assert call(c, 1, array([VALUE]), asks(c, "sign"), e=9) == "C701410B00"


@pytest.mark.parametrize("kind", ["identified", "broadcast", "wrapped"])
def test_keys_of_another_security_setup(kind):
    """Which no client of now has: they are made when they are needed."""
    c = client()
    other = General0(None, guek=THIRD_GUEK)
    made = protects(other, structure(octet_string(b"abc")), (kind, AE))
    assert call(c, 2, array([VALUE]), made[0], octet_string(made[1]), e=3) == DONE
    assert call(c, 2, array([VALUE]), made[0], octet_string(made[1]), e=3) == NOT_TAKEN
    elements, octets = call(c, 1, array([VALUE]), asks(other, ("identified", AE)), e=3)
    assert opened(other, elements, octets)[0].hex() == "0201" + "0903616263"


@pytest.mark.parametrize("kind", ["identified", "wrapped", "broadcast"])
@pytest.mark.parametrize("method", [1, 2])
def test_keys_that_are_let_go_of_meanwhile(kind, method):
    """By the client of another Security setup, who comes between two steps."""
    c = client()
    model = c.talk.meter.model
    a = [a for a in model.associations if a.config][0]
    row = model.rows(30)[2]
    context = model.handler("security_setup").context(suites.ROWS[2] + 1)
    other = General0(None, guek=THIRD_GUEK)
    if method == 2:
        made = protects(other, structure(octet_string(b"abc")), (kind, AE))
        parts = [array([VALUE]), made[0], octet_string(made[1])]
    else:
        layer = ("identified" if kind == "broadcast" else kind, AE)
        parts = [array([VALUE]), asks(other, layer)]
    job = model.handler_of(row).job(a, row, method, structure(*parts))
    while True:
        try:
            next(job)
        except StopIteration as e:
            result, octets = e.value
            break
        assert context.loaded
        model.handler("security_setup").settle()
        context.unload()
    assert result == 0
    if method == 1:
        assert opened(other, *parse(octets)[0])[0].hex() == "020109020102"


def test_nothing_is_asked_for_nothing_is_protected():
    c = client()
    assert call(c, 1, array([VALUE]), array([])) == [[], bytes.fromhex("020109020102")]
    assert call(c, 2, array([VALUE]), array([]), octet_string(structure(b"\x09\1a"))) == DONE


def test_rights_inside_ask_for_the_protection_of_the_answer():
    """Of the APDU, whatever the data have."""
    c = client()
    said = structure(array([object_(1, "0.0.96.66.3", 2)]), array([]))
    for _ in range(2):
        got = c.talk.say("C30141 001E 00002B0201FF 01 01" + said.hex())
        plain = c.unprotect(bytes.fromhex(got))
        assert parse(plain, 6)[0] == [[], bytes.fromhex("02011106")]
        assert c.answer_sc == AE | 1
        # And what asks for nothing is answered as it came.
        said_plainly = structure(array([CONSTANT]), array([]))
        got = c.talk.say("C30141 001E 00002B0201FF 01 01" + said_plainly.hex())
        assert parse(bytes.fromhex(got), 6)[0] == [[], bytes.fromhex("02011105")]


def test_a_signature_is_never_one_of_something_else():
    """What is signed begins with the length of a transaction-id. Were it that of 'P', of PMT, it
    could be the meter's f(CtoS) of challenges that somebody else has chosen."""
    c = client()
    for n, good in ((0, True), (32, True), (33, False), (80, False)):
        options = [octet_string(x) for x in (bytes(n), b"", c.title, b"")]
        element = structure(enum(3), structure(*options, NO_KEY))
        got = call(c, 1, array([VALUE]), array([element]))
        assert (len(got) == 2) == good
        assert good or got == NOT_TAKEN


def test_who_has_no_key_uses_no_counters_up():
    """What is encrypted without a tag is something, whoever made it."""
    c = client()
    for ic in (257, 0xFFFF, 0xFFFFFFFE):
        thief = General0(None, title=c.title, gak=c.gak, guek=bytes(16), ic=ic)
        thief.suite = 1
        made = protects(thief, structure(octet_string(b"abc")), ("identified", E))
        assert call(c, 2, array([VALUE]), made[0], octet_string(made[1])) == NOT_TAKEN
    made = protects(c, structure(octet_string(b"abc")), ("wrapped", E))
    assert call(c, 2, array([VALUE]), made[0], octet_string(made[1])) == DONE


def test_the_meter_protects_nothing_for_itself():
    """Nor takes what it has protected for that of another party."""
    c = client()
    for layer in LAYERS:
        elements = asks(c, *layer, recipient=SERVER_TITLE)
        assert call(c, 1, array([VALUE]), elements) == NOT_TAKEN
    honest = c.title
    c.title = SERVER_TITLE
    made = protects(c, structure(octet_string(b"ab")), ("identified", AE))
    c.title = honest
    assert call(c, 2, array([VALUE]), made[0], octet_string(made[1])) == NOT_TAKEN


def test_an_element_of_a_structure():
    c = client()
    status = object_(15, "0.0.40.0.2", 3)
    elements, octets = call(c, 1, array([status]), asks(c, "sign"))
    whole = opened(c, elements, octets)[0]
    second = object_(15, "0.0.40.0.2", 3, data_index=2)
    elements, octets = call(c, 1, array([second]), asks(c, "sign"))
    assert whole.endswith(opened(c, elements, octets)[0][2:])
    third = object_(15, "0.0.40.0.2", 3, data_index=3)
    assert call(c, 1, array([third]), asks(c, "sign")) == WEAK
    assert call(c, 1, array([object_(1, "0.0.96.60.1", 2, 1)]), asks(c, "sign")) == WEAK


def test_restrictions_are_selective_access():
    """Of a profile, by entry and by date."""
    meter = Talk()
    meter.set_local("2026-06-15 12:07:00")
    meter.run(2280)
    for restriction, times in (
        (structure(enum(2), structure(u32(2), u32(3))), ["12:30:00", "12:45:00"]),
        (structure(enum(1), structure(time(12, 10), time(12, 35))), ["12:15:00", "12:30:00"]),
    ):
        selection = _selection(decode(restriction, 0)[0])
        assert selection[0] == 1
        assert meter.times(selection[1], selection[2:]) == times


def test_whoever_has_a_method_inside_hears_that_it_is_done(monkeypatch):
    c = client()
    row = suites.ROWS[1]
    heard = []
    handler = c.talk.meter.model.handler_of(row)
    monkeypatch.setattr(handler, "finish", lambda *how: heard.append(how[1:]))
    made = protects(c, enum(0), "sign")
    method = structure(*name(64, "0.0.43.0.1", 4))
    assert len(call(c, 3, method, made[0], octet_string(made[1]))) == 2
    assert heard == [(row, 4)]


# --- protection_buffer ----------------------------------------------------------------------


def configure(c, objects, parameters):
    for index, value in ((3, objects), (4, parameters)):
        got = c.ask("C10141 001E 00002B02%02XFF %02X 00" % (c.suite, index) + value.hex())
        assert got == "C5014100"


BUFFER = "C00141 001E 00002B0201FF 02 00"


def test_the_buffer():
    c = client()
    parameters = asks(c, "sign", ("static", AE))
    configure(c, array([VALUE, CONSTANT]), parameters)
    heard = []
    for _ in range(2):
        got = bytes.fromhex(c.ask(BUFFER))
        assert got[:4].hex() == "c4014100"
        octets, end = parse(got, 4)
        assert end == len(got)
        heard.append(octets)
        elements = parse(parameters)[0]
        for element in elements:
            element[1][1], element[1][2] = SERVER_TITLE, c.title
        assert opened(c, elements, octets)[0].hex() == "0202090201021105"
    assert heard[0] != heard[1]


def test_the_buffer_in_a_list():
    """temporary-failure: it is a job."""
    c = client()
    configure(c, array([VALUE]), asks(c, "sign"))
    buffer, value = BUFFER[7:].replace(" ", ""), GET[7:].replace(" ", "")
    assert c.ask("C00341 02" + value + buffer) == "C4034102" + "0009020102" + "0102"
    assert c.ask(BUFFER).startswith("C4014100")


def blocks(c, first):
    """The answer to a GET that comes in blocks."""
    got, whole, n = c.ask(first), b"", 1
    while True:
        assert got.startswith("C40241"), got
        block = bytes.fromhex(got)[9:]
        k, at = take_length(block, 0)
        whole += block[at:]
        if got[6:8] == "01":
            return whole
        got = c.ask("C00241 %08X" % n)
        n += 1


def test_the_buffer_is_not_one_of_before():
    """Somebody else has read it; it comes behind what takes more than a block, in a list."""
    c = client()
    meter = c.talk.meter
    configure(c, array([COUNTER]), array([]))
    assert c.ask(BUFFER).startswith("C4014100")
    assert c.ask("C10141 0001 0000603C01FF 02 00 0982012C" + "5A" * 300) == "C5014100"
    (place,) = [a for a in meter.server.associations if a.state]
    c.talk.say("6200")
    for k in range(3):
        other = General12(meter, 2, kind="glo", ic=100 * k)
        other.open(initiate="01 000000 065F1F0400 7EFF1F 0080")
        value, buffer = GET[7:].replace(" ", ""), BUFFER[7:].replace(" ", "")
        assert blocks(other, "C00341 02" + value + buffer).endswith(b"\x5a\1\2")
    assert place.config is not None


def test_the_buffer_in_blocks():
    c = client()
    assert c.ask("C10141 0001 0000603C01FF 02 00 0982012C" + "5A" * 300) == "C5014100"
    parameters = asks(c, ("wrapped", AE))
    configure(c, array([VALUE]), parameters)
    c.open(initiate="01 000000 065F1F0400 7EFF1F 0080")
    whole = blocks(c, BUFFER)
    octets, end = parse(whole)
    assert end == len(whole)
    elements = parse(parameters)[0]
    elements[0][1][1], elements[0][1][2] = SERVER_TITLE, c.title
    assert opened(c, elements, octets)[0].hex() == "02010982012c" + "5a" * 300


# --- What is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [["sign"], [("identified", AE)], ["sign", ("static", AE)]])
def test_a_flipped_bit_anywhere(layers):
    c = client()
    made = protects(c, structure(octet_string(b"abc")), *layers)
    model = c.talk.meter.model
    before = c.ask(GET)
    # The key_info of a signature means nothing.
    free = made[0].index(NO_KEY) if layers[0] == "sign" else len(made[0])
    for part in (0, 1):
        for at in range(len(made[part])):
            if part == 0 and free <= at < free + len(NO_KEY):
                continue
            bad = [bytearray(made[0]), bytearray(made[1])]
            bad[part][at] ^= 1
            got = call(c, 2, array([VALUE]), bytes(bad[0]), octet_string(bytes(bad[1])))
            assert got in (NOT_TAKEN, TYPE_UNMATCHED) or (part == 0 and got == "!D80103"), at
    assert c.ask(GET) == before
    assert model is c.talk.meter.model
    if len(layers) == 1:
        # Of two, the outer one was right where only the inner one was wrong: it has been heard.
        assert call(c, 2, array([VALUE]), made[0], octet_string(made[1])) == DONE


def test_what_the_data_have_to_have():
    c = client()
    model = c.talk.meter.model
    row = model.rows(30)[0]
    for required, layers, reads, writes in (
        (0x10, [("identified", AE)], True, False),
        (0x10, ["sign"], True, True),
        (0x0C, [("identified", A)], True, False),
        (0x80, [("identified", AE)], False, True),
        (0x60, [("identified", E)], False, True),
        (0x60, [("identified", AE)], True, True),
    ):
        model.put_int(row, 6, required)
        got = call(c, 1, array([VALUE]), asks(c, *layers))
        assert (got != WEAK) == reads
        made = protects(c, structure(octet_string(b"abc")), *layers)
        got = call(c, 2, array([VALUE]), made[0], octet_string(made[1]))
        assert got == (DONE if writes else WEAK)
        made = protects(c, enum(0), *layers)
        method = structure(*name(64, "0.0.43.0.1", 1))
        got = call(c, 3, method, made[0], octet_string(made[1]))
        assert (got != WEAK) == (reads and writes)


BY_ENTRY = structure(enum(2), structure(b"\6" + bytes(4), b"\6" + bytes(4)))


def test_rights_of_the_association_count():
    c = client()
    secret = object_(15, "0.0.40.0.2", 7)
    nothing = object_(1, "0.0.96.60.3", 2)
    other_class = object_(3, "0.0.96.60.1", 2)
    own = object_(30, "0.0.43.2.1", 3)
    for inside, read, written in (
        (secret, DENIED, None),
        (nothing, "C701410400", "C701410400"),
        (other_class, "C701410900", "C701410900"),
        (own, DENIED, DENIED),
        (CONSTANT, None, DENIED),
        (object_(1, "0.0.96.60.1", 3), "C701410400", "C701410400"),
        (object_(1, "0.0.96.60.1", 2, 0, BY_ENTRY), WEAK, WEAK),
    ):  # fmt: skip
        if read:
            assert call(c, 1, array([VALUE, inside]), asks(c, "sign")) == read
        if written:
            plain = structure(octet_string(b"abc"), b"\x11\1")
            made = protects(c, plain, "sign")
            before = c.ask(GET)
            said = [array([VALUE, inside]), made[0], octet_string(made[1])]
            assert call(c, 2, *said) == written
            assert c.ask(GET) == before, "all or none"
    for method, result in (
        (name(30, "0.0.43.2.1", 1), DENIED),
        (name(64, "0.0.43.0.1", 9), "C701410400"),
        (name(64, "0.0.43.0.7", 1), "C701410400"),
        (name(1, "0.0.96.60.1", 1), "C701410400"),
    ):
        made = protects(c, b"\0", "sign")
        assert call(c, 3, structure(*method), made[0], octet_string(made[1])) == result


def test_values_that_do_not_fit():
    c = client()
    for plain in (
        b"\0", b"", structure(), structure(b"\x11\1"), structure(octet_string(b"a"), b"\0"),
        structure(octet_string(b"a")) + b"\0", structure(octet_string(b"a"))[:-1],
    ):  # fmt: skip
        made = protects(c, plain, "sign")
        got = call(c, 2, array([VALUE]), made[0], octet_string(made[1]))
        assert got == (NOT_TAKEN if not plain else TYPE_UNMATCHED)
    made = protects(c, structure(b"\x11\1"), "sign")
    assert call(c, 3, structure(*name(64, "0.0.43.0.1", 1)), *made[:1], octet_string(made[1])) == (
        TYPE_UNMATCHED
    )


def test_layers_that_there_are_not():
    c = client()
    for layers in (["sign", "sign"], [("identified", A), ("identified", E)], ["sign"] * 9):
        assert call(c, 1, array([VALUE]), asks(c, *layers)) == TYPE_UNMATCHED
    element = asks(c, "sign")[2:].replace(enum(3), enum(4), 1)
    assert call(c, 1, array([VALUE]), array([element])) == TYPE_UNMATCHED


@pytest.mark.parametrize("title", [bytes(8), b"short"])
def test_titles_of_others(title):
    c = client()
    for layers in (["sign"], [("one-pass", AE)]):
        if len(title) != 8 or layers != ["sign"]:
            assert call(c, 1, array([VALUE]), asks(c, *layers, recipient=title)) == NOT_TAKEN
        made = protects(c, structure(octet_string(b"abc")), *layers, originator=title)
        assert call(c, 2, array([VALUE]), made[0], octet_string(made[1])) == NOT_TAKEN


def test_certificates_that_are_not_there():
    c = client(leave_out=lambda entity, kind: (entity, kind) == (CLIENT, AGREE))
    for kind in ("static", "one-pass"):
        assert call(c, 1, array([VALUE]), asks(c, (kind, AE))) == NOT_TAKEN
    assert call(c, 1, array([VALUE]), asks(c, "sign")) != NOT_TAKEN


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 3), st.sampled_from(["identified", "wrapped", "static"]), st.data())
def test_octets_of_no_meaning(type_, kind, data):
    c = lone()
    head = st.sampled_from([b"", b"\x11", b"\x21", b"\x31", b"\x40"])
    octets = data.draw(head) + data.draw(st.binary(max_size=80))
    c.fields()
    options = (c.last_transaction, c.title, SERVER_TITLE, b"")
    info = key_info(kind, c.key_info(kind, c.last_transaction)[0])
    element = structure(enum(type_), structure(*map(octet_string, options), info))
    said = [array([VALUE]), array([element]), octet_string(octets)]
    assert call(c, 2, *said) in (NOT_TAKEN, TYPE_UNMATCHED)


@lru_cache(maxsize=None)
def lone():
    return client()


# --- On MicroPython -------------------------------------------------------------------------


def test_on_micropython(micropython, tmp_path):
    """Requests under a locked heap, jobs between them: suite 0, keys of each kind that it has."""
    (tmp_path / "definition.py").write_text(show.module(tables.compile(str(suites.SUITES))))
    c = General0(None, guek=THIRD_GUEK)
    action = "C30141 001E 00002B0203FF %02X 01"
    requests = []
    for layer in (("identified", AE), ("wrapped", A), ("wrapped", AE)):
        made = protects(c, structure(octet_string(b"abc")), layer)
        parts = structure(array([VALUE]), made[0], octet_string(made[1]))
        requests.append(action % 2 + parts.hex())
        requests.append(action % 1 + structure(array([VALUE]), asks(c, layer)).hex())
    for index, value in ((3, array([CONSTANT])), (4, asks(c, ("wrapped", AE)))):
        requests.append("C10141 001E 00002B0203FF %02X 00" % index + value.hex())
    requests.append(BUFFER.replace("0201FF", "0203FF"))
    # From then on this client would have to cipher.
    made = protects(c, enum(0x08), ("wrapped", AE))
    method = structure(*name(64, "0.0.43.0.3", 1))
    requests.append(action % 3 + structure(method, made[0], octet_string(made[1])).hex())
    requests.append(GET)
    paths = [str(HERE.parent / path) for path in ("lib", ".")]
    done = subprocess.run(
        [micropython, str(HERE / "device/requests.py"), str(tmp_path), "53", "17"],
        input="".join(r.replace(" ", "") + "\n" for r in requests), capture_output=True, text=True,
        timeout=60, env={"MICROPYPATH": ":".join([*paths, ".frozen"])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answers = done.stdout.upper().split()
    assert answers[0:6:2] == [DONE] * 3
    for answer in answers[1:6:2]:
        assert answer.startswith("C70141000100")
        plain, _kinds = opened(c, *parse(bytes.fromhex(answer), 6)[0])
        assert plain == structure(octet_string(b"abc"))
    assert answers[6:8] == ["C5014100"] * 2
    assert answers[8].startswith("C4014100") and len(answers[8]) > 50
    assert answers[9].startswith("C70141000100")
    assert opened(c, *parse(bytes.fromhex(answers[9]), 6)[0])[0] == b"\0"
    assert answers[10] == "D80101"


def test_a_meter_without_security():
    """Class 30 in a meter where nobody ciphers."""
    path = suites.SUITES.with_name("plain.toml")
    path.write_text(
        PLAIN
        + OBJECTS.replace('"read_only"', '"all"')
        .replace('"answered"', '"all"')
        .replace("0.0.96.66.2", "0.0.96.60.1")
    )
    t = small.Meter(path).talk(client=1, server=17)
    t.open()
    parameter = structure(array([VALUE]), array([])).hex()
    assert t.say("C30141 001E 00002B0201FF 01 01" + parameter) == "C701410B00"
    assert t.say(BUFFER) == "C40141010B"


PLAIN = """
name = "plain"

[limits]
associations = 2
work_len = 600
max_send_pdu = 500
max_receive_pdu = 500

[[device]]
name = "one"
sap = 17

[[association]]
device = "one"
client_sap = 1
object = "0.0.40.0.1"
mechanism = 1
role = "management"
conformance = ["get", "set", "action"]

[access]
all = {management = "r w x"}
secret = {management = "r:1-6 w:7"}

[[objects]]
class = "Association LN"
device = "one"
version = 1
access = "secret"
list = [
    {obis = "0.0.40.0.0"},
    {obis = "0.0.40.0.1", secret = "12345678"},
]

[[objects]]
class = "Data"
device = "one"
access = "all"
list = [
    {obis = "0.0.42.0.0", value = "PMT0000000000001", data_type = "octet-string"},
]
"""


def test_each_logical_device_protects_with_its_own_keys(tmp_path):
    """Security setups of the same name in two logical devices."""
    path = tmp_path / "devices.toml"
    objects = OBJECTS[: OBJECTS.index("[[objects]]", 2)].replace('"one"', '["one", "two"]')
    path.write_text((HERE / "definitions/devices.toml").read_text() + objects)
    m = small.Meter(path, handlers=None)
    talk = m.talk(6)
    c = Client(talk, 0, kind="general-glo", meter_title=m.model.system_title)
    assert c.ask("C00141 0001 0000603201FF 02 00") == "C40141001107"
    (a,) = (a for a in m.server.associations if a.state)
    for device, setup in enumerate(m.model.rows(64)):
        row = m.model.find(device, bytes.fromhex("001E 00002B0201FF"), 0)
        assert m.model.awake(row)._party(a, row).context.row == setup
