# SPDX-License-Identifier: MIT
"""profiles/sfsk.py with llc_432.py and llc_hdlc.py: meters and concentrators on a simulated line.

Time is virtual. What each fault ends in stands in the table of the page, clause 5.5, and here.
"""

import pytest
import small
from plc.initiator import Initiator, whole
from plc.meters import Meter, full
from plc.network import Clock
from plc.sfsk import ALL_CONFIGURED, ALL_PHYSICAL, NEW, SLOT_MS, Frame, Line, n_slots, one_way_ms

LOST, UNCONFIGURED, REPORTING, DISCOVERED, REGISTERED, ADRIFT = range(6)
TITLE = b"METER1"
WRAPS = 0x3FFFFFFF - 60000  # a minute before ticks wrap
AARQ = small.aarq(b"12345678", "FEFF1F", 239)
RLRQ = bytes.fromhex("6200")
CI_PDUS = ("1D64000A0000", "19" + TITLE.hex(), "1F00630002", "390082", "1E01" + TITLE.hex() + "00")
NAME = bytes.fromhex("C001C1000100002A0000FF0200")
LONG = bytes.fromhex("C001C100010000600109FF0200")
TIME = bytes.fromhex("C001C100080000010000FF0200")


class Street:
    """One concentrator, and meters one behind the other: each hears its neighbours."""

    def __init__(self, n=1, loss=0.0, seed=1, make=full, **options):
        self.clock = Clock()
        self.line = Line(self.clock, seed)
        self.conc = Initiator(self.line)
        self.meters = []
        last = self.conc.modem
        for k in range(n):
            meter = make(self.line, b"METER%d" % (k + 1), offset_ms=WRAPS, **options)
            self.line.connect(last, meter.modem, loss)
            last = meter.modem
            self.meters.append(meter)
        self.meter = self.meters[-1]

    def registered(self, address=5):
        for k, meter in enumerate(self.meters):
            self.conc.ic = k
            for _ in range(50):
                self.conc.register({meter.title: address + k})
                if meter.ciase.state == REGISTERED:
                    break
            assert meter.ciase.address == address + k
        self.address = address + len(self.meters) - 1
        return self

    def ask(self, apdu, **options):
        options.setdefault("client", 1)
        return self.conc.ask(self.address, apdu, **options)

    def opened(self):
        self.registered()
        assert self.ask(AARQ)[:1] == b"\x61"
        return self

    def run(self, ms):
        self.clock.run(self.clock.now_ms + ms)


@pytest.fixture
def street():
    return Street().opened()


# --- The way of a request ---------------------------------------------------------------------


def test_discovered_registered_asked():
    street = Street()
    assert street.meter.ciase.state == LOST
    assert street.conc.discover(10) == [TITLE]
    assert street.meter.ciase.state == DISCOVERED
    street.conc.register({b"OTHER1": 4, TITLE: 5})
    assert street.meter.ciase.state == REGISTERED
    assert street.conc.ping(5, TITLE) == TITLE
    assert street.conc.discover(10) == [], "who is registered reports no more"
    street.address = 5
    assert street.ask(AARQ)[:1] == b"\x61"
    assert street.ask(NAME) == bytes.fromhex("C401C1000910") + b"PMT1000000000001"
    assert street.ask(RLRQ) == bytes.fromhex("6303800100")
    assert street.conc.n_asked == 3, "nothing was asked twice"


def test_an_answer_goes_back_with_the_credit_of_the_question():
    street = Street(4)
    street.registered()
    street.conc.ic = 5
    assert street.ask(AARQ)[:1] == b"\x61"
    assert street.meter.station.credit >> 5 == 5
    # Three repeaters and two more rounds, both ways.
    assert street.meter.modem.n_sent == 1 and street.meter.modem.n_repeated >= 5


def test_too_little_credit_does_not_reach():
    street = Street(3).registered()
    street.conc.ic = 1
    assert street.ask(AARQ, tries=2) is None
    street.conc.ic = 2
    assert street.ask(AARQ)[:1] == b"\x61"


def octets_of(street, apdu):
    """The content of an octet-string of 400 octets, block by block."""
    return whole(street.ask, apdu)[5:]


def test_a_long_value_in_blocks_that_fit_a_frame(street):
    street.conc.heard.clear()
    value = octets_of(street, LONG)
    assert len(value) == 400 and set(value) <= set(b"LONG")
    sizes = [len(h[2]) for h in street.conc.heard]
    assert len(sizes) == 2 and max(sizes) <= 242
    assert sizes[0] >= 230, "a frame is filled"


def test_max_frame_length_counts_from_the_next_association_on(street):
    street.meter.llc.configure(100)
    assert street.ask(RLRQ)[:1] == b"\x63"
    assert street.ask(AARQ)[:1] == b"\x61"
    street.conc.heard.clear()
    assert len(octets_of(street, LONG)) == 400
    assert max(len(h[2]) for h in street.conc.heard) <= 100


def test_a_lost_block_is_asked_for_again_and_comes_again():
    """Each second frame of the meter is lost: the transfer goes on to its end."""
    street = Street().opened()
    sent = []

    def disturb(source, node, frame):
        if source is street.meter.modem:
            sent.append(frame)
            return frame if len(sent) % 2 == 0 else None
        return frame

    street.line.disturb = disturb
    assert len(octets_of(street, LONG)) == 400
    assert len(sent) == 4 and street.meter.llc.repeated == 1


def test_general_blocks(street):
    """General block transfer recovers what was lost by itself: the window is one frame."""
    street.meter.llc.configure(100)
    assert street.ask(RLRQ)[:1] == b"\x63"
    assert street.ask(AARQ)[:1] == b"\x61"
    first = street.ask(b"\xe0\x81\x00\x01\x00\x00" + bytes((len(LONG),)) + LONG)
    assert first[0] == 0xE0 and len(first) <= 97
    whole, number = b"", 1
    while True:
        assert int.from_bytes(first[2:4], "big") == number
        whole += first[7:] if first[6] < 0x80 else first[8:]
        if first[1] & 0x80:
            break
        first = street.ask(b"\xe0\x81" + bytes((0, number + 1)) + bytes((0, number)) + b"\x00")
        number += 1
    assert whole[:4] == bytes.fromhex("C401C100") and whole.endswith(b"LONG")


def test_general_blocks_in_a_window_and_one_is_lost(street):
    """Two blocks follow each other without a request between; the one that is lost comes again."""
    street.meter.llc.configure(100)
    assert street.ask(RLRQ)[:1] == b"\x63"
    assert street.ask(AARQ)[:1] == b"\x61"
    lost = []

    def disturb(source, node, frame):
        if source is street.meter.modem and frame.data[3:4] == b"\xe0" and not lost:
            lost.append(frame)
            return None
        return frame

    def blocks(request):
        begin = len(street.conc.heard)
        street.conc.put(street.address, b"\x90\x01\x01" + request)
        street.run(4000)
        return [h[2][3:] for h in street.conc.heard[begin:]]

    street.line.disturb = disturb
    got = {}
    for block in blocks(b"\xe0\x82\x00\x01\x00\x00" + bytes((len(LONG),)) + LONG):
        got[block[3]] = block
    assert sorted(got) == [2] and lost[0].data[6] == 1
    number = acknowledged = 0
    while not any(b[1] & 0x80 for b in got.values()) or sorted(got) != list(
        range(1, len(got) + 1)
    ):
        number += 1
        while acknowledged + 1 in got:
            acknowledged += 1
        request = b"\xe0\x82" + bytes((0, number + 1, 0, acknowledged, 0))
        for block in blocks(request):
            got[block[3]] = block
        assert number < 20
    whole_one = b"".join(got[k][7:] if got[k][6] < 0x80 else got[k][8:] for k in sorted(got))
    assert whole_one[:4] == bytes.fromhex("C401C100") and whole_one.count(b"LONG") == 100


# --- Broadcast --------------------------------------------------------------------------------


@pytest.mark.parametrize("destination", (ALL_CONFIGURED, ALL_PHYSICAL, 0xE00))
@pytest.mark.parametrize("server", (1, 0xFF))
def test_a_broadcast_is_served_and_not_answered(street, destination, server):
    street.meter.station.configure_group(0, 0xE00)
    street.meter.poll()
    heard = len(street.conc.heard)
    value = bytes.fromhex("C101C100010000600109FF02000903414243")
    street.conc.put(destination, bytes((0x90, server, 1)) + value)
    street.run(5000)
    assert len(street.conc.heard) == heard
    assert street.ask(LONG)[4:] == bytes.fromhex("0903414243")


def test_each_logical_device_hears_what_is_for_all_of_them():
    """A copy each: what the first deciphers in place is not what the second gets; and one that
    has work to do first hears it again as it was left."""
    street = Street(definition=small.HERE / "definitions/small.toml").registered()
    server = street.meter.server
    heard = []

    def request(channel, client, sap, buf, pos, end, flags):
        heard.append((sap, client, bytes(buf[pos:end]), flags))
        for k in range(pos, end):
            buf[k] ^= 0xFF
        if len(heard) == 1:
            server.todo = 1
            return -1
        return 0

    server.request = request
    server.work = lambda: setattr(server, "todo", 0)
    street.meter.modem.deliver(frame_of(street, b"\x90\xff\x02" + NAME, 0xC00, ALL_PHYSICAL))
    street.run(1000)
    left = bytes(octet ^ 0xFF for octet in NAME)
    assert heard == [(1, 2, NAME, 4), (1, 2, left, 4), (17, 2, NAME, 4)]
    assert not street.meter.llc.is_busy


def test_a_group_that_is_none_of_ours_is_not_for_us(street):
    value = bytes.fromhex("C101C100010000600109FF02000903414243")
    street.conc.put(0xE01, b"\x90\x01\x01" + value)
    street.run(5000)
    assert street.ask(LONG)[4:] != bytes.fromhex("0903414243")


# --- Duplicates, order, lengths ---------------------------------------------------------------


def frame_of(street, data, source=0xC00, destination=None):
    destination = street.address if destination is None else destination
    return Frame(street.line.number(), 0, 0, 0, source, destination, data)


def test_a_duplicate_while_the_answer_waits_is_dropped(street):
    request = b"\x90\x01\x01" + NAME
    before = street.meter.modem.n_sent
    street.meter.modem.deliver(frame_of(street, request))
    street.meter.modem.deliver(frame_of(street, request))
    street.run(3000)
    assert street.meter.modem.n_sent == before + 1
    assert street.meter.llc.dropped == 1


def test_a_late_duplicate_is_served_again(street):
    """A GET is; what would do something twice is not, see test_repeated.py."""
    request = b"\x90\x01\x01" + NAME
    before = street.meter.modem.n_sent
    street.meter.modem.deliver(frame_of(street, request))
    street.run(3000)
    street.meter.modem.deliver(frame_of(street, request))
    street.run(3000)
    assert street.meter.modem.n_sent == before + 2


def test_a_late_duplicate_of_a_next_block_changes_nothing(street):
    first = street.ask(LONG)
    assert first[3] == 0
    following = b"\xc0\x02\xc1\x00\x00\x00\x01"
    second = street.ask(following)
    begin = len(street.conc.heard)
    street.meter.modem.deliver(frame_of(street, b"\x90\x01\x01" + following))
    street.run(3000)
    assert street.conc.heard[begin][2][3:] == second


def test_blocks_out_of_order_end_the_transfer_and_nothing_else(street):
    street.ask(LONG)
    assert street.ask(b"\xc0\x02\xc1\x00\x00\x00\x02")[:5] == bytes.fromhex("C402C1")[:3] + bytes(
        street.conc.heard[-1][2][6:8]
    )
    assert street.ask(NAME)[4:6] == b"\x09\x10", "the association goes on"


@pytest.mark.parametrize("n", range(0, 17))
def test_every_length_of_an_l_pdu_has_an_outcome(street, n):
    """A request cut off anywhere: silence, or an answer that says so; then one that is whole."""
    request = (b"\x90\x01\x01" + NAME)[:n]
    street.meter.modem.deliver(frame_of(street, request))
    street.run(3000)
    assert street.ask(NAME)[4:6] == b"\x09\x10"


@pytest.mark.parametrize(
    "head", ("910101", "900501", "900100", "00", "90", "9001", "90FD01", "900001", "900101")
)
def test_l_pdus_that_are_not_followed(street, head):
    heard = len(street.conc.heard)
    street.meter.modem.deliver(frame_of(street, bytes.fromhex(head)))
    street.run(3000)
    assert len(street.conc.heard) == heard
    assert street.ask(NAME)[4:6] == b"\x09\x10"


def test_random_octets_change_nothing(street):
    """Requests and CI-PDUs with octets flipped, cut off and put in: no fault, and it goes on."""
    import random

    chance = random.Random(11)
    whole_ones = [b"\x90\x01\x01" + apdu for apdu in (AARQ, NAME, LONG, TIME, RLRQ)]
    whole_ones += [b"\x90\x00\x01" + bytes.fromhex(t) for t in CI_PDUS]
    for _ in range(1500):
        data = bytearray(chance.choice(whole_ones))
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data))
            kind = chance.randrange(3)
            if kind == 0:
                data[at] ^= 1 << chance.randrange(8)
            elif kind == 1:
                data.insert(at, chance.randrange(256))
            elif len(data) > 1:
                del data[at:]
            if not data:
                break
        if data[3:4] == b"\x1c":
            continue  # a Register that is right but for the address is one
        street.meter.modem.deliver(frame_of(street, bytes(data[:242])))
        street.run(200)
        assert street.meter.server.fault is None
    street.run(30000)
    assert street.meter.ciase.address == street.address
    assert street.ask(AARQ)[:1] == b"\x61"
    assert street.ask(NAME)[4:6] == b"\x09\x10"


def test_nothing_but_its_own_is_heard(street):
    for destination in (4, 6, NEW, 0xC00):
        street.meter.modem.deliver(frame_of(street, b"\x90\x01\x01" + NAME, 0xC00, destination))
    street.run(3000)
    assert street.meter.modem.n_sent == 1, "only the AARE"


# --- Who is registered, and with whom ---------------------------------------------------------


def test_a_meter_that_is_not_registered_serves_nobody():
    street = Street()
    street.conc.discover(5)
    street.conc.put(NEW, b"\x90\x01\x01" + AARQ)
    street.run(3000)
    assert street.meter.station.n_foreign == 1
    assert street.meter.modem.n_sent == 1, "the report"


def two_initiators(loss=0.0):
    street = Street().registered()
    rival = Initiator(street.line, 0xC01, b"CONC02")
    street.line.connect(rival.modem, street.meter.modem, loss)
    return street, rival


def test_the_first_of_two_initiators_has_the_meter():
    street, rival = two_initiators()
    assert street.ask(AARQ)[:1] == b"\x61"
    rival.register({TITLE: 9})
    assert rival.ask(5, AARQ, client=1, tries=2) is None
    assert street.meter.ciase.address == 5
    assert street.ask(NAME)[4:6] == b"\x09\x10"


def test_two_initiators_discover_at_once_and_one_gets_it():
    street = Street()
    rival = Initiator(street.line, 0xC01, b"CONC02")
    street.line.connect(rival.modem, street.meter.modem)
    assert street.conc.discover(5) == [TITLE]
    assert rival.discover(5) == [TITLE], "still free"
    rival.register({TITLE: 9})
    street.conc.register({TITLE: 5})
    assert street.meter.ciase.address == 9 and street.meter.ciase.initiator == 0xC01
    assert rival.ask(9, AARQ, client=1)[:1] == b"\x61"


def test_a_concentrator_that_restarts_finds_its_meter_where_it_was(street):
    """It has forgotten associations, not addresses: the AARQ replaces what was open."""
    again = street.conc
    street.conc.heard.clear()
    assert street.conc.discover(5) == []
    assert again.ping(street.address, TITLE) == TITLE
    assert street.ask(AARQ)[:1] == b"\x61"
    assert street.ask(NAME)[4:6] == b"\x09\x10"


def test_a_concentrator_that_has_forgotten_all_waits_for_the_time_out():
    street = Street()
    street.meter.polls(1000)
    street.registered()
    street.meter.station.configure_timeouts(0, 0, 10, 0)
    assert street.ask(AARQ)[:1] == b"\x61"
    street.conc.discover(1)  # broadcasts do not count
    street.run(9 * 60000)
    street.conc.discover(1)
    assert street.meter.ciase.state == REGISTERED
    street.run(2 * 60000)
    assert street.meter.ciase.state == LOST and not street.meter.channel.in_use()
    assert street.meter.modem.address == NEW
    assert street.meter.station.mac.listing == [0, 1, 0, 0, 0]
    assert street.conc.discover(5) == [TITLE]


def test_an_address_that_changes_ends_the_association():
    street = Street().opened()
    street.conc.register({TITLE: 6})
    assert street.meter.ciase.address == 6 and not street.meter.channel.in_use()
    assert street.conc.ask(5, NAME, client=1, tries=1) is None
    street.address = 6
    assert street.ask(NAME)[:2] == bytes.fromhex("D801"), "no association"
    assert street.ask(AARQ)[:1] == b"\x61"


def test_registered_again_as_it_was_the_association_goes_on(street):
    street.conc.register({TITLE: 5})
    assert street.ask(NAME)[4:6] == b"\x09\x10"


def test_a_new_address_while_an_answer_is_under_way(street):
    """The modem has it already: it leaves, and is nobody's; the new address works."""
    register = b"\x90\x00\x01\x1c" + street.conc.title + b"\x01" + TITLE + b"\x00\x07"
    street.meter.modem.deliver(frame_of(street, b"\x90\x01\x01" + LONG))
    street.meter.modem.deliver(frame_of(street, register, destination=ALL_PHYSICAL))
    street.run(5000)
    assert not street.meter.llc.is_busy
    street.address = 7
    assert street.ask(AARQ)[:1] == b"\x61"


@pytest.mark.parametrize("after_ms", range(0, 1500, 75))
def test_power_fails_during_registration(after_ms):
    """At every half slot from Discover to the first answer: a meter that starts is NEW, and is
    found, registered and asked as any other."""
    street = Street()
    clock = street.clock
    meter = street.meter
    clock.at(after_ms, meter.power_off)
    clock.at(after_ms + 200, meter.power_on)
    street.conc.discover(1)
    street.conc.register({TITLE: 5})
    street.run(1000)
    for _ in range(3):
        if meter.ciase.state == REGISTERED:
            break
        if street.conc.discover(2) == [TITLE]:
            street.conc.register({TITLE: 5})
    assert (meter.ciase.address, meter.modem.address) == (5, 5)
    street.address = 5
    assert street.ask(AARQ)[:1] == b"\x61"


def test_power_fails_while_an_association_is_open():
    """A meter that starts is NEW: silent at its old address, found as any other."""
    street = Street().opened()
    street.meter.power_off()
    street.run(1000)
    street.meter.power_on()
    street.run(3000)
    assert street.ask(NAME, tries=1) is None
    assert street.conc.discover(2) == [TITLE]
    street.conc.register({TITLE: 5})
    assert street.ask(NAME)[:2] == bytes.fromhex("D801"), "no association"
    assert street.ask(AARQ)[:1] == b"\x61"


def test_synchronization_lost_and_found_again(street):
    street.meter.modem._lose(2)
    street.meter.poll()
    assert street.meter.ciase.state == ADRIFT
    assert street.ask(NAME)[4:6] == b"\x09\x10", "the first frame is its synchronization"
    assert street.meter.station.mac.listing == [0, 0, 1, 0, 0]
    assert street.meter.station.mac.synchronizations[:2] == [0xC00, 2]


def test_frame_not_ok_is_the_modems_time_out():
    street = Street()
    street.meter.station.configure_timeouts(0, 0, 0, 45)
    street.registered()
    street.run(50000)
    assert street.meter.ciase.state == ADRIFT
    assert street.meter.station.mac.listing == [0, 0, 1, 0, 0]


def test_a_modem_that_resets_is_given_all_settings_again(street):
    """Settings stay over open(); what was under way is lost, and asked for again."""
    street.conc.put(5, b"\x90\x01\x01" + NAME)
    street.run(SLOT_MS + 10)
    street.meter.modem.fail()
    street.run(3000)
    assert street.meter.station.mac.listing[0] == 1
    assert not street.meter.llc.is_busy
    assert street.ask(NAME)[4:6] == b"\x09\x10"


def test_a_modem_that_is_busy_gets_its_settings_later():
    street = Street(make=Meter)
    street.meter.modem.busy_settings = 5
    street.registered()
    assert street.meter.modem.address == 5


# --- Unasked ----------------------------------------------------------------------------------


def test_a_notification_goes_to_the_initiator(street):
    buf = bytearray(64)
    buf[8:13] = b"\x0f\x00\x00\x00\x01"
    station = street.meter.station
    assert station.notify(1, 1, buf, 8, 5)
    assert not station.notify(1, 1, buf, 8, 5), "one waits already"
    street.meter.poll()
    found = street.conc.wait(3000, lambda s, d, m: m[3:4] == b"\x0f")
    assert found[:3] == (5, 0xC00, b"\x90\x01\x01\x0f\x00\x00\x00\x01")
    street.run(10)
    assert street.meter.llc.note_good and not station.is_notifying()


def test_a_notification_waits_for_an_answer_and_the_other_way_round(street):
    buf = bytearray(64)
    buf[8:13] = b"\x0f\x00\x00\x00\x01"
    for first in ("question", "note"):
        begin = len(street.conc.heard)
        if first == "question":
            street.meter.modem.deliver(frame_of(street, b"\x90\x01\x01" + NAME))
        street.meter.station.notify(1, 1, buf, 8, 5)
        street.meter.poll()
        if first == "note":
            street.meter.modem.deliver(frame_of(street, b"\x90\x01\x01" + NAME))
        street.run(3000)
        assert sorted(h[2][3] for h in street.conc.heard[begin:]) == [0x0F, 0xC4]


def test_nobody_to_notify():
    street = Street(make=Meter)
    assert not street.meter.station.notify(1, 1, bytearray(64), 8, 5)
    street.registered()
    assert not street.meter.station.notify(1, 1, bytearray(400), 8, 240), "too long"


# --- HDLC in M_sdus ---------------------------------------------------------------------------


def hdlc(control, info=b"", destination=b"\x03", client=b"\x21"):
    from dlms.prim import crc16

    def checked(octets, crc=0xFFFF):
        crc = crc16(octets, 0, len(octets), 0xFFFF) ^ 0xFFFF
        return octets + crc.to_bytes(2, "little")

    n = 2 + len(destination) + 1 + 1 + 2 + (len(info) + 2 if info else 0)
    head = checked((0xA000 | n).to_bytes(2, "big") + destination + client + bytes((control,)))
    return b"\x7e" + (checked(head + info) if info else head) + b"\x7e"


class HDLCStreet:
    def __init__(self):
        self.clock = Clock()
        self.line = Line(self.clock)
        self.conc = Initiator(self.line)
        self.meter = full(self.line, b"METER001", hdlc=True)
        self.line.connect(self.conc.modem, self.meter.modem)

    def manage(self, apdu, destination=ALL_PHYSICAL):
        self.conc.put(
            destination, hdlc(0x03, b"\xe6\xe6\x00" + apdu, b"\xce\xff", bytes((0x66 << 1 | 1,)))
        )
        self.clock.run(self.clock.now_ms + 1000)

    def say(self, frame):
        begin = len(self.conc.heard)
        self.conc.put(5, frame)
        self.clock.run(self.clock.now_ms + 2000)
        return [h[2] for h in self.conc.heard[begin:]]


def test_the_hdlc_based_llc():
    """Titles of eight octets, CIASE in UI frames, and the data link repeats what was lost."""
    street = HDLCStreet()
    street.manage(b"\x1d\x64\x00\x01\x00\x00")
    report = street.conc.heard[-1][2]
    assert report[0] == report[-1] == 0x7E and report[3:7] == b"\xcd\xce\xfd\x03"
    assert report[9:-3] == b"\xe6\xe7\x00\x1e\x01METER001\x00"
    street.manage(b"\x1cCONC0001\x01METER001\x00\x05")
    assert street.meter.ciase.address == 5
    assert street.say(hdlc(0x93))[0][5] == 0x73, "UA"
    (refused,) = street.say(hdlc(0x10, b"\xe6\xe6\x00" + AARQ, client=b"\x03"))
    assert refused[5] == 0x1F, "DM: another client has the link"
    street.say(hdlc(0x53))
    assert street.say(hdlc(0x93, client=b"\x03"))[0][5] == 0x73
    (aare,) = street.say(hdlc(0x10, b"\xe6\xe6\x00" + AARQ, client=b"\x03"))
    assert b"\x61" in aare
    (answer,) = street.say(hdlc(0x32, b"\xe6\xe6\x00" + NAME, client=b"\x03"))
    assert b"PMT1000000000001" in answer
    (again,) = street.say(hdlc(0x31, client=b"\x03"))
    assert again == answer
    # What is damaged is nobody's.
    assert street.say(hdlc(0x53, client=b"\x03")[:-3] + b"\x00\x00\x7e") == []
    assert street.say(hdlc(0x53, client=b"\x03"))[0][5] == 0x73


def registered_by_hdlc():
    street = HDLCStreet()
    street.manage(b"\x1cCONC0001\x01METER001\x00\x05")
    assert street.meter.ciase.state == REGISTERED
    street.say(hdlc(0x93, client=b"\x03"))
    street.say(hdlc(0x10, b"\xe6\xe6\x00" + AARQ, client=b"\x03"))
    return street


def test_hdlc_broadcast():
    """UI to all stations is served; what would be answered, by everybody, is dropped."""
    street = registered_by_hdlc()
    value = bytes.fromhex("C101C100010000600109FF02000903414243")
    begin = len(street.conc.heard)
    for destination in (b"\xff", b"\xfe\xff", b"\xfe\xfe\xfe\xff"):
        ui = hdlc(0x03, b"\xe6\xe6\x00" + value, destination, b"\x03")
        street.conc.put(ALL_CONFIGURED, ui)
        street.clock.run(street.clock.now_ms + 1000)
    dropped = street.meter.llc.dropped
    for frame in (hdlc(0x93), hdlc(0x53, client=b"\x03"), hdlc(0x93, destination=b"\x02\x23")):
        street.conc.put(ALL_PHYSICAL, frame)
        street.clock.run(street.clock.now_ms + 1000)
    assert len(street.conc.heard) == begin and street.meter.llc.dropped == dropped + 3
    (answer,) = street.say(hdlc(0x32, b"\xe6\xe6\x00" + LONG, client=b"\x03"))
    assert answer[-6:-3] == b"ABC"


def test_hdlc_frames_of_layer_management_that_are_none():
    """Cut off, damaged, to somebody else, without LLC: nothing happens."""
    street = HDLCStreet()
    street.manage(b"\x1d\x64\x00\x01\x00\x00")
    body = b"\xe6\xe6\x00\x1cCONC0001\x01METER001\x00\x05"
    good = hdlc(0x03, body, b"\xce\xff", b"\xcd")
    bad = [good[:n] for n in range(1, len(good))]
    bad += [good[:k] + bytes((good[k] ^ 0x10,)) + good[k + 1 :] for k in range(len(good))]
    bad += [hdlc(0x03, body, b"\xcc\xff", b"\xcd"), hdlc(0x03, body[3:], b"\xce\xff", b"\xcd")]
    bad += [hdlc(0x10, body, b"\xce\xff", b"\xcd")]
    for frame in bad:
        street.meter.modem.deliver(Frame(0, 0, 0, 0, 0xC00, ALL_PHYSICAL, frame))
        street.clock.run(street.clock.now_ms + 200)
        assert street.meter.ciase.address == NEW, frame.hex()
    for upper in (b"\xce\xff", b"\xcf", b"\x00\xce\x00\xff"):
        street = HDLCStreet()
        street.manage(b"\x1d\x64\x00\x01\x00\x00")
        street.conc.put(ALL_PHYSICAL, hdlc(0x03, body, upper, b"\xcd"))
        street.clock.run(street.clock.now_ms + 2000)
        assert street.meter.ciase.address == 5


# --- The network itself -----------------------------------------------------------------------


def test_slots():
    assert [n_slots(n) for n in (1, 28, 29, 64, 65, 242)] == [1, 1, 2, 2, 3, 7]
    assert one_way_ms(242, 7) == 8400


def test_two_that_report_in_one_slot_are_both_lost_where_both_are_heard():
    clock = Clock()
    line = Line(clock)
    conc = Initiator(line)
    for k in (1, 2):
        meter = Meter(line, b"METER%d" % k)
        line.connect(conc.modem, meter.modem)
    assert conc.discover(1) == []
    assert line.n_collisions >= 1


def test_hidden_meters_collide_at_the_concentrator_alone():
    clock = Clock()
    line = Line(clock)
    conc = Initiator(line)
    meters = [Meter(line, b"METER%d" % k) for k in range(3)]
    for meter in meters:
        line.connect(conc.modem, meter.modem)
    line.connect(meters[0].modem, meters[2].modem)
    conc.discover(1)
    # The third hears the first, and not the second, while it sends itself: nobody heard a report.
    assert [m.ciase.n_reporting for m in meters] == [0, 0, 0]
    conc.discover(40)
    assert meters[0].ciase.n_reporting == 1 and meters[1].ciase.n_reporting == 0


def test_a_link_that_carries_one_way_only():
    street = Street(make=Meter)
    line = street.line
    line.cut(street.meter.modem, street.conc.modem)
    line.connect(street.conc.modem, street.meter.modem, 0.0, back=1.0)
    assert street.conc.discover(5) == []
    assert street.meter.ciase.state == DISCOVERED, "it has heard, and is not heard"


def test_losses_come_in_bursts_and_as_many_as_were_asked_for():
    import random

    from plc.network import Link

    for loss in (0.1, 0.3):
        link = Link(random.Random(7), loss, burst=4)
        lost = [link.loses(step) for step in range(200000)]
        assert abs(sum(lost) / len(lost) - loss) < 0.01
        runs = sum(1 for a, b in zip(lost, lost[1:]) if a and not b)
        assert abs(sum(lost) / runs - 4) < 0.3
