# SPDX-License-Identifier: MIT
"""A physical device with two logical devices (definitions/devices.toml): what goes to one of
them, SAP assignment, and broadcast to both, over each profile (IEC 62056-5-3, 4.2; 62056-46,
6.4.2; 62056-4-7): all-station in the place of a SAP, and unconfirmed pre-established associations.
"""

import fakes
import pytest
from profiles.hdlc import HDLC
from profiles.wrapper import Wrapper
from secure import Client
from small import HERE, Meter, aarq
from test_hdlc import UI, address, frame, i_frame

DEFINITION = HERE / "definitions/devices.toml"
NAMES = {1: b"PMT0000000000001", 17: b"PMT0000000000002"}
GET_NAME = "C00141 0001 00002A0000FF 02 00"
SAP_LIST = "C00141 0011 0000290000FF 02 00"
VALUE = "0001 0000603201FF 02"
GET_VALUE = "C00141 " + VALUE + " 00"
SET_VALUE = "C10101 " + VALUE + " 00 11%02X"
GET_LONG = "C00141 0001 0000603203FF 02 00"
GBEK = (bytes(range(15, -1, -1)), bytes(range(0x2F, 0x1F, -1)))
PUBLIC, PLAIN, CIPHERED = 16, 7, 6
SNRM = 0x93


@pytest.fixture
def meter():
    return Meter(DEFINITION, handlers=("association_ln", "security_setup", "sap_assignment"))


def values(meter):
    """What the object has in each logical device."""
    found = []
    for device in (0, 1):
        row = meter.model.find(device, bytes.fromhex("00010000603201FF"), 0)
        found.append(meter.model.get_int(row, 2))
    return found


# --- One of them ------------------------------------------------------------------------------


def test_sap_assignment_says_what_there_is(meter):
    t = meter.talk(PUBLIC)
    assert t.open(None).startswith("61")
    got = bytes.fromhex(t.say(SAP_LIST))
    assert got[:4] == bytes.fromhex("C4014100")
    listed = fakes.value(got[4:])
    assert listed == [[sap, name] for sap, name in NAMES.items()]
    assert listed == [[d[0], d[3]] for d in meter.model.devices]


def test_each_has_objects_of_its_own(meter):
    channel = meter.server.channel()
    one, two = (meter.talk(PUBLIC, sap, channel) for sap in (1, 17))
    assert one.open(None).startswith("61")
    assert two.say(GET_NAME) == "D80101", "the association is with the other"
    assert two.open(None).startswith("61")
    for t, name in ((one, NAMES[1]), (two, NAMES[17])):
        assert t.say(GET_NAME) == "C40141000910" + name.hex().upper()
    assert two.say(SAP_LIST) == "C401410104", "it is in the management logical device alone"
    assert one.say("6200") == "6303800100"
    assert two.say(GET_NAME).endswith(NAMES[17].hex().upper())


def test_each_shows_the_counter_of_its_own_client(meter):
    """The Security setups of both have the same name, and so have the objects that show what
    their clients have to use next."""
    counter = "C00141 0001 00002B0101FF 02 00"
    keys = bytes(range(16)), bytes(range(0x20, 0x30))
    for key, sap, ic in zip(keys, (1, 17), (5, 0x20)):
        talk = meter.talk(CIPHERED, sap)
        c = Client(talk, 0, kind="general-glo", meter_title=meter.model.system_title)
        request = c.protect(bytes.fromhex(GET_VALUE), key=key, ic=ic).hex()
        assert talk.say(request).startswith("DB")
    plain = [meter.talk(PLAIN, sap) for sap in (1, 17)]
    assert [t.say(counter) for t in plain] == ["C401410006%08X" % n for n in (6, 0x21)]


# --- All of them ------------------------------------------------------------------------------


class Datagrams:
    """The wrapper over UDP."""

    ways = ("",)

    def __init__(self, meter):
        self.meter = meter
        self.profile = Wrapper(meter.server, meter.server.channel(), True)

    def say(self, apdu, client, sap=0x7F, way=""):
        """All that comes back of an APDU, to all stations if no SAP is given."""
        octets = b"".join(n.to_bytes(2, "big") for n in (1, client, sap, len(apdu))) + apdu
        return self.exchange(octets)

    def exchange(self, octets):
        back = []
        pos = 0
        turns = 0
        while pos < len(octets) or self.meter.server.todo:
            turns += 1
            assert turns < 50
            if self.meter.server.todo:
                # As firmware/meter/running.py does: then the same request comes again.
                self.meter.server.work()
            pos = self.profile.receive(octets, pos, len(octets), 0)
            while n := self.profile.transmit(0):
                at = self.profile.out_pos
                back.append(bytes(self.profile.out[at : at + n]))
        assert self.meter.server.fault is None
        return back


class Stream(Datagrams):
    """The wrapper over TCP, where all-station is nobody."""

    def __init__(self, meter):
        self.meter = meter
        self.profile = Wrapper(meter.server, meter.server.channel())


class Framed(Datagrams):
    """UI frames. ways: the octets of the server's address, both parts all-station."""

    ways = ("FF", "FEFF", "FEFEFEFF", "FE23")  # the last: all logical devices of this one

    def __init__(self, meter):
        self.meter = meter
        self.profile = HDLC(meter.server, meter.server.channel(), connections=2)

    def say(self, apdu, client, sap=0x7F, way="FF"):
        to = bytes.fromhex(way) if sap == 0x7F else address(sap)
        return self.exchange(frame(UI, b"\xe6\xe6\x00" + apdu, client=client, server=to))


WAYS = [(profile, way) for profile in (Datagrams, Framed) for way in profile.ways]


@pytest.fixture(params=WAYS, ids=lambda x: x[0].__name__ + x[1])
def link(request, meter):
    profile, way = request.param
    made = profile(meter)
    made.way = way
    return made


def test_a_broadcast_is_for_each_and_answered_by_none(meter, link):
    assert link.say(bytes.fromhex(SET_VALUE % 0x2A), PLAIN, way=link.way) == []
    assert values(meter) == [0x2A, 0x2A]
    # Nor a confirmed one: there is no other kind of answer to such a frame.
    assert link.say(bytes.fromhex(GET_VALUE), PLAIN, way=link.way) == []
    assert link.say(bytes.fromhex(SET_VALUE.replace("C10101", "C10141") % 3), PLAIN) == []


@pytest.mark.parametrize("key, whose", [(GBEK[0], 0), (GBEK[1], 1)])
def test_under_the_broadcast_key(meter, link, key, whose):
    """Each deciphers its own copy, with keys of its own that have to be made first; a key is in
    one place (tools/tables/key_places.py). And its counter is used then."""
    c = Client(None, 0, kind="general-glo")
    octets = c.protect(bytes.fromhex(SET_VALUE % 0x2B), sc=0x70, key=key, ic=5)
    assert link.say(octets, CIPHERED, way=link.way) == []
    assert values(meter) == [0x2B if k == whose else 7 for k in (0, 1)]
    assert link.say(bytes.fromhex(SET_VALUE % 1), PLAIN, way=link.way) == []
    assert link.say(octets, CIPHERED, way=link.way) == []
    assert values(meter) == [1, 1]


def test_without_an_association_it_does_nothing(meter, link):
    assert link.say(bytes.fromhex(SET_VALUE % 0x2C), 99, way=link.way) == []
    assert link.say(bytes.fromhex(SET_VALUE % 0x2C), PUBLIC, way=link.way) == []
    assert link.say(bytes.fromhex(SET_VALUE % 0x2C), 0, way=link.way) == [], "from no-station"
    assert values(meter) == [7, 7]


def test_nobody_is_connected_or_released_by_broadcast(meter, link):
    """But for unconfirmed associations, which are opened so: one in each logical device."""
    assert link.say(aarq(None), PUBLIC, way=link.way) == []
    assert not any(a.state for a in meter.server.associations)
    assert link.say(aarq(None, options="00010000"), PUBLIC, way=link.way) == []
    opened = [(a.server_sap, a.confirmed) for a in meter.server.associations if a.state]
    assert sorted(opened) == [(1, False), (17, False)]


def test_to_one_of_them_by_name(meter):
    for link in (Datagrams(meter), Framed(meter)):
        link.say(bytes.fromhex(SET_VALUE % 7), PLAIN)
        link.say(bytes.fromhex(SET_VALUE % 9), PLAIN, sap=17)
        assert values(meter) == [7, 9]


def test_tcp_has_no_broadcast(meter):
    link = Stream(meter)
    assert link.say(bytes.fromhex(SET_VALUE % 0x2D), PLAIN) == []
    assert values(meter) == [7, 7]
    link.say(bytes.fromhex(SET_VALUE % 0x2D), PLAIN, sap=1)
    assert values(meter) == [0x2D, 7]


def test_another_meter_on_the_line(meter):
    """Its lower address, though all its logical devices are meant."""
    link = Framed(meter)
    assert link.say(bytes.fromhex(SET_VALUE % 1), PLAIN, way="FE25") == []
    assert values(meter) == [7, 7]


def test_a_long_answer_goes_on_after_a_broadcast(meter):
    """Over the same line, by the same client in its link, and by another."""
    link = Framed(meter)
    link.exchange(frame(SNRM, client=PUBLIC, server=address(1)))

    def ask(n, apdu):
        info = b"\xe6\xe6\x00" + bytes.fromhex(apdu)
        (got,) = link.exchange(i_frame(n, n, info, client=PUBLIC, server=address(1)))
        return got

    link.say(bytes.fromhex("C10101 0001 0000603203FF 02 00 0964" + "AB" * 100), PLAIN, sap=1)
    ask(0, aarq(None, max_pdu=60).hex())
    first = ask(1, GET_LONG)
    assert b"\xc4\x02\x41\x00" in first
    link.say(bytes.fromhex(SET_VALUE % 0x2E), PLAIN)
    assert values(meter) == [0x2E, 0x2E]
    assert b"\xc4\x02\x41\x00\x00\x00\x00\x02" in ask(2, "C0024100000001")


# --- More than there is room for --------------------------------------------------------------


def test_pre_established_clients_take_places_while_their_link_is_there(meter):
    """Five ways, four places: the fifth hears that there is no association, and none is broken."""
    talks = [meter.talk(PLAIN) for _ in range(5)]
    said = [t.say(GET_VALUE) for t in talks]
    # One place is kept for those who have a key.
    assert said == ["C40141001107"] * 3 + ["D80101"] * 2
    c = Client(meter.talk(CIPHERED), 0, kind="general-glo", meter_title=meter.model.system_title)
    assert c.ask(GET_VALUE) == "C40141001107"
    assert [t.say(GET_VALUE) for t in talks] == said
    talks[0].channel.release()
    assert talks[3].say(GET_VALUE) == "C40141001107"
