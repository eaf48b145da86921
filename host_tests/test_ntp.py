# SPDX-License-Identifier: MIT
"""firmware/links/ntp.py: the table at its top, against a server that does as told, and a running
meter that is told the time by a server on the loopback address."""

import hashlib
import re
import socket
import threading
import time

import pytest
from fakes import array, boolean, enum
from running import Running, Wrapper
from small import CLOCK, HERE
from test_ntp_setup import ACTIVATED, KEYS, LINES, METHOD, SYNCHRONIZE, Meter, key
from test_sntp import answer

from firmware.links import ntp

SERVER = ("192.0.2.1", 123)
MINUTE, SECOND = 13600000, 20
OFF, WAITING, LOOKING, ASKING = range(4)
HOUR_MS = 3600000
MINUTES_MS = 60000


class Port:
    """Stands in for a port and its network; a question goes to `sent`, answers are in `came`."""

    def __init__(self):
        self.now_ms = 1 << 29
        self.sent = []
        self.came = []
        self.opened = self.closed = 0
        self.host = "192.0.2.1"

    def ticks_ms(self):
        return self.now_ms

    def random_fill(self, buf):
        buf[:] = (0x1000 + self.opened).to_bytes(8, "big")

    def look_up(self, host, six):
        self.looked_up = host
        return host

    def found(self, lookup):
        if isinstance(self.host, OSError):
            raise self.host
        return self.host

    def address(self, host, number):
        return host, number

    def udp(self, host, number):
        assert (host, number) == ("0.0.0.0", 0)
        self.opened += 1
        return self.opened, 50000 + self.opened

    def sendto(self, endpoint, buf, pos, n, address):
        assert endpoint == self.opened and address == SERVER
        self.sent.append(bytes(buf[pos : pos + n]))

    def recvfrom(self, endpoint, n):
        return self.came.pop(0) if self.came else None

    def close(self, endpoint):
        self.closed += 1


class Poller:
    def __init__(self):
        self.owners = {}

    def add(self, endpoint, owner):
        self.owners[endpoint] = owner

    def remove(self, endpoint):
        del self.owners[endpoint]


class Asking(Meter):
    """A meter with a client of NTP; its clock is off by a minute."""

    def __init__(self, on=True):
        lines = LINES + '    {class = 8, obis = "0.0.1.0.0.255"},\n'
        super().__init__(lines)
        self.clock.set_utc(MINUTE + 1, SECOND)
        self.clock.set_flags(3)
        self.port = Port()
        self.set(self.at, ACTIVATED, boolean(on))
        self.link = ntp.TimeClient(self, self.port)
        self.poller = Poller()
        self.link.open(self.poller)
        self.link.poll(self.port.now_ms)

    def pass_(self, ms):
        self.port.now_ms = self.port.now_ms + ms & 0x3FFFFFFF
        self.link.poll(self.port.now_ms)

    def hear(self, packet, source=SERVER):
        self.port.came.append((packet, source))
        self.link.ready = True
        self.link.poll(self.port.now_ms)

    def reply(self, **how):
        """What the server says to the last question."""
        how.setdefault("seconds", 0xBC17C200 + MINUTE * 60 + SECOND)
        return answer(origin=self.port.sent[-1][40:48], **how)

    def time(self):
        return self.clock.minute, self.clock.second, self.clock.hundredths

    def is_silent(self, ms):
        """Is nothing asked before so much has passed, and then something?"""
        n = len(self.port.sent)
        self.pass_(ms - 1)
        before = len(self.port.sent)
        self.pass_(1)
        return before == n and len(self.port.sent) == n + 1


def test_nothing_is_asked_while_it_is_not_activated():
    m = Asking(on=False)
    m.pass_(HOUR_MS)
    assert (m.link.state, m.link.address, m.port.opened) == (OFF, "off", 0)
    m.set(m.at, ACTIVATED, boolean(True))
    m.link.configure()
    m.pass_(0)
    assert m.link.state == ASKING and len(m.port.sent) == 1 and m.port.looked_up == "192.0.2.1"
    m.set(m.at, ACTIVATED, boolean(False))
    m.link.configure()
    assert (m.link.state, m.port.closed, m.poller.owners) == (OFF, 1, {})


def test_the_time():
    m = Asking()
    m.pass_(300)
    m.hear(m.reply(fraction=1 << 31))
    # Half of the 300 ms is the way back.
    assert m.time() == (MINUTE, SECOND, 65)
    assert not m.clock.flags & 3
    assert m.port.closed == 1 and m.is_silent(HOUR_MS)
    # Another port, and another number that nobody can guess.
    assert m.port.opened == 2 and m.port.sent[0] != m.port.sent[1]


@pytest.mark.parametrize("off_ms, set_", [(-490, False), (490, False), (-510, True), (510, True)])
def test_a_clock_that_is_right_is_left_alone(off_ms, set_):
    m = Asking()
    m.clock.set_utc(MINUTE, SECOND)
    m.clock.advance(500)
    shifts = m.clock.shifts
    ms = 500 - off_ms
    m.hear(m.reply(seconds=0xBC17C200 + MINUTE * 60 + SECOND + ms // 1000,
                   fraction=(ms % 1000 << 32) // 1000))  # fmt: skip
    assert (m.clock.shifts != shifts) == set_
    assert not m.clock.flags & 3


def test_no_answer():
    """Again after a minute, then after two, four, ... but each hour at least."""
    m = Asking()
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        m.pass_(5000)
        assert m.link.state == WAITING
        assert m.is_silent(minutes * MINUTES_MS)
    m.hear(m.reply())
    assert m.time()[0] == MINUTE and m.is_silent(HOUR_MS)
    m.pass_(5000)
    assert m.is_silent(MINUTES_MS)


@pytest.mark.parametrize(
    "how", [{"first": 0xE4}, {"stratum": 16}, {"stratum": 0, "code": b"INIT"}]
)
def test_a_server_that_does_not_know(how):
    m = Asking()
    m.hear(m.reply(**how))
    assert m.time()[0] == MINUTE + 1 and m.clock.flags & 3 and m.is_silent(MINUTES_MS)


def test_less_often():
    m = Asking()
    m.hear(m.reply(stratum=0, code=b"RATE"))
    assert m.is_silent(HOUR_MS)


@pytest.mark.parametrize("code", [b"DENY", b"RSTR"])
def test_never_again_unless_a_client_says_so(code):
    m = Asking()
    m.hear(m.reply(stratum=0, code=code))
    for _ in range(48):
        m.pass_(HOUR_MS // 2)
    assert m.link.state == OFF and len(m.port.sent) == 1
    assert m.act(m.at, SYNCHRONIZE) == 0
    m.link.configure()
    m.pass_(0)
    assert len(m.port.sent) == 2


@pytest.mark.parametrize("source", [("192.0.2.2", 123), ("192.0.2.1", 124), SERVER])
def test_what_others_say_is_not_heard(source):
    """Of another address; or of this one, to no question of ours."""
    m = Asking()
    good = m.reply()
    other = good[:24] + b"\xee" * 8 + good[32:] if source == SERVER else good
    m.hear(other, source)
    assert m.link.state == ASKING and m.time()[0] == MINUTE + 1
    m.hear(m.reply())
    assert m.time()[0] == MINUTE


def test_a_name_that_is_not_found():
    m = Asking()
    m.hear(m.reply())
    m.port.host = None  # it takes its time ...
    m.pass_(HOUR_MS)
    assert m.link.state == LOOKING
    m.pass_(4999)
    m.port.host = OSError("no such name")
    m.pass_(0)
    assert m.link.state == WAITING and m.port.opened == 1
    m.port.host = "192.0.2.1"
    assert m.is_silent(MINUTES_MS)
    m.port.host = None  # ... or does not answer at all
    m.hear(m.reply(stratum=16))
    m.pass_(2 * MINUTES_MS)
    m.pass_(5000)
    assert m.link.state == WAITING


def test_a_shared_secret():
    m = Asking()
    m.set(m.at, METHOD, enum(1))
    m.link.configure()
    m.pass_(0)
    # Without a key nothing is believed.
    m.hear(m.reply())
    assert m.time()[0] == MINUTE + 1 and m.link.state == WAITING
    m.set(m.at, KEYS, array(key(42, b"demo secret")))
    m.link.configure()
    m.pass_(0)
    question = m.port.sent[-1]
    assert question[48:] == b"\0\0\0\x2a" + hashlib.md5(b"demo secret" + question[:48]).digest()
    m.hear(m.reply())
    assert m.time()[0] == MINUTE + 1 and m.link.state == WAITING
    m.pass_(MINUTES_MS)
    good = m.reply()
    m.hear(good + b"\0\0\0\x2a" + hashlib.md5(b"demo secret" + good).digest())
    assert m.time()[0] == MINUTE


# --- A running meter --------------------------------------------------------------------------


def definition(tmp_path, number, host):
    text = (HERE / "definitions/devices.toml").read_text() + CLOCK.replace('"two"', '"one"')
    text += """
[[objects]]
device = "one"
access = "all"
list = [
    {class = 100, obis = "0.0.25.10.0", activated = true, server_address = "%s", server_port = %d},
]
""" % (host, number)
    path = tmp_path / "ntp.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_running_meter_is_told_the_time(runtime, tmp_path, request):
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(60)

        def serve():
            packet, whom = s.recvfrom(200)
            # 2031-02-03 04:05:00 UTC
            s.sendto(answer(origin=packet[40:48], seconds=0xBC17C200 + 981173100), whom)

        thread = threading.Thread(target=serve)
        thread.start()
        path = definition(tmp_path, s.getsockname()[1], "localhost")
        with Running("--runtime", runtime, "--definition", path, "--wrapper-udp", "0") as meter:
            thread.join()
            for _ in range(100):
                with meter.connect("wrapper-udp") as c:
                    got = Wrapper(c, 7).ask(bytes.fromhex("C00141 0008 0000010000FF 02 00"))
                if got[6:10] == b"\x07\xef\x02\x03":
                    break
                time.sleep(0.05)
            assert re.match(rb"\xc4\x01\x41\x00\x09\x0c\x07\xef\x02\x03.\x05\x05", got)
