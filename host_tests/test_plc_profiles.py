# SPDX-License-Identifier: MIT
"""firmware/links/plc.py with PRIME, G3 and the raw link: the whole meter, put together as it
starts, behind the driver and a double of its modem. S-FSK: test_plc_link.py.
"""

import types

import pytest
import small
from doubles import g3_adp, mip_u61, prime_node, st7580
from doubles.meters import get, packet, set_
from test_plc_link import Pins, Running

from firmware.meter import fittings

AARQ = small.aarq(b"12345678")
NAME = get(1, "0.0.42.0.0", 2)


class Line(Running):
    def __init__(self, profile, double, definition):
        super().__init__(double, [["plc-" + profile, 1, 57600]], definition)
        self.station = self.plc.profile

    def up(self, limit_ms=10000):
        for _ in range(0, limit_ms, 5):
            self.turn()
            if self.station.modem.is_up:
                return self
        raise AssertionError("never up")

    def answer(self, limit_ms=3000):
        n = len(self.double.sent)
        for _ in range(0, limit_ms, 5):
            self.turn()
            if len(self.double.sent) > n:
                return self.double.sent[-1]
        raise AssertionError("no answer")


@pytest.fixture
def line(monkeypatch):
    made = []

    def make(profile, double, definition, pins=None):
        monkeypatch.setattr(fittings, "pins_of", lambda: pins and pins(double))
        made.append(Line(profile, double, definition))
        return made[0]

    yield make
    for one in made:
        one.close()


class ResetOnly(Pins):
    def __init__(self, double):
        self.pins = {"PLC_RESET": double.reset}


class NoPins:
    def __init__(self, double):
        pass

    def output(self, name):
        raise ValueError("the wiring has none")


@pytest.mark.parametrize("pins", [None, ResetOnly, NoPins])
def test_prime(line, pins):
    double = prime_node.Double()
    made = line("prime", double, "prime.toml", pins)
    # The base node knows the meter by its logical device name.
    double.identifiers = {b"PMT2000000000001": 0x123}
    made.up()

    def ask(apdu):
        double.hear(1, 1, apdu)
        return made.answer()[3]

    assert ask(AARQ)[:1] == b"\x61"
    assert ask(NAME)[-16:] == b"PMT2000000000001"
    assert ask(set_(82, "0.0.28.2.0", 6, b"\x11\x09")) == bytes.fromhex("C501C100")
    made.run(500)
    assert double.pib[0x14] == b"\x09"
    # A locked port hears nothing.
    made.plc.gate.status = 2
    double.hear(1, 1, NAME)
    made.run(500)
    assert len(double.sent) == 3 and made.station.n_foreign == 1


def test_restarts_of_a_modem_are_counted(line):
    double = prime_node.Double()
    made = line("prime", double, "prime.toml")
    double.identifiers = {b"PMT2000000000001": 0x123}
    made.up()
    double.hung = True
    made.run(40000)
    assert not made.station.modem.is_up
    double.hung = False
    made.up(40000)
    double.hear(1, 1, AARQ)
    made.answer()
    double.hear(1, 1, get(1, "0.0.96.15.0", 2))
    faults = made.station.modem.n_faults
    assert made.answer()[3][-3:] == bytes((0x12, 0, faults)) and faults


def test_g3(line):
    double = g3_adp.Double()
    made = line("g3", double, "g3.toml").up()
    own = bytes.fromhex("FE80000000000000781D00FFFE000005")
    client = bytes.fromhex("FE80000000000000781D00FFFE000000")

    def ask(apdu):
        wpdu = bytes.fromhex("000100010001") + len(apdu).to_bytes(2, "big") + apdu
        double.hear(packet(wpdu, client, own, (5000, 4059)))
        return made.answer()[56:]

    assert ask(AARQ)[:1] == b"\x61"
    assert ask(NAME)[-16:] == b"PMT3000000000001"
    assert ask(get(91, "0.0.29.1.0", 7))[-11:] == bytes.fromhex("0448FFFFFFFFF000000000")
    assert double.mac[0x110, 0] == bytes.fromhex("FFFFFFFFF000000000")


PUSH = bytes.fromhex("C301C100280001190900FF01010F00")
PUSHED = bytes.fromhex("060001E240")


def test_a_push_over_prime(line):
    """To the base node, from the L-SAP of the logical device."""
    double = prime_node.Double()
    made = line("prime", double, "prime.toml")
    double.identifiers = {b"PMT2000000000001": 0x123}
    made.up()
    for apdu in (AARQ, PUSH):
        double.hear(1, 1, apdu)
        made.answer()
    made.run(4000)
    destination, source, address, note = double.sent[-1]
    assert (destination, source, address) == (1, 1, 0)
    assert note[:1] == b"\x0f" and note.endswith(PUSHED) and len(double.sent) == 3


def test_a_push_over_g3(line):
    """To the address of the client that has asked last, port 4059."""
    double = g3_adp.Double()
    made = line("g3", double, "g3.toml").up()
    own = bytes.fromhex("FE80000000000000781D00FFFE000005")
    client = bytes.fromhex("FE80000000000000781D00FFFE000000")
    for apdu in (AARQ, PUSH):
        wpdu = bytes.fromhex("000100010001") + len(apdu).to_bytes(2, "big") + apdu
        double.hear(packet(wpdu, client, own, (5000, 4059)))
        made.answer()
    made.run(4000)
    note = double.sent[-1]
    assert note[8:40] == own + client and len(double.sent) == 3
    assert note[48:54].hex() == "000100010001" and note[56:57] == b"\x0f"
    assert note.endswith(PUSHED)


def test_st7580(line):
    double = st7580.Double()
    made = line("st7580", double, "sfsk.toml", Pins).up()
    double.hear(bytes.fromhex("7EA0070321930F017E"))
    assert made.answer()[1:7] == bytes.fromhex("7EA007210373"), "UA"


def test_without_pins_there_is_no_st7580(line):
    with pytest.raises(ValueError, match="pins"):
        line("st7580", st7580.Double(), "sfsk.toml")


def test_a_profile_that_there_is_not(line):
    with pytest.raises(KeyError):
        line("smoke", types.SimpleNamespace(uart=None), "sfsk.toml")


# --- ISO/IEC 14908 ----------------------------------------------------------------------------


def test_lon(line):
    """A concentrator at node 5 of subnet 1; domain 51 and the addresses are those of the object
    of class 130, and another address counts at once."""
    here = line("lon", mip_u61.Double(), "lon.toml").up()
    here.run(50)

    def ask(apdu, number, to="0382", client=1):
        head = bytes.fromhex("00 19 0185 %s 51 %02X 2D 10" % (to, number))
        here.double.hear(head + bytes((client, 1)) + apdu)
        answer = here.answer()
        assert answer[:8].hex() == "0019%s018551%02x" % (to, 0x20 | number)
        assert answer[8:12] == bytes((0x2D, 0x10, client, 1))
        return answer[12:]

    assert ask(AARQ, 1)[:1] == b"\x61"
    assert ask(NAME, 2)[4:] == b"\x09\x10PMT1000000000001"
    assert ask(set_(130, "0.0.34.0.0", 2, b"\x11\x07"), 3) == b"\xc5\x01\xc1\x00"
    here.run(50)
    assert ask(get(132, "0.0.34.2.0", 11), 4, "0387")[4:5] == b"\x06"


def test_a_push_over_lon(line):
    """To whom the meter has heard last, three times again, unconfirmed."""
    here = line("lon", mip_u61.Double(), "lon.toml").up()
    here.run(50)
    for number, apdu in ((1, AARQ), (2, bytes.fromhex("C301C100280001190900FF01010F00"))):
        here.double.hear(bytes.fromhex("0019 0185 0382 51 %02X 2D100101" % number) + apdu)
        here.answer()
    here.double.sent.clear()
    here.run(3000)
    assert len(here.double.sent) == 4 and len(set(here.double.sent)) == 1
    note = here.double.sent[0]
    assert note[:12].hex() == "00090382018551112d100101"
    assert note[12] == 0x0F and note.endswith(b"\x06\x00\x01\xe2\x40")


def test_lon_with_protected_messages_only(line):
    """Protection itself: test_lon_secure.py."""
    here = line("lon", mip_u61.Double(), "lon_secure.toml").up()
    here.run(50)

    def say(message, number):
        here.double.hear(bytes.fromhex("00 19 0185 0382 51 %02X" % number) + message)
        return here.answer()[8:]

    assert say(b"\x2d\x10\x10\x01" + AARQ, 1) == b"\x2d\x14\x10\x01", "refused"
    hello = say(b"\x2d\x15\x10\x01" + bytes(8), 2)
    assert hello[:4] == b"\x2d\x15\x10\x01" and len(hello) == 12
