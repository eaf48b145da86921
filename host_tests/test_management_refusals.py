# SPDX-License-Identifier: MIT
"""What bad input comes to in the objects of Association LN (class 15) and Association SN (class
12), version by version, and in the M-Bus ports that only keep their configuration (25, 73, 76):
every SET and every method. Nothing is changed by what is refused. add_object and remove_object:
test_visible_objects.py; classes 72, 74 and 77: test_mbus_client.py, test_mbus_diagnostic.py."""

import functools

import fakes
import pytest
from fakes import array, date_time, enum, i8, octets, struct_, u8, u16, u32

DENIED, UNDEFINED, TYPE_UNMATCHED, SCOPE, OTHER = 3, 4, 12, 13, 250

TEXT = """
name = "test"
limits = {associations = 1, work_len = 400, max_send_pdu = 300, max_receive_pdu = 300}
[[device]]
name = "meter"
sap = 1
[access]
all = {client = "r w x"}
[[association]]
device = "meter"
client_sap = 16
object = "0.0.40.0.1.255"
mechanism = MECHANISM
role = "client"
conformance = ["get", "set", "action"]
[[association]]
device = "meter"
client_sap = 17
object = "0.0.40.0.2.255"
mechanism = MECHANISM
application_context = 2
role = "client"
conformance = ["read", "write"]
[[objects]]
device = "meter"
access = "all"
list = [
    {class = 15, version = LN, obis = "0.0.40.0.1.255", values = {SECRET = "12345678"USERS15}, capacity = {SECRET = 16USERS}},
    {class = 12, version = SN, obis = "0.0.40.0.2.255", secret = "12345678", values = {USERS12}, capacity = {secret = 16USERS2}},
    {class = 1, obis = "0.0.42.0.0.255", data_type = "octet-string", value = "TST0000000000001"},
    {class = 25, obis = "0.0.24.0.0.255", bus_address = 1},
    {class = 73, obis = "0.0.24.0.1.255", capacity = {device_address = 8, address_mask = 8}},
    {class = 76, obis = "0.0.24.8.0.255", capacity = {listening_window = "62 octets"}},
]
"""  # noqa: E501
LN, SN = (15, "0.0.40.0.1.255"), (12, "0.0.40.0.2.255")
SLAVE, MODE_Q, SERVER = (25, "0.0.24.0.0.255"), (73, "0.0.24.0.1.255"), (76, "0.0.24.8.0.255")
LLS, SHA_256 = 1, 6


@functools.lru_cache(maxsize=None)
def compiled(ln, sn, mechanism):
    users = ', user_list = [[1, "a"]]'
    room = ', user_list = "15 octets"'
    text = TEXT.replace("USERS15", users if ln >= 2 else "").replace(
        "USERS12", users[2:] * (sn >= 3)
    )
    text = text.replace("USERS2", room if sn >= 3 else "").replace(
        "USERS", room if ln >= 2 else ""
    )
    text = text.replace("MECHANISM", str(mechanism)).replace("LN", str(ln)).replace("SN", str(sn))
    text = text.replace("SECRET", "secret" if ln else "LLS_secret")
    return fakes.compiled(text)


def meter_of(ln=3, sn=4, mechanism=LLS):
    return fakes.Meter(compiled(ln, sn, mechanism))


def user(number, name):
    return struct_(u8(number), b"\x0a" + bytes((len(name),)) + name)


# (versions, mechanism, "set" or "act", index, data, result)
EVERY = range(5)
LN_OUTCOMES = [
    (EVERY, LLS, "set", 1, octets(bytes(6)), DENIED),
    (EVERY, LLS, "set", 2, array(), DENIED),
    (EVERY, LLS, "set", 3, struct_(i8(1), u16(1)), DENIED),
    (EVERY, LLS, "set", 8, enum(2), DENIED),
    (EVERY, LLS, "set", 7, octets(b"x" * 16), 0),
    (EVERY, LLS, "set", 7, octets(b"x" * 17), OTHER),  # no room
    (EVERY, LLS, "set", 7, octets(b"x" * 65), OTHER),
    (EVERY, LLS, "set", 7, octets(b""), OTHER),  # would open nothing
    (EVERY, LLS, "set", 7, u8(1), TYPE_UNMATCHED),
    (EVERY, LLS, "set", 7, b"\x09\x05abc", TYPE_UNMATCHED),
    (EVERY, LLS, "set", 7, b"", TYPE_UNMATCHED),
    ((1, 2, 3), LLS, "set", 9, octets(bytes(6)), 0),
    ((1, 2, 3), LLS, "set", 9, octets(bytes(5)), TYPE_UNMATCHED),
    ((1, 2, 3), LLS, "set", 9, u8(6), TYPE_UNMATCHED),
    ((0,), LLS, "set", 9, octets(bytes(6)), UNDEFINED),
    ((2, 3), LLS, "set", 10, array(), 0),
    ((2, 3), LLS, "set", 10, array(user(1, b"a"), user(2, b"")), 0),
    ((2, 3), LLS, "set", 10, array(user(1, b"a"), user(2, b"b")), OTHER),  # no room
    ((2, 3), LLS, "set", 10, array(struct_(u8(1))), TYPE_UNMATCHED),
    ((2, 3), LLS, "set", 10, array(struct_(u16(1), b"\x0a\0")), TYPE_UNMATCHED),
    ((2, 3), LLS, "set", 10, u8(1), TYPE_UNMATCHED),
    ((2, 3), LLS, "set", 11, user(1, b"a"), DENIED),
    (EVERY, LLS, "set", 12, u8(1), UNDEFINED),
    (EVERY, LLS, "act", 1, octets(b"12345678"), DENIED),  # has its place before that
    (EVERY, LLS, "act", 1, u8(1), TYPE_UNMATCHED),
    (EVERY, LLS, "act", 1, b"", TYPE_UNMATCHED),
    (EVERY, LLS, "act", 2, octets(b"x" * 16), SCOPE),  # in plain text
    (EVERY, SHA_256, "act", 2, octets(b"x" * 16), SCOPE),
    (EVERY, SHA_256, "act", 2, octets(b""), SCOPE),
    (EVERY, LLS, "act", 2, u8(1), TYPE_UNMATCHED),
    (EVERY, LLS, "act", 2, b"", TYPE_UNMATCHED),
    (EVERY, LLS, "act", 3, u8(1), TYPE_UNMATCHED),
    (EVERY, LLS, "act", 4, u8(1), TYPE_UNMATCHED),
    ((2, 3), LLS, "act", 5, user(2, b""), 0),
    ((2, 3), LLS, "act", 5, user(1, b"z"), OTHER),  # it is there
    ((2, 3), LLS, "act", 5, user(2, b"b"), OTHER),  # no room
    ((2, 3), LLS, "act", 5, struct_(u8(2)), TYPE_UNMATCHED),
    ((2, 3), LLS, "act", 5, struct_(u8(2), octets(b"b")), TYPE_UNMATCHED),
    ((2, 3), LLS, "act", 5, b"", TYPE_UNMATCHED),
    ((2, 3), LLS, "act", 6, user(1, b"a"), 0),
    ((2, 3), LLS, "act", 6, user(2, b"a"), UNDEFINED),
    ((2, 3), LLS, "act", 6, user(1, b"b"), UNDEFINED),  # of another name
    ((2, 3), LLS, "act", 6, u8(1), TYPE_UNMATCHED),
    ((0, 1), LLS, "act", 5, user(2, b"b"), UNDEFINED),
    (EVERY, LLS, "act", 7, i8(0), UNDEFINED),
    (EVERY, LLS, "act", 0, i8(0), UNDEFINED),
]
NAMES = array(struct_(u16(1), octets(fakes.obis("0.0.42.0.0.255"))))
SN_OUTCOMES = [
    (EVERY, LLS, "set", 1, octets(bytes(6)), DENIED),
    (EVERY, LLS, "set", 2, array(), DENIED),
    ((2, 3, 4), LLS, "set", 3, array(), DENIED),
    ((0, 1), LLS, "set", 3, array(), UNDEFINED),
    ((2, 3, 4), LLS, "set", 4, octets(bytes(6)), 0),
    ((2, 3, 4), LLS, "set", 4, octets(bytes(7)), TYPE_UNMATCHED),
    ((2, 3, 4), LLS, "set", 4, u8(1), TYPE_UNMATCHED),
    ((3, 4), LLS, "set", 5, array(), 0),
    ((3, 4), LLS, "set", 5, array(user(1, b"a"), user(2, b"b")), OTHER),
    ((3, 4), LLS, "set", 5, array(struct_(u8(1))), TYPE_UNMATCHED),
    ((3, 4), LLS, "set", 6, user(1, b"a"), DENIED),
    (EVERY, LLS, "set", 7, u8(1), UNDEFINED),
    ((0,), LLS, "act", 1, u8(1), TYPE_UNMATCHED),
    ((0,), LLS, "act", 1, array(u8(1)), TYPE_UNMATCHED),
    ((0,), LLS, "act", 1, b"", TYPE_UNMATCHED),
    ((1, 2, 3, 4), LLS, "act", 1, array(u16(1)), UNDEFINED),
    ((0,), LLS, "act", 2, array(u16(1)), TYPE_UNMATCHED),
    ((1, 2, 3, 4), LLS, "act", 2, NAMES, UNDEFINED),
    (EVERY, LLS, "act", 3, u8(1), TYPE_UNMATCHED),
    ((0, 1, 2), LLS, "act", 4, u8(1), TYPE_UNMATCHED),
    ((3, 4), LLS, "act", 4, NAMES, UNDEFINED),
    (EVERY, LLS, "act", 5, octets(b"x" * 16), 0),
    (EVERY, LLS, "act", 5, octets(b"x" * 17), OTHER),
    (EVERY, LLS, "act", 5, octets(b""), OTHER),
    (EVERY, LLS, "act", 5, u8(1), TYPE_UNMATCHED),
    (EVERY, LLS, "act", 5, b"", TYPE_UNMATCHED),
    ((0, 1, 2), SHA_256, "act", 5, octets(b"x" * 16), DENIED),  # it has no such secret
    ((3, 4), SHA_256, "act", 5, octets(b"x" * 16), SCOPE),  # in plain text
    ((0, 1, 2), LLS, "act", 6, octets(b"x" * 16), DENIED),
    ((0, 1, 2), SHA_256, "act", 6, octets(b"x" * 16), SCOPE),
    ((0, 1, 2), LLS, "act", 6, u8(1), TYPE_UNMATCHED),
    ((3, 4), LLS, "act", 6, octets(b"x" * 16), UNDEFINED),
    ((0,), LLS, "act", 7, i8(0), DENIED),  # the challenge is in the AARE
    ((0,), LLS, "act", 7, u8(0), TYPE_UNMATCHED),
    ((1, 2, 3, 4), LLS, "act", 7, i8(0), UNDEFINED),
    (EVERY, LLS, "act", 8, octets(b"12345678"), DENIED),
    (EVERY, LLS, "act", 8, u8(1), TYPE_UNMATCHED),
    ((3, 4), LLS, "act", 9, user(2, b""), 0),
    ((3, 4), LLS, "act", 9, user(1, b"z"), OTHER),
    ((3, 4), LLS, "act", 9, user(2, b"b"), OTHER),
    ((3, 4), LLS, "act", 9, u8(1), TYPE_UNMATCHED),
    ((3, 4), LLS, "act", 10, user(1, b"a"), 0),
    ((3, 4), LLS, "act", 10, user(1, b"b"), UNDEFINED),
    ((3, 4), LLS, "act", 10, struct_(u8(1)), TYPE_UNMATCHED),
    ((0, 1, 2), LLS, "act", 9, user(2, b"b"), UNDEFINED),
    (EVERY, LLS, "act", 11, i8(0), UNDEFINED),
]


def cases(what, outcomes, last):
    for versions, *rest in outcomes:
        for version in versions:
            if version <= last:
                yield (what, version, *rest)


ALL = [*cases(LN, LN_OUTCOMES, 3), *cases(SN, SN_OUTCOMES, 4)]


@pytest.mark.parametrize("what, version, mechanism, how, index, data, result", ALL)
def test_associations(what, version, mechanism, how, index, data, result):
    versions = {"ln": version} if what is LN else {"sn": version}
    meter = meter_of(mechanism=mechanism, **versions)
    row = meter.row(*what)
    before = bytes(meter.model.image)
    assert getattr(meter, how)(row, index, data) == result
    assert result == 0 or bytes(meter.model.image) == before
    if not result and how == "set":
        out = bytearray(200)
        end = meter.model.read(row, index, out, 0, len(out))
        assert bytes(out[:end]) == data


WINDOW = struct_(octets(date_time(2026, 1, 1, 8, 0)), octets(date_time(2026, 1, 1, 9, 0)))


@pytest.mark.parametrize(
    "what, attribute, data, result",
    [
        (SLAVE, 2, enum(9), 0),
        (SLAVE, 2, enum(10), TYPE_UNMATCHED),
        (SLAVE, 2, u8(1), TYPE_UNMATCHED),
        (SLAVE, 4, enum(1), 0),
        (SLAVE, 4, enum(2), TYPE_UNMATCHED),
        (SLAVE, 5, u8(250), 0),
        (SLAVE, 5, u16(1), TYPE_UNMATCHED),
        (SLAVE, 6, u8(1), UNDEFINED),
        (MODE_Q, 2, enum(1), 0),
        (MODE_Q, 2, enum(2), TYPE_UNMATCHED),
        (MODE_Q, 3, octets(bytes(8)), 0),
        (MODE_Q, 3, octets(bytes(9)), OTHER),
        (MODE_Q, 3, u8(1), TYPE_UNMATCHED),
        (MODE_Q, 4, octets(bytes(8)), 0),
        (MODE_Q, 4, octets(bytes(9)), OTHER),
        (MODE_Q, 5, u8(1), UNDEFINED),
        (SERVER, 2, octets(bytes(6)), 0),
        (SERVER, 2, octets(bytes(5)), TYPE_UNMATCHED),
        (SERVER, 4, enum(2), 0),
        (SERVER, 4, enum(3), TYPE_UNMATCHED),
        (SERVER, 4, u8(1), TYPE_UNMATCHED),
        (SERVER, 5, u8(1), 0),
        (SERVER, 5, i8(1), TYPE_UNMATCHED),
        (SERVER, 6, u32(0x12345678), 0),
        (SERVER, 6, u16(1), TYPE_UNMATCHED),
        (SERVER, 7, u16(1), 0),
        (SERVER, 7, u32(1), TYPE_UNMATCHED),
        (SERVER, 8, u8(1), 0),
        (SERVER, 8, enum(1), TYPE_UNMATCHED),
        (SERVER, 9, u8(7), 0),
        (SERVER, 9, octets(b"7"), TYPE_UNMATCHED),
        (SERVER, 10, u16(255), 0),
        (SERVER, 10, u8(255), TYPE_UNMATCHED),
        (SERVER, 11, array(), 0),
        (SERVER, 11, array(WINDOW, WINDOW), 0),
        (SERVER, 11, array(WINDOW, WINDOW, WINDOW), OTHER),
        (SERVER, 11, array(struct_(octets(bytes(12)))), TYPE_UNMATCHED),
        (SERVER, 11, array(struct_(octets(bytes(12)), octets(bytes(11)))), TYPE_UNMATCHED),
        (SERVER, 12, u8(1), UNDEFINED),
    ],
)
def test_ports_that_nothing_is_behind(what, attribute, data, result):
    meter = meter_of()
    row = meter.row(*what)
    before = bytes(meter.model.image)
    assert meter.set(row, attribute, data) == result
    assert result == 0 or bytes(meter.model.image) == before
    out = bytearray(200)
    if not result:
        end = meter.model.read(row, attribute, out, 0, len(out))
        assert bytes(out[:end]) == data
    for method in (0, 1):
        assert meter.act(row, method, i8(0)) == UNDEFINED
