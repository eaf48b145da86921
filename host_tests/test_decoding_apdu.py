# SPDX-License-Identifier: MIT
"""tools/decoding/apdu.py and acse.py: what is told of APDUs, there and back, and what is said of
those that are wrong. Vectors: host_tests/vectors (sources stand there)."""

import json

import pytest
import told
from decoding import apdu
from hypothesis import given, settings
from hypothesis import strategies as st

VECTORS = told.vectors("xdlms", "acse", "sn", "sn_answers", "gbt", "security", "general")
TELLING = [v for v in VECTORS if v.get("fields")]


def ids(v):
    return v["id"]


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_there_and_back(vector):
    octets = bytes.fromhex(vector["hex"])
    node = apdu.decode(octets)
    assert node.faults() == []
    assert (node.start, node.end) == (0, len(octets))
    told.nested(node, 0, len(octets))
    assert apdu.encode(node) == octets


@pytest.mark.parametrize("vector", TELLING, ids=ids)
def test_what_is_told(vector):
    fields = vector["fields"]
    node = apdu.decode(bytes.fromhex(vector["hex"]))
    assert told.apdu(node) == fields.get("outer", fields)


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_plain_values_make_the_same_apdu(vector):
    """All but the lengths that are longer than they need be."""
    octets = bytes.fromhex(vector["hex"])
    node = apdu.decode(octets)
    made = apdu.encode(node.name, node.plain())
    assert made == octets or any(n.form for n in node.walk())
    assert apdu.decode(made).plain() == node.plain()


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_cut_off_anywhere(vector):
    """All that came before is told."""
    octets = bytes.fromhex(vector["hex"])
    whole = {(n.name, n.type, n.start, n.end): n for n in apdu.decode(octets).walk()}
    for n, node in told.cut_off(apdu.decode, octets):
        for found in node.walk():  # a leaf that ended before is what it was
            if not found.children and found.error is None and found.end < n and found.name:
                assert (found.name, found.type, found.start, found.end) in whole, (n, found)


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_octets_behind_the_end(vector):
    octets = bytes.fromhex(vector["hex"])
    faults = apdu.decode(octets + b"\0\0").faults()
    assert [fault.at for _, fault in faults] == [len(octets)]
    assert "2 octets behind the end of the APDU; expected none" in faults[0][1]


WRONG = {
    # hex: (octet, what is said of it)
    "": (0, "expected an APDU, found the end"),
    "99": (0, "0x99 is no tag of an APDU"),
    "c0": (1, "expected the choice of get-request, found the end"),
    "c004": (1, "0x04 is no choice of get-request; expected 1 (normal), 2 (next), 3 (with-list)"),
    "c401c102": (3, "0x02 is no choice of Get-Data-Result; expected 0 (data)"),
    "c401c10107": (4, "7 is no data-access-result; expected 0 (success)"),
    "c401c100070000": (4, "0x07 is no tag of a Data"),
    "c401c1000902aa": (7, "expected 2 octets of octet-string, found 1 and the end"),
    "c401c1000980aa": (5, "0x80 is no length"),
    "c001c1000300010108": (9, "expected 6 octets of Cosem-Object-Instance-Id, found 4 and"),
    "c001c100030100010800ff0202": (12, "0x02; expected 00 (absent) or 01 (present)"),
    "d80107": (2, "0x07 is no choice of CHOICE; expected 1 (operation-not-possible)"),
    "d8010600": (4, "expected 4 octets of Unsigned32, found 1 and the end"),
    "d80301": (1, "3 is no state-error; expected 1 (service-not-allowed)"),
    "0e010a00": (2, "0x0A is no choice of ServiceError"),
    "01000000065f1f0300": (7, "0x03; expected 5F 1F 04 00 and three octets of conformance"),
    "0100000006ff": (5, "0xFF; expected 5F 1F 04 00 and three octets of conformance"),
    "c80530000000": (6, "expected 5 octets of OCTET STRING, found 4 and the end"),
    "c806300000000001": (8, "expected 12 octets of OCTET STRING, found 1 and the end"),
    "c8053f00000000": (2, "suite 15; expected 0, 1 or 2"),
    "60059f00000000": (2, "0x9F is no tag of AARQ"),
    "6007be050403c004ff": (7, "0x04 is no choice of get-request"),
    "6103a20100": (4, "0x00; expected the tag 02 of Association-result"),
    "6003a1020600": (5, "expected 2 octets of OBJECT IDENTIFIER, found 1 and the end"),
    "62030a0100": (2, "0x0A is no tag of RLRQ; expected 80 (reason), BE (user-information)"),
    "6203800105": (4, "5 is no reason; expected 0 (normal), 1 (urgent), 30 (user-defined)"),
    "6200ff": (2, "1 octet behind the end of the APDU; expected none"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_where_it_is(case):
    at, sentence = WRONG[case]
    assert sentence in told.blamed(apdu.decode, bytes.fromhex(case), at)


def test_it_goes_on_behind_what_is_wrong():
    """A data-access-result that does not exist, in a list: the others are told."""
    node = apdu.decode(bytes.fromhex("c403c1030107001105010b"))
    assert [n.text or n.value for n in node.walk() if n.type in ("ENUMERATED", "unsigned")] == [
        7, 5, "object-unavailable"]  # fmt: skip
    assert [fault.at for _, fault in node.faults()] == [5]


@pytest.mark.parametrize("length", ["0c", ""])
def test_the_time_of_an_event_with_its_length_and_without(length):
    octets = bytes.fromhex(
        "c201" + length + "07e50118ff0e303950ffc40000010000616200ff020600000001")  # fmt: skip
    node = apdu.decode(octets)
    assert node.faults() == []
    assert node["time"].text == "2021-01-24 14:48:57.80 UTC+01:00"
    assert apdu.encode(node) == octets


def test_encode_from_words():
    octets = apdu.encode("get-request-normal", {
        "invoke-id-and-priority": 0xC1,
        "cosem-attribute-descriptor": {
            "class-id": 3, "instance-id": "1.0.1.8.0.255", "attribute-id": 2},
    })  # fmt: skip
    assert octets.hex() == "c001c100030100010800ff0200"
    errors = {"state-error": "service-not-allowed", "service-error": "other-reason"}
    assert apdu.encode("exception-response", errors).hex() == "d80103"
    assert apdu.encode(
        "aare",
        {
            "application-context-name": 1,
            "result": "accepted",
            "result-source-diagnostic": {"acse-service-user": "null"},
            "user-information": (
                "initiateResponse",
                {
                    "negotiated-dlms-version-number": 6,
                    "vaa-name": 7,
                    "negotiated-conformance": [
                        "get",
                        "set",
                        "selective-access",
                        "action",
                        "event-notification",
                        "priority-mgmt-supported",
                        "block-transfer-with-get-or-read",
                    ],
                    "server-max-receive-pdu-size": 500,
                },
            ),
        },
    ).hex() == (  # fmt: skip
        "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007"
    )


NOT_ENCODED = [
    ("get-request", {}, "no APDU get-request; expected one of initiateRequest"),
    ("get-request-next", {}, "get-request-next: invoke-id-and-priority: None is no"),
    ("get-request-next", {"block": 1}, "no block in Get-Request-Next; expected invoke-id-and-"),
    ("get-request-next", {"invoke-id-and-priority": 1, "block-number": -1},
     "block-number: -1 is no"),
    ("get-response-normal", {"invoke-id-and-priority": 1, "result": {"x": 1}},
     "expected {name: value} of data, data-access-result"),
    ("get-response-normal", {"invoke-id-and-priority": 1, "result": {"data": ("lang", 1)}},
     "is no Data; expected"),
    ("aarq", {"reason": 0}, "no reason in AARQ; expected protocol-version"),
    ("aarq", {"application-context-name": "1.x"}, "is no OBJECT IDENTIFIER"),
    ("rlrq", {"reason": "later"}, "'later' is no"),
    ("initiateRequest", {"proposed-dlms-version-number": 6, "proposed-conformance": ["got"]},
     "no conformance bit got; expected reserved-zero"),
    ("glo-get-request", {"security-control": 0x30}, "expected security-control, invocation"),
]  # fmt: skip


@pytest.mark.parametrize("name, value, sentence", NOT_ENCODED)
def test_what_cannot_be_encoded_is_said(name, value, sentence):
    with pytest.raises(ValueError) as e:
        apdu.encode(name, value)
    assert sentence in str(e.value)


JUNK = [
    None,
    5,
    -1,
    "x",
    b"x",
    [],
    [5],
    {},
    {"x": 1},
    (),
    ("x", 1),
    ("initiateRequest", 5),
    object(),
]


@pytest.mark.parametrize("name", apdu.BY_NAME)
def test_junk_is_no_apdu(name):
    """A sentence, whatever is asked for, at every member."""
    for junk in JUNK:
        members = getattr(apdu.BY_NAME[name][1], "members", ())
        for value in (junk, *({member: junk} for member, _ in members)):
            try:
                apdu.encode(name, value)
            except ValueError as e:
                assert str(e).startswith(name + ": ")


def test_a_sentence_repeats_no_key():
    for value in ({"dedicated-key": "0011223344zz"}, {"dedicated-key": ["0011223344zz"]}):
        with pytest.raises(ValueError) as e:
            apdu.encode("initiateRequest", value)
        assert str(e.value) == (
            "initiateRequest: dedicated-key: expected octets, or hexadecimal text")  # fmt: skip
    with pytest.raises(ValueError) as e:
        apdu.encode("aarq", {"calling-authentication-value": {"charstring": "password"}})
    assert "password" not in str(e.value)


def test_a_tree_that_was_changed():
    node = apdu.decode(bytes.fromhex("c001c100030100010800ff0200"))
    node["cosem-attribute-descriptor"]["attribute-id"].value = 3
    assert apdu.encode(node).hex() == "c001c100030100010800ff0300"


def test_secrets_are_not_shown():
    """A dedicated key, a password: neither in JSON nor in texts."""
    key = "00112233445566778899aabbccddeeff"
    aarq = apdu.encode("aarq", {
        "application-context-name": 1, "sender-acse-requirements": "1", "mechanism-name": 1,
        "calling-authentication-value": {"charstring": b"12345678"},
        "user-information": ("initiateRequest", {
            "dedicated-key": key, "proposed-dlms-version-number": 6, "proposed-conformance": 0,
            "client-max-receive-pdu-size": 0}),
    })  # fmt: skip
    for n in range(len(aarq) + 1):
        shown = apdu.decode(aarq[:n]).json() + repr(apdu.decode(aarq[:n]).faults())
        for secret in (key, key[:8], "31323334", "12345678"):
            assert secret not in shown, n
    assert "16 octets, not shown" in shown


# --- Any octets -------------------------------------------------------------------------------

TAGS = sorted(apdu.TABLE)


@st.composite
def nearly(draw):
    """A vector with octets changed, put in and left out; or any octets behind a tag."""
    if draw(st.booleans()):
        return bytes((draw(st.sampled_from(TAGS)),)) + draw(st.binary(max_size=40))
    octets = bytearray.fromhex(draw(st.sampled_from(VECTORS))["hex"])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(octets)))
        octets[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(octets)


@settings(max_examples=400, deadline=None)
@given(nearly())
def test_any_octets(octets):
    """Decoding ends, ranges nest; what is without fault comes back the same; JSON can be made."""
    node = apdu.decode(octets)
    told.nested(node, 0, len(octets))
    assert json.loads(node.json())["name"] == node.name
    node.plain()
    if not node.faults():
        assert node.end == len(octets)
        assert apdu.encode(node) == octets
        again = apdu.encode(node.name, node.plain())
        assert apdu.decode(again).plain() == node.plain()
