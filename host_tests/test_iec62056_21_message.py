# SPDX-License-Identifier: MIT
"""Messages of IEC 62056-21: vectors/iec21.jsonl (see "source" there), parity, block check."""

import json

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st
from optical import bcc, command, with_parity

from profiles.iec62056_21_message import (
    BREAK,
    Messages,
    address_len,
    block_check,
    even,
    is_even,
)

REQUEST, WRONG, COMMAND, BREAKS, IS_ACK, IS_NAK, BAD, OPTION = 1, 5, 6, 7, 8, 9, 10, 14


def vectors():
    path = small.HERE / "vectors" / "iec21.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


VECTORS = vectors()
TO_THE_DEVICE = [v for v in VECTORS if v["direction"] == "c2s"]
FROM_THE_DEVICE = [v for v in VECTORS if v["direction"] == "s2c"]


def taken(octets, selects=False, parity=False, room=200):
    """(the events of the octets, the message in hand)."""
    m = Messages(bytearray(room), parity)
    events = [m.take(x, selects) for x in octets]
    return [e for e in events if e >= 0], bytes(m.buf[: m.n]), m


@pytest.mark.parametrize("v", TO_THE_DEVICE, ids=lambda v: v["id"])
def test_vectors_to_the_device(v):
    octets = bytes.fromhex(v["input_hex"])
    means = v["decoded"]
    events, held, m = taken(octets, selects=True)
    if means["message"] == "request":
        assert events == [REQUEST]
        assert held[1:-2].decode() == means["device-address"]
    elif means["message"] == "ack-option-select":
        assert events == [OPTION]
        rate = [300, 600, 1200, 2400, 4800, 9600, 19200][held[1] - 0x30]
        assert (chr(held[0]), rate, chr(held[2])) == (
            means["protocol"], means["baud"], means["mode"])  # fmt: skip
    else:
        assert events == [COMMAND]
        assert held == means["command"].encode() + b"\x02" + means["data"].encode()
        assert "%02x" % octets[-1] == means["bcc"] and not m.partial


@pytest.mark.parametrize("v", FROM_THE_DEVICE, ids=lambda v: v["id"])
def test_block_checks_of_what_a_device_says(v):
    octets = bytes.fromhex(v["input_hex"])
    means = v["decoded"]
    if "bcc" in means:
        assert block_check(octets, 1, len(octets) - 1) == octets[-1] == int(means["bcc"], 16)
    else:
        assert means["message"] in ("identification", "NAK")


@pytest.mark.parametrize(
    "octets, events",
    [
        (b"\x06", [IS_ACK]),
        (b"\x15", [IS_NAK]),
        (b"x\x15\x80\x15", [IS_NAK, IS_NAK]),
        (BREAK, [BREAKS]),
        (command("B1"), [BREAKS]),
        (command("B2"), [COMMAND]),
        (command("R1", "1.8.0()"), [COMMAND]),
        (command("R1"), [COMMAND]),
        (command("R1", "1.8.0()")[:-1] + b"\x00", [BAD]),
        (b"\x01R\x03" + bcc(b"R\x03"), [BAD]),
        (b"\x01R1x\x03" + bcc(b"R1x\x03"), [BAD]),
        (b"\x01R1\x02/?!\r\n\x03" + bcc(b"R1\x02/?!\r\n\x03"), [COMMAND]),
        (b"/?!\r\n" * 2, [REQUEST, REQUEST]),
        (b"/?12/?!\r\n", [REQUEST]),
        (b"/?!\r\n\x06", [REQUEST, IS_ACK]),
    ],
)
def test_what_is_a_message(octets, events):
    assert taken(octets)[0] == events


def test_an_option_select_only_where_one_may_be():
    assert taken(b"\x06050\r\n", selects=True)[0] == [OPTION]
    assert taken(b"\x06050\r\n")[0] == [IS_ACK]
    for wrong in (b"\x06\r\n", b"\x0605\r\n", b"\x060500\r\n", b"\x06050\n", b"\x06050x\n"):
        assert taken(wrong, selects=True)[0] == [WRONG]


def test_a_block_that_is_not_the_last():
    _events, _held, m = taken(command("W3", "1(2)", b"\x04"))
    assert m.partial


def test_what_is_too_long_is_damaged():
    octets = command("R1", "1" * 60)
    assert taken(octets, room=63)[0] == [COMMAND]
    events, _held, m = taken(octets, room=62)
    assert events == [BAD] and m.dropped == 1
    assert [m.take(x, False) for x in BREAK][-1] == BREAKS, "the next one is not"


@pytest.mark.parametrize(
    "address, n",
    [(b"", 0), (b"1", 1), (b"aZ 09", 5), (b"1" * 32, 32), (b"1" * 33, -1), (b"-", -1),
     (b"@", -1), (b"[", -1), (b"`", -1), (b"{", -1), (b"(", -1), (b"!", -1)],
)  # fmt: skip
def test_characters_of_a_device_address(address, n):
    message = b"?" + address + b"!\r"
    assert address_len(message, len(message)) == n


@given(st.binary(max_size=40))
def test_parity(octets):
    buf = bytearray(x & 0x7F for x in octets)
    even(buf, 0, len(buf))
    assert bytes(buf) == with_parity(bytes(x & 0x7F for x in octets))
    assert all(is_even(x) for x in buf)
    even(buf, 0, len(buf))
    assert all(is_even(x) and not is_even(x ^ 0x80) for x in buf)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=100), st.booleans())
def test_any_command_is_taken_and_any_damage_seen(data, parity):
    octets = command("W1", data)
    octets = with_parity(octets) if parity else octets
    assert taken(octets, parity=parity)[0] == [COMMAND]
    for k in range(3, len(octets)):
        damaged = bytearray(octets)
        damaged[k] ^= 0x80 if parity else 0x10
        events = taken(damaged, parity=parity)[0]
        assert COMMAND not in events


@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_any_octets(octets, selects, parity):
    events, _held, m = taken(octets, selects, parity, room=16)
    assert all(0 <= e <= OPTION for e in events)
    assert m.n <= 16
