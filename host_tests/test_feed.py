# SPDX-License-Identifier: MIT
"""The feed: its lines and commands (tools/feeds), what the meter notes and prints
(firmware/feed.py, feed_commands.py, feed_faults.py, feed_state.py), and both together."""

import os
import re
import socket
import subprocess
import types

import compile as compiling
import feeds
import pytest
import running
from dlms.prim import crc16
from fed import PATIENCE_S, Fed
from firmware import feed as meters_feed
from firmware.feed_commands import Commands
from firmware.feed_faults import Faults
from running import AARQ, GET_NAME, HDLC, Wrapper

RUNTIMES = pytest.mark.parametrize("runtime", ["cpython", "micropython"])
NAME = bytes.fromhex("0910504D5431303030303030303030303031")


# --- Lines ------------------------------------------------------------------------------------


class Heard:
    """A feed of lines; events as tuples."""

    def __init__(self):
        self.now = 1000.0
        self.events = []
        self.feed = feeds.Feed(lambda: self.now)
        self.feed.subscribe(self.take)
        self.written = []
        self.feed.attach(self.written.append)

    def take(self, event):
        values = [getattr(event, name) for name in type(event).__slots__]
        values = [v.number if isinstance(v, feeds.Link) else v for v in values]
        self.events.append((type(event).__name__, event.ms, *values))

    def hear(self, *lines):
        """What is handed on, and the events."""
        self.events.clear()
        rest = self.feed.read("".join(line + "\n" for line in lines).encode())
        return rest.decode(), self.events


HELLO = '\x1eH 500 {"feed": 1, "runtime": "x", "time": [0, 0], "speed": 1}'
OPEN = '\x1eO 500 1 {"kind": "wrapper-tcp", "local": "127.0.0.1:4059", "peer": "[::1]:5000"}'


def test_lines_become_events():
    heard = Heard()
    rest, events = heard.hear(
        "wrapper-tcp 127.0.0.1:4059", HELLO, OPEN, "\x1eR 510 1 0001", "\x1eT 512 1 c0ffee",
        "ready", "\x1eF 513 1 drop 0102", '\x1eS 514 {"heap": null}', "\x1eC 515 1 peer",
    )  # fmt: skip
    assert rest == "wrapper-tcp 127.0.0.1:4059\nready\n"
    assert events == [
        ("Begun", 0, {"feed": 1, "runtime": "x", "time": [0, 0], "speed": 1}),
        ("Opened", 0, 1),
        ("Octets", 10, 1, False, b"\0\1", None),
        ("Octets", 12, 1, True, b"\xc0\xff\xee", None),
        ("Octets", 13, 1, True, b"\1\2", "drop"),
        ("State", 14, {"heap": None}),
        ("Closed", 15, 1, "peer"),
    ]
    assert not heard.feed.links and not heard.feed.garbage


def test_octets_of_many_lines_are_one_event():
    heard = Heard()
    _, events = heard.hear(HELLO, OPEN, "\x1eT 501 1 0102+", "\x1eR 501 1 ff", "\x1eT 502 1 03")
    assert [e[3:5] for e in events[2:]] == [(False, b"\xff"), (True, b"\1\2\3")]


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_lines_come_in_any_portions(size):
    heard = Heard()
    octets = ("x\n" + HELLO + "\n" + OPEN + "\nsome text\n\x1eR 510 1 0001\ny").encode()
    rest = b"".join(heard.feed.read(octets[at : at + size]) for at in range(0, len(octets), size))
    assert rest == b"x\nsome text\ny"
    assert [e[0] for e in heard.events] == ["Begun", "Opened", "Octets"]


def test_milliseconds_wrap_and_times_go_on():
    heard = Heard()
    heard.hear(
        '\x1eH %d {"feed": 1}' % (feeds.TICKS - 5), OPEN.replace("500", str(feeds.TICKS - 5))
    )
    heard.now += 0.010
    _, events = heard.hear("\x1eR 5 1 00")
    assert events == [("Octets", 10, 1, False, b"\0", None)]


def test_a_line_that_was_late_is_dated_by_the_others():
    """One that comes 2 s after it was noted has happened 2 s ago."""
    heard = Heard()
    times = []
    heard.feed.subscribe(lambda event: times.append(event.time))
    heard.hear(HELLO, OPEN)
    heard.now += 3
    heard.hear("\x1eR 1500 1 00")
    assert times == [1000, 1000, 1001]


def test_lost_lines_are_told_and_halves_forgotten():
    heard = Heard()
    _, events = heard.hear(HELLO, OPEN, "\x1eT 501 1 01+", "\x1eL 502 3", "\x1eT 503 1 09")
    assert events[2:] == [("Lost", 2, 3), ("Octets", 3, 1, True, b"\t", None)]


def test_a_link_whose_beginning_was_lost_is_unknown():
    heard = Heard()
    _, events = heard.hear(HELLO, "\x1eR 501 7 00")
    assert [e[0] for e in events] == ["Begun", "Opened", "Octets"]
    assert heard.feed.links[7].kind == "unknown"


def test_another_program_closes_what_was_open():
    heard = Heard()
    heard.hear(HELLO, OPEN)
    _, events = heard.hear(HELLO)
    assert [e[0] for e in events] == ["Closed", "Begun"] and events[0][3] is None


@pytest.mark.parametrize(
    "line",
    ["", "R", "R x 1 00", "R 1 1 0", "R 1 1 zz", "Z 1", "S 1 {", "O 1 1 {}", "C 1 9 peer",
     "A x {}", "F 1 1", "L 1 x", "\xff"],
)  # fmt: skip
def test_garbage_is_counted_and_nothing_else(line):
    heard = Heard()
    heard.hear(HELLO)
    rest, events = heard.hear("\x1e" + line, "after")
    assert (rest, events, heard.feed.garbage) == ("after\n", [], 1)


def test_an_answer_with_a_value_in_parts():
    heard = Heard()
    answers = []
    assert heard.feed.send("get 3 1.0.1.8.0.255 2", answers.append) == 1
    assert heard.written == [b"1 get 3 1.0.1.8.0.255 2\n"]
    heard.hear("\x1eV 1 0600", "\x1eV 1 0005", "\x1eA 1 {}", "\x1eA 1 {}")
    assert [(a.octets, a.error) for a in answers] == [(b"\6\0\0\5", None)]


def test_errors_of_asking():
    heard = Heard()
    assert "within 0.01 s" in heard.feed.ask("state", 0.01).error
    answers = []
    heard.feed.send("state", answers.append)
    heard.feed.attach(None)
    assert answers[0].error == "The meter has ended."
    assert heard.feed.ask("state").error == "There is no meter that takes commands."
    with pytest.raises(ValueError):
        heard.feed.send("state\nstate")


# --- What the meter notes ---------------------------------------------------------------------


class Console:
    def __init__(self):
        self.room = 1000

    def has_room(self):
        self.room -= 1
        return self.room >= 0

    def read(self):
        return ""


class FakePort:
    """Streams are lists of what was written."""

    NAME = "fake"

    def __init__(self):
        self.now = 0
        self.lines = []
        self.incoming = []
        self.takes = 1 << 20

    def ticks_ms(self):
        return self.now

    def utc(self):
        return 0, 0

    def out(self, text):
        self.lines.append(text)

    def readinto(self, stream, buf):
        octets = self.incoming.pop(0)
        if isinstance(octets, int):
            return octets
        buf[: len(octets)] = octets
        return len(octets)

    def write(self, stream, buf, pos, n):
        n = min(n, self.takes)
        stream.append(bytes(buf[pos : pos + n]))
        return n

    def sendto(self, endpoint, buf, pos, n, address):
        endpoint.append((bytes(buf[pos : pos + n]), address))
        return True

    def close(self, stream):
        pass


class Meter:
    """A feed of n octets over that port, and one link that is open."""

    def __init__(self, n=1000, kind="hdlc-uart", address="UART1 9600"):
        self.port = FakePort()
        self.feed = meters_feed.Feed(self.port, n)
        self.console = self.feed._console = Console()
        self.stream = []
        made = types.SimpleNamespace(stream=self.stream, name=kind, address=address)
        model = types.SimpleNamespace(rows=lambda class_id: [])
        server = types.SimpleNamespace(request=None, associations=[])
        meter = types.SimpleNamespace(
            server=server, speed=1, model=model, outputs=(), rests=False,
            program=types.SimpleNamespace(clock=types.SimpleNamespace(minute=1, second=2)),
        )  # fmt: skip
        made.profiles = lambda: []
        self.feed.begin(meter, [made], None, False)
        self.heard = Heard()
        self.said()

    def said(self):
        """Events of what has been printed by this turn, but for states."""
        self.feed.turn(self.port.now)
        lines, self.port.lines = self.port.lines, []
        _, events = self.heard.hear(*lines)
        return [e for e in events if e[0] != "State"]

    def receive(self, octets):
        self.port.incoming.append(octets)
        return self.feed.readinto(self.stream, bytearray(64))

    def send(self, octets):
        return self.feed.write(self.stream, octets, 0, len(octets))


def test_octets_are_noted_and_printed_between_requests():
    meter = Meter()
    meter.receive(b"\1\2")
    meter.port.now = 7
    assert meter.send(b"abc") == 3 and meter.stream == [b"abc"]
    assert not meter.port.lines
    assert meter.said() == [
        ("Octets", 0, 1, False, b"\1\2", None),
        ("Octets", 7, 1, True, b"abc", None),
    ]


def test_long_octets_are_lines_of_1024():
    meter = Meter(8000)
    meter.send(bytes(3000))
    meter.feed.turn(0)
    lengths = [len(line.rstrip("+").split()[-1]) // 2 for line in meter.port.lines]
    assert lengths == [1024, 1024, 952]
    assert max(map(len, meter.port.lines)) < 4096, "what a pipe takes at once"
    assert meter.said()[0][4] == bytes(3000)


@pytest.mark.parametrize("said, by", [(-1, "peer"), (-2, "reset"), (0, "meter")])
def test_who_has_closed_it(said, by):
    meter = Meter()
    meter.receive(said)
    meter.feed.close(meter.stream)
    assert meter.said() == [("Closed", 0, 1, by)]


def test_what_finds_no_room_is_counted_where_it_was():
    meter = Meter(100)
    meter.console.room = 0
    for k in range(10):
        meter.send(bytes((k,)) * 20)
    assert meter.said() == []
    meter.console.room = 1000
    events = meter.said()
    assert [e[0] for e in events] == ["Octets"] * 3 + ["Lost"]
    assert events[-1][2] == 7
    meter.send(b"after")
    assert [e[0] for e in meter.said()] == ["Octets"]


def test_more_than_can_be_counted_is_lost_all_the_same():
    meter = Meter(100)
    meter.console.room = 0
    for _ in range((1 << 16) + 9):
        meter.send(bytes(20))
    meter.console.room = 1000
    assert meter.said()[-1][2] == 0xFFFF


def test_a_serial_port_has_any_name():
    name = '/dev/pts/"\\é\n\x1e 7'
    meter = Meter(address=name)
    meter.send(b"a")
    assert meter.heard.feed.links[1].local == name and not meter.heard.feed.garbage


def test_a_reader_that_comes_back_hears_of_the_loss_first():
    meter = Meter(100)
    meter.console.room = 0
    for k in range(5):
        meter.send(bytes((k,)) * 20)
    meter.console.room = 3
    assert len(meter.said()) == 3
    meter.send(b"next")
    meter.console.room = 1000
    assert [e[0] for e in meter.said()] == ["Lost", "Octets"]


def test_peers_of_udp_are_links():
    meter = Meter()
    endpoint = []
    meter.feed._doors.append((endpoint, "127.0.0.1", 4059, "udp"))
    for host in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
        meter.feed.sendto(endpoint, b"x", 0, 1, (host, 5000))
    events = meter.said()
    assert [(e[0], e[2]) for e in events] == [
        ("Opened", 2), ("Octets", 2), ("Opened", 3), ("Octets", 3), ("Octets", 2),
    ]  # fmt: skip
    assert meter.heard.feed.links[3].peer == "10.0.0.2:5000"
    for k in range(20):
        meter.feed.sendto(endpoint, b"x", 0, 1, ("10.0.1.%d" % k, 5000))
        meter.said()
    assert len(meter.feed.links) == 17, "16 peers, and the serial line"


@pytest.mark.parametrize(
    "octets, text",
    [
        (("127.0.0.1", 4059), "127.0.0.1:4059"),
        (("::1", 4059, 0, 0), "[::1]:4059"),
        (bytes.fromhex("02000FDB7F0000010000000000000000"), "127.0.0.1:4059"),
        (
            bytes.fromhex("0A000FDB00000000") + bytes(15) + b"\1" + bytes(4),
            "[0:0:0:0:0:0:0:1]:4059",
        ),
    ],
)
def test_addresses_of_each_runtime(octets, text):
    assert meters_feed.shown(octets) == text


def test_noting_takes_no_memory(micropython, tmp_path):
    """readinto() and write(), and a request that is counted, under a locked heap."""
    _, code = micropython_code(micropython)
    script = tmp_path / "heap.py"
    script.write_text(
        """
from micropython import heap_lock, heap_unlock
from firmware.feed import Feed
from firmware.ports import micropython as port
class Null:
    def readinto(self, buf):
        return 40
    def write(self, buf, pos, n):
        return n
class Channel:
    tx = bytearray(b"\\xd8\\x01\\x01")
    tx_pos = 0
feed = Feed(port, 4096)
stream = Null()
buf = bytearray(64)
channel = Channel()
feed._request = lambda channel, c, s, buf, pos, end, confirmed: 3
feed.write(stream, buf, 0, 10)
def much():
    for k in range(200):
        feed.readinto(stream, buf)
        feed.write(stream, buf, 0, 10)
        feed.request(channel, 1, 1, buf, 0, 10)
heap_lock()
much()
heap_unlock()
assert feed._lost and feed.counts["requests"] == 200 == feed.counts["refused"]
print("ok")
"""
    )
    done = subprocess.run(
        [micropython, str(script)], env={"MICROPYPATH": code}, capture_output=True, text=True
    )
    assert done.stdout == "ok\n", done.stderr


def micropython_code(micropython):
    import bootstrap

    found = bootstrap.micropython_version(micropython)
    return found, compiling.device_code(bootstrap.mpy_cross(), found[1])


# --- Faults -----------------------------------------------------------------------------------

FRAME = bytes.fromhex("7EA0072103930F017E")  # its check need not be right here


def faulty(kind="hdlc-uart", **links):
    meter = Meter(kind=kind)
    meter.feed.faults = Faults(meter.feed)
    meter.feed.faults.turn(0)
    return meter


def test_a_wrong_check_in_the_next_frames():
    meter = faulty()
    meter.feed.faults.set(["1", "crc", "2"])
    for _ in range(3):
        assert meter.send(FRAME) == len(FRAME)
    assert [octets == FRAME for octets in meter.stream] == [False, False, True]
    assert meter.stream[0][:-2] == FRAME[:-2] and meter.stream[0][-1] == 0x7E
    assert [e[5] for e in meter.said()] == ["crc", None, "crc", None, None]


def test_a_wrong_block_check():
    meter = faulty("optical-uart")
    meter.feed.faults.set(["*", "crc", "1"])
    meter.send(b"/TST5x\r\n")
    meter.send(b"\x02abc\x03\x11")
    assert meter.stream == [b"/TST5x\r\n", b"\x02abc\x03\x12"]


def test_frames_that_do_not_leave():
    meter = faulty()
    meter.feed.faults.set(["*", "drop", "1"])
    assert (meter.send(FRAME), meter.stream) == (len(FRAME), [])
    meter.send(b"next")
    assert meter.stream == [b"next"]
    assert [e[4:6] for e in meter.said()] == [(FRAME, "drop"), (b"next", None)]


def test_frames_that_leave_late_and_in_their_order():
    meter = faulty()
    meter.feed.faults.set(["1", "delay", "300"])
    meter.send(b"one")
    assert meter.feed.wait_ms() <= 300
    meter.feed.faults.set(["1", "delay", "0"])
    meter.send(b"two")
    meter.port.now = 299
    assert meter.said() == [] and meter.stream == []
    meter.port.now = 300
    meter.port.takes = 2
    for _ in range(6):
        meter.feed.turn(300)
    assert b"".join(meter.stream) == b"onetwo"
    assert b"".join(e[4] for e in meter.said()) == b"onetwo"


def test_a_frame_that_has_begun_to_leave_is_not_torn():
    meter = faulty()
    meter.port.takes = 3
    assert meter.send(FRAME) == 3
    meter.feed.faults.set(["*", "drop", "1"])
    assert meter.feed.write(meter.stream, FRAME, 3, len(FRAME) - 3) == 3
    assert meter.stream == [FRAME[:3], FRAME[3:6]]


def test_faults_end_with_their_link():
    meter = faulty()
    meter.feed.faults.set(["1", "delay", "300"])
    meter.send(b"one")
    meter.feed.close(meter.stream)
    meter.port.now = 400
    meter.feed.turn(400)
    assert meter.stream == [] and meter.feed.faults.wait_ms() == 1000


@pytest.mark.parametrize(
    "words, sentence",
    [
        ([], "It is: fault LINK"),
        (["*"], "It is: fault LINK"),
        (["*", "crash", "1"], "It is: fault LINK"),
        (["*", "drop"], "How many"),
        (["*", "drop", "-1"], "How many"),
        (["*", "drop", "999999999"], "How many"),
        (["9", "drop", "1"], "There is no link 9"),
        (["x", "drop", "1"], "There is no link x"),
    ],
)
def test_faults_that_are_none(words, sentence):
    with pytest.raises(ValueError, match=sentence):
        faulty().feed.faults.set(words)


def test_no_check_where_there_is_none():
    with pytest.raises(ValueError, match="wrapper-tcp has no check"):
        faulty("wrapper-tcp").feed.faults.set(["1", "crc", "1"])


# --- A meter that runs ------------------------------------------------------------------------

START = 13675680  # 2026-01-01 00:00 UTC
SOME = [START, 0]


@pytest.fixture(scope="module", params=["cpython", "micropython"])
def fed(request, tmp_path_factory):
    """A meter with two hours of load profile, and a disconnector in control_mode 2."""
    if request.param == "micropython":
        request.getfixturevalue("micropython")
    with open(running.DEFAULT_DEFINITION) as f:
        text, n = re.subn(r"(control_mode = )\d", r"\g<1>2", f.read())
    assert n == 1
    path = tmp_path_factory.mktemp("definition") / "fed.toml"
    path.write_text(text)
    with Fed(request.param, str(path), start=SOME, until=[START + 120, 0]) as meter:
        yield meter


def test_it_says_who_it_is(fed):
    event = fed.wait_for(feeds.Begun)
    assert event.about["feed"] == 1 and event.about["speed"] == 0
    assert "\x1e" not in fed.text


def test_a_conversation_over_tcp(fed):
    with socket.create_connection(fed.ports["wrapper-tcp"], PATIENCE_S) as s:
        client = Wrapper(s)
        aare = client.ask(AARQ)
        name = client.ask(GET_NAME)
        peer = "%s:%d" % s.getsockname()
        link = fed.wait_for(feeds.Opened, lambda e: e.link.peer == peer).link
        assert (link.kind, link.local) == ("wrapper-tcp", "%s:%d" % fed.ports["wrapper-tcp"])
        fed.rest()
        state = [e for e in fed.events if isinstance(e, feeds.State)][-1].values
        assert state["associations"] == [
            {"link": link.number, "client": 16, "server": 1, "mechanism": 0, "state": "open",
             "ciphered": False}
        ]  # fmt: skip
    assert fed.wait_for(feeds.Closed, lambda e: e.link is link).by == "peer"
    assert fed.said(link) == [
        (False, client.wpdu(AARQ)), (True, wpdu(aare)), (False, client.wpdu(GET_NAME)),
        (True, wpdu(name)),
    ]  # fmt: skip


def wpdu(apdu):
    return bytes.fromhex("000100010010%04X" % len(apdu)) + apdu


def test_a_conversation_over_udp(fed):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE_S)
        s.connect(fed.ports["wrapper-udp"])
        Wrapper(s).ask(AARQ)
        peer = "%s:%d" % s.getsockname()
    link = fed.wait_for(feeds.Opened, lambda e: e.link.peer == peer).link
    assert link.kind == "wrapper-udp"
    assert fed.wait(lambda: len(fed.said(link)) == 2)


def test_a_frame_with_a_wrong_check_comes_again_right(fed):
    assert fed.ask("fault * crc 1").error is None
    with socket.create_connection(fed.ports["hdlc-tcp"], PATIENCE_S) as s:
        client = HDLC(s.sendall, lambda: s.recv(1))
        frame = client.frame(0x93)
        bad, good = client.exchange(frame), client.exchange(frame)
    assert bad[:-2] == good[:-2] and bad != good
    assert crc16(good, 1, len(good) - 1, 0xFFFF) == 0xF0B8
    assert fed.wait_for(feeds.Octets, lambda e: e.fault == "crc").octets == good


def test_a_wpdu_that_is_dropped(fed):
    with socket.create_connection(fed.ports["wrapper-tcp"], PATIENCE_S) as s:
        client = Wrapper(s)
        client.ask(AARQ)
        assert fed.ask("fault * drop 1").error is None
        s.sendall(client.wpdu(GET_NAME))
        kept = fed.wait_for(feeds.Octets, lambda e: e.fault == "drop")
        assert client.ask(GET_NAME) == kept.octets[8:]


def test_an_answer_that_is_late(fed):
    assert fed.ask("fault * delay 100").error is None
    with socket.create_connection(fed.ports["wrapper-tcp"], PATIENCE_S) as s:
        assert Wrapper(s).ask(AARQ)
        peer = "%s:%d" % s.getsockname()
        link = fed.wait_for(feeds.Opened, lambda e: e.link.peer == peer).link
        assert fed.wait(lambda: len(fed.said(link)) == 2)
        received, sent = (
            e.ms for e in fed.events if isinstance(e, feeds.Octets) and e.link is link
        )
        assert sent - received >= 100
    assert fed.ask("fault * none").error is None


@pytest.mark.parametrize(
    "command, octets",
    [
        ("get 1 0.0.42.0.0.255 2", NAME),
        ("get 1 0.0.42.0.0.255 1", bytes.fromhex("090600002A0000FF")),
        ("get 1 0.0.42.0.0.255 2 0 1", NAME),
        ("get 70 0.0.96.3.10.255 4", bytes.fromhex("1602")),
        ("get 7 1.0.99.1.0.255 7", bytes.fromhex("0600000008")),
    ],
)
def test_values(fed, command, octets):
    answer = fed.ask(command)
    assert (answer.error, answer.octets) == (None, octets)


def test_a_computed_value(fed):
    """The clock's, which stands."""
    assert fed.ask("get 8 0.0.1.0.0.255 2").octets[:9] == bytes.fromhex("090C07EA010104030000")[:9]


def test_rows_of_a_profile(fed):
    everything = fed.ask("get 7 1.0.99.1.0.255 2").octets
    assert everything[:2] == b"\x01\x08"
    for rows in (1, 3, 8, 100):
        some = fed.ask("get 7 1.0.99.1.0.255 2 %d" % rows).octets
        assert some[0] == 1 and some[1] == min(rows, 8) and everything.endswith(some[2:])


def test_a_value_of_many_lines(fed):
    answer = fed.ask("get 15 0.0.40.0.2.255 2")
    assert answer.error is None and len(answer.octets) > 2000 and answer.octets[:2] == b"\x01\x81"


@pytest.mark.parametrize(
    "command, sentence",
    [
        ("get 15 0.0.40.0.2.255 7", "secret"),
        ("get 64 0.0.43.0.1.255 2", "secret"),
        ("get 3 1.0.1.8.0.255 9", "attributes 1 to 3"),
        ("get 3 1.0.1.8.0.255 0", "attributes 1 to 3"),
        ("get 3 9.9.9.9.9.9 2", "no object 9.9.9.9.9.9 of class 3"),
        ("get 4 1.0.1.8.0.255 2", "no object"),
        ("get 1 0.0.42.0.0.255 2 0 99", "no object"),
        ("get 3 1.0.1.8.0 2", "no logical name"),
        ("get 3 1.0.1.8.0.256 2", "256 is no part"),
        ("get 99999 1.0.1.8.0.255 2", "99999 is no class_id"),
        ("get 3 1.0.1.8.0.255 x", "x is no attribute"),
        ("get 3 1.0.1.8.0.255 2 5", "Rows are those of"),
        ("get 3", "It is: get"),
        ("press", "A key is one of"),
        ("press any", "A key is one of"),
        ("fault", "It is: fault"),
        ("dance", "A command is one of: fault, get, press, state."),
        ("x" * 300, "at most 256 characters"),
    ],
)
def test_bad_commands_are_answered_with_a_sentence(fed, command, sentence):
    answer = fed.ask(command)
    assert sentence in answer.error and not answer.octets


@pytest.mark.parametrize(
    "class_id, obis, attribute, hidden",
    [
        (3, "0100010800FF", 2, False), (15, "0000280002FF", 2, False),
        (15, "0000280002FF", 7, True), (64, "00002B0001FF", 2, True),
        (100, "0000190A00FF", 7, True),
    ],
)  # fmt: skip
def test_a_buffer_that_captures_a_secret_is_one(class_id, obis, attribute, hidden):
    commands = Commands(None, None, None, None)
    column = "020412%04X0906%s0F%02X120000" % (class_id, obis, attribute)
    clock = "0204120008090600000100" + "00FF0F02120000"
    commands._short = lambda row, attribute: bytearray.fromhex("0102" + clock + column)
    for buffer in ((7, 2), (62, 2)):
        assert commands._has_secrets(0, *buffer) == hidden
    assert not commands._has_secrets(0, 7, 3)


def test_the_key_of_the_display(fed):
    def shown():
        fed.rest()
        return [e for e in fed.events if isinstance(e, feeds.State)][-1].values["display"]

    for _ in range(2):  # it may have gone on by itself meanwhile
        before = shown()
        assert fed.ask("press display").error is None
        if shown() != before:
            break
    else:
        raise AssertionError(before)


def test_keys_of_the_disconnector(fed):
    def supply():
        fed.rest()
        return [e for e in fed.events if isinstance(e, feeds.State)][-1].values["supply"]

    assert supply() == [{"connected": True, "state": 1, "mode": 2}]
    assert "connected, and control_mode 2" in fed.ask("press reconnect").error
    assert fed.ask("press disconnect").error is None
    assert supply() == [{"connected": False, "state": 2, "mode": 2}]
    assert "ready for reconnection" in fed.ask("press disconnect").error
    assert fed.ask("press reconnect").error is None
    assert supply() == [{"connected": True, "state": 1, "mode": 2}]


def test_what_is_no_line_of_text(fed):
    """It is answered, and the next command is heard."""
    fed._write(b"\xff\xfe\n\n\r\n12 \n 7\n")
    assert fed.ask("state").error is None


@RUNTIMES
def test_without_the_option_nothing_is_said(runtime, request):
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    with Fed(runtime, feed=0, display=None) as meter:
        with socket.create_connection(meter.ports["wrapper-tcp"], PATIENCE_S) as s:
            assert Wrapper(s).ask(AARQ)
        assert meter.end() == 0
        assert meter.events == []


@RUNTIMES
def test_what_is_asked_last_is_answered(runtime, request):
    """Even when stdin ends behind it."""
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    with Fed(runtime) as meter:
        answers = []
        meter.feed.send("get 1 0.0.42.0.0.255 2", answers.append)
        assert meter.end() == 0
    assert [a.octets for a in answers] == [NAME]


def test_it_ends_with_stdin_and_says_what_it_closes():
    with Fed("cpython") as meter:
        with socket.create_connection(meter.ports["wrapper-tcp"], PATIENCE_S) as s:
            assert Wrapper(s).ask(AARQ)
            assert meter.end() == 0
        assert meter.wait_for(feeds.Closed).by == "meter"


def test_the_launcher_prints_no_line_of_the_feed(tmp_path):
    path = str(tmp_path / "some.pcapng")
    with running.Running("--runtime", "cpython", "--wrapper-tcp", "0", "--capture", path) as meter:
        Wrapper(meter.connect("wrapper-tcp")).ask(AARQ)
    assert not any("\x1e" in line for line in meter.lines)
    assert os.stat(path).st_size
