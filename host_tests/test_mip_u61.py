# SPDX-License-Identifier: MIT
"""lib/profiles/modems/mip_u61.py against its double."""

import pytest
from doubles import mip_u61
from doubles.mip_u61 import FAULTS, Double
from doubles.wire import CONFIRM, DATA, FAULT, UP, Bench
from hypothesis import given
from hypothesis import strategies as st
from profiles.modems.mip_u61 import MIPU61, crc16

LPDU = bytes.fromhex("00 19 0185 0382 51 05 2D7E7E007E")


def bench():
    double = Double()
    return Bench((MIPU61(double.wire), double)), double


@pytest.fixture
def up():
    b, double = bench()
    b.open()
    b.until(UP, 1000)
    b.run(20)
    return b, double


def test_the_check_value_of_the_crc():
    """CRC-16/GENIBUS: the catalogue's check value."""
    assert crc16(b"123456789", 0, 9) == 0xD64E
    assert mip_u61.crc16(b"123456789") == b"\xd6\x4e"


@given(st.binary(max_size=30))
def test_crc(octets):
    assert crc16(octets, 0, len(octets)).to_bytes(2, "big") == mip_u61.crc16(octets)


def test_it_starts(up):
    b, double = up
    assert double.commands == [0x50, 0x42] and double.phase_mode
    assert b.pairs[0][0].is_up


def test_frames_both_ways(up):
    b, double = up
    modem = b.pairs[0][0]
    double.hear(LPDU)
    assert b.until(DATA, 100) == LPDU
    assert modem.quality == 0x80
    assert modem.send(b"\xee" + LPDU, 1, 1 + len(LPDU), 0, 0) == 1
    assert b.until(CONFIRM, 100) == 0
    assert double.sent == [LPDU]


def test_a_line_that_takes_an_octet_at_a_time(up):
    b, double = up
    modem = b.pairs[0][0]
    double.wire.room = 1
    assert modem.send(LPDU, 0, len(LPDU), 0, 0) == 1
    assert modem.send(LPDU, 0, len(LPDU), 0, 0) == 0, "one at a time"
    assert b.until(CONFIRM, 100) == 0
    b.run(5)
    assert double.sent == [LPDU]


def test_what_cannot_be_sent(up):
    modem = up[0].pairs[0][0]
    assert modem.send(bytes(300), 0, 300, 0, 0) == -1
    closed = MIPU61(Double().wire)
    assert closed.send(LPDU, 0, len(LPDU), 0, 0) == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_it_recovers_by_itself(fault):
    """Whatever goes wrong twice: within half a minute frames go both ways again; after silence,
    when it has been noticed."""
    b, double = bench()
    modem = b.pairs[0][0]
    b.open()
    b.until(UP, 1000)
    b.run(20)
    double.faults[fault] = 2
    for _ in range(4):
        double.hear(LPDU)
        if modem.is_up:
            modem.send(LPDU, 0, len(LPDU), 0, 0)
        b.run(400)
    if fault == "silence":
        # Nothing says that it is silent, until it has said nothing for five minutes.
        assert modem.n_faults == 0
        b.step_ms = 20
        double.silent_until = double.now + 305000
        b.run(300000)
    b.run(25000)
    double.faults.clear()
    known = len(b.events), len(double.sent)
    double.hear(LPDU)
    modem.send(LPDU, 0, len(LPDU), 0, 0)
    b.run(400)
    assert (DATA, LPDU) in [e[2:] for e in b.events[known[0] :]]
    assert double.sent[known[1] :] == [LPDU]
    counted = {
        "bad_check": modem.n_garbled,
        "cut": modem.n_garbled,
        "bad_crc": modem.n_bad_crc,
        "reset": modem.n_faults,
        "silence": modem.n_faults,
    }
    assert counted.get(fault, 1) > 0
    assert all(e[2] != FAULT for e in b.events) or fault in ("reset", "silence")


def test_a_quiet_line_is_no_fault(up):
    """It is asked to reset now and then, which takes a moment, and does."""
    b, double = up
    b.step_ms = 20
    b.run(310000)
    modem = b.pairs[0][0]
    assert modem.is_up and modem.n_faults == 0 and double.commands.count(0x50) == 2
    assert b.names() == ["UP", "UP"]


def test_a_line_that_takes_nothing_any_more(up):
    b, double = up
    modem = b.pairs[0][0]
    b.step_ms = 20
    double.wire.room = 0
    assert modem.send(LPDU, 0, len(LPDU), 0, 0) == 1
    assert b.until(CONFIRM, 301000) == 4
    b.run(2000)
    assert not modem.is_up and modem.n_faults
    double.wire.room = 1 << 20
    b.until(UP, 60000)


def test_a_reset_of_its_own_is_told(up):
    b, double = up
    double.restart()
    assert b.until(FAULT, 400) == 4
    b.run(10)
    assert b.names() == ["UP", "FAULT", "UP"] and double.phase_mode


def test_errors_that_it_reports_and_long_messages(up):
    b, double = up
    modem = b.pairs[0][0]
    double.say(0x30, b"\x01")
    double.wire.to_host += b"\x7e\x00\xff\x1c\x01\x80" + bytes(0x180)
    double.say(0x1C, b"\x05\x01")
    b.run(20)
    assert (modem.n_errors, modem.n_long, modem.n_bad_crc) == (1, 1, 1)
    double.hear(LPDU)
    assert b.until(DATA, 100) == LPDU


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_noise(pieces):
    b, double = bench()
    b.open()
    b.until(UP, 1000)
    for piece in pieces:
        double.wire.to_host += piece
        b.run(3)
    double.wire.to_host += b"\x7e\x00" + bytes(3)
    b.run(700)
    double.hear(LPDU)
    assert b.until(DATA, 1500) == LPDU
