# SPDX-License-Identifier: MIT
"""lib/dlms/association.py and server.py: opening, rights, releasing, refusing.

APDUs are hex; replies that are published examples say so. The small meter: definitions/small.toml.
"""

import itertools

import pytest
from dlms import association
from hypothesis import given, settings
from hypothesis import strategies as st
from small import HERE, Meter, aarq

GET_LDN = "C0 01 C1 0001 00002A0000FF 02 00"
LDN = "C401C1000910" + b"PMT0000000000001".hex().upper()
NO_ASSOCIATION = "D80101"

ACCEPTED = "A203020100A305A103020100"


def aare(result, diagnostic, source="A1"):
    return "A2030201%02XA305%s030201%02X" % (result, source, diagnostic)


# --- Opening ----------------------------------------------------------------------------------


def test_published_aare():
    t = Meter().talk(client=32, server=17)
    got = t.say("6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738"
                "BE10040E01000000065F1F040000501F 01F4".replace(" ", ""))  # fmt: skip
    # acse-aare-ok of vectors/acse.jsonl
    assert got == (
        "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007"
    )


def test_public_client_reads_who_the_meter_is():
    t = Meter().talk(client=16)
    assert ACCEPTED in t.open(secret=None)
    assert t.say(GET_LDN) == LDN
    assert t.say("6200") == "6303800100"
    assert t.say(GET_LDN) == NO_ASSOCIATION


def test_secret_opens():
    t = Meter().talk()
    assert ACCEPTED in t.open(b"12345678")
    assert t.say(GET_LDN) == LDN


@pytest.mark.parametrize("secret", [b"12345679", b"1234567", b"123456789", b"", b"x" * 60])
def test_another_secret_does_not(secret):
    meter = Meter()
    failures = []
    meter.server.on_authentication_failed = failures.append
    t = meter.talk()
    assert aare(1, 13) in t.open(secret)
    assert [f[0] for f in failures] == [1]
    assert t.say(GET_LDN) == NO_ASSOCIATION
    assert ACCEPTED in t.open(b"12345678")


def test_published_refusal_carries_an_initiate_response():
    t = Meter().talk(client=32, server=17)
    got = t.open(b"55555555", conformance="00501F", max_pdu=500)
    assert got == (
        "6129A109060760857405080101A203020101A305A10302010DBE10040E0800065F1F040000501F01F40007"
    )


@pytest.mark.parametrize("context", [2, 3, 4, 5])
def test_contexts_that_do_not_exist_yet(context):
    t = Meter().talk()
    got = t.say(aarq(b"12345678", context=context).hex())
    assert aare(1, 2) in got
    assert got.startswith("6129A1090607608574050801%02X" % context)


def test_unknown_object_identifier_as_context():
    apdu = aarq(b"12345678").hex().replace("60857405080101", "60857405080901")
    assert aare(1, 2) in Meter().talk().say(apdu)


def test_protocol_version_that_nobody_has():
    apdu = bytearray(aarq(b"12345678"))
    apdu[2:2] = bytes.fromhex("80020700")
    apdu[1] += 4
    assert aare(1, 2, "A2") in Meter().talk().say(apdu.hex())


def test_protocol_version_1_said_aloud():
    apdu = bytearray(aarq(b"12345678"))
    apdu[2:2] = bytes.fromhex("80020780")
    apdu[1] += 4
    assert ACCEPTED in Meter().talk().say(apdu.hex())


@pytest.mark.parametrize(
    "client, secret, mechanism, diagnostic",
    [
        (1, None, 0, 12),  # a secret is needed
        (1, b"", 0, 14),  # lowest level said aloud
        (1, b"12345678", 5, 11),  # HLS where LLS is defined
        (16, b"12345678", 1, 11),  # LLS where nothing is needed
        (16, b"12345678", 9, 11),  # a mechanism that does not exist
    ],
)
def test_mechanism_that_does_not_fit(client, secret, mechanism, diagnostic):
    t = Meter().talk(client=client)
    assert aare(1, diagnostic) in t.say(aarq(secret, mechanism=mechanism).hex())


def test_secret_without_the_name_of_its_mechanism():
    apdu = aarq(b"12345678").hex().replace("8b0760857405080201", "")
    apdu = "60%02x" % (len(apdu) // 2 - 2) + apdu[4:]
    assert aare(1, 12) in Meter().talk().say(apdu)


@pytest.mark.parametrize("title, diagnostic", [("4D4D4D", 3), ("4D4D4D0000BC614E", 0)])
def test_calling_ap_title_is_a_system_title(title, diagnostic):
    apdu = bytearray(aarq(b"12345678"))
    field = bytes([0xA6, len(title) // 2 + 2, 0x04, len(title) // 2]) + bytes.fromhex(title)
    apdu[13:13] = field
    apdu[1] += len(field)
    assert aare(1 if diagnostic else 0, diagnostic) in Meter().talk().say(apdu.hex())


def with_field(tag, content, value, apdu=None):
    """The AARQ with one more field, `content` its inner tag, where the order of tags wants it."""
    apdu = apdu or aarq(b"12345678")
    field = bytes([tag, len(value) + 2, content, len(value)]) + value
    at = 2
    while at < len(apdu) and apdu[at] & 0x1F < tag & 0x1F:
        at += 2 + apdu[at + 1]
    apdu = apdu[:at] + field + apdu[at:]
    return bytes([apdu[0], len(apdu) - 2]) + apdu[2:]


@pytest.mark.parametrize(
    "tag, content, value, diagnostic",
    [
        # The system title of the small meter is made of its logical device name.
        (0xA2, 4, "504D540000000001", 0),
        (0xA2, 4, "504D540000000002", 7),
        (0xA2, 4, "504D5400000000", 7),
        (0xA2, 4, "", 7),
        (0xA3, 4, "00", 9),
        (0xA4, 2, "00", 8),
        (0xA5, 2, "00", 10),
        (0xA7, 4, "30820000", 5),
        (0xA8, 2, "01", 4),
    ],
)
def test_identifiers_that_are_not_recognised(tag, content, value, diagnostic):
    meter = Meter()
    apdu = with_field(tag, content, bytes.fromhex(value))
    assert aare(1 if diagnostic else 0, diagnostic) in meter.talk().say(apdu.hex())
    # The next one is judged by itself.
    assert ACCEPTED in meter.talk().open()


@pytest.mark.parametrize(
    "tag, content", [(0xA2, 2), (0xA3, 2), (0xA4, 4), (0xA5, 4), (0xA7, 2), (0xA8, 4)]
)
def test_identifiers_of_another_type(tag, content):
    assert Meter().talk().say(with_field(tag, content, b"\x01").hex()) == "D80103"


USER_LIST = "000F0000280003FF0A00"
CURRENT_USER = "C00141 000F0000280000FF0B00"


def users_talk(user_id=None, meter=None):
    """Client 33 of device two, whose association has a user_list; its AARE."""
    t = (meter or Meter()).talk(client=33, server=17)
    apdu = aarq(b"12345678")
    if user_id is not None:
        apdu = with_field(0xA9, 2, user_id, apdu)
    return t, t.say(apdu.hex())


@pytest.mark.parametrize("user_id, name", [(b"\x05", "reader"), (b"\x00\x07", "fitter")])
def test_users_of_the_list_are_let_in_and_shown(user_id, name):
    t, got = users_talk(user_id)
    assert aare(0, 0) in got
    name = name.encode().hex().upper()
    assert t.say(CURRENT_USER) == "C40141000202 11%02X0A06%s".replace(" ", "") % (
        user_id[-1],
        name,
    )


def test_users_of_the_version_before(tmp_path):
    """Association LN has a user_list since version 2."""
    text = (HERE / "definitions/small.toml").read_text()
    at = text.index('version = 3\naccess = "users"')
    (tmp_path / "small.toml").write_text(text[:at] + "version = 2" + text[at + 11 :])
    meter = Meter(tmp_path / "small.toml")
    assert aare(0, 0) in users_talk(b"\x07", meter)[1]
    assert aare(1, 6) in users_talk(b"\x06", meter)[1]


OLD = """name = "old"
limits = {associations = 1, work_len = 512, max_send_pdu = 500, max_receive_pdu = 500}
[[device]]
name = "one"
sap = 1
[access]
all = {client = "r w x"}
own = {client = "r:1-6,8 w:7"}
[[association]]
device = "one"
client_sap = 16
object = "0.0.40.0.0"
mechanism = 1
role = "client"
conformance = ["get", "set"]
[[objects]]
device = "one"
list = [
{class = 1, obis = "0.0.42.0.0", access = "all", value = "octet-string:PMT0000000000001"},
{class = 15, version = 0, obis = "0.0.40.0.0", access = "own", LLS_secret = "12345678"},
]
"""


def test_the_object_of_version_0(tmp_path):
    """Rights of methods are booleans, and names of contexts structures (IEC 62056-6-2, 5.4.5)."""
    (tmp_path / "old.toml").write_text(OLD)
    t = Meter(tmp_path / "old.toml", handlers=None).talk(client=16)
    assert ACCEPTED in t.open()

    def get(k):
        return t.say("C001C1 000F 0000280000FF %02X 00" % k)[8:]

    def rights(*modes):
        return "01%02X" % len(modes) + "".join(
            "02030F%02X16%02X00" % (k, mode) for k, mode in enumerate(modes, 1)
        )

    assert get(2) == (
        "0102"
        "02041200011100090600002A0000FF0202" + rights(1, 3) + "0100"
        "020412000F110009060000280000FF0202" + rights(1, 1, 1, 1, 1, 1, 2, 1)
        + "0104" + "".join("02020F%02X0300" % k for k in (1, 2, 3, 4))
    )  # fmt: skip
    assert get(3) == "02020F10120001"
    assert get(4) == "0207110211101202F41105110811011101"
    assert get(6) == "0207110211101202F41105110811021101"
    assert get(8) == "1602"
    assert t.say("C101C1 000F 0000280000FF 07 00 09 04 31323334") == "C501C100"
    t.say("6200")
    assert ACCEPTED not in t.open()
    assert ACCEPTED in t.open(secret=b"1234")


@pytest.mark.parametrize("user_id", [None, b"\x06", b"\x00"])
def test_other_users_are_not_recognised(user_id):
    t, got = users_talk(user_id)
    assert aare(1, 6) in got
    assert t.say(GET_LDN) == NO_ASSOCIATION


def test_an_empty_list_lets_everybody_in():
    meter = Meter()
    t, _ = users_talk(b"\x05", meter)
    assert t.say("C10141" + USER_LIST + "0100") == "C5014100"
    for user_id, shown in ((None, "00"), (b"\x09", "09")):
        t, got = users_talk(user_id, meter)
        assert aare(0, 0) in got
        # Its own user, not that of the other association of this client, which is open as well.
        assert t.say(CURRENT_USER) == "C4014100020211%s0A00" % shown


def test_a_list_that_a_client_wrote():
    meter = Meter()
    t, _ = users_talk(b"\x05", meter)
    assert t.say("C10141" + USER_LIST + "0102 020211010A00 020211020A0141") == "C5014100"
    assert aare(1, 6) in users_talk(b"\x05", meter)[1]
    t, got = users_talk(b"\x02", meter)
    assert aare(0, 0) in got and t.say(CURRENT_USER) == "C40141000202 11020A0141".replace(" ", "")


def changes(method, user_id, name):
    """add_user (5), remove_user (6) of the list of client 33."""
    head = "C30141 000F0000280003FF %02X 01 0202 11%02X 0A%02X"
    return head % (method, user_id, len(name)) + name.hex()


def listed(*users):
    octets = b"".join(b"\2\2\x11%c\x0a%c%s" % (n, len(name), name) for n, name in users)
    return "C4014100" + "01%02X" % len(users) + octets.hex().upper()


def test_users_come_and_go():
    meter = Meter()
    edits = []
    meter.model.on_edit = lambda row, attribute: edits.append(meter.model.class_id(row))
    t, _ = users_talk(b"\x05", meter)
    two = ((5, b"reader"), (7, b"fitter"))
    get = "C00141" + USER_LIST
    assert t.say(get) == listed(*two)
    assert aare(1, 6) in users_talk(b"\x09", meter)[1]
    assert t.say(changes(5, 9, b"eve")) == "C701410000" and edits == [15]
    assert t.say(get) == listed(*two, (9, b"eve"))
    other, got = users_talk(b"\x09", meter)
    assert aare(0, 0) in got
    # The number is taken; there is no room; there is no such user, or it has another name.
    for method, user_id, name, result in (
        (5, 9, b"bob", 0xFA), (5, 1, 60 * b"x", 0xFA), (6, 1, b"eve", 4), (6, 9, b"bob", 4),
    ):  # fmt: skip
        assert t.say(changes(method, user_id, name)) == "C70141%02X00" % result
    assert t.say(get) == listed(*two, (9, b"eve")) and edits == [15]
    assert t.say(changes(6, 5, b"reader")) == "C701410000"
    assert t.say(get) == listed(two[1], (9, b"eve"))
    # Who is in stays in, and does not come again.
    assert t.say(CURRENT_USER).startswith("C40141000202 1105".replace(" ", ""))
    assert aare(1, 6) in users_talk(b"\x05", meter)[1]
    assert t.say("C30141 000F0000280003FF 05 01 1109") == "C701410C00"


def test_users_in_a_list_of_methods():
    """What is not loaded yet is a temporary failure; here it is after the first."""
    meter = Meter()
    t, _ = users_talk(b"\x05", meter)
    name = "000F0000280003FF 05"
    add = "C30341 02" + name + name + "02 020211090A0165 0202110A0A0166"
    assert t.say(add) == "C7034102 0200 0200".replace(" ", "")
    assert t.say(add) == "C7034102 0000 0000".replace(" ", "")


def test_associations_without_a_list_take_every_user():
    assert ACCEPTED in Meter().talk().say(with_field(0xA9, 2, b"\x05").hex())


def test_client_that_is_not_defined():
    assert aare(1, 1) in Meter().talk(client=99).open()


def test_logical_device_that_does_not_exist_is_silent():
    t = Meter().talk(server=5)
    assert t.open() == "" and t.say(GET_LDN) == ""


@pytest.mark.parametrize(
    "options, error",
    [
        ({"version": 5}, "0E010601"),
        ({"conformance": "800000"}, "0E010602"),
        ({"conformance": "000000"}, "0E010602"),
        ({"max_pdu": 11}, "0E010603"),
    ],
)
def test_refused_by_xdlms(options, error):
    got = Meter().talk().say(aarq(b"12345678", **options).hex())
    assert aare(1, 1) in got
    assert got.endswith("BE060404" + error)


def test_initiate_request_that_is_none():
    apdu = aarq(b"12345678").hex().replace("0100000006", "0200000006")
    assert Meter().talk().say(apdu).endswith("BE0604040E010604")


def test_version_above_ours_is_answered_with_ours():
    assert "0800065F1F04" in Meter().talk().say(aarq(b"12345678", version=7).hex())


def test_quality_of_service_is_given_back():
    got = Meter().talk().say(aarq(b"12345678", options="00000105").hex())
    assert "BE11040F08010506" in got


def test_conformance_is_what_both_have():
    got = Meter().talk().open(conformance="00001D")
    assert got.endswith("5F1F0400" + "00001D" + "01F40007")


def test_smallest_pdu_is_enough_to_read_with():
    t = Meter().management(max_pdu=12)
    data, block = b"", 1
    reply = bytes.fromhex(t.say(GET_LDN))
    while True:
        assert reply[:3] == b"\xc4\x02\xc1" and len(reply) <= 12
        assert int.from_bytes(reply[4:8], "big") == block
        data += reply[10:]
        if reply[3]:
            break
        reply = bytes.fromhex(t.say("C002C1%08X" % block))
        block += 1
    assert data == b"\x09\x10PMT0000000000001"


def test_unconfirmed_association_is_never_answered():
    t = Meter().talk(client=16)
    assert t.say(aarq(None, options="00010000").hex()) == ""
    assert t.say(GET_LDN) == ""


def test_apdu_by_broadcast_is_not_answered():
    t = Meter().management()
    assert t.say(GET_LDN, confirmed=0) == ""
    assert t.say(GET_LDN) == LDN


# --- The table --------------------------------------------------------------------------------

STATES = {"IDLE": 0, "PENDING": 1, "OPEN": 2}
ALWAYS_OPEN = 3
EVENTS = {
    "ACCEPTED": 0,
    "PENDING": 1,
    "REJECTED": 2,
    "RLRQ": 3,
    "PASSED": 4,
    "FAILED": 5,
    "ABORTED": 6,
}


@pytest.mark.parametrize("pre_established", [0, 1])
@pytest.mark.parametrize("state, event", list(itertools.product(STATES, EVENTS)))
def test_every_transition(state, event, pre_established):
    a = Meter().server.associations[0]
    a.state = STATES[state]
    a.transfer = 1
    a.channel = object()
    a.config = a.model.configs[0][:9] + (pre_established,)
    row = ALWAYS_OPEN if pre_established and state == "OPEN" else STATES[state]
    a.event(EVENTS[event])
    assert a.state == association.TRANSITIONS[row][EVENTS[event]]
    assert a.transfer == 0
    assert (a.channel is None) == (a.config is None) == (a.state == STATES["IDLE"])


def test_what_the_table_says():
    table = association.TRANSITIONS
    # A refused AARQ never opens, and never closes what is open.
    assert [row[EVENTS["REJECTED"]] for row in table] == [0, 0, 2, 2]
    # Loss of the link frees from everywhere, release too, but for what cannot be released.
    assert [row[EVENTS["ABORTED"]] for row in table] == [0, 0, 0, 0]
    assert [row[EVENTS["RLRQ"]] for row in table] == [0, 0, 0, 2]
    # Only pass 3 leads from PENDING to OPEN without a new AARQ.
    assert table[1][EVENTS["PASSED"]] == 2 and table[0][EVENTS["PASSED"]] == 0


def test_aarq_in_an_open_association_replaces_it_if_good():
    t = Meter().management(conformance="00001D")
    assert ACCEPTED in t.open(conformance="7EFF1F")
    assert t.say("C003C10100010000 2A0000FF0200").startswith("C403C101")


def test_aarq_in_an_open_association_leaves_it_if_bad():
    t = Meter().management()
    assert aare(1, 13) in t.open(b"wrong")
    assert t.say(GET_LDN) == LDN


# --- Several at once --------------------------------------------------------------------------


def test_several_associations_on_one_channel():
    meter = Meter()
    management = meter.management()
    public = meter.talk(client=16, channel=management.channel)
    other = meter.talk(client=16, server=17, channel=management.channel)
    for t in (public, other):
        assert ACCEPTED in t.open(secret=None)
    for t in (management, public, other, management):
        assert t.say(GET_LDN) == LDN
    assert public.say("6200") == "6303800100"
    assert public.say(GET_LDN) == NO_ASSOCIATION
    assert management.say(GET_LDN) == LDN


def test_the_same_client_on_two_links():
    meter = Meter()
    first, second = meter.management(), meter.management()
    first.channel.release()
    assert first.say(GET_LDN) == NO_ASSOCIATION
    assert second.say(GET_LDN) == LDN


def test_more_clients_than_room():
    meter = Meter()
    full = [meter.management() for _ in range(3)]
    late = meter.talk()
    assert aare(2, 1, "A2") in late.open()
    assert late.say(GET_LDN) == NO_ASSOCIATION
    assert [t.say(GET_LDN) for t in full] == [LDN] * 3
    full[0].say("6200")
    assert ACCEPTED in late.open()


def test_clients_without_a_secret_leave_room_for_management():
    meter = Meter()
    crowd = [meter.talk(client=16) for _ in range(3)]
    answers = [t.open(secret=None) for t in crowd]
    assert [ACCEPTED in a for a in answers] == [True, True, False]
    assert aare(2, 1, "A2") in answers[2]
    management = meter.management()
    assert management.say(GET_LDN) == crowd[0].say(GET_LDN) == LDN


def test_request_that_was_cut_is_refused_whole():
    t = Meter().management()
    set_ = "C1 01 C1 0001 0000603201FF 02 00 11 2A"
    assert t.say(set_, confirmed=3) == "D80104"
    assert t.say(set_, confirmed=2) == ""
    assert t.say("C0 01 C1 0001 0000603201FF 02 00") == "C401C1001107"


# --- Requests that are no requests ------------------------------------------------------------


@pytest.mark.parametrize(
    "request_, reply",
    [
        ("00", "D80202"),  # no service
        ("FF FF", "D80202"),
        ("C4 01 C1 00 11 01", "D80202"),  # a response
        ("05 01 02 FA00", "D80102"),  # Read: a service, not negotiated
        ("D9 00000000 00 00 00", "D80102"),  # ACCESS
        ("C8 05 3000000001", "D80102"),  # glo-get-request
        ("C0", "D80103"),  # truncated
        ("C0 01 C1 0001 00002A0000FF 02", "D80103"),
        ("C0 01 C1 0001 00002A0000FF 02 01", "D80103"),
        ("C0 01 C1 0001 00002A0000FF 02 01 01 08", "D80103"),
        ("C0 01 C1 0001 00002A0000FF 02 00 00", "D80103"),  # an octet too many
        ("C0 04 C1 0001 00002A0000FF 02 00", "D80102"),  # CTT DATA_LN_N1: unknown choice
        ("60", "D80103"),
        ("62 05 80 01 00", "D80103"),
    ],
)
def test_bad_request_in_an_open_association(request_, reply):
    t = Meter().management()
    assert t.say(request_) == reply
    assert t.say(GET_LDN) == LDN


@pytest.mark.parametrize("request_", [GET_LDN, "C1 01 C1 0001 00002A0000FF 02 00 11 01"])
def test_request_without_an_association(request_):
    assert Meter().talk().say(request_) == NO_ASSOCIATION


def test_service_that_was_not_negotiated():
    t = Meter().talk(client=16)
    t.open(secret=None)
    assert t.say("C1 01 C1 0001 0000603201FF 02 00 11 05") == "D80102"
    assert t.say("C3 01 C1 0003 0100010800FF 01 00") == "D80102"
    assert t.say("C0 03 C1 01 0001 00002A0000FF 02 00") == "D80102"


def test_failure_inside_is_an_exception_response_and_no_more():
    meter = Meter()
    t = meter.management()

    class Broken:
        def open(self, s):
            raise RuntimeError("seeded fault")

    row = meter.model.find(0, bytes.fromhex("000F0000280000FF"), 0)
    index = meter.model.objects[row * 16 + 9]
    good, meter.model.handlers[index] = meter.model.handlers[index], Broken()
    with pytest.raises(RuntimeError):
        t.say("C0 01 C1 000F 0000280000FF 02 00")
    assert bytes(t.channel.tx[t.channel.tx_pos : t.channel.tx_pos + 3]).hex() == "d80101"
    meter.model.handlers[index] = good
    assert t.say(GET_LDN) == LDN


REQUESTS = [
    bytes.fromhex(r.replace(" ", ""))
    for r in (
        GET_LDN,
        "C003C102000100002A0000FF02000001000060320 1FF0200",
        "C101C100010000603201FF02001105",
        "C301C10003010001 0800FF01010F00",
        "C104C10100010000603201FF020001 1107",
        "C102C100010000603203FF0200 0000000001 03 090201",
        "C304C100030100010800FF01 0100000001 02 0F00",
    )
]
METER = Meter()


def test_clients_come_and_go_when_a_board_has_let_go_of_the_code_for_that():
    meter = Meter()
    t = meter.talk()
    for _ in range(2):
        meter.server.forget()
        assert t.open().startswith("6129A109060760857405080101A203020100")
        meter.server.forget()
        assert t.say(GET_LDN) == LDN
        assert meter.server.opening is None, "nothing needs it meanwhile"
        assert t.say("6200") == "6303800100"
    meter.server.forget()
    # Whom no association is defined for, and a device that is not there.
    assert meter.talk(client=99).open().startswith("61")
    assert meter.talk(server=99).say("6200") == ""


SET = "C101C100010000603201FF02001105"
ACTION = "C301C10003010001 0800FF01010F00"


@pytest.mark.parametrize("request_, name", [(SET, "dlms.set"), (ACTION, "dlms.action")])
def test_a_service_is_there_while_somebody_may_want_it_again(request_, name):
    meter = Meter()
    t = meter.talk()
    t.open()
    said = t.say(request_)
    assert said[:2] == "%02X" % (int(request_[:2], 16) + 4), "its response"
    meter.server.forget()
    assert list(meter.server.parts) == [name], "its client is still there"
    t.say("6200")
    meter.server.forget()
    assert not meter.server.parts
    t.open()
    meter.server.forget()
    # First thing after that: nothing of it is loaded, and it comes again.
    apdu = bytearray.fromhex(request_)
    assert meter.server.request(t.channel, 1, 1, apdu, 0, len(apdu)) == -1
    assert t.say(request_) == said
    meter.server.forget(True)
    assert not meter.server.parts, "the heap is full"
    assert t.say(request_) == said


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(REQUESTS), st.data())
def test_changed_requests_end_in_a_defined_way(request_, data):
    """Any octet changed, cut, or added: a reply or silence, and the next request is served."""
    apdu = bytearray(request_)
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(apdu) - 1))
        apdu[i] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(apdu)))
    if cut and data.draw(st.booleans()):
        del apdu[cut:]
    ends_well(apdu)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_garbage_ends_in_a_defined_way(garbage):
    ends_well(garbage)


def ends_well(apdu):
    if apdu[:1] in (b"\x60", b"\x62"):
        return
    t = METER.talk()
    try:
        t.open()
        reply = t.say(apdu.hex())
        assert reply == "" or int(reply[:2], 16) in (0xC4, 0xC5, 0xC7, 0xD8)
        assert t.say(GET_LDN) == LDN
    finally:
        t.channel.release()


# --- Class modules that sleep -----------------------------------------------------------------

LIST = "C001C1 000F 0000280000FF 02 00"
AWAKE_AND_ASLEEP = {
    "computed": "C001C1 000F 0000280000FF 05 00",
    "in blocks": LIST,
    "with a selector": "C001C1 000F 0000280000FF 02 01 02 01 01 12 0001",
    "attribute 0": "C001C1 000F 0000280000FF 00 00",
    "a list": "C003C1 03 0001 00002A0000FF 02 00 000F 0000280000FF 08 00 000F 0000280000FF 05 00",
    "denied": "C001C1 0040 00002B0003FF 02 00",
    "not there": "C001C1 000F 0000280000FF 63 00",
    "a check": "C101C1 000F 0000280000FF 07 00 0900",
    "a method": "C301C1 000F 0000280000FF 02 01 0900",
    "malformed": "C001C1 000F 0000280000",
}


def without_users():
    """Where there are users, their class has to be there when a client comes."""
    meter = Meter()
    meter.model.sleep()
    assert meter.model.handler("association_ln") is not None
    for row in meter.model.rows(15):
        meter.model.write(row, 10, b"\x01\x00", 0, 2)
    meter.model.wake()
    return meter


@pytest.mark.parametrize("what", AWAKE_AND_ASLEEP)
@pytest.mark.parametrize("max_pdu", [0xFFFF, 64])
def test_a_class_module_that_sleeps_is_woken_and_nobody_notices(what, max_pdu):
    meters = without_users(), without_users()
    said = []
    for meter in meters:
        t = meter.talk()
        t.open(max_pdu=max_pdu)
        if meter is meters[1]:
            meter.server.forget(True)
            meter.model.sleep()
            assert meter.model.handler("association_ln") is None
        whole = [t.say(AWAKE_AND_ASLEEP[what])]
        while whole[-1].startswith("C402C100"):
            whole.append(t.say("C002C1" + whole[-1][8:16]))
        said.append(whole)
    assert said[0] == said[1]
    sleeps = meters[1].model.handler("association_ln") is None
    assert sleeps == (what in ("denied", "not there", "malformed"))


def test_they_sleep_when_the_last_client_has_gone():
    meter = without_users()
    one, other = meter.talk(), meter.talk()
    for t in (one, other):
        t.open()
        t.say(LIST)
    one.channel.release()
    assert meter.server.rests()
    meter.server.forget()
    assert not meter.model.asleep
    other.channel.release()
    assert not meter.server.rests()
    meter.server.forget()
    assert meter.model.asleep and meter.server.rests()
    # A script, or a capture, finds them all the same.
    buf = bytearray(64)
    row = meter.model.rows(15)[1]
    assert meter.model.read(row, 4, buf, 0, 64) > 0
    assert meter.model.handler("association_ln") is not None
