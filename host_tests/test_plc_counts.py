# SPDX-License-Identifier: MIT
"""What goes wrong between a board and its modem, and what a client reads of it: the meter as it
starts, behind the double of each modem; a fault of the double; then GET of the Data objects that
firmware/links/plc.py counts for (source = "count.plc_..."). Faults: the tables of the drivers'
tests. And the options of LINKS.
"""

import pytest
import small
from doubles import amis49587, g3_adp, mip_u61, prime_node, st7580
from doubles.meters import get, packet
from profiles.hdlc_client import HDLCClient
from test_plc_link import INITIATOR, NEW, OWN, Pins
from test_plc_profiles import Line, ResetOnly

from firmware.links import plc
from firmware.meter import fittings

AARQ = small.aarq(b"12345678")
NAME = get(1, "0.0.42.0.0", 2)
HERE = bytes.fromhex("FE80000000000000781D00FFFE000005")
CLIENT = bytes.fromhex("FE80000000000000781D00FFFE000000")
FAULTS, DAMAGED, REFUSED, UNANSWERED, LOST, FOREIGN = COUNTS = (
    "plc_faults", "plc_damaged", "plc_refused", "plc_unanswered", "plc_lost", "plc_foreign",
)  # fmt: skip
OBJECTS = """
include = "%s"

[[objects]]
class = "Data"
device = "meter"
access = "all"
list = [
    {obis = "0.0.96.15.20", data_type = "long-unsigned", source = "count.plc_faults"},
    {obis = "0.0.96.15.21", data_type = "long-unsigned", source = "count.plc_damaged"},
    {obis = "0.0.96.15.22", data_type = "long-unsigned", source = "count.plc_refused"},
    {obis = "0.0.96.15.23", data_type = "long-unsigned", source = "count.plc_unanswered"},
    {obis = "0.0.96.15.24", data_type = "long-unsigned", source = "count.plc_lost"},
    {obis = "0.0.96.15.25", data_type = "long-unsigned", source = "count.plc_foreign"},
]
"""


class Asked(Line):
    """A client behind the modem: begin(), then say() a request, and answers() come."""

    profile = definition = ""
    options = ()

    def __init__(self, path):
        path.write_text(OBJECTS % (small.HERE / "definitions" / self.definition))
        super().__init__(self.profile, self.double, path)

    def begin(self):
        self.up()

    def answers(self):
        return self.double.sent

    def ask(self, apdu):
        """The answer; it is asked for until there is one."""
        for _ in range(40):
            n = len(self.answers())
            self.say(apdu)
            for _ in range(1000):
                self.turn()
                if len(self.answers()) > n and self.apdu(self.answers()[-1])[0] == apdu[0] | 4:
                    return self.apdu(self.answers()[-1])
        raise AssertionError("no answer")

    def counts(self):
        self.run(1100)
        found = {}
        for k, name in enumerate(COUNTS):
            answer = self.ask(get(1, "0.0.96.15.%d" % (20 + k), 2))
            assert answer[:5] == b"\xc4\x01\xc1\x00\x12"
            found[name] = int.from_bytes(answer[5:], "big")
        return found


class SFSK(Asked):
    profile, definition = "sfsk", "sfsk.toml"

    def __init__(self, path):
        self.double = amis49587.Double()
        super().__init__(path)

    def begin(self):
        self.run(2000)
        self.double.synchronize(INITIATOR, NEW)
        self.run(500)
        self.register()
        self.double.hear(INITIATOR, OWN, b"\x90\x01\x01" + AARQ)
        self.run(2000)

    def register(self):
        title = bytes(self.meter.model.system_title[-6:])
        for data in (b"\x90\x00\x01\x1d\x64\x00\x01\x00\x00",
                     b"\x90\x00\x01\x1cCONC01\x01" + title + b"\x00\x05"):  # fmt: skip
            self.double.hear(INITIATOR, 0xFFF, data)
            self.run(1500)

    def say(self, apdu):
        if self.double.config is not None and self.double.synchronized is None:
            self.double.synchronize(INITIATOR, OWN)
        self.double.hear(INITIATOR, OWN, b"\x90\x01\x01" + apdu)

    def apdu(self, sent):
        return sent[5 + 3 :]

    def foreign(self):
        self.double.hear(0xC07, OWN, b"\x90\x01\x01" + NAME)


class PRIME(Asked):
    profile, definition = "prime", "prime.toml"

    def __init__(self, path):
        self.double = prime_node.Double()
        self.double.identifiers = {b"PMT2000000000001": 0x123}
        super().__init__(path)

    def begin(self):
        self.up()
        self.say(AARQ)
        self.run(1000)

    def say(self, apdu):
        if self.station.modem.is_up:
            self.double.hear(1, 1, apdu)

    def apdu(self, sent):
        return sent[3]

    def foreign(self):
        self.double.hear(1, 1, NAME, source=0x77)


class G3(Asked):
    profile, definition = "g3", "g3.toml"

    def __init__(self, path):
        self.double = g3_adp.Double()
        super().__init__(path)

    begin = PRIME.begin

    def say(self, apdu, source=CLIENT):
        wpdu = bytes.fromhex("000100010001") + len(apdu).to_bytes(2, "big") + apdu
        self.double.hear(packet(wpdu, source, HERE, (5000, 4059)))

    def apdu(self, sent):
        return sent[56:]

    def foreign(self):
        self.say(NAME, CLIENT[:15] + b"\x09")


class LON(Asked):
    profile, definition = "lon", "lon.toml"

    def __init__(self, path):
        self.double = mip_u61.Double()
        self.number = 0
        super().__init__(path)

    begin = PRIME.begin

    def say(self, apdu):
        self.number = self.number % 15 + 1
        self.run(100)
        head = bytes.fromhex("00 19 0185 0382 51 %02X 2D 10 01 01" % self.number)
        self.double.hear(head + apdu)

    def apdu(self, sent):
        return sent[12:]


class ST7580(Asked):
    """Its client is one of HDLC."""

    profile, definition = "st7580", "sfsk.toml"

    def __init__(self, path):
        self.double = st7580.Double()
        self.double.line = self
        self.client = HDLCClient(1000, 60000)
        self.heard = []
        super().__init__(path)

    def hear(self, octets):
        self.client.receive(octets, 0, len(octets), self.port.ticks_ms())

    def turn(self):
        super().turn()
        client = self.client
        now_ms = self.port.ticks_ms()
        client.tick(now_ms)
        n = client.transmit(now_ms)
        if n:
            self.double.hear(bytes(client.out[client.out_pos : client.out_pos + n]))
        if client.state == 4:
            self.heard.append(bytes(client.buf[client.pos : client.end]))
            client.taken()

    begin = PRIME.begin

    def say(self, apdu):
        client = self.client
        if client.state > 4 or client.closed:
            client.release()
            client.reset()
        if client.owner is None:
            client.begin(self, 1, 1, 0)
        if not client.state:
            client.ask(apdu, 0, len(apdu), True)

    def answers(self):
        return self.heard

    def apdu(self, sent):
        return b"\xc4" + sent[1:] if sent[:1] == b"\xd8" else sent


# Modem: its faults, how often, and which counter shows it.
LOCAL = {
    "garbage": (2, DAMAGED), "bad_checksum": (1, DAMAGED), "cut": (1, DAMAGED),
    "busy": (3, REFUSED), "nak": (2, REFUSED), "lost_ack": (1, UNANSWERED),
    "late_confirm": (1, UNANSWERED), "hangs": (1, FAULTS), "reset_in_frame": (1, FAULTS),
}  # fmt: skip
USI = {
    "garbage": (2, DAMAGED), "bad_check": (1, DAMAGED), "full": (1, REFUSED),
    "lost": (1, UNANSWERED), "late_confirm": (1, UNANSWERED), "hangs": (1, FAULTS),
}  # fmt: skip
MIP = {
    "bad_check": (1, DAMAGED),
    "cut": (1, DAMAGED),
    "bad_crc": (1, DAMAGED),
    "reset": (1, FAULTS),
}
TABLE = {SFSK: LOCAL, ST7580: LOCAL, PRIME: USI, G3: USI, LON: MIP}
ROWS = [(made, name) for made, faults in TABLE.items() for name in faults]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    lines = []

    def make(of):
        pins = {SFSK: Pins, ST7580: Pins, LON: None}.get(of, ResetOnly)
        monkeypatch.setattr(fittings, "pins_of", lambda: pins and pins(lines[0].double))
        line = of.__new__(of)
        lines.append(line)
        line.__init__(tmp_path / "counted.toml")
        line.begin()
        return line

    yield make
    for line in lines:
        line.close()


@pytest.mark.parametrize("of, name", ROWS, ids=lambda x: getattr(x, "profile", x))
def test_a_fault_is_counted(asked, of, name):
    here = asked(of)
    before = here.counts()
    n, counter = TABLE[of][name]
    here.double.faults[name] = n
    here.ask(NAME)
    here.run(35000 if name in ("late_confirm", "hangs") else 1000)
    after = here.counts()
    assert after[counter] > before[counter], (before, after)


@pytest.mark.parametrize("of", [SFSK, PRIME, G3], ids=lambda x: x.profile)
def test_what_was_not_for_us_is_counted(asked, of):
    here = asked(of)
    before = here.counts()
    here.foreign()
    here.run(2000)
    assert here.counts() == {**before, FOREIGN: before[FOREIGN] + 1}


# --- Options of LINKS --------------------------------------------------------------------------


def test_band_and_key_of_g3(monkeypatch, tmp_path):
    """As wiring.py says them, beside the rate."""
    monkeypatch.setattr(fittings, "pins_of", lambda: None)
    options = {"band": 3, "key": bytes(range(16)), "eui64": bytes(8), "prefix": b"\xfd" + bytes(7)}
    made = plc.make
    monkeypatch.setattr(plc, "make", lambda want, *rest: made([*want, options], *rest))
    here = G3(tmp_path / "g3.toml")
    here.begin()
    assert here.double.messages[1] == b"\x0a\x03\x00"
    assert here.double.messages[3] == bytes.fromhex("11 080000C2 0000 10") + bytes(range(16))
    own = options["prefix"] + HERE[8:]
    wpdu = bytes.fromhex("000100010001") + len(NAME).to_bytes(2, "big") + NAME
    here.double.hear(packet(wpdu, CLIENT, own, (5000, 4059)))
    here.run(1000)
    assert here.double.sent[-1][8:24] == own
    here.close()


@pytest.mark.parametrize(
    "options, said",
    [({"key": b"1"}, "a key of 16"), ({"colour": 1}, "plc-g3: .*colour")],
)
def test_options_that_there_are_not(monkeypatch, tmp_path, options, said):
    monkeypatch.setattr(fittings, "pins_of", lambda: None)
    made = plc.make
    monkeypatch.setattr(plc, "make", lambda want, *rest: made([*want, options], *rest))
    with pytest.raises(ValueError, match=said):
        G3(tmp_path / "g3.toml")
