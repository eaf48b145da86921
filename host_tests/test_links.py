# SPDX-License-Identifier: MIT
"""Links over fakes of a port and a profile: octets in parts, full pipes, ends, and the trace."""

import pytest
from firmware.links import outward, settings, stream, tcp, udp
from firmware.links.trace import Trace
from firmware.ports.lines import cpython

from dlms.prim import crc16
from profiles.hdlc_client import HDLCClient
from profiles.wrapper_client import WrapperClient

NOW = 1000
WAITS, LOST = 1, 5  # states of profiles/client.py


class Line:
    """One side of a stream: octets that arrive, and those that were written."""

    def __init__(self, incoming=(), room=1 << 20):
        self.incoming = list(incoming)  # portions; None: gone
        self.written = b""
        self.room = room
        self.closed = False


class Port:
    """Stands in for ports/*.py."""

    def __init__(self):
        self.said = []
        self.waiting = []
        self.datagrams = []
        self.sent = []

    def ticks_ms(self):
        return NOW

    def time_of_day(self):
        return 10, 20, 18

    def out(self, text):
        self.said.append(text)

    def readinto(self, line, buf):
        if not line.incoming:
            return 0
        data = line.incoming.pop(0)
        if data is None:
            return -1
        n = min(len(data), len(buf))
        buf[:n] = data[:n]
        if n < len(data):
            line.incoming.insert(0, data[n:])
        return n

    def write(self, line, buf, pos, n):
        if line.room < 0:
            return -1
        n = min(n, line.room)
        line.room -= n
        line.written += bytes(buf[pos : pos + n])
        return n

    def close(self, line):
        line.closed = True

    def listen(self, host, number):
        return self, number or 4059

    def accept(self, listener):
        return (self.waiting.pop(0), None) if self.waiting else None

    def udp(self, host, number):
        return self, number or 4059

    def recvfrom(self, endpoint, n):
        return self.datagrams.pop(0) if self.datagrams else None

    def sendto(self, endpoint, buf, pos, n, address):
        self.sent.append((bytes(buf[pos : pos + n]), address))
        return True


class Poller:
    def __init__(self):
        self.owners = {}
        self.writers = []

    def add(self, line, owner):
        self.owners[id(line)] = owner

    def remove(self, line):
        del self.owners[id(line)]

    def want_write(self, line, yes):
        if yes:
            self.writers.append(line)
        else:
            self.writers.remove(line)


class Echo:
    """A profile: answers each line, up to a full stop, in upper case. `!` closes."""

    def __init__(self):
        self.out = bytearray(64)
        self.out_pos = 8
        self.closed = False
        self.resets = 0
        self.ticks = 0
        self._got = b""
        self._n = 0

    def reset(self):
        self.closed = False
        self.resets += 1
        self._got = b""
        self._n = 0

    def receive(self, buf, pos, end, now_ms):
        while pos < end and not self._n and not self.closed:
            octet = bytes(buf[pos : pos + 1])
            pos += 1
            if octet == b"!":
                self.closed = True
            self._got += octet
            if octet == b".":
                self.out[8 : 8 + len(self._got)] = self._got.upper()
                self._n = len(self._got)
                self._got = b""
        return pos

    def transmit(self, now_ms):
        n = self._n
        self._n = 0
        return n

    def tick(self, now_ms):
        self.ticks += 1


def attached(line, chunk_len=16):
    port = Port()
    link = stream.Stream(port, Echo(), chunk_len, False)
    link.attach(line, Poller(), NOW)
    return link


# --- A stream -------------------------------------------------------------------------------


def test_an_answer_in_one_go():
    line = Line([b"hello."])
    link = attached(line)
    link.poll(NOW)
    assert line.written == b"HELLO."
    assert not link.ready


def test_parts_arrive_and_requests_follow_each_other():
    line = Line([b"he", b"llo.wor", b"ld.a"])
    link = attached(line)
    for _ in range(3):
        link.ready = True
        link.poll(NOW)
    assert line.written == b"HELLO.WORLD."


def test_more_than_a_chunk():
    line = Line([b"abcdefghi." * 20])
    link = attached(line)
    for _ in range(20):
        link.poll(NOW)
    assert line.written == b"ABCDEFGHI." * 20


def test_one_stream_does_not_keep_the_others_waiting():
    line = Line([b"a." * 1000])
    link = attached(line)
    link.poll(NOW)
    assert 0 < len(line.written) < 2000
    assert link.ready and link.wait_ms() == 0


def test_a_full_pipe_is_waited_for_and_nothing_is_read_meanwhile():
    line = Line([b"hello.", b"world."], room=4)
    link = attached(line)
    link.poll(NOW)
    assert line.written == b"HELL"
    assert link.poller.writers == [line]
    link.ready = True
    link.poll(NOW)
    assert line.incoming == [b"world."]
    line.room = 100
    link.ready = True
    link.poll(NOW)
    link.ready = True
    link.poll(NOW)
    assert line.written == b"HELLO.WORLD."
    assert link.poller.writers == []


def test_the_other_side_goes():
    line = Line([b"hello.", None])
    link = attached(line)
    link.poll(NOW)
    link.ready = True
    link.poll(NOW)
    assert line.closed and link.stream is None
    assert link.profile.resets == 2
    assert not link.poller.owners


def test_the_other_side_goes_while_it_is_written_to():
    line = Line([b"hello."], room=-1)
    link = attached(line)
    link.poll(NOW)
    assert line.closed and link.stream is None


def test_the_profile_asks_to_close_after_its_last_answer():
    line = Line([b"hello.!more."])
    link = attached(line)
    link.poll(NOW)
    assert line.written == b"HELLO."
    assert line.closed and link.stream is None


def test_the_next_stream_starts_anew():
    link = attached(Line([b"half"]))
    link.poll(NOW)
    link.detach()
    line = Line([b"new."])
    link.attach(line, Poller(), NOW)
    link.poll(NOW)
    assert line.written == b"NEW."


# --- TCP ------------------------------------------------------------------------------------


def listener(n):
    port = Port()
    link = tcp.Listener(port, "wrapper-tcp", "127.0.0.1", 0, [Echo() for _ in range(n)], 16, False)
    link.open(Poller())
    return port, link


def come(port, link, line):
    port.waiting.append(line)
    link.ready = True
    link.poll(NOW)
    return line


def test_each_connection_has_its_place():
    port, link = listener(2)
    assert link.address == "127.0.0.1:4059"
    one = come(port, link, Line([b"on"]))
    two = come(port, link, Line([b"two."]))
    assert two.written == b"TWO."
    one.incoming.append(b"e.")
    link.places[0].ready = True
    link.poll(NOW)
    assert one.written == b"ONE."


def test_one_too_many_is_closed_and_a_free_place_is_used_again():
    port, link = listener(2)
    lines = [come(port, link, Line()) for _ in range(3)]
    assert [line.closed for line in lines] == [False, False, True]
    lines[0].incoming.append(None)
    link.places[0].ready = True
    link.poll(NOW)
    assert come(port, link, Line([b"new."])).written == b"NEW."


def test_a_closed_connection_makes_no_work():
    port, link = listener(1)
    line = come(port, link, Line([b"x."]))
    line.incoming.append(None)
    link.places[0].ready = True
    link.poll(NOW)
    assert link.places[0].stream is None
    assert link.wait_ms() == 1000


def test_a_limit_below_the_places():
    port, link = listener(4)
    link.limit = 1
    assert not come(port, link, Line()).closed
    assert come(port, link, Line()).closed


# --- UDP ------------------------------------------------------------------------------------


def endpoint(n):
    port = Port()
    link = udp.Endpoint(port, "wrapper-udp", "127.0.0.1", 0, [Peered() for _ in range(n)])
    link.open(Poller())
    return port, link


def datagram(port, link, data, address, now_ms=NOW):
    port.datagrams.append((data, address))
    link.ready = True
    link.poll(now_ms)


class Peered(Echo):
    """A profile with a channel, on which `busy` says whether an association is open."""

    def __init__(self):
        super().__init__()
        self.rx = bytearray(64)
        self.channel = self
        self.busy = False

    def in_use(self):
        return self.busy

    def waits(self):
        return False


HEAD = b"\x00\x01      "  # as long as that of a wpdu, and of its version


def test_an_answer_goes_to_who_asked():
    port, link = endpoint(2)
    datagram(port, link, HEAD + b"one.", "A")
    datagram(port, link, HEAD + b"two.", "B")
    assert port.sent == [(HEAD + b"ONE.", "A"), (HEAD + b"TWO.", "B")]
    assert [p.address for p in link.places] == ["A", "B"]


def test_nobody_loses_an_association_to_a_stranger():
    port, link = endpoint(2)
    for name in "AB":
        datagram(port, link, HEAD + b"hi.", name)
        link.places["AB".index(name)].profile.busy = True
    resets = [p.profile.resets for p in link.places]
    datagram(port, link, HEAD + b"me.", "C")
    assert [p.address for p in link.places] == ["A", "B"]
    assert [p.profile.resets for p in link.places] == resets
    assert len(port.sent) == 2
    link.places[1].profile.busy = False
    datagram(port, link, HEAD + b"me.", "C")
    assert [p.address for p in link.places] == ["A", "C"]


def test_who_finds_no_place_hears_so():
    """In a place of its own, in which nothing can be opened; one after the other."""
    port = Port()
    link = udp.Endpoint(port, "wrapper-udp", "127.0.0.1", 0, [Peered()], None, Peered)
    link.open(Poller())
    datagram(port, link, HEAD + b"hi.", "A")
    link.places[0].profile.busy = True
    for name in "BC":
        datagram(port, link, HEAD + b"me.", name)
    assert [address for _, address in port.sent] == ["A", "B", "C"]
    assert link.places[0].address == "A" and link.door.profile.full
    assert not getattr(link.places[0].profile, "full", False)


def test_garbage_of_a_stranger_is_nothing():
    port, link = endpoint(1)
    for data in (b"", b"\x00", b"a.", HEAD, b"\x00\x02      x."):
        datagram(port, link, data, "A")
    assert port.sent == [] and link.places[0].address is None


def test_an_error_is_nothing():
    port, link = endpoint(1)
    link.ready = True
    link.poll(NOW)
    assert port.sent == [] and link.places[0].address is None


class Crowd(Peered):
    """What comes for many: kept, and never answered."""

    def __init__(self):
        super().__init__()
        self.heard = []
        self.waiting = False
        self.gate = None

    def receive(self, buf, pos, end, now_ms):
        self.heard.append(bytes(buf[pos:end]))
        return end

    def waits(self):
        return self.waiting


class Groups(Port):
    """A port with groups; one of which nobody can join."""

    def group(self, host, number, address):
        if address == b"\xef\0\0\3":
            raise OSError(19)
        self.joined = getattr(self, "joined", [])
        self.joined.append((host, number, address))
        line = Line()
        line.address = address
        return line

    def recvfrom(self, endpoint, n):
        if isinstance(endpoint, Line):
            return (endpoint.incoming.pop(0), "A") if endpoint.incoming else None
        return Port.recvfrom(self, endpoint, n)


def in_groups(*addresses):
    port = Groups()
    link = udp.Endpoint(port, "wrapper-udp", "127.0.0.1", 0, [Peered()], None, Crowd)
    link.open(Poller())
    link.join([b"\xef\0\0" + bytes((x,)) for x in addresses])
    return port, link


def test_groups_come_and_go():
    port, link = in_groups(1, 2)
    first, second = link.groups
    assert port.joined == [("127.0.0.1", 4059, b"\xef\0\0" + bytes((x,))) for x in (1, 2)]
    link.join([b"\xef\0\0\2"])
    assert link.groups == [second] and first.endpoint.closed and not second.endpoint.closed
    assert len(port.joined) == 2, "who stays is not asked again"
    assert link.crowd in link.profiles() and not link.crowd.answers
    link.close()
    assert second.endpoint.closed and link.groups == []


def test_a_group_that_cannot_be_joined():
    port, link = in_groups(3, 1)
    assert port.said == ["wrapper-udp cannot join 239.0.0.3"]
    assert [group.address for group in link.groups] == [b"\xef\0\0\1"]


def test_what_comes_for_many():
    port, link = in_groups(1)
    link.groups[0].endpoint.incoming = [b"hello.", b"again."]
    link.groups[0].ready = True
    assert link.wait_ms() == 0
    link.poll(NOW)
    assert link.crowd.heard == [b"hello."] and port.sent == [] and link.wait_ms() == 1000
    # All have one buffer: nothing more is read while something waits in it.
    link.crowd.waiting = True
    link.groups[0].ready = True
    datagram(port, link, HEAD + b"one.", "A")
    assert link.crowd.heard == [b"hello."] and port.sent == []
    link.crowd.waiting = False
    link.poll(NOW)
    assert link.crowd.heard == [b"hello.", b"again."] and port.sent == [(HEAD + b"ONE.", "A")]


# --- Links on which this meter is the client ------------------------------------------------


class Caller(Port):
    """A port that opens lines: those of `lines`, in turn; None: it cannot."""

    def __init__(self, *lines):
        super().__init__()
        self.lines = list(lines)
        self.opened = []

    def _open(self, *what):
        self.opened.append(what)
        line = self.lines.pop(0)
        if line is None:
            raise OSError(111)
        return line

    def connect(self, host, number):
        return self._open("connect", host, number)

    def uart(self, number, baud):
        return self._open("uart", number, baud)

    def open_fd(self, fd):
        return self._open("fd", fd)


def outward_link(port, kind="wrapper-tcp", where="192.0.2.1", number=4059, terminal=-1):
    made = WrapperClient if kind == "wrapper-tcp" else HDLCClient
    link = outward.Outward(port, (1, kind, where, number), made(100, 5000), terminal)
    link.open(Poller())
    return link


def test_a_connection_is_made_when_there_is_something_to_say():
    line = Line()
    port = Caller(line)
    link = outward_link(port)
    link.poll(NOW)
    assert port.opened == [] and link.wait_ms() == 1000
    link.profile.begin(link, 16, 1, 0)
    link.profile.ask(b"\xc0\x01\xc1", 0, 3, True)
    assert link.wait_ms() == 0
    link.poll(NOW)
    assert port.opened == [("connect", "192.0.2.1", 4059)]
    assert line.written.hex() == "00010010000100 03 c001c1".replace(" ", "")
    # The conversation is over, and so is the connection.
    link.profile.release()
    assert link.wait_ms() == 0
    link.poll(NOW)
    assert line.closed and not link.profile.closed and link.profile.ready()


def test_nobody_takes_the_connection():
    port = Caller(None)
    link = outward_link(port)
    link.profile.begin(link, 16, 1, 0)
    link.profile.ask(b"\xc0", 0, 1, True)
    link.poll(NOW)
    assert link.profile.state == LOST
    link.poll(NOW)
    assert len(port.opened) == 1, "who asks next tries again"


@pytest.mark.parametrize(
    "kind, where, terminal, opened",
    [
        ("hdlc-uart", 1, -1, ("uart", 1, 9600)),
        ("hdlc-tty", "/dev/x", -1, ("tty", "/dev/x", 9600)),
        ("hdlc-tty", "/dev/x", 7, ("fd", 7)),
    ],
)
def test_a_serial_line_is_open_from_the_start(kind, where, terminal, opened, monkeypatch):
    line = Line()
    port = Caller(line)
    monkeypatch.setattr(cpython, "open_tty", lambda *how: port._open("tty", *how))
    link = outward_link(port, kind, where, 9600, terminal)
    assert port.opened == [opened] and link.timed
    link.profile.begin(link, 16, 1, 0)
    link.profile.ask(b"\xc0", 0, 1, True)
    link.poll(NOW)
    assert line.written[5] == 0x93, "SNRM"
    line.incoming.append(None)
    link.ready = True
    link.poll(NOW)
    assert line.closed and link.profile.state == WAITS, "it has not been said yet"


# --- Setup objects --------------------------------------------------------------------------


class Model:
    """HDLC setup in row 0, TCP-UDP setup in row 1."""

    def __init__(self, hdlc, tcp_udp):
        self.values = {0: hdlc, 1: tcp_udp}

    def rows(self, class_id):
        return {23: [0], 41: [1]}.get(class_id, [])

    def get_int(self, row, attribute):
        return self.values[row][attribute]

    longest_info = 2030


class Configured(Echo):
    capacity = 512

    def configure(self, *values):
        self.values = values


def test_setup_objects_reach_the_profiles():
    model = Model({3: 1, 4: 2, 5: 128, 6: 256, 7: 25, 8: 120, 9: 17}, {5: 2, 6: 180})
    port = Port()
    serial = stream.Serial(port, "hdlc-pty", "tty", Line(), Configured(), 16)
    listening = tcp.Listener(
        port, "wrapper-tcp", "", 0, [Configured() for _ in range(4)], 16, False
    )
    settings.apply(model, [serial, listening])
    assert serial.profile.values == (128, 256, 1, 2, 25, 120, 17)
    assert [p.profile.values for p in listening.places] == [(180,)] * 4
    assert listening.limit == 2
    assert model.longest_info == 512


# --- Trace ----------------------------------------------------------------------------------

SECRET = b"top-secret!"
STARS = " ".join(["**"] * len(SECRET))
AARQ_LLS = (
    bytes.fromhex("6034A1090607608574050801018A0207808B0760857405080201AC0D800B")
    + SECRET
    + bytes.fromhex("BE10040E01000000065F1F0400001E1DFFFF")
)
SECRET_OF_15 = bytes.fromhex("000F0000280000FF07")
OF_CLOCK = bytes.fromhex("00080000010000FF02")


def wpdu(apdu, client=1, server=1):
    return b"".join(n.to_bytes(2, "big") for n in (1, client, server, len(apdu))) + apdu


def frame(info, control=0x10, segment=False):
    n = 9 + len(info)
    f = bytes((0xA0 | (8 if segment else 0) | n >> 8, n & 0xFF, 3, 0x21, control))
    for part in (b"", info):
        f += part
        crc = crc16(f, 0, len(f), 0xFFFF) ^ 0xFFFF
        f += bytes((crc & 0xFF, crc >> 8))
    return b"\x7e" + f + b"\x7e"


def traced(hdlc, *units, sent=()):
    """What a trace prints for units that were received; sent: indexes of those that were sent."""
    port = Port()
    trace = Trace(port, hdlc)
    for i, unit in enumerate(units):
        (trace.sent if i in sent else trace.received)(unit, 0, len(unit))
    return port.said


def test_a_line_a_wpdu_however_it_arrives():
    port = Port()
    trace = Trace(port, False)
    data = wpdu(b"\xc0\x01\xc1" + OF_CLOCK + b"\0") * 2
    for i in range(len(data)):
        trace.received(data, i, 1)
    line = "RX: 10:20:18 00 01 00 01 00 01 00 0D C0 01 C1 00 08 00 00 01 00 00 FF 02 00"
    assert port.said == [line, line]


def test_a_line_a_frame_with_shared_flags():
    one = frame(b"\xe6\xe6\x00\xc0\x01")
    assert len(traced(True, one + one[1:] + one)) == 3
    assert traced(True, one[:5], one[5:]) == ["RX: 10:20:18 " + one.hex(" ").upper()]


@pytest.mark.parametrize("hdlc", [False, True])
def test_passwords_of_an_aarq(hdlc):
    unit = frame(b"\xe6\xe6\x00" + AARQ_LLS) if hdlc else wpdu(AARQ_LLS)
    (line,) = traced(hdlc, unit)
    assert "80 0B " + STARS + " BE 10" in line
    assert SECRET.hex(" ").upper() not in line


@pytest.mark.parametrize(
    "mechanism, hidden", [(0, True), (1, True), (2, False), (7, False), (9, True)]
)
def test_a_challenge_is_no_password(mechanism, hidden):
    name = b"\x8b\x07\x60\x85\x74\x05\x08\x02"
    (line,) = traced(False, wpdu(AARQ_LLS.replace(name + b"\1", name + bytes((mechanism,)))))
    assert (SECRET.hex(" ").upper() not in line) == hidden


def test_a_dedicated_key():
    aarq = bytes.fromhex("601FA109060760857405080101BE12041001 01 06".replace(" ", ""))
    aarq += b"sesame" + bytes.fromhex("00 00 06 5F".replace(" ", ""))
    (line,) = traced(False, wpdu(aarq))
    assert b"sesame".hex(" ").upper() not in line and "** ** ** ** ** **" in line


@pytest.mark.parametrize(
    "apdu",
    [
        b"\xc1\x01\xc1" + SECRET_OF_15 + b"\0\x09\x0b" + SECRET,
        b"\xc1\x04\xc1\x02" + OF_CLOCK + b"\0" + SECRET_OF_15 + b"\0\x02\0\x09\x0b" + SECRET,
        b"\xc1\x02\xc1" + SECRET_OF_15 + b"\0\0\0\0\0\1\x0d\x09\x0b" + SECRET,
        b"\xc3\x01\xc1" + SECRET_OF_15[:-1] + b"\x02\x01\x09\x0b" + SECRET,
        b"\xc3\x04\xc1" + SECRET_OF_15[:-1] + b"\x02\0\0\0\0\1\x0d\x09\x0b" + SECRET,
    ],
    ids=["set", "set-list", "set-first-block", "action", "action-first-pblock"],
)
def test_what_is_written_to_a_secret(apdu):
    (line,) = traced(False, wpdu(apdu))
    assert SECRET.hex(" ").upper() not in line and STARS in line


def test_later_blocks_of_a_secret_and_the_request_after_them():
    first = b"\xc1\x02\xc1" + SECRET_OF_15 + b"\0\0\0\0\0\1\x02\x09\x0b"
    later = b"\xc1\x03\xc1\1\0\0\0\2\x0b" + SECRET
    harmless = b"\xc1\x01\xc1" + OF_CLOCK + b"\0\x09\x0b" + SECRET
    lines = traced(False, wpdu(first), wpdu(later), wpdu(harmless))
    assert SECRET.hex(" ").upper() not in lines[0] + lines[1]
    assert SECRET.hex(" ").upper() in lines[2]


def test_a_secret_that_is_read():
    request = b"\xc0\x01\xc1" + SECRET_OF_15 + b"\0"
    reply = b"\xc4\x01\xc1\0\x09\x0b" + SECRET
    lines = traced(False, wpdu(request), wpdu(reply), wpdu(request[:-2] + b"\2\0"), wpdu(reply),
                   sent=(1, 3))  # fmt: skip
    assert STARS in lines[1]
    assert SECRET.hex(" ").upper() in lines[3]


@pytest.mark.parametrize("cut", range(20, 60, 4))
def test_a_password_in_two_segments(cut):
    apdu = b"\xe6\xe6\x00" + AARQ_LLS
    lines = traced(True, frame(apdu[:cut], segment=True), frame(apdu[cut:], 0x12))
    shown = " ".join(lines)
    assert shown.count("**") - 2 * sum("** ** 7E" in line for line in lines) == len(SECRET)
    for i in range(len(SECRET) - 3):
        assert SECRET[i : i + 4].hex(" ").upper() not in shown


@pytest.mark.parametrize("hdlc", [False, True])
def test_what_is_no_frame_is_not_shown(hdlc):
    unit = frame(AARQ_LLS)[:-2] + b"\x00\x7e" if hdlc else b"\x02" + wpdu(AARQ_LLS)
    lines = traced(hdlc, unit)
    assert len(lines) == 1 and "octets that are no" in lines[0]


def test_what_is_no_known_request_shows_nothing_inside():
    (line,) = traced(False, wpdu(b"\x01" + AARQ_LLS))
    assert SECRET.hex(" ").upper() not in line
    assert " 01 **" in line


HARMLESS = b"\xc0\x01\xc1" + OF_CLOCK + b"\0"
ASKS = b"\xc0\x01\xc1" + SECRET_OF_15 + b"\0"
TELLS = b"\xc4\x01\xc1\0\x09\x0b" + SECRET


def test_answers_that_nobody_has_waited_for():
    """All are hidden until each request has had one; then none is."""
    lines = traced(False, wpdu(ASKS), wpdu(HARMLESS), wpdu(b"\xc2\0"), wpdu(TELLS), wpdu(TELLS),
                   wpdu(HARMLESS), wpdu(TELLS), sent=(2, 3, 4, 6))  # fmt: skip
    assert all(SECRET.hex(" ").upper() not in line for line in lines[:6])
    assert SECRET.hex(" ").upper() in lines[6]


@pytest.mark.parametrize(
    "before, after",
    [
        ((b"\xc1\x01\x81" + OF_CLOCK + b"\0\0",), ()),  # without confirmation
        ((), (b"\xe0\x01\0\2\0\1\0",)),  # blocks that are acknowledged
    ],
)
def test_what_has_no_answer_is_not_waited_for(before, after):
    lines = traced(False, *map(wpdu, before), wpdu(ASKS), wpdu(TELLS), *map(wpdu, after),
                   wpdu(HARMLESS), wpdu(TELLS),
                   sent=(len(before) + 1, len(before) + len(after) + 3))  # fmt: skip
    assert SECRET.hex(" ").upper() not in " ".join(lines[:-1])
    assert SECRET.hex(" ").upper() in lines[-1]


def test_an_answer_in_general_blocks():
    block = b"\xe0\x01\0\1\0\0\x0b" + SECRET
    lines = traced(False, wpdu(ASKS), wpdu(block), wpdu(HARMLESS), wpdu(b"\xe0\x81" + block[2:]),
                   sent=(1, 3))  # fmt: skip
    assert SECRET.hex(" ").upper() not in " ".join(lines)


def test_half_a_wpdu_of_an_earlier_connection():
    port = Port()
    link = stream.Stream(port, Echo(), 256, False, Trace(port, False))
    for unit in (wpdu(HARMLESS + bytes(60))[:12], wpdu(AARQ_LLS)):
        link.attach(Line([unit]), Poller(), 0)
        link.poll(0)
        link.detach()
    assert len(port.said) == 1 and STARS in port.said[0]


def test_half_a_datagram():
    port = Port()
    trace = Trace(port, False, True)
    for unit in (wpdu(HARMLESS + bytes(60))[:12], wpdu(AARQ_LLS), b"\0\1"):
        trace.received(unit, 0, len(unit))
    assert [line.endswith("that are no wpdu)") for line in port.said] == [True, False, True]
    assert STARS in port.said[1]


def test_a_request_in_between_does_not_bare_the_next_block_of_a_secret():
    first = b"\xc1\x02\xc1" + SECRET_OF_15 + b"\0\0\0\0\0\x01\x01\x09"
    other = b"\xc1\x01\xc1" + OF_CLOCK + b"\0\x09\0"
    block = b"\xc1\x03\xc1\x01\0\0\0\x02\x0b" + SECRET
    lines = traced(False, wpdu(first), wpdu(other, client=2), wpdu(block))
    assert SECRET.hex(" ").upper() not in lines[2]
