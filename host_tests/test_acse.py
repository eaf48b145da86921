# SPDX-License-Identifier: MIT
"""lib/dlms/acse.py, initiate.py, ber.py. Vectors: vectors/acse.jsonl (sources stand there)."""

import json
from pathlib import Path

import pytest
from dlms import acse, ber, initiate
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
VECTORS = [
    json.loads(line) for line in (ROOT / "host_tests/vectors/acse.jsonl").read_text().splitlines()
]
AARQS = [v for v in VECTORS if v["hex"].startswith("60")]
RLRQS = [v for v in VECTORS if v["hex"].startswith("62")]
BITS = (
    "reserved general-protection general-block-transfer read write unconfirmed-write "
    "delta-value-encoding reserved attribute0-supported-with-set priority-mgmt-supported "
    "attribute0-supported-with-get block-transfer-with-get-or-read "
    "block-transfer-with-set-or-write block-transfer-with-action multiple-references "
    "information-report data-notification access parameterized-access get set selective-access "
    "event-notification action"
).split()


def is_rlrq(apdu, pos, end):
    return acse.rlrq_information(apdu, pos, end) >= 0


def ids(vectors):
    return [v["id"] for v in vectors]


@pytest.mark.parametrize("v", AARQS, ids=ids(AARQS))
def test_aarq_fields(v):
    apdu = bytes.fromhex(v["hex"])
    fields = v["fields"]
    q = acse.AARQ()
    assert q.parse(apdu, 0, len(apdu))
    assert "2.16.756.5.8.1.%d" % q.context == fields["application-context"]
    if "mechanism-name" in fields:
        assert "2.16.756.5.8.2.%d" % q.mechanism == fields["mechanism-name"]
        assert q.requirements
        secret = apdu[q.authentication_pos : q.authentication_end]
        assert "charstring:" + secret.hex() == fields["calling-authentication-value"]
    else:
        assert q.mechanism == -1 and q.authentication_end == 0
    request = initiate.InitiateRequest()
    assert request.parse(apdu, q.user_information_pos, q.user_information_end)
    info = fields["user-information"]
    assert request.version == info["dlms-version"]
    assert request.max_pdu == info["max-pdu"]
    assert request.response_allowed == info["response-allowed"]
    names = [b for i, b in enumerate(BITS) if request.conformance & 0x800000 >> i]
    assert names == [
        n.replace("attribute0-supported-with", "attribute0-supported-with")
        for n in info["conformance"]
    ]


def test_user_id_of_the_client():
    v = next(v for v in AARQS if v["id"] == "acse-aarq-userid")
    apdu = bytes.fromhex(v["hex"])
    q = acse.AARQ()
    assert q.parse(apdu, 0, len(apdu)) and q.user_id == 5


@pytest.mark.parametrize("last, context", [(1, 1), (9, 9), (0x7F, 0x7F), (0x80, -2), (0xD0, -2)])
def test_arcs_of_an_application_context(last, context):
    """What is no object identifier is unknown, and is not said again in the AARE."""
    apdu = bytearray.fromhex(AARQS[0]["hex"])
    at = apdu.index(bytes.fromhex("60857405080101"))
    apdu[at + 6] = last
    q = acse.AARQ()
    assert q.parse(apdu, 0, len(apdu)) and q.context == context


@pytest.mark.parametrize("v", AARQS + RLRQS, ids=ids(AARQS + RLRQS))
def test_truncated_is_not_parsed(v):
    apdu = bytes.fromhex(v["hex"])
    parse = acse.AARQ().parse if apdu[0] == 0x60 else is_rlrq
    for n in range(len(apdu)):
        assert not parse(apdu, 0, n)
    assert not parse(apdu + b"\x00", 0, len(apdu) + 1)


@pytest.mark.parametrize("v", RLRQS, ids=ids(RLRQS))
def test_rlrq(v):
    apdu = bytes.fromhex(v["hex"])
    assert is_rlrq(apdu, 0, len(apdu))


def test_rlre_is_the_published_one():
    tx = bytearray(8)
    assert tx[: acse.put_rlre(tx, 0, 0)].hex() == "6303800100"


def test_initiate_response_is_the_published_one():
    tx = bytearray(20)
    end = initiate.put_response(tx, 0, -1, 0x00501F, 500)
    assert tx[:end].hex() == "0800065f1f040000501f01f40007"


@pytest.mark.parametrize(
    "hex_, why",
    [
        ("", "nothing"),
        ("00 00 00 00 06 5F1F0400007E1F04B0", "another tag"),
        ("01 00 00 00 06 5F1F0400007E1F04", "an octet short"),
        ("01 00 00 00 06 5F1F0400007E1F04B000", "an octet long"),
        ("01 00 00 00 06 5F1F0500007E1F04B0", "conformance of five octets"),
        ("01 00 00 00 06 5F1F0408007E1F04B0", "unused bits in the conformance"),
        ("01 01 FF 00 00 06 5F1F0400007E1F04B0", "a dedicated key that does not end"),
        ("01 00 01", "ends in response-allowed"),
    ],
)
def test_bad_initiate_requests(hex_, why):
    apdu = bytes.fromhex(hex_)
    assert not initiate.InitiateRequest().parse(apdu, 0, len(apdu))


def test_conformance_of_old_clients_without_1f():
    apdu = bytes.fromhex("01 00 00 00 06 5F 04 00 007E1F 04B0")
    q = initiate.InitiateRequest()
    assert q.parse(apdu, 0, len(apdu)) and q.conformance == 0x007E1F


def test_options_of_the_initiate_request():
    apdu = bytes.fromhex("01 01 02 AABB 01 00 01 07 06 5F1F0400007E1F04B0")
    q = initiate.InitiateRequest()
    assert q.parse(apdu, 0, len(apdu))
    assert apdu[q.dedicated_key_pos : q.dedicated_key_end] == b"\xaa\xbb"
    assert q.response_allowed is False and q.qos == 7


def test_ber_lengths():
    assert ber.length(b"\x04\x02\xaa\xbb", 0, 4) == 2
    assert ber.length(b"\x04\x81\x02\xaa\xbb", 0, 5) == 2
    assert ber.length(b"\x04\x82\x00\x02\xaa\xbb", 0, 6) == 2
    for bad in ("04", "0403AABB", "0480AABB", "0483000001AA", "0481", "048200"):
        data = bytes.fromhex(bad)
        assert ber.length(data, 0, len(data)) == -1


@given(st.binary(max_size=80))
def test_garbage_is_refused_or_parsed_but_never_raises(data):
    acse.AARQ().parse(data, 0, len(data))
    is_rlrq(data, 0, len(data))
    initiate.InitiateRequest().parse(data, 0, len(data))


@given(st.sampled_from(AARQS), st.data())
def test_a_changed_octet_never_raises(v, data):
    apdu = bytearray.fromhex(v["hex"])
    i = data.draw(st.integers(0, len(apdu) - 1))
    apdu[i] = data.draw(st.integers(0, 255))
    q = acse.AARQ()
    if q.parse(apdu, 0, len(apdu)):
        assert q.user_information_end <= len(apdu) and q.authentication_end <= len(apdu)
