# SPDX-License-Identifier: MIT
"""lib/profiles/lon_frame.py: fields of ISO/IEC 14908-1, octet for octet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import lon_frame
from profiles.lon_frame import Frame

# Put together by hand from the layouts: (what, octets, fields). The APDU is 2D AA in all of them.
FRAMES = [
    (
        "a request to a node, domain of one octet",
        "00 19 0185 0382 51 05 2DAA",
        dict(kind=1, form=2, source_subnet=1, source_node=5, subnet=3, node=2, type=0, number=5),
    ),
    (
        "its response, on the alternate path",
        "40 19 0382 0185 51 25 2DAA",
        dict(alternate=0x40, source_subnet=3, source_node=2, subnet=1, node=5, type=2, number=5),
    ),
    (
        "a repeated message to all of a domain of six octets, with priority and backlog",
        "83 03 0185 00 414243444546 1E 2DAA",
        dict(priority=0x80, backlog=3, kind=0, form=0, subnet=0, type=1, number=14),
    ),
    (
        "an unacknowledged message to a group, no domain",
        "00 34 0185 07 2DAA",
        dict(kind=3, form=1, group=7, source_subnet=1, source_node=5, type=0, number=0),
    ),
    (
        "an acknowledgement of a group's member",
        "00 08 0302 0185 0704 25 2DAA",
        dict(kind=0, form=4, source_node=2, subnet=1, node=5, group=7, member=4, type=2, number=5),
    ),
    (
        "a request that asks for authentication, to a unique identifier",
        "00 1E 0185 00 0102030405FF 414243 85 2DAA",
        dict(kind=1, form=3, authenticated=0x80, type=0, number=5),
    ),
    ("a challenge", "00 28 0302 0185 0704 45 2DAA", dict(kind=2, form=4, type=0, number=0)),
]


@pytest.mark.parametrize("what, octets, fields", FRAMES, ids=[f[0] for f in FRAMES])
def test_each_form(what, octets, fields):
    octets = bytes.fromhex(octets)
    f = Frame()
    assert f.read(b"\xee" + octets + b"\xee", 1, 1 + len(octets)) == 1
    assert {name: getattr(f, name) for name in fields} == fields
    out = bytearray(40)
    assert bytes((b"\xee" + octets)[f.at : f.end]) == b"\x2d\xaa"
    if f.kind != lon_frame.AUTH_PDU:
        end = f.write(out, 3)
        assert out[3:end] == octets[:-2] and end - 3 == f.head_len() <= lon_frame.LONGEST_HEAD


def test_the_unique_identifier_and_the_domain_are_found():
    f = Frame()
    octets = bytes.fromhex(FRAMES[5][1])
    f.read(octets, 0, len(octets))
    assert octets[f.unique : f.unique + 6].hex() == "0102030405ff"
    assert octets[f.domain : f.domain + lon_frame.DOMAIN_LEN[f.domain_code]] == b"ABC"


@pytest.mark.parametrize("what, octets, fields", FRAMES, ids=[f[0] for f in FRAMES])
def test_what_is_cut_short(what, octets, fields):
    """Up to the PDU none is a frame; that of a TPDU may be empty behind its first octet."""
    octets = bytes.fromhex(octets)
    f = Frame()
    f.read(octets, 0, len(octets))
    shortest = f.at + (f.kind == lon_frame.APDU)
    for n in range(len(octets)):
        assert f.read(octets, 0, n) == (n >= shortest)


@pytest.mark.parametrize(
    "what, octets",
    [
        ("another version", "00 59 0185 0382 51 05 2DAA"),
        ("no selector", "00 11 0105 0382 51 05 2DAA"),
        ("a TPDU of type 3", "00 09 0185 0382 51 35 2DAA"),
        ("an SPDU of type 1", "00 19 0185 0382 51 15 2DAA"),
        ("an SPDU of type 7", "00 19 0185 0382 51 75 2DAA"),
    ],
)
def test_what_is_no_frame(what, octets):
    octets = bytes.fromhex(octets)
    assert Frame().read(octets, 0, len(octets)) == 0


@given(st.binary(max_size=40))
def test_noise_is_read_or_not(octets):
    f = Frame()
    if f.read(octets, 0, len(octets)):
        assert 0 < f.at <= f.end == len(octets)
        if f.kind != lon_frame.AUTH_PDU:
            out = bytearray(40)
            end = f.write(out, 0)
            # Bit 7 of a destination node has no meaning of its own.
            assert end == f.at and bytes(out[:4]) == octets[:4]
            assert all((a ^ b) & 0x7F == 0 for a, b in zip(out, octets[:end]))


FIELDS = {
    "priority": st.sampled_from((0, 0x80)),
    "alternate": st.sampled_from((0, 0x40)),
    "backlog": st.integers(0, 63),
    "kind": st.sampled_from((lon_frame.TPDU, lon_frame.SPDU, lon_frame.APDU)),
    "form": st.integers(0, 4),
    "source_subnet": st.integers(0, 255),
    "source_node": st.integers(0, 127),
    "subnet": st.integers(0, 255),
    "node": st.integers(0, 127),
    "group": st.integers(0, 255),
    "member": st.integers(0, 255),
    "domain_code": st.integers(0, 3),
    "authenticated": st.sampled_from((0, 0x80)),
    "type": st.sampled_from((0, 2, 4, 5)),
    "number": st.integers(0, 15),
}


@given(st.fixed_dictionaries(FIELDS), st.binary(min_size=12, max_size=12))
def test_what_is_written_is_read(fields, octets):
    f = Frame()
    for name, value in fields.items():
        setattr(f, name, value)
    f.unique_in = f.domain_in = octets
    f.unique, f.domain = 0, 6
    out = bytearray(40)
    end = f.write(out, 1)
    g = Frame()
    out[end] = 0x2D
    assert g.read(out, 1, end + 1) == 1 and (g.at, g.end) == (end, end + 1)
    again = bytearray(40)
    assert g.write(again, 1) == end and again[:end] == out[:end]
    of_form = {0: "subnet", 1: "group", 2: "subnet node", 3: "subnet"}
    for name in of_form.get(g.form, "subnet node group member").split():
        assert getattr(g, name) == fields[name]
