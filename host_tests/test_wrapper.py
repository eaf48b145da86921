# SPDX-License-Identifier: MIT
"""profiles.wrapper: conversations over TCP and UDP. Vectors: vectors/wrapper.jsonl."""

import json
import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles.wrapper import Wrapper

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

with open(os.path.join(HERE, "vectors", "wrapper.jsonl")) as _f:
    VECTORS = [json.loads(line) for line in _f]


def wpdu(apdu, source=16, destination=1, version=1, length=None):
    fields = (version, source, destination, len(apdu) if length is None else length)
    return b"".join(n.to_bytes(2, "big") for n in fields) + apdu


class Channel:
    def __init__(self, max_pdu):
        self.max_pdu = self.max_receive_pdu = max_pdu
        self.tx = bytearray(40 + max_pdu)
        self.tx_pos = 40
        self.released = 0
        self.more = None

    def release(self):
        self.released += 1

    def in_use(self):
        return True


class Server:
    """Answers with the request, each octet inverted; or with what .answers holds."""

    def __init__(self):
        self.requests = []
        self.seen = []
        self.answers = []

    def request(self, channel, client_sap, server_sap, buf, pos, end, flags):
        apdu = bytes(buf[pos:end])
        answer = self.answers.pop(0) if self.answers else bytes(b ^ 0xFF for b in apdu)
        if answer == "busy":
            return -1
        for k in range(pos, end):
            buf[k] = 0xDD  # a server may decipher in place
        self.requests.append(apdu)
        self.seen.append((client_sap, server_sap, flags))
        if answer is None:
            return 0
        channel.tx_pos = 33
        channel.tx[33 : 33 + len(answer)] = answer
        return len(answer)


class Talk:
    def __init__(self, saps=(1, 16), max_pdu=200, **kwargs):
        self.server = Server()
        self.channel = Channel(max_pdu)
        self.wrapper = Wrapper(self.server, self.channel, saps=saps, **kwargs)
        self.now = 0x3FFFFF00

    def say(self, octets, portion=None):
        """Octets there, and all that comes back. A datagram is never portioned."""
        w = self.wrapper
        back = []
        pos = 0
        while pos < len(octets):
            end = len(octets) if portion is None else min(len(octets), pos + portion)
            pos = w.receive(octets, pos, end, self.now)
            n = w.transmit(self.now)
            while n:
                back.append(bytes(w.out[w.out_pos : w.out_pos + n]))
                n = w.transmit(self.now)
        if w.udp:
            w.end_of_datagram()
        return back

    def wait(self, ms):
        while ms > 0:
            self.now = (self.now + 100) & 0x3FFFFFFF
            self.wrapper.tick(self.now)
            ms -= 100


# --- Vectors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("v", [v for v in VECTORS if "decoded" in v], ids=lambda v: v["id"])
def test_vectors_are_taken_and_made(v, udp):
    octets = bytes.fromhex(v["hex"])
    d = v["decoded"]
    assert wpdu(octets[8:], d["src"], d["dst"], d["version"], d["length"]) == octets
    # As if it came from a client; then as the answer of a server.
    t = Talk(saps=(d["dst"],), udp=udp)
    t.say(octets)
    assert t.server.requests == [octets[8:]]
    assert t.server.seen == [(d["src"], d["dst"], 1)]
    t = Talk(saps=(d["src"],), udp=udp)
    t.server.answers = [octets[8:]]
    assert t.say(wpdu(b"\xc0", d["dst"], d["src"])) == [octets]


@pytest.mark.parametrize("v", [v for v in VECTORS if "expect" in v], ids=lambda v: v["id"])
def test_vectors_with_a_fault_are_dropped(v):
    t = Talk(saps=(1, 16, 17), udp=True)
    assert t.say(bytes.fromhex(v["hex"])) == []
    assert t.server.requests == []
    assert t.say(wpdu(b"\xc0")) == [wpdu(b"\x3f", 1, 16)]


# --- TCP ---------------------------------------------------------------------------------------

STREAM = [
    wpdu(b"\xc0\x01"),
    wpdu(bytes(range(200)), 1, 16),
    wpdu(b"\xc0", 16, 2),
    wpdu(b"\x62\x00"),
]
ANSWERS = [
    wpdu(b"\x3f\xfe", 1, 16),
    wpdu(bytes(range(255, 55, -1)), 16, 1),
    wpdu(b"\x9d\xff", 1, 16),
]


@pytest.mark.parametrize("portion", [1, 2, 7, 8, 9, 100, None])
def test_portions_make_no_difference(portion):
    assert Talk().say(b"".join(STREAM), portion) == ANSWERS


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=4))
def test_any_portions_make_no_difference(portions):
    t = Talk()
    stream = b"".join(STREAM)
    back = []
    pos = 0
    k = 0
    while pos < len(stream):
        n = portions[k % len(portions)]
        k += 1
        back += t.say(stream[pos : pos + n])
        pos += n
    assert back == ANSWERS


def test_input_waits_while_there_is_output():
    t = Talk()
    both = STREAM[0] + STREAM[3]
    w = t.wrapper
    assert w.receive(both, 0, len(both), 0) == len(STREAM[0])
    assert w.receive(both, 10, len(both), 0) == 10
    assert w.transmit(0) == 10
    assert w.receive(both, 10, len(both), 0) == len(both)


@pytest.mark.parametrize(
    "wrong",
    [
        wpdu(b"\xc0", version=0),
        wpdu(b"\xc0", version=2),
        wpdu(b"\xc0", version=0x101),
        wpdu(b""),
        wpdu(b"\xc0", length=201),
        wpdu(b"\xc0", length=0xFFFF),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_tcp_what_cannot_be_followed_closes_the_connection(wrong):
    t = Talk()
    assert t.say(wpdu(b"\xc0") + wrong + wpdu(b"\xc0"), 3) == [wpdu(b"\x3f", 1, 16)]
    assert t.wrapper.closed
    assert len(t.server.requests) == 1
    t.wrapper.reset()
    assert not t.wrapper.closed
    assert t.say(wpdu(b"\xc0")) == [wpdu(b"\x3f", 1, 16)]


def test_tcp_an_answer_before_the_fault_is_still_sent():
    t = Talk()
    assert t.say(wpdu(b"\xc0") + wpdu(b"")) == [wpdu(b"\x3f", 1, 16)]
    assert t.wrapper.closed


@pytest.mark.parametrize("udp", [False, True])
def test_unknown_saps_are_dropped_in_silence(udp):
    t = Talk(udp=udp)
    for octets in (wpdu(b"\xc0", 16, 2), wpdu(b"\xc0", 16, 0), wpdu(b"\xc0", 0, 1)):
        assert t.say(octets) == []
    assert t.server.requests == []
    assert not t.wrapper.closed
    assert len(t.say(wpdu(b"\xc0"))) == 1


def test_tcp_has_no_broadcast():
    t = Talk()
    assert t.say(wpdu(b"\xc1", 16, 0x7F)) == []
    assert t.server.requests == []


@pytest.mark.parametrize("udp", [False, True])
def test_no_answer(udp):
    t = Talk(udp=udp)
    t.server.answers = [None]
    assert t.say(wpdu(b"\xc1")) == []
    assert t.server.requests == [b"\xc1"]


def test_a_connection_that_goes_takes_its_associations():
    t = Talk()
    t.say(wpdu(b"\xc0") + wpdu(b"\xc0")[:5])
    t.wrapper.reset()
    assert t.channel.released == 1
    assert t.say(wpdu(b"\xc0")) == [wpdu(b"\x3f", 1, 16)]


# --- UDP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        b"", b"\x00", wpdu(b""), wpdu(b"\xc0", version=2), wpdu(b"\xc0", length=2),
        wpdu(b"\xc0\xc0", length=1), wpdu(b"\xc0") + wpdu(b"\xc0"), wpdu(bytes(201)),
    ],
)  # fmt: skip
def test_udp_a_datagram_that_is_not_one_wpdu_is_dropped(wrong):
    t = Talk(udp=True)
    assert t.say(wrong) == []
    assert t.server.requests == []
    assert not t.wrapper.closed
    assert t.say(wpdu(bytes(200))) == [wpdu(b"\xff" * 200, 1, 16)]


def test_udp_datagrams_may_be_read_only():
    t = Talk(udp=True)
    assert t.say(bytes(wpdu(b"\xc0"))) == [wpdu(b"\x3f", 1, 16)]


def test_udp_broadcast_reaches_each_logical_device_and_is_not_answered():
    t = Talk(udp=True)
    assert t.say(wpdu(b"\xc1\x05", 16, 0x7F)) == []
    assert t.server.requests == [b"\xc1\x05"] * 2
    assert t.server.seen == [(16, 1, 4), (16, 16, 4)]


def test_udp_multicast_to_one_logical_device_is_not_answered_either():
    t = Talk(udp=True)
    t.wrapper.answers = False
    assert t.say(wpdu(b"\xc1\x05", 16, 1)) == []
    assert t.say(wpdu(b"\xc1\x05", 16, 0x7F)) == []
    assert t.server.seen == [(16, 1, 4)] * 2 + [(16, 16, 4)]


def test_udp_broadcast_that_has_to_wait_comes_again():
    """Each logical device has it once, as it has left it; and what comes next is served."""
    t = Talk(udp=True)
    t.server.answers = ["busy", None, "busy", "busy", None]
    assert t.say(wpdu(b"\xc1\x05", 16, 0x7F)) == []
    for _ in range(4):
        assert t.wrapper.transmit(0) == 0
    assert t.server.requests == [b"\xc1\x05"] * 2
    assert t.server.seen == [(16, 1, 4), (16, 16, 4)]
    assert t.say(wpdu(b"\xc1\x06", 16, 0x7F)) == []
    assert t.server.requests[2:] == [b"\xc1\x06"] * 2


def test_udp_broadcast_too_long_for_copies_reaches_the_last_device():
    t = Talk(udp=True)
    t.say(wpdu(bytes(150), 16, 0x7F))
    assert t.server.seen == [(16, 16, 4)]


# --- Notifications, time -----------------------------------------------------------------------


@pytest.mark.parametrize("udp", [False, True])
def test_a_notification(udp):
    t = Talk(udp=udp)
    buf = bytearray(8) + b"\x0f\x01"
    w = t.wrapper
    assert w.notify(16, 1, buf, 8, 2)
    assert not w.notify(16, 1, buf, 8, 2)
    assert w.transmit(0) == 10
    assert bytes(w.out[w.out_pos : w.out_pos + 10]) == wpdu(b"\x0f\x01", 1, 16)
    assert w.transmit(0) == 0
    assert t.say(wpdu(b"\xc0")) == [wpdu(b"\x3f", 1, 16)]


def test_tcp_inactivity_closes_the_connection():
    t = Talk()
    assert t.wrapper.configure(10)
    assert not t.wrapper.configure(65536)
    t.wrapper.reset()
    t.wait(9_900)
    t.say(wpdu(b"\xc0"))
    t.wait(9_900)
    assert not t.wrapper.closed
    t.wait(200)
    assert t.wrapper.closed


def test_udp_inactivity_drops_the_associations():
    t = Talk(udp=True)
    t.wrapper.configure(10)
    t.wait(60_000)
    assert t.channel.released == 0
    t.say(wpdu(b"\xc0"))
    t.wait(60_000)
    assert t.channel.released == 1
    assert not t.wrapper.closed


def test_no_inactivity_by_default():
    t = Talk()
    t.say(wpdu(b"\xc0"))
    t.wait(1_000_000)
    assert not t.wrapper.closed


def test_the_saps_are_those_of_the_server_if_none_are_given():
    class Model:
        devices = ((5, 0, 0, b""), (20, 0, 0, b""))

    server = Server()
    server.model = Model
    assert Wrapper(server, Channel(50)).saps == (5, 20)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.booleans(), st.integers(1, 50))
def test_any_octets_at_all(octets, udp, portion):
    t = Talk(udp=udp)
    t.say(octets, None if udp else portion)
    t.wrapper.reset()
    assert t.say(wpdu(b"\xc0")) == [wpdu(b"\x3f", 1, 16)]


# --- On the device -----------------------------------------------------------------------------

ON_DEVICE = r"""
import sys, time, micropython
sys.path.insert(0, LIB)
from profiles.wrapper import Wrapper

class Channel:
    max_pdu = max_receive_pdu = 200
    more = None
    tx = bytearray(300)
    tx_pos = 40
    def release(self):
        pass

class Server:
    def request(self, channel, client, sap, buf, pos, end, flags):
        return 13

tcp = Wrapper(Server(), Channel(), saps=(1, 16))
udp = Wrapper(Server(), Channel(), True, (1, 16))
ask = bytearray(bytes.fromhex(ASK))
every = bytearray(ask)
every[5] = 0x7F
act = bytearray(ask)
act[8] = 0xC3

def talk(w, f, step):
    n = 0
    pos = 0
    while pos < len(f):
        pos = w.receive(f, pos, min(len(f), pos + step), 5)
        while w.transmit(5):
            n += 1
    w.tick(6)
    return n

def run(count):
    for _ in range(count):
        tcp.receive(ask, 0, len(ask), 0)
        while tcp.transmit(0):
            pass

n = t = 0
run(10)
micropython.heap_lock()
n = talk(tcp, ask, 3) + talk(tcp, ask, 100) + talk(udp, ask, 100) + talk(udp, every, 100)
n += talk(udp, act, 100) + talk(udp, act, 100) + 10 * udp.repeated
t = time.ticks_us()
run(1000)
t = time.ticks_diff(time.ticks_us(), t)
micropython.heap_unlock()
print(n, "ns", t)
"""


def test_the_path_allocates_nothing(tmp_path, micropython):
    """heap_lock() makes every allocation an exception. Also prints the time of a round trip."""
    script = tmp_path / "wrapper_on_device.py"
    ask = wpdu(b"\xc0\x01\xc1\x00\x03\x01\x00\x01\x08\x00\xff\x02\x00")
    script.write_text("LIB = %r\nASK = %r\n" % (os.path.join(ROOT, "lib"), ask.hex()) + ON_DEVICE)
    done = subprocess.run([micropython, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert done.stdout.startswith("15 ns")
