# SPDX-License-Identifier: MIT
"""lib/dlms/gateway.py with the clients of lib/profiles: a meter behind a meter, octet by octet.

The prefix is that of reference/protocol.md: E6 or E7, network_id, physical_device_address.
test_gateway_running.py has the same with processes.
"""

import os
import subprocess

import pytest
from dlms import gateway
from profiles import client, hdlc_client, wrapper_client
from profiles.hdlc import HDLC
from profiles.hdlc_client import HDLCClient
from profiles.wrapper import Wrapper
from profiles.wrapper_client import WrapperClient
from small import Meter, aarq
from suites import SuitesMeter

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

GET_LDN = "C001C1 0001 00002A0000FF 02 00"
LDN = "C401C1000910" + b"PMT0000000000001".hex().upper()
GET_LONG = "C001C1 0001 0000603203FF 02 00"
SET_LONG = "C101C1 0001 0000603203FF 02 00 09820170" + "5A" * 368
ACCEPTED = "6129A109060760857405080101A203020100"
REFUSED = {"MALFORMED": "D80103", "UNKNOWN": "D80102", "BUSY": "D80101", "LOST": "D80101",
           "LATE": "D80103", "TOO_LONG": "D80104"}  # fmt: skip
STATES = {"MALFORMED": 0, "UNKNOWN": 1, "BUSY": 2, "LOST": 5, "LATE": 6, "TOO_LONG": 7}
NETWORK = 5


class World:
    """A meter with a gateway, and another behind it; time passes only here."""

    def __init__(self, kind, far=None, time_out_ms=5000, room=512):
        self.near = Meter()
        self.far = far or Meter()
        self.kind = kind
        server = self.far.server
        if kind == "wrapper":
            self.client = WrapperClient(room, time_out_ms)
            self.there = Wrapper(server, server.channel())
        else:
            self.client = HDLCClient(room, time_out_ms)
            self.there = HDLC(server, server.channel())
        self.near.server.gateway = gateway.Gateway()
        self.near.server.gateway.routes.append((NETWORK, None, self.client))
        self.channel = self.near.server.channel()
        self.now = 0x3FFFFF00
        self.deaf = self.mute = False  # of what there is said, nothing arrives, in one direction
        self.said = []  # octets that the client has sent
        self.connections = 0
        self.up = False

    def pump(self):
        """What firmware/links/outward.py does in a turn."""
        c = self.client
        if self.kind == "wrapper":
            if c.closed and self.up:
                self.up = False
                self.there.reset()
            if not self.up and c.is_waiting():
                self.up = True
                self.connections += 1
            if c.closed:
                c.reset()
        c.tick(self.now)
        n = c.transmit(self.now)
        moved = n > 0
        if n:
            octets = bytes(c.out[c.out_pos : c.out_pos + n])
            self.said.append(octets)
            if not self.deaf:
                self.hear(octets)
        self.there.tick(self.now)
        if not moved:
            self.now = self.now + 50 & 0x3FFFFFFF

    def hear(self, octets):
        pos = 0
        while pos < len(octets) or self.far.server.todo:
            if self.far.server.todo:
                self.far.server.work()
            pos = self.there.receive(octets, pos, len(octets), self.now)
            while n := self.there.transmit(self.now):
                out = bytes(self.there.out[self.there.out_pos : self.there.out_pos + n])
                if not self.mute:
                    # In two portions, as a line may bring it.
                    self.client.receive(out, 0, 3, self.now)
                    self.client.receive(out, 3, len(out), self.now)

    def wait(self, turns):
        for _ in range(turns):
            self.pump()

    def say(self, apdu, channel=None, client=1, server=1, address="", network=NETWORK, turns=999):
        """The answer to an APDU in a prefix; None: it still waits."""
        address = bytes.fromhex(address)
        request = bytes((0xE6, network, len(address))) + address
        return self.say_raw(request.hex() + apdu, channel, client, server, turns)

    def say_raw(self, apdu, channel=None, client=1, server=1, turns=999, confirmed=1):
        channel = channel or self.channel
        buf = bytearray.fromhex(apdu.replace(" ", ""))
        for _ in range(turns):
            n = self.near.server.request(channel, client, server, buf, 0, len(buf), confirmed)
            assert self.near.server.fault is None and self.far.server.fault is None
            if n >= 0:
                assert channel.tx_pos >= 32, "room for headers"
                return bytes(channel.tx[channel.tx_pos : channel.tx_pos + n]).hex().upper()
            self.pump()
        return None

    def open(self, address="", **who):
        got = self.say(aarq(b"12345678").hex(), address=address, **who)
        assert got.startswith(prefix(address) + ACCEPTED), got
        return self


def prefix(address="", network=NETWORK):
    return "E7%02X%02X%s" % (network, len(address) // 2, address.upper())


@pytest.fixture(params=["wrapper", "hdlc"])
def world(request):
    return World(request.param)


@pytest.mark.parametrize(
    "kind, address",
    [
        ("wrapper", ""),
        ("wrapper", "4D455445522D32"),
        ("hdlc", ""),  # the server's address in one octet
        ("hdlc", "11"),  # in two
        ("hdlc", "0011"),
    ],
)
def test_a_conversation(kind, address):
    w = World(kind).open(address)
    assert w.say(GET_LDN, address=address) == prefix(address) + LDN
    assert w.say("6200", address=address) == prefix(address) + "6303800100"
    assert w.say(GET_LDN, address=address) == prefix(address) + "D80101"


def test_hdlc_addresses_in_four_octets():
    w = World("hdlc")
    w.there.configure(device_address=0x123)
    w.open("0123")
    assert w.said[0][3:8].hex() == "0002044703"  # upper 1, lower 0x123, client 1


def test_the_longest_request_and_answer(world):
    """In HDLC: in segments, both ways."""
    world.open()
    assert world.say(SET_LONG) == prefix() + "C501C100"
    assert world.say(GET_LONG) == prefix() + "C401C10009820170" + "5A" * 368
    assert world.say(GET_LDN) == prefix() + LDN


def test_hdlc_server_that_takes_less_than_the_default():
    w = World("hdlc")
    assert w.there.configure(max_info_rx=40)
    w.open()
    assert w.say(SET_LONG) == prefix() + "C501C100"
    assert max(len(frame) for frame in w.said) <= 40 + 11


def test_ciphered_apdus_go_as_they_are(world):
    """A prefix again is the next gateway's, and so is what is ciphered."""
    world.open()
    for apdu in ("E6000001", "C805300000000100", "DB085069636F0000000106300000000100"):
        assert world.say(apdu)[:6] == prefix() and world.client.state == 0
    sent = b"".join(world.said)
    assert bytes.fromhex("DB085069636F0000000106300000000100") in sent


def test_its_own_requests_are_served_meanwhile(world):
    world.mute = True
    assert world.say(GET_LDN, turns=3) is None
    t = world.near.management()
    assert t.say(GET_LDN) == LDN


def test_one_meter_is_not_the_other(world):
    """An association there is none here, and the reverse."""
    world.open()
    assert world.say_raw(GET_LDN) == "D80101"
    t = world.near.talk(channel=world.channel)
    assert t.open().startswith(ACCEPTED)
    t.say("C101C1 0001 0000603201FF 02 00 1155")
    assert world.say("C001C1 0001 0000603201FF 02 00") == prefix() + "C401C1001107"


# --- What cannot be passed on ----------------------------------------------------------------


def late(w):
    w.open()
    w.mute = True
    return w.say(GET_LDN)


def lost(w):
    w.open()
    w.mute = True
    assert w.say(GET_LDN, turns=3) is None
    w.client.reset()
    return w.say(GET_LDN)


def busy(w):
    w.open()
    return w.say(GET_LDN, channel=w.near.server.channel())


def too_long(w):
    """An answer that the buffer of the link has no room for."""
    w.far.management().say(SET_LONG)
    w.open()
    w.client.buf = w.client.buf[:200]
    if w.kind == "wrapper":
        w.client.out = w.client.buf
    return w.say(GET_LONG)


CAUSES = {
    "MALFORMED": [
        lambda w: w.say_raw("E6"),
        lambda w: w.say_raw("E605"),
        lambda w: w.say_raw("E60500"),  # nothing behind it
        lambda w: w.say_raw("E6050411"),
        lambda w: w.say_raw("E60584000000FF11C0"),
        lambda w: w.say_raw("E60511" + "00" * 17 + "C0"),  # longer than any address
    ],
    "UNKNOWN": [lambda w: w.say(GET_LDN, network=6)],
    "BUSY": [busy],
    "LOST": [lost],
    "LATE": [late],
    "TOO_LONG": [too_long],
}


def test_every_outcome_has_a_cause():
    rows = [n for n, row in enumerate(gateway._OUTCOMES) if row]
    assert rows == sorted(STATES.values()) and CAUSES.keys() == STATES.keys()
    for name, n in STATES.items():
        assert "D8%02X%02X" % gateway._OUTCOMES[n] == REFUSED[name]


@pytest.mark.parametrize("outcome, cause", [(o, c) for o in CAUSES for c in CAUSES[o]])
def test_outcomes(world, outcome, cause):
    """Each is an exception-response of this meter, without a prefix; and after it the next
    conversation is one like any other."""
    assert cause(world) == REFUSED[outcome]
    world.mute = False
    if outcome != "BUSY":
        world.open()
    assert world.say(GET_LDN) == prefix() + LDN


def test_what_is_lost_or_late_has_lost_its_association(world):
    late(world)
    world.mute = False
    assert world.say(GET_LDN) == prefix() + "D80101"


def test_hdlc_addresses_that_do_not_exist():
    w = World("hdlc")
    for who in (
        {"address": "4000"},
        {"address": "000011"[:6]},
        {"client": 0x80},
        {"server": 0x80},
    ):
        got = w.say(GET_LDN, **who)
        assert (got == REFUSED["UNKNOWN"]) == (who.get("address") != "000011")
    assert w.say(GET_LDN, address="11", server=0x4000) == REFUSED["UNKNOWN"]


def test_nobody_there():
    w = World("hdlc", time_out_ms=60000)
    w.deaf = True
    assert w.say(GET_LDN) == REFUSED["LOST"]
    assert len(w.said) == 4 and len(set(w.said)) == 1, "SNRM, and three times again"


def test_a_frame_that_is_lost_is_sent_again():
    for lose in ("deaf", "mute"):
        w = World("hdlc", time_out_ms=60000).open()
        setattr(w, lose, True)
        assert w.say(GET_LDN, turns=4) is None
        setattr(w, lose, False)
        assert w.say(GET_LDN) == prefix() + LDN


def test_hdlc_server_that_is_busy():
    w = World("hdlc").open()
    w.there.busy = True
    assert w.say(GET_LDN, turns=8) is None
    w.there.busy = False
    assert w.say(GET_LDN) == prefix() + LDN


def test_wrapper_that_is_none():
    w = World("wrapper").open()
    w.mute = True
    assert w.say(GET_LDN, turns=3) is None
    w.client.receive(bytes.fromhex("0002000100010001C4"), 0, 9, w.now)
    assert w.say(GET_LDN) == REFUSED["LOST"]


@pytest.mark.parametrize(
    "wpdu",
    [
        "0001 0001 0001 0009 0F 00000001 00 0203FF",  # data-notification
        "0001 0001 0010 0003 D80101",  # to another client
        "0001 0010 0001 0003 D80101",  # of another logical device
    ],
)
def test_what_nobody_asked_for_is_no_answer(wpdu):
    w = World("wrapper").open()
    w.mute = True
    assert w.say(GET_LDN, turns=3) is None
    octets = bytes.fromhex(wpdu.replace(" ", ""))
    octets = octets[:6] + (len(octets) - 8).to_bytes(2, "big") + octets[8:]
    answer = bytes.fromhex("000100010001%04X" % (len(LDN) // 2) + LDN)
    for k in range(len(octets)):
        w.client.receive(octets, k, k + 1, w.now)
    w.client.receive(answer, 0, len(answer), w.now)
    assert w.say(GET_LDN) == prefix() + LDN


# --- Whose conversation it is ----------------------------------------------------------------


def opened_there(w):
    return [a.client_sap for a in w.far.server.associations if a.state]


def test_nobody_gets_into_somebody_elses_association(world):
    """The same client SAP on another link: refused while the first one talks, and after that the
    association is gone."""
    world.open()
    other = world.near.server.channel()
    assert world.say(GET_LDN, channel=other) == REFUSED["BUSY"]
    assert world.say(GET_LDN) == prefix() + LDN
    world.channel.release()
    assert world.say(GET_LDN, channel=other) == prefix() + "D80101"


def end_by_release(w):
    w.say("6200")


def end_by_link(w):
    w.channel.release()


def end_by_silence(w):
    w.pump()
    w.now += 120000
    w.pump()


@pytest.mark.parametrize("end", [end_by_release, end_by_link, end_by_silence])
def test_after_the_end_the_next_one_may(world, end):
    world.open()
    assert opened_there(world) == [1]
    end(world)
    world.wait(20)
    assert opened_there(world) == [] and not world.channel.in_use()
    world.open(channel=world.near.server.channel())


def test_silence_is_no_end_before_its_time(world):
    world.open()
    for _ in range(3):
        world.now += 110000
        world.pump()
        assert world.say(GET_LDN) == prefix() + LDN


def test_the_same_client_goes_on_to_another_device(world):
    world.open()
    world.open(client=32, server=17)
    assert opened_there(world) == [32]
    assert world.say(GET_LDN) == prefix() + "D80101"


def test_a_client_that_goes_while_it_waits(world):
    world.open()
    world.mute = True
    assert world.say(GET_LDN, turns=3) is None
    world.channel.release()
    world.mute = False
    other = world.near.server.channel()
    assert world.say(GET_LONG, channel=other) == prefix() + "D80101", "not the other's answer"


def test_a_channel_with_a_conversation_is_in_use(world):
    """A place of UDP is not given to a stranger while it has one."""
    assert not world.channel.in_use()
    world.open()
    assert world.channel.in_use() and not world.near.server.channel().in_use()


def test_a_connection_for_each_conversation():
    w = World("wrapper").open()
    w.say("6200")
    w.wait(3)
    assert not w.up
    w.open()
    assert w.connections == 2


# --- Unconfirmed -----------------------------------------------------------------------------


def test_unconfirmed_service(world):
    """Its invoke-id-and-priority says that nothing comes back."""
    world.open()
    assert world.say("C10181 0001 0000603201FF 02 00 1166") == ""
    assert world.say("C001C1 0001 0000603201FF 02 00") == prefix() + "C401C1001166"


def test_get_is_answered_whatever_it_says(world):
    """As meters in the field do (vectors/hdlc.jsonl, hdlc-i-get: C0 01 81)."""
    world.open()
    assert world.say(GET_LDN.replace("C1", "81", 1)) == prefix() + LDN.replace("C1", "81", 1)


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_general_block_transfer(kind):
    """A value there in three blocks, of which two stream, and back in blocks of 59 octets, for a
    window of 5 that becomes 1 on the way."""
    w = World(kind, SuitesMeter(), room=1400)
    value = bytes(range(200))

    def say(apdu):
        return bytes.fromhex(w.say(apdu, client=55, server=17))[3:]

    assert say(aarq(None, max_pdu=59).hex())[:1] == b"\x61"
    apdu = bytes.fromhex("C10141 0001 0000603C02FF 02 00 0981C8") + value
    for number, control in ((1, 0x45), (2, 0x45), (3, 0x85)):
        part, apdu = apdu[:80], apdu[80:]
        head = "E0%02X%04X0000%02X" % (control, number, len(part))
        got = say(head + part.hex())
        assert (got == b"") == (number < 3)
    assert got.endswith(bytes.fromhex("C5014100"))
    got, data, last = say("E08500010000 0D C00141 0001 0000603C02FF 02 00"), b"", False
    while not last:
        assert got[0] == 0xE0 and got[1] & 0x40 == 0, "one at a time"
        last, number = got[1] & 0x80, got[2] << 8 | got[3]
        data += got[7:]
        got = say("E085%04X%04X00" % (number + 1, number)) if not last else b""
    assert data == bytes.fromhex("C4014100 0981C8") + value


def test_unconfirmed_frames_are_not_passed_on(world):
    world.open()
    n = len(world.said)
    assert world.say_raw("E60500" + GET_LDN, confirmed=0) == ""
    world.wait(3)
    assert len(world.said) == n


# --- Routes ----------------------------------------------------------------------------------


def test_several_meters_in_one_network():
    w = World("wrapper")
    other = World("wrapper")
    routes = w.near.server.gateway.routes
    routes[:] = [
        (NETWORK, b"\x01\x02", other.client),
        (NETWORK, b"\x03", w.client),
        (6, None, w.client),
    ]
    assert w.say(GET_LDN, address="03") == prefix("03") + "D80101"
    assert w.say(GET_LDN, network=6) == prefix(network=6) + "D80101"
    for address in ("", "01", "010203"):
        assert w.say(GET_LDN, address=address) == REFUSED["UNKNOWN"]
    assert w.say(GET_LDN, address="0102", turns=3) is None
    assert other.client.state == 1 and w.client.state == 0


def test_a_meter_without_a_gateway():
    t = Meter().talk()
    assert t.say("E60500" + GET_LDN) == "D80101"
    t.open()
    assert t.say("E60500" + GET_LDN) == "D80102"


# --- Over the links of this meter ------------------------------------------------------------


def wpdu(apdu, client=1, server=1):
    return b"".join(n.to_bytes(2, "big") for n in (1, client, server, len(apdu))) + apdu


@pytest.mark.parametrize("udp", [False, True])
def test_through_a_wrapper(world, udp):
    """A logical device that only the meter behind has, and the answer after a while."""
    here = Wrapper(world.near.server, world.channel, udp, saps=(1,))
    for apdu, start in ((aarq(b"12345678").hex(), ACCEPTED), (GET_LDN, LDN)):
        ask = wpdu(bytes.fromhex("E60500" + apdu.replace(" ", "")), 32, 17)
        assert here.receive(ask, 0, len(ask), 0) == len(ask)
        for _ in range(99):
            n = here.transmit(0)
            if n:
                break
            assert here.waits()
            world.pump()
        got = bytes(here.out[here.out_pos : here.out_pos + n])
        assert got[8:].hex().upper().startswith(prefix() + start)
        assert got == wpdu(got[8:], 17, 32)


@pytest.mark.parametrize("udp", [False, True])
def test_all_stations_is_not_passed_on(world, udp):
    here = Wrapper(world.near.server, world.channel, udp, saps=(1,))
    ask = wpdu(bytes.fromhex("E60500" + GET_LDN.replace(" ", "")), 1, 0x7F)
    here.receive(ask, 0, len(ask), 0)
    assert not here.waits() and not here.transmit(0) and world.client.state == 0


ON_DEVICE = """
import sys
sys.path[:] = [ROOT + "/lib", ROOT]
import micropython
from dlms.gateway import Gateway
from profiles import client, hdlc_client, wrapper_client
from profiles.hdlc import HDLC
from profiles.hdlc_client import HDLCClient
from profiles.wrapper import Wrapper
from profiles.wrapper_client import WrapperClient

class Channel:
    full = False
    def __init__(self):
        self.max_pdu = self.max_receive_pdu = 500
        self.more = None
        self.tx = bytearray(600)
        self.tx_pos = 64
    def release(self):
        pass
    def in_use(self):
        return False
    def reply(self, start, end):
        self.tx_pos = start
        return end - start

class Server:
    gateway = None
    def request(self, channel, client, sap, buf, pos, end, flags):
        channel.tx_pos = 64
        channel.tx[64] = 0xC4
        return 400

here = Channel()
gateway = Gateway()
clients = (WrapperClient(500, 5000), HDLCClient(500, 5000))
others = (Wrapper(Server(), Channel(), saps=(1,)), HDLC(Server(), Channel(), saps=(1,)))
for i in range(2):
    gateway.routes.append((i, None, clients[i]))
asks = [bytearray(bytes([0xE6, i, 0]) + bytes([0xC0, 1, 0xC1]) + bytes(300)) for i in range(2)]

def talk(i):
    now = 0
    buf = asks[i]
    client = clients[i]
    other = others[i]
    while True:
        n = gateway.request(here, 1, 1, buf, 0, len(buf), 1)
        if n >= 0:
            return n
        client.tick(now)
        n = client.transmit(now)
        pos = client.out_pos
        end = pos + n
        while pos < end:
            pos = other.receive(client.out, pos, end, now)
            n = other.transmit(now)
            while n:
                client.receive(other.out, other.out_pos, other.out_pos + n, now)
                n = other.transmit(now)
        now += 50

a = b = c = 0
micropython.heap_lock()
a = talk(0)
b = talk(1)
c = talk(0)
micropython.heap_unlock()
print(a, b, c)
"""


def test_nothing_is_allocated(micropython, tmp_path):
    script = tmp_path / "gateway_on_device.py"
    script.write_text("ROOT = %r\n" % ROOT + ON_DEVICE)
    done = subprocess.run([micropython, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "403 403 403\n", done.stdout + done.stderr


def test_copies_of_constants_agree():
    names = ("_NOTHING", "_WAITS", "_UNANSWERED", "_SENT", "_ANSWERED", "_LOST", "_LATE",
             "_TOO_LONG", "_ROOM")  # fmt: skip
    for module in (gateway, hdlc_client, wrapper_client):
        found = {name: getattr(module, name) for name in names if hasattr(module, name)}
        assert found == {name: getattr(client, name) for name in found} and len(found) > 3
