# SPDX-License-Identifier: MIT
"""lib/profiles/lon.py over a simulated network: a meter of definitions/lon.toml at node 2 of
subnet 3, and a concentrator."""

import pytest
import small
from plc.lon import (
    MORE,
    NUMBERED,
    PROTECTED,
    PULL,
    Agent,
    Concentrator,
    Line,
    meter,
    proxied,
)
from plc.network import Clock
from profiles.lon_frame import BROADCAST, NODE

METER = (3, 2)
UNIQUE = bytes.fromhex("0102030405FF")
AARQ = small.aarq(None)
AARQ_SECRET = small.aarq(b"12345678")
GET_NAME = bytes.fromhex("C001C100010000 2A0000FF0200")
NAME = bytes.fromhex("C401C1000910") + b"PMT1000000000001"
GET_LONG = bytes.fromhex("C001C100010000 600109FF0200")
GET_ENERGY = bytes.fromhex("C001C100030100 010800FF0200")
ENERGY = bytes.fromhex("C401C100060001E240")
RELEASE = bytes.fromhex("6203800100")
LONG = bytes(0x41 + k % 26 for k in range(450))
SET_LONG = bytes.fromhex("C101C1000100006001 09FF0200 098201C2") + LONG
GOT_LONG = bytes.fromhex("C401C100098201C2") + LONG
MANAGEMENT = {"client": 1}


class Bench:
    def __init__(self, loss=0.0, seed=1, mtu=102):
        self.clock = Clock()
        self.line = Line(self.clock, seed)
        self.station = meter(self.line, mtu)
        self.meter = self.station.meter
        self.lon = self.station.station
        self.head_end = Concentrator(self.line, mtu=mtu)
        self.line.connect(self.head_end.modem, self.station.modem, loss)

    def ask(self, apdu, **kwargs):
        return self.head_end.ask(METER, apdu, **kwargs)

    def patient(self):
        """Ask often; so long are transactions remembered."""
        self.head_end.tries = 30
        self.lon.node.receive_ms = 60000

    def say(self, message):
        """The response to a message, octet for octet."""
        return self.head_end.request(METER, message)

    def run(self, ms):
        self.clock.run(self.clock.now_ms + ms)


@pytest.fixture
def bench():
    return Bench()


def test_association_get_release(bench):
    assert bench.ask(AARQ)[:2] == b"\x61\x29"
    assert bench.ask(GET_NAME) == NAME
    assert bench.ask(GET_ENERGY) == ENERGY
    assert bench.ask(RELEASE)[:1] == b"\x63"


def test_by_the_unique_identifier_and_to_another_device(bench):
    head_end = bench.head_end
    assert head_end.ask(UNIQUE, AARQ, server=16)[:1] == b"\x61"
    assert head_end.ask(UNIQUE, GET_NAME, server=16)[-1:] == b"2"


def test_segments_both_ways(bench):
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    assert bench.ask(SET_LONG, **MANAGEMENT).hex() == "c501c100"
    assert bench.ask(GET_LONG, **MANAGEMENT) == GOT_LONG


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_frames_are_lost(loss):
    """Each transaction is carried out once, however often it is asked for."""
    n_sent = 0
    for seed in range(5):
        bench = Bench(loss, seed)
        bench.patient()
        bench.ask(AARQ_SECRET, **MANAGEMENT)
        assert bench.ask(SET_LONG, **MANAGEMENT).hex() == "c501c100"
        assert bench.ask(GET_LONG, **MANAGEMENT) == GOT_LONG
        n_sent += bench.head_end.n_sent
    assert n_sent > 5 * 12, "nothing was lost"


@pytest.mark.parametrize("mtu", [32, 64, 200])
def test_other_lengths_of_messages(mtu):
    bench = Bench(mtu=mtu)
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    bench.ask(SET_LONG, **MANAGEMENT)
    assert bench.ask(GET_LONG, **MANAGEMENT) == GOT_LONG


def head(flags, client=16, server=1, number=None):
    return Concentrator.head(Plain, flags, client, server, number)


class Plain:
    code = 0x2D


REFUSED = head(PROTECTED)


@pytest.mark.parametrize(
    "what, message, response",
    [
        ("protected", head(PROTECTED) + GET_NAME, REFUSED),
        ("no such device", head(0, server=5) + GET_NAME, head(PROTECTED, server=5)),
        ("client 0", head(0, client=0) + GET_NAME, head(PROTECTED, client=0)),
        ("nothing in it", head(0), REFUSED),
        ("a segment that is not the next", head(NUMBERED, number=3) + GET_NAME, REFUSED),
        ("nothing to pull", head(PULL | NUMBERED, number=1), REFUSED),
        ("another version", b"\x2d\x20\x10\x01" + GET_NAME, None),
        ("cut short", b"\x2d\x10\x10", None),
        ("a foreign application", b"\x2e\x10\x10\x01" + GET_NAME, None),
        ("network management", b"\x61\x01\x02", None),
        ("of a repeater, two hops left", b"\x4d\x02\x00\x00", b"\x4c\x02"),
        ("of a repeater, without its header", b"\x4d", None),
        ("no association", head(0) + GET_NAME, head(0) + bytes.fromhex("D80101")),
    ],
)
def test_what_does_not_belong_there(bench, what, message, response):
    bench.head_end.tries = 1
    assert bench.say(message) == response
    assert bench.ask(AARQ)[:1] == b"\x61", "and the next one is served"


def test_more_than_there_is_room_for(bench):
    """The meter says so at the segment that does not fit, and forgets the others."""
    assert bench.ask(bytes(600)) == "refused"
    assert bench.lon.diagnostic(5) == 1
    assert bench.ask(AARQ)[:1] == b"\x61"


def test_a_new_request_ends_the_one_before(bench):
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    first = bench.head_end.segments(SET_LONG, 1, 1)
    assert bench.say(first[0]) == head(NUMBERED, 1, 1, 0)
    assert bench.ask(GET_ENERGY, **MANAGEMENT) == ENERGY
    assert bench.say(first[1])[1] & PROTECTED


def test_a_response_of_segments_is_pulled_in_order(bench):
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    bench.ask(SET_LONG, **MANAGEMENT)
    response = bench.say(head(0, 1) + GET_LONG)
    assert response[:5] == head(NUMBERED | MORE, 1, 1, 0)
    assert bench.say(head(NUMBERED | PULL, 1, 1, 2))[1] & PROTECTED
    second = bench.say(head(NUMBERED | PULL, 1, 1, 1))
    assert second == bench.say(head(NUMBERED | PULL, 1, 1, 1))
    assert response[5:] + second[5:] == GOT_LONG[: len(response) + len(second) - 10]
    assert bench.say(head(NUMBERED | PULL, 2, 1, 2))[1] & PROTECTED, "another client"


def test_broadcasts_hear_nothing_and_are_carried_out_once(bench):
    """To all nodes, or all logical devices; a pre-established association has none here, so that
    what the meter does is seen by what it would answer."""
    seen = []
    request = bench.meter.server.request

    def spy(channel, client, server, buf, pos, end, flags):
        seen.append((client, server, bytes(buf[pos:end]), flags))
        return request(channel, client, server, buf, pos, end, flags)

    bench.meter.server.request = spy
    bench.head_end.tell(0, GET_ENERGY)
    assert seen == [(16, 1, GET_ENERGY, 4)]
    seen.clear()
    bench.head_end.tell(METER, GET_ENERGY, server=0xFF)
    assert [x[1] for x in seen] == [1, 16] and {x[2] for x in seen} == {GET_ENERGY}
    seen.clear()
    bench.head_end.tell(0, SET_LONG)
    assert seen == [(16, 1, SET_LONG, 4)], "in segments"
    assert all(h[0].type != 2 for h in bench.head_end.heard)
    assert bench.say(head(0, server=0xFF) + AARQ) == head(0, server=0xFF)


def test_what_nobody_has_asked_for(bench):
    """Repeated, in segments if it is long; what is heard twice has the same number. It goes to
    whom the meter has heard last, else to all."""
    note = b"\x0f" + bytes(range(200))
    bench.run(10)
    assert bench.lon.notify(1, 1, note, 0, len(note))
    assert not bench.lon.notify(1, 1, note, 0, len(note))
    bench.run(30000)
    assert not bench.lon.is_notifying()
    heard = {}
    for f, apdu in bench.head_end.heard:
        assert (f.kind, f.type, f.form, f.subnet) == (0, 1, BROADCAST, 0)
        heard.setdefault(f.number, set()).add(apdu)
    pieces = [apdus.pop() for _, apdus in sorted(heard.items()) if len(apdus) == 1]
    assert b"".join(piece[5:] for piece in pieces) == note
    assert [piece[1] & MORE for piece in pieces] == [MORE, MORE, 0]
    assert not bench.lon.notify(1, 1, note, 0, 256 * 102)
    bench.ask(AARQ)
    assert bench.lon.notify(1, 1, note, 0, 20)
    bench.run(10000)
    f, apdu = bench.head_end.heard[-1]
    assert (f.form, f.subnet, f.node, apdu) == (NODE, 1, 5, head(0, 1) + note[:20])


def test_an_association_ends_with_silence(bench):
    bench.lon.configure(2, 3, 30)
    bench.ask(AARQ)
    bench.run(29 * 60000)
    assert bench.ask(GET_NAME) == NAME
    bench.run(30 * 60000 + 1000)
    assert bench.ask(GET_NAME).hex() == "d80101"


def test_a_meter_without_an_address(bench):
    """Found by its unique identifier alone, until it is given one."""
    bench.lon.configure(0, 3, 0)
    bench.head_end.tries = 1
    assert bench.ask(AARQ) is None
    assert bench.head_end.ask(UNIQUE, AARQ)[:1] == b"\x61"
    bench.lon.configure(2, 3, 0)
    assert bench.ask(GET_NAME) == NAME


def test_an_address_that_changes_while_an_association_is_open(bench):
    bench.ask(AARQ)
    bench.lon.configure(9, 3, 0)
    assert bench.head_end.ask((3, 9), GET_NAME) == NAME
    bench.head_end.tries = 1
    assert bench.ask(GET_NAME) is None


def test_two_concentrators(bench):
    other = Concentrator(bench.line, subnet=1, node=6)
    bench.line.connect(other.modem, bench.lon.modem)
    bench.line.connect(other.modem, bench.head_end.modem)
    assert bench.ask(AARQ)[:1] == b"\x61"
    other.put(other.lpdu(1, METER, b"\x07", head(0, 2) + GET_ENERGY))
    assert bench.ask(GET_NAME) == NAME
    assert other.ask(METER, AARQ_SECRET, client=1)[:1] == b"\x61"
    assert bench.ask(GET_NAME) == NAME


def test_segments_of_two_concentrators_with_the_same_saps(bench):
    """A request is put together of one node's, and its answer is that node's."""
    other = Concentrator(bench.line, subnet=1, node=6)
    bench.line.connect(other.modem, bench.lon.modem)
    bench.line.connect(other.modem, bench.head_end.modem)
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    pieces = bench.head_end.segments(SET_LONG, 1, 1)
    assert bench.say(pieces[0]) == head(NUMBERED, 1, 1, 0)
    assert other.request(METER, pieces[1])[1] & PROTECTED
    assert bench.say(pieces[1])[1] & PROTECTED, "begin anew"
    assert bench.ask(SET_LONG, **MANAGEMENT).hex() == "c501c100"
    response = bench.say(head(0, 1) + GET_LONG)
    assert response[1] & MORE
    assert other.request(METER, head(NUMBERED | PULL, 1, 1, 1))[1] & PROTECTED
    assert bench.say(head(NUMBERED | PULL, 1, 1, 1))[1] & MORE


def test_segments_out_of_order_and_heard_late(bench):
    """The second before the first; a first one that comes once more, late, begins anew."""
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    first, second = bench.head_end.segments(SET_LONG, 1, 1)[:2]
    assert bench.say(second)[1] & PROTECTED
    assert bench.say(first) == head(NUMBERED, 1, 1, 0)
    assert bench.say(second) == head(NUMBERED, 1, 1, 1)
    assert bench.say(second)[1] & PROTECTED, "in another transaction"
    assert bench.say(first) == head(NUMBERED, 1, 1, 0)
    assert bench.ask(GET_ENERGY, **MANAGEMENT) == ENERGY


def test_a_pull_that_wants_no_response_touches_nothing(bench):
    """Nor does one that nobody can answer change what waits for its repetition."""
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    bench.ask(SET_LONG, **MANAGEMENT)
    response = bench.say(head(0, 1) + GET_LONG)
    pull = head(NUMBERED | PULL, 1, 1, 1)
    bench.head_end.put(bench.head_end.lpdu(3, METER, b"", pull))
    bench.run(2000)
    bench.head_end.number -= 1
    assert bench.say(head(0, 1) + GET_LONG) == response, "the same again"


def test_a_concentrator_that_restarts(bench):
    """It begins with a number that it may have used just now."""
    bench.ask(AARQ)
    bench.head_end.number = 0
    bench.run(6200)
    assert bench.ask(AARQ)[:1] == b"\x61"


def test_power_fails_while_a_request_comes(bench):
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    assert bench.say(bench.head_end.segments(SET_LONG, 1, 1)[0])
    bench.lon.reset()
    bench.lon.open(bench.station.ticks_ms())
    bench.run(100)
    assert bench.say(bench.head_end.segments(SET_LONG, 1, 1)[1])[1] & PROTECTED
    assert bench.ask(GET_ENERGY, **MANAGEMENT).hex() == "d80101"


def test_the_target_of_a_repeater():
    """The concentrator hears the repeater alone, and this the meter: annex E, its last hop."""
    bench = Bench()
    line, head_end = bench.line, bench.head_end
    line.cut(head_end.modem, bench.station.modem)
    head_end.tries = 2
    assert bench.ask(AARQ) is None
    head_end.tries = 8
    agent = Agent(line)
    line.connect(head_end.modem, agent.modem)
    line.connect(agent.modem, bench.station.modem, 0.2)

    def ask(apdu):
        return head_end.request((1, 9), proxied(METER, head(0) + apdu))[4:]

    assert ask(AARQ)[:1] == b"\x61"
    assert ask(GET_NAME) == NAME
    assert ask(RELEASE)[:1] == b"\x63"
    assert agent.n_relayed == 3, "each asked once, however often it came"


def test_corrupted_lengths_and_noise(bench):
    """Every octet of a request wrong once: no answer to something else, and no end of service."""
    good = bench.head_end.lpdu(1, METER, b"\x05", head(0) + AARQ)
    for k in range(len(good)):
        octets = bytearray(good)
        octets[k] ^= 0x55
        bench.head_end.put(octets[: len(octets) - k % 3])
        bench.run(700)
    bench.run(7000)
    assert bench.ask(AARQ)[:1] == b"\x61"


def test_what_the_objects_say(bench):
    """Classes 130 to 133; counters are those of the layers."""
    bench.ask(AARQ_SECRET, **MANAGEMENT)

    def get(class_id, e, attribute):
        apdu = bytes((0xC0, 1, 0xC1, 0, class_id, 0, 0, 34, e, 0, 255, attribute, 0))
        return bench.ask(apdu, **MANAGEMENT)[4:]

    assert get(130, 0, 4).hex() == "090151"
    assert get(130, 0, 6).hex() == "09060102030405ff"
    assert get(131, 1, 2).hex() == "12001e"
    before = int.from_bytes(get(132, 2, 11)[1:], "big")
    assert int.from_bytes(get(132, 2, 11)[1:], "big") == before + 1
    assert get(133, 3, 3).hex() == "1601" and get(133, 3, 4).hex() == "1101"
    assert get(133, 3, 5).hex() == "120000"
    reset = bytes.fromhex("C301C10084000022020 0FF01010F00".replace(" ", ""))
    assert bench.ask(reset, **MANAGEMENT).hex() == "c701c10000"
    assert int.from_bytes(get(132, 2, 9)[1:], "big") < 5
    bench.lon.node.n_received = bench.lon.n_overrun = 0x10000  # more than a long-unsigned has
    assert get(132, 2, 9).hex() == get(133, 3, 5).hex() == "12ffff"


def test_a_utility_table(bench):
    """Class 26: basic table 54, whole, set, and its length with it. (The base_names that
    IEC 62056-8-8 gives these are not known.)"""
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    table = bytes.fromhex("001A0000413600FF")

    def get(attribute):
        return bench.ask(b"\xc0\x01\xc1" + table + bytes((attribute, 0)), **MANAGEMENT)[4:]

    assert [get(k).hex() for k in (2, 3, 4)] == ["120036", "0600000004", "090400010203"]
    value = bytes.fromhex("0905 0909090909")
    assert bench.ask(b"\xc1\x01\xc1" + table + b"\x04\x00" + value, **MANAGEMENT)[3] == 0
    assert [get(k).hex() for k in (3, 4)] == ["0600000005", value.hex()]


@pytest.mark.parametrize(
    "what, attribute, value, result",
    [
        ("a node", 2, "117F", 0),
        ("a node that cannot be", 2, "1180", 250),
        ("a node of another type", 2, "120001", 12),
        ("a subnet", 3, "11FF", 0),
        ("a domain of three", 4, "0903414243", 0),
        ("a domain of two", 4, "09024142", 250),
        ("a domain that is too long", 4, "090741424344454647", 250),
        ("a program", 5, "09084142434445464748", 0),
        ("a program that is too short", 5, "090141", 250),
        ("a unique identifier", 6, "0906414243444546", 0),
        ("a unique identifier that is too short", 6, "0905 4142434445", 250),
    ],
)
def test_what_is_set(bench, what, attribute, value, result):
    bench.ask(AARQ_SECRET, **MANAGEMENT)
    told = []
    bench.meter.model.on_setup = told.append
    apdu = bytes.fromhex("C101C100820000220000FF%02X00" % attribute + value)
    assert bench.ask(apdu, **MANAGEMENT) == bytes((0xC5, 1, 0xC1, result))
    assert len(told) == (result == 0)
