# SPDX-License-Identifier: MIT
"""cosem/sfsk_setup.py: classes 50, 51, 52, 53, 55 and 56 over the line that they are about.

What is set reaches the modem; what is read is what has happened. firmware/links/plc.py stands
between them.
"""

import pytest
from fakes import Meter as Bare
from fakes import array, enum, obis, u8, u16, value
from plc.meters import Meter
from plc.sfsk import NEW
from test_sfsk import ADRIFT, REGISTERED, TITLE, Street, frame_of

PHY, INITIATOR, TIMEOUTS, COUNTERS, LLC, REPORTING = (
    (50, "0.0.26.0.0.255"),
    (51, "0.0.26.1.0.255"),
    (52, "0.0.26.2.0.255"),
    (53, "0.0.26.3.0.255"),
    (55, "0.0.26.5.0.255"),
    (56, "0.0.26.6.0.255"),
)
OTHER_REASON, DENIED = 250, 3
REFUSED = (12, 250)  # by its type where that has the range, else by the class


def descriptor(which, index):
    return which[0].to_bytes(2, "big") + obis(which[1]) + bytes((index,))


class Client:
    def __init__(self):
        self.street = Street().opened()
        self.modem = self.street.meter.modem
        self.station = self.street.meter.station

    def get(self, which, attribute):
        answer = self.street.ask(b"\xc0\x01\xc1" + descriptor(which, attribute) + b"\x00")
        assert answer[:4] == b"\xc4\x01\xc1\x00", answer.hex()
        return value(answer[4:])

    def set(self, which, attribute, data):
        answer = self.street.ask(b"\xc1\x01\xc1" + descriptor(which, attribute) + b"\x00" + data)
        assert answer[:3] == b"\xc5\x01\xc1"
        return answer[3]

    def act(self, which, method, data):
        answer = self.street.ask(b"\xc3\x01\xc1" + descriptor(which, method) + b"\x01" + data)
        assert answer[:3] == b"\xc7\x01\xc1"
        return answer[3]


@pytest.fixture
def client():
    return Client()


# --- Phy&MAC setup ----------------------------------------------------------------------------


def test_where_the_meter_is(client):
    assert client.get(PHY, 8) == 5
    assert client.get(PHY, 13) == 0xC00
    assert client.get(PHY, 14) == 1
    assert client.get(PHY, 3) == 1 and client.get(PHY, 12) == 0
    assert client.get(PHY, 11) == 1
    client.modem.delta_phase, client.modem.min_delta_credit, client.modem.is_repeater = 3, 2, 0
    assert [client.get(PHY, k) for k in (3, 12, 11)] == [3, 2, False]


def test_what_the_definition_says_the_modem_has(client):
    settings = client.modem.settings
    assert settings[0x0A] == (6, 0) and settings[0x08] == (7, 0) and settings[0x15] == (98, 0)
    assert settings[0x0C] == (6330, 7400) and settings[0x0B] == (2, 0)
    assert settings[0x16] == (24, 0)
    assert client.modem.groups == [0xE00, 0, 0, 0, 0]
    assert [settings[k][0] for k in (0x11, 2, 4, 3)] == [30, 30, 60, 45]


@pytest.mark.parametrize(
    "attribute, data, item, a",
    [
        (4, u8(3), 0x0A, (3, 0)),
        (5, u8(5), 0x08, (5, 0)),
        (6, u8(90), 0x15, (90, 0)),
        (7, bytes.fromhex("0202060000EA60060000F618"), 0x0C, (6000, 6300)),
        (10, enum(0), 0x0B, (0, 0)),
        (15, enum(2), 0x16, (12, 0)),
    ],
)
def test_a_set_reaches_the_modem(client, attribute, data, item, a):
    assert client.set(PHY, attribute, data) == 0
    client.street.meter.poll()
    assert client.modem.settings[item] == a


def test_groups(client):
    assert client.set(PHY, 9, array(u16(0xE05), u16(0xFFB))) == 0
    client.street.meter.poll()
    assert client.modem.groups == [0xE05, 0xFFB, 0, 0, 0]
    assert client.set(PHY, 9, array(u16(0xDFF))) == OTHER_REASON, "an initiator's"
    assert client.set(PHY, 9, array(u16(0xFFC))) == OTHER_REASON, "that of all"
    assert client.set(PHY, 9, array(*[u16(0xE00 + k) for k in range(6)])) == OTHER_REASON
    assert client.get(PHY, 9) == [0xE05, 0xFFB]


@pytest.mark.parametrize("attribute, bad", [(2, 4), (10, 3), (15, 6)])
def test_values_that_mean_nothing(client, attribute, bad):
    assert client.set(PHY, attribute, enum(bad)) in REFUSED


@pytest.mark.parametrize("attribute", (3, 8, 11, 12, 13, 14))
def test_what_happens_cannot_be_set(client, attribute):
    assert client.set(PHY, attribute, u8(1)) == DENIED


def test_speed_is_the_length_of_a_slot(client):
    for speed, slot_ms in enumerate((1200, 600, 300, 150, 75, 50)):
        client.station.configure_phy(0, 0, 0, 0, 0, 0, speed)
        assert client.station.slot_ms == client.station.ciase.slot_ms == slot_ms


# --- Active initiator -------------------------------------------------------------------------


def test_active_initiator(client):
    assert client.get(INITIATOR, 2) == [b"CONC01", 0xC00, 1]


def test_reset_new_not_synchronized(client):
    """Its answer leaves, then the meter is as it was before anybody has found it."""
    assert client.act(INITIATOR, 1, u16(0)) == 0
    client.street.run(1000)
    ciase = client.station.ciase
    assert ciase.address == NEW and ciase.initiator == 0 and not client.modem.is_up
    assert client.station.mac.listing == [0, 0, 0, 1, 0]
    assert not client.street.meter.channel.in_use()
    assert client.street.conc.discover(5) == [TITLE]


def test_reset_to_another_initiator(client):
    from plc.initiator import Initiator

    rival = Initiator(client.street.line, 0xC01, b"CONC02")
    client.street.line.connect(rival.modem, client.modem)
    assert client.act(INITIATOR, 1, u16(0xC01)) == 0
    client.street.run(1000)
    assert client.street.conc.discover(5) == [], "not heard"
    assert rival.discover(5) == [TITLE]
    rival.register({TITLE: 8})
    assert client.station.ciase.address == 8


def test_reset_to_an_address_that_is_no_initiators(client):
    for address in (5, 0xBFF, 0xE00, 0xFFE, 0xFFFF):
        assert client.act(INITIATOR, 1, u16(address)) == OTHER_REASON
    assert client.station.ciase.state == REGISTERED


# --- MAC synchronization timeouts -------------------------------------------------------------


@pytest.mark.parametrize("attribute, item", [(2, 0x11), (3, 2), (4, 4), (5, 3)])
def test_time_outs(client, attribute, item):
    assert client.set(TIMEOUTS, attribute, u16(77)) == 0
    client.street.meter.poll()
    assert client.modem.settings[item] == (77, 0)
    assert client.station.ciase.time_out_not_addressed == (77 if attribute == 4 else 60)


def test_frame_not_ok_that_was_set_is_at_work(client):
    assert client.set(TIMEOUTS, 5, u16(5)) == 0
    client.street.run(4000)
    assert client.station.ciase.state == REGISTERED
    client.street.run(2000)
    assert client.station.ciase.state == ADRIFT


# --- MAC counters -----------------------------------------------------------------------------


def test_counters(client):
    street = client.street
    street.conc.discover(1)
    street.conc.discover(1)
    client.modem._lose(2)
    client.modem._lose(2)
    street.meter.poll()
    assert client.get(COUNTERS, 2) == [[0xC00, 2]]
    assert client.get(COUNTERS, 3) == [0, 0, 1, 0, 0]
    # The Register, and two Discovers.
    assert client.get(COUNTERS, 4) == [[0xC00, 3]]
    sent = client.get(COUNTERS, 6)
    assert sent == client.modem.n_sent - 1 and sent > 2
    ok = client.get(COUNTERS, 7)
    assert ok == client.modem.n_ok and ok > 4
    assert client.get(COUNTERS, 5) == client.modem.n_repeated == 0
    assert client.get(COUNTERS, 8) == client.modem.n_bad
    assert client.act(COUNTERS, 1, b"\x0f\x00") == 0
    assert client.get(COUNTERS, 2) == client.get(COUNTERS, 4) == []
    assert client.get(COUNTERS, 3) == [0, 0, 0, 0, 0]
    assert client.get(COUNTERS, 7) < ok


def test_only_so_many_sources_are_counted(client):
    mac = client.station.mac
    for source in (0xC00, 0xC01, 0xC02, 0xC03, 0xC01, 0xC04):
        mac.up(source)
    assert mac.synchronizations == [0xC01, 2, 0xC02, 1, 0xC03, 1, 0xC04, 1], "the oldest goes"
    assert [row[0] for row in client.get(COUNTERS, 2)] == [0xC01, 0xC02, 0xC03, 0xC04]


def test_counters_stop_before_they_allocate(client):
    mac = client.station.mac
    mac.listing[2] = mac.synchronizations[1] = 0x3FFFFFFF
    mac.synchronizations[0] = 0xC00
    mac.down(2)
    mac.up(0xC00)
    assert mac.listing[2] == mac.synchronizations[1] == 0x3FFFFFFF


# --- LLC setup, reporting systems -------------------------------------------------------------


def test_max_frame_length(client):
    assert client.set(LLC, 2, u16(120)) == 0
    assert client.station.llc.capacity == 117
    assert client.set(LLC, 2, u16(1000)) == 0
    assert client.station.llc.capacity == 239, "the modem takes no more"
    assert client.set(LLC, 2, u16(0)) == 0
    assert client.station.llc.capacity == 61, "an AARE has room"


def test_reply_status(client):
    assert client.get(LLC, 3) == []
    buf = bytearray(64)
    client.street.meter.modem.deliver(
        frame_of(client.street, b"\x90\x01\x01\xc0\x01\xc1" + descriptor(LLC, 3) + b"\x00")
    )
    client.station.notify(16, 1, buf, 8, 5)
    found = client.street.conc.wait(3000, lambda s, d, m: m[3:5] == b"\xc4\x01")
    assert value(found[2][7:]) == [[1, 8]]


def test_reporting_systems(client):
    street = client.street
    others = [Meter(street.line, b"METER%d" % k) for k in (2, 3)]
    for other in others:
        street.line.connect(street.conc.modem, other.modem)
        street.line.connect(client.modem, other.modem)
    while len(client.get(REPORTING, 2)) < 2:
        street.conc.discover(8)
    assert sorted(client.get(REPORTING, 2)) == [b"METER2", b"METER3"]
    street.conc.register({b"METER2": 6})
    assert client.get(REPORTING, 2) == [b"METER3"]


# --- Without a line ---------------------------------------------------------------------------

OBJECTS = """
    {class = 50, obis = "0.0.26.0.0.255", transmission_speed = 3, capacity = {mac_group_addresses = 5}},
    {class = 50, version = 0, obis = "0.1.26.0.0.255", capacity = {mac_group_addresses = 5}},
    {class = 51, obis = "0.0.26.1.0.255"},
    {class = 53, obis = "0.0.26.3.0.255"},
    {class = 55, obis = "0.0.26.5.0.255"},
    {class = 56, obis = "0.0.26.6.0.255"},
"""  # noqa: E501


def test_a_meter_without_a_line_is_new():
    meter = Bare(OBJECTS)
    for name in ("0.0.26.0.0.255", "0.1.26.0.0.255"):
        row = meter.row(50, name)
        assert [meter.read(row, k) for k in (3, 8, 11, 12, 13, 14)] == [0, NEW, False, 0, 0, False]
    assert meter.read(meter.row(*INITIATOR), 2) == [b"", 0, 0]
    row = meter.row(*COUNTERS)
    assert [meter.read(row, k) for k in (2, 3, 4, 5)] == [[], [0, 0, 0, 0, 0], [], 0]
    assert meter.read(meter.row(*LLC), 3) == [] == meter.read(meter.row(*REPORTING), 2)
    assert meter.act(meter.row(*INITIATOR), 1, u16(0)) == OTHER_REASON
    assert meter.act(row, 1) == OTHER_REASON
