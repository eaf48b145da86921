# SPDX-License-Identifier: MIT
"""profiles/ciase.py: its table, cell by cell, and CI-PDUs one by one.

The octets are those of the page lib/profiles/sfsk.md, by the layouts that its clause 5.5 gives;
they come from no captured frame.
"""

import pytest
from profiles import ciase

OWN, OTHER, THIRD = b"METER1", b"METER2", b"METER3"
INITIATOR, RIVAL = 0xC00, 0xC01
CONC = b"CONC01"
STATES = ("LOST", "NEW", "REPORTING", "DISCOVERED", "REGISTERED", "ADRIFT")
LOST, NEW, REPORTING, DISCOVERED, REGISTERED, ADRIFT = range(6)
UP, DOWN, DISCOVER, REPORTED, REGISTER, EXPIRED, RESET = range(7)


class Station:
    def __init__(self):
        self.done = []

    def adopt(self, same):
        self.done.append("adopt again" if same else "adopt")

    def forget(self):
        self.done.append("forget")

    def expired(self):
        self.ciase.event(EXPIRED)

    def call(self, place, n, threshold):
        self.done.append(("call", place, n, threshold))

    def n_subframes(self, n):
        return 1


class Meter:
    """chance: what random() gives, in turn; then 0."""

    def __init__(self, state=NEW, chance=()):
        self.station = Station()
        self.chance = list(chance)
        self.ciase = self.station.ciase = ciase.Ciase(self.station, OWN, self.random, 150)
        self.now = 0x3FFFFFFF - 100
        self.ciase.addressed(self.now)
        for event in {
            LOST: (),
            NEW: (UP,),
            REPORTING: (UP, "discover"),
            DISCOVERED: (UP, "discover", REPORTED),
            REGISTERED: (UP, "register"),
            ADRIFT: (UP, "register", DOWN),
        }[state]:
            if event == "discover":
                self.hear("1D 64 000A 00 00")
                self.pass_(0)
            elif event == "register":
                self.hear("1C" + CONC.hex() + "01" + OWN.hex() + "0005")
            elif event == REPORTED:
                self.write()
                self.ciase.reported()
            else:
                self.ciase.event(event)
        assert self.ciase.state == state
        self.station.done.clear()

    def random(self, n):
        k = self.chance.pop(0) if self.chance else 0
        assert 0 <= k < n
        return k

    def hear(self, apdu, source=INITIATOR, ic=0, cc=0):
        """Was it well formed, and from somebody who may be heard?"""
        buf = bytes.fromhex(apdu.replace(" ", ""))
        dropped = self.ciase.dropped
        self.ciase.receive(buf, 0, len(buf), source, ic, cc, self.now)
        return self.ciase.dropped == dropped

    def pass_(self, ms):
        self.now = self.now + ms & 0x3FFFFFFF
        self.ciase.tick(self.now)

    def write(self):
        out = bytearray(64)
        return bytes(out[: self.ciase.write(out, 0)]).hex().upper()


# What each action of the table does: what the station hears, and what remains of a report.
ACTIONS = ("none", "plan", "cancel", "adopt", "forget")


@pytest.mark.parametrize("event", range(7))
@pytest.mark.parametrize("state", range(6), ids=STATES)
def test_every_cell_of_the_table(state, event):
    meter = Meter(state)
    cell = ciase.TABLE[state * 7 + event]
    action = ACTIONS[cell >> 4]
    due = meter.ciase.due
    if event == DISCOVER:
        meter.hear("1D 64 0001 00 00")
        meter.pass_(0)
    elif event == REGISTER:
        assert meter.hear("1C" + CONC.hex() + "01" + OWN.hex() + "0006")
    else:
        meter.ciase.event(event)
    if action == "plan" and state == REGISTERED:
        assert not meter.ciase.due, "a registered meter without an alarm reports nothing"
    else:
        assert meter.ciase.state == cell & 15
    wanted = {"adopt": ["adopt"], "forget": ["forget"]}.get(action, [])
    assert meter.station.done == wanted
    if action in ("cancel", "adopt", "forget"):
        assert meter.ciase.due == 0
    elif action == "plan" and state != REGISTERED:
        assert meter.ciase.due == 0x1E
    else:
        assert meter.ciase.due == due
    registered = state in (REGISTERED, ADRIFT)
    if action == "adopt":
        assert (meter.ciase.address, meter.ciase.initiator) == (6, INITIATOR)
        assert bytes(meter.ciase.initiator_title) == CONC
    elif action == "forget" or not registered:
        assert (meter.ciase.address, meter.ciase.initiator) == (0xFFE, 0)
    else:
        assert (meter.ciase.address, meter.ciase.initiator) == (5, INITIATOR)


def test_a_report_leaves_in_the_slot_that_was_drawn():
    meter = Meter(chance=[42, 7])
    assert meter.hear("1D 64 000A 02 00", cc=1, ic=1)
    # The repetition of the request, then seven reports with two repetitions each.
    meter.pass_((1 + 7 * 3) * 150 - 1)
    assert meter.ciase.due == 0
    meter.pass_(1)
    assert meter.ciase.due == 0x1E and meter.ciase.credit == 2
    assert meter.write() == "1E01" + OWN.hex().upper() + "00"
    meter.ciase.reported()
    assert meter.ciase.due == 0 and meter.ciase.state == DISCOVERED


@pytest.mark.parametrize(
    "request_, chance, ic, cc, reports",
    [
        ("1D 00 000A 00 00", [0], 0, 0, False),  # a probability of none
        ("1D 64 000A 00 00", [99, 9], 0, 0, True),  # of all
        ("1D 32 000A 00 00", [49, 0], 0, 0, True),  # of half: 0 to 49 of 100
        ("1D 32 000A 00 00", [50], 0, 0, False),
        ("1D 64 0000 00 00", [], 0, 0, False),  # no slot
        ("1D 64 FFFF 00 00", [0, 65534], 0, 0, True),
        ("1D 64 000A 00 01", [0, 0], 2, 2, True),  # IC_equal_credit: heard first hand
        ("1D 64 000A 00 01", [], 2, 1, False),  # and not
    ],
)
def test_who_reports(request_, chance, ic, cc, reports):
    meter = Meter(chance=chance)
    assert meter.hear(request_, ic=ic, cc=cc)
    assert (meter.ciase.state == REPORTING) is reports
    assert meter.chance == []


def test_a_second_discover_changes_no_slot():
    meter = Meter(chance=[0, 3])
    meter.hear("1D 64 000A 00 00")
    meter.hear("1D 64 000A 00 00")
    meter.pass_(3 * 150)
    assert meter.ciase.due == 0x1E and meter.chance == []


def test_a_registered_meter_reports_an_alarm_and_keeps_its_address():
    meter = Meter(REGISTERED)
    meter.ciase.alarm = 0x82
    meter.hear("1D 64 0001 00 00")
    meter.pass_(0)
    assert meter.write() == "1E01" + OWN.hex().upper() + "0182"
    meter.ciase.reported()
    assert meter.ciase.state == REGISTERED and meter.ciase.address == 5


def register(*rows, initiator=CONC):
    body = b"".join(title + mac.to_bytes(2, "big") for title, mac in rows)
    return (b"\x1c" + initiator + bytes((len(rows),)) + body).hex()


@pytest.mark.parametrize("address", (0, 0xC00, 0xDFF, 0xE00, 0xFFC, 0xFFE, 0xFFF, 0xFFFF))
def test_addresses_that_no_meter_may_have(address):
    meter = Meter()
    assert meter.hear(register((OWN, address)))
    assert meter.ciase.state == NEW and meter.ciase.address == 0xFFE


def test_the_highest_and_the_lowest_address():
    for address in (0x001, 0xBFF):
        meter = Meter()
        meter.hear(register((OTHER, 7), (OWN, address), (THIRD, 9)))
        assert meter.ciase.address == address


def test_registered_again():
    meter = Meter(REGISTERED)
    meter.hear(register((OWN, 5)))
    assert meter.station.done == ["adopt again"], "associations stay"
    meter.hear(register((OWN, 6)))
    assert meter.station.done == ["adopt again", "adopt"], "they do not: others may have had 6"


def test_only_its_initiator_is_heard_by_a_registered_meter():
    meter = Meter(REGISTERED)
    assert not meter.hear(register((OWN, 6)), source=RIVAL)
    assert not meter.hear("19" + OWN.hex(), source=RIVAL)
    assert meter.ciase.address == 5 and not meter.ciase.due


@pytest.mark.parametrize("source", (0x005, 0xBFF, 0xE00, 0xFFE))
def test_who_is_no_initiator_is_not_heard(source):
    meter = Meter()
    assert not meter.hear(register((OWN, 6)), source=source)
    assert meter.ciase.state == NEW


def test_an_answer_to_register_is_a_switch():
    meter = Meter()
    meter.hear(register((OWN, 6)))
    assert not meter.ciase.due
    meter = Meter()
    meter.ciase.answers_register = True
    meter.hear(register((OWN, 6)))
    assert meter.write() == "1E01" + OWN.hex().upper() + "00"


def test_ping():
    meter = Meter(REGISTERED)
    assert meter.hear("19" + OWN.hex(), ic=3)
    assert meter.write() == "1A" + OWN.hex().upper() and meter.ciase.credit == 3
    meter.ciase.reported()
    assert meter.ciase.state == REGISTERED
    assert meter.hear("19" + OTHER.hex())
    assert not meter.ciase.due, "somebody else has this address"
    meter = Meter(NEW)
    assert meter.hear("19" + OWN.hex())
    assert not meter.ciase.due


@pytest.mark.parametrize(
    "state, request_, chance, call",
    [
        (REGISTERED, "1F 0063 00 02", [], (5, 99, 2)),  # the place of its address
        (REGISTERED, "1F 0004 00 02", [], None),  # which is above max_adr_mac
        (NEW, "1F 0063 0A 00", [4], (104, 109, 0)),  # a random one behind
        (NEW, "1F 0063 00 00", [], None),  # there is none
    ],
)
def test_repeater_call(state, request_, chance, call):
    meter = Meter(state)
    meter.chance = list(chance)
    assert meter.hear(request_)
    assert meter.station.done == ([("call",) + call] if call else [])


@pytest.mark.parametrize(
    "body, clears",
    [
        ("00 82", True),
        ("00 81", False),
        ("01 02 81 82", True),
        ("01 00", False),
        ("02 01 82 02" + OTHER.hex() + OWN.hex(), True),
        ("02 01 82 01" + OTHER.hex(), False),
        ("03 02" + OTHER.hex() + "82" + OWN.hex() + "82", True),
        ("03 02" + OTHER.hex() + "82" + OWN.hex() + "81", False),
    ],
)
def test_clear_alarm(body, clears):
    meter = Meter(REGISTERED)
    meter.ciase.alarm = 0x82
    assert meter.hear("39" + body)
    assert meter.ciase.alarm == (0 if clears else 0x82)


GOOD = {
    "discover": "1D64000A0000",
    "register": register((OWN, 5), (OTHER, 6)),
    "ping": "19" + OWN.hex(),
    "call": "1F00630002",
    "clear": "390082",
    "clear some": "39020182" + "02" + OTHER.hex() + OWN.hex(),
    "clear each": "390302" + OTHER.hex() + "82" + OWN.hex() + "82",
    "report": "1E02" + OTHER.hex() + "00" + THIRD.hex() + "0182",
}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_every_other_length_is_dropped(name):
    """Cut off at each octet, and with one more: silence, and nothing has changed."""
    whole = bytes.fromhex(GOOD[name])
    for n in list(range(1, len(whole))) + [len(whole) + 1]:
        meter = Meter(REGISTERED)
        meter.ciase.alarm = 0x82
        cut = (whole + b"\x00")[:n]
        assert not meter.hear(cut.hex()), cut.hex()
        assert meter.ciase.alarm == 0x82 and meter.ciase.n_reporting == 0
        assert meter.ciase.address == 5 and not meter.ciase.due


@pytest.mark.parametrize("tag", sorted(set(range(256)) - {0x19, 0x1C, 0x1D, 0x1E, 0x1F, 0x39}))
def test_other_tags_are_dropped(tag):
    assert not Meter().hear("%02X" % tag + OWN.hex())


def test_reporting_systems_newest_first():
    meter = Meter(REGISTERED)
    titles = [b"METR%02d" % k for k in range(10)]
    for title in titles:
        assert meter.hear("1E01" + title.hex() + "00", source=0xFFE)
    found = bytes(meter.ciase.reporting)
    assert [found[k : k + 6] for k in range(0, 48, 6)] == titles[:1:-1], "the oldest go"
    meter.hear("1E01" + titles[5].hex() + "0107", source=0xFFE)
    assert bytes(meter.ciase.reporting[:6]) == titles[5] and meter.ciase.n_reporting == 8
    meter.hear(register((titles[5], 5), (titles[2], 6)))
    assert meter.ciase.n_reporting == 6, "who is registered is no reporting system any more"
    assert bytes(meter.ciase.reporting[:6]) == titles[9]


def test_not_addressed():
    meter = Meter(REGISTERED)
    meter.ciase.time_out_not_addressed = 3
    for _ in range(2):
        meter.pass_(60000)
    meter.ciase.addressed(meter.now)
    for _ in range(2):
        meter.pass_(60000)
    assert meter.ciase.state == REGISTERED
    meter.pass_(60000)
    assert meter.ciase.state == LOST and meter.station.done == ["forget"]


def test_never_is_never():
    meter = Meter(REGISTERED)
    for _ in range(70000):
        meter.pass_(60000)
    assert meter.ciase.state == REGISTERED
