# SPDX-License-Identifier: MIT
"""lib/cosem/port_protection.py with server and links: a port that closes under attack.

In small.toml the object guards the TCP port: 5 failed attempts are allowed, then 10 s, 30 s, 90 s,
200 s. The delays of test_guard.py come on top: between two attempts here a minute passes.
"""

import time
import types

import pytest
from fakes import enum, octets, u8, u16, u32, value
from firmware.links import make, stream, tcp, udp
from small import Meter, aarq
from running import HDLC, Running, Wrapper
from test_guard import DEFINITION, REFUSED
from test_links import HEAD, Line, Peered, Poller, Port, come, datagram

SETUP = bytes((0, 0, 25, 0, 0, 255))
OTHER = bytes((0, 0, 22, 0, 0, 255))
OBJECT = "007C 00002C0200FF"
USER = bytes.fromhex("A903020105")
RIGHT, WRONG = b"12345678", b"87654321"
ACCEPTED = "A203020100"
GET_NAME = "C00141 0001 00002A0000FF 02 00"
LOCKED, ON_FAILED_ATTEMPTS, UNLOCKED = range(3)
NAMES = (
    "protection_mode allowed_failed_attempts initial_lockout_time steepness_factor "
    "max_lockout_time port_reference protection_status failed_attempts cumulative_failed_attempts"
).split()


class Guarded(Meter):
    """A meter with two links: TCP, which is guarded, and HDLC."""

    def __init__(self, image=None):
        super().__init__(image=image)
        gate = self.server.guard.gate
        self.tcp = gate(self.model.rows(41)[0])
        self.hdlc = gate(self.model.rows(23)[0])
        self.row = self.model.rows(124)[0]

    def at(self, gate, client=32):
        """A connection of a client over this link."""
        t = self.talk(client=client, server=17)
        t.channel.gate = gate
        return t

    def wait(self, seconds):
        self.server.guard.tick(1000 * seconds)

    def read(self, name):
        out = bytearray(64)
        end = self.model.read(self.row, NAMES.index(name) + 2, out, 0, 64)
        return value(out[:end])

    def write(self, name, data):
        return self.model.write(self.row, NAMES.index(name) + 2, bytearray(data), 0, len(data))

    def reset(self):
        return self.model.act(self.row, 1, b"\x0f\x00", 0, 2)

    def counts(self):
        return self.read("failed_attempts"), self.read("cumulative_failed_attempts")

    def attack(self, n, gate=None, client=32):
        """n attempts, a minute apart; of each, whether it was answered."""
        heard = []
        for _ in range(n):
            self.wait(60)
            apdu = aarq(WRONG)
            if client == 33:  # for users of a list: calling-AE-invocation-id 5
                apdu = apdu[:1] + bytes([apdu[1] + 5]) + apdu[2:13] + USER + apdu[13:]
            heard.append(self.at(gate or self.tcp, client).say(apdu.hex()) != "")
        return heard


def closed_for(meter):
    """Seconds until the TCP port answers again."""
    seconds = 0
    while not meter.at(meter.tcp, client=16).open(None):
        meter.wait(1)
        seconds += 1
    return seconds


# --- An attack ------------------------------------------------------------------------------


def test_allowed_attempts_close_nothing():
    m = Guarded()
    assert m.attack(5) == [True] * 5
    assert m.counts() == (5, 5)
    assert m.read("protection_status") == 0
    assert closed_for(m) == 0


def test_one_more_closes_the_port_for_initial_lockout_time():
    m = Guarded()
    m.attack(6)
    assert m.read("protection_status") == 1
    assert closed_for(m) == 10
    assert m.read("protection_status") == 0


def test_each_further_one_closes_it_for_steepness_factor_times_as_long():
    m = Guarded()
    m.attack(5)
    times = []
    for _ in range(6):
        m.attack(1)
        times.append(closed_for(m))
    assert times == [10, 30, 90, 200, 200, 200]
    assert m.counts() == (11, 11)


def test_closed_is_silence_for_everybody_and_everything():
    m = Guarded()
    m.attack(6)
    for client in (16, 32, 33, 40, 99):
        t = m.at(m.tcp, client)
        for apdu in (GET_NAME, "6200", "60 03 80 01 00", "C8 00", "FF"):
            assert t.say(apdu) == ""
        assert t.open(RIGHT) == ""
    # What was not heard did not count.
    assert m.counts() == (6, 6)


def test_the_other_port_is_open():
    m = Guarded()
    m.attack(6)
    assert ACCEPTED in m.at(m.hdlc).open(RIGHT)
    assert m.attack(9, m.hdlc) == [True] * 9
    assert m.counts() == (6, 6)


def test_who_has_shown_a_secret_goes_on():
    """And the public client, who has not, does not."""
    m = Guarded()
    known, public = m.at(m.tcp), m.at(m.tcp, 16)
    assert ACCEPTED in known.open(RIGHT) and ACCEPTED in public.open(None)
    m.attack(6, client=33)
    assert known.say(GET_NAME).startswith("C4014100")
    assert public.say(GET_NAME) == ""
    # The port is not shut for octets as long as somebody is there.
    assert not m.tcp.shut()
    assert known.say("6200") == "6303800100"
    assert m.tcp.shut()
    assert known.open(RIGHT) == ""


def test_an_association_that_waits_for_pass_3_has_shown_nothing():
    from test_hls import client

    m = Guarded()
    c = client(6, m)
    c.talk.channel.gate = m.tcp
    c.begin()
    m.attack(6)
    assert c.finish(c.f()) == ""
    m.wait(10)
    assert c.finish(c.f()) == "ok"


def test_failed_proofs_of_hls_close_it_too():
    from test_hls import client

    m = Guarded()
    for _ in range(6):
        m.wait(60)
        c = client(6, m)
        c.talk.channel.gate = m.tcp
        c.begin()
        assert c.finish(bytes(32)) == "C701410300"
    assert m.counts() == (6, 6)
    assert closed_for(m) == 10


def test_success_takes_back_the_failures_of_that_client_only():
    m = Guarded()
    m.attack(2, client=32)
    m.attack(3, client=33)
    m.wait(60)
    assert ACCEPTED in m.at(m.tcp, 32).open(RIGHT)
    assert m.counts() == (3, 5)
    # Whoever knows one secret cannot guess at another without end.
    m.attack(3, client=33)
    assert m.counts() == (6, 8)
    assert m.tcp.status == 1


# --- The object -----------------------------------------------------------------------------


def test_what_a_client_reads():
    m = Guarded()
    m.attack(6)
    t = m.at(m.hdlc)
    assert ACCEPTED in t.open(RIGHT)
    got = [t.say("C00141 " + OBJECT + " %02X 00" % k)[8:] for k in range(2, 11)]
    assert got == [
        x.hex().upper()
        for x in (
            enum(1), u16(5), u32(10), u8(3), u32(200), octets(SETUP), enum(1), u32(6), u32(6),
        )
    ]  # fmt: skip


def test_reset_opens_the_port_and_keeps_the_sum():
    m = Guarded()
    m.attack(8)
    t = m.at(m.hdlc)
    t.open(RIGHT)
    assert t.say("C30141 " + OBJECT + " 01 01 0F00") == "C701410000"
    assert m.counts() == (0, 8)
    assert closed_for(m) == 0
    m.attack(5)
    assert closed_for(m) == 0


def test_unlocked_counts_and_never_closes():
    m = Guarded()
    m.write("protection_mode", enum(UNLOCKED))
    m.attack(20)
    assert m.counts() == (20, 20)
    assert not m.tcp.status and closed_for(m) == 0


def test_unlocked_by_a_client_is_so_at_once():
    m = Guarded()
    m.attack(6)
    m.write("protection_mode", enum(UNLOCKED))
    assert closed_for(m) == 0


def test_locked_is_closed_until_somebody_opens_it():
    m = Guarded()
    t = m.at(m.tcp)
    t.open(RIGHT)
    # The answer to this goes out; after it there is nobody, not even who said so.
    assert t.say("C10141 " + OBJECT + " 02 00 1600") == "C5014100"
    assert m.read("protection_status") == 2
    assert t.say(GET_NAME) == ""
    assert m.tcp.shut()
    m.wait(1)
    assert not t.channel.in_use()
    m.wait(100000)
    assert m.at(m.tcp, 16).open(None) == ""
    assert m.reset() == 0 and m.read("protection_status") == 2
    other = m.at(m.hdlc)
    assert ACCEPTED in other.open(RIGHT)
    assert other.say("C10141 " + OBJECT + " 02 00 1601") == "C5014100"
    assert ACCEPTED in t.open(RIGHT)


def test_port_reference_chooses_the_port():
    m = Guarded()
    m.attack(6)
    assert m.write("port_reference", octets(OTHER)) == 0
    assert not m.tcp.status and m.hdlc.shut()
    assert m.write("port_reference", octets(bytes(6))) == 0
    assert not m.tcp.status and not m.hdlc.status


@pytest.mark.parametrize(
    "name, data, result",
    [
        ("protection_mode", enum(3), 12),
        ("protection_mode", u8(1), 12),
        ("port_reference", octets(SETUP[1:]), 12),
        ("allowed_failed_attempts", u8(1), 12),
        ("protection_status", enum(0), 3),
        ("failed_attempts", u32(0), 3),
        ("cumulative_failed_attempts", u32(0), 3),
    ],
)
def test_what_is_not_taken(name, data, result):
    t = Guarded().at(None)
    t.channel.gate = t.meter.hdlc
    t.open(RIGHT)
    request = "C10141 " + OBJECT + " %02X 00 " % (NAMES.index(name) + 2) + data.hex()
    assert t.say(request) == "C50141%02X" % result


@pytest.mark.parametrize(
    "initial, factor, longest, expected",
    [
        (10, 0, 200, [10, 10, 10]),
        (10, 1, 200, [10, 10, 10]),
        (10, 255, 0xFFFFFFFF, [10, 2550, 650250]),
        (0, 3, 200, [0, 0, 0]),
        (10, 3, 0, [0, 0, 0]),
        (500, 3, 200, [200, 200, 200]),
        (0xFFFFFFFF, 255, 0xFFFFFFFF, [0x3FFFFFFF] * 3),
    ],
)
def test_numbers_at_their_limits(initial, factor, longest, expected):
    m = Guarded()
    m.write("initial_lockout_time", u32(initial))
    m.write("steepness_factor", u8(factor))
    m.write("max_lockout_time", u32(longest))
    m.attack(5)
    handler = m.model.handler_of(m.row)
    got = []
    for _ in expected:
        assert m.attack(1) == [True]
        got.append(handler._left(m.row))
        m.wait(0x3FFFFFFF)
    assert got == expected


def test_counts_stop_and_do_not_wrap():
    m = Guarded()
    for k, name in enumerate(("failed_attempts", "cumulative_failed_attempts")):
        at = m.model.slot(m.row, NAMES.index(name) + 2)
        m.model.image[at : at + 5] = u32(0x3FFFFFFF)
    m.attack(1)
    assert m.counts() == (0x3FFFFFFF, 0x3FFFFFFF)
    assert closed_for(m) == 200


# --- At rest --------------------------------------------------------------------------------


def test_a_restart_finds_the_port_as_it_was():
    m = Guarded()
    m.attack(7)
    again = Guarded(image=m.model.image)
    assert again.counts() == (7, 7)
    assert again.read("protection_status") == 1
    assert closed_for(again) == 30
    again.attack(1)
    assert closed_for(again) == 90


def test_a_locked_port_is_locked_after_a_restart():
    m = Guarded()
    m.write("protection_mode", enum(LOCKED))
    again = Guarded(image=m.model.image)
    assert again.tcp.shut() and not again.hdlc.shut()


# --- Links ----------------------------------------------------------------------------------


class Door:
    """A gate by hand."""

    status = 0

    def shut(self):
        return self.status == 1


def test_a_serial_line_that_is_locked_says_nothing_and_hears_nothing():
    line = Line([b"one."])
    link = stream.Serial(Port(), "hdlc-uart", "1", line, Peered(), 16)
    link.gate = Door()
    link.open(Poller())
    link.gate.status = 1
    link.poll(0)
    assert line.written == b"" and not line.incoming
    link.gate.status = 0
    line.incoming.append(b"two.")
    link.ready = True
    link.poll(0)
    assert line.written == b"TWO."


def test_connections_are_closed_while_the_port_is_locked():
    port = Port()
    profiles = [Peered() for _ in range(3)]
    link = tcp.Listener(port, "wrapper-tcp", "127.0.0.1", 0, profiles, 16, False)
    link.gate = Door()
    link.open(Poller())
    early = come(port, link, Line([b"on"]))
    # Somebody has an association: who is there stays, and nobody else comes in.
    link.gate.status = 2
    assert come(port, link, Line()).closed
    early.incoming.append(b"e.")
    link.places[0].ready = True
    link.poll(0)
    assert early.written == b"ONE." and not early.closed
    link.gate.status = 1
    link.poll(0)
    assert early.closed
    assert come(port, link, Line([b"no."])).closed
    link.gate.status = 0
    assert come(port, link, Line([b"yes."])).written == b"YES."


def test_datagrams_are_dropped_while_the_port_is_locked():
    port = Port()
    link = udp.Endpoint(port, "wrapper-udp", "127.0.0.1", 0, [Peered()])
    link.gate = Door()
    link.open(Poller())
    link.gate.status = 1
    datagram(port, link, HEAD + b"no.", "A")
    assert port.sent == []
    link.gate.status = 0
    datagram(port, link, HEAD + b"yes.", "A")
    assert port.sent == [(HEAD + b"YES.", "A")]


def test_links_are_tied_to_their_setup_objects():
    m = Meter()
    port = Port()
    port.open_fd = lambda fd: Line()
    wanted = [["hdlc-pty", "tty", 0], ["wrapper-udp", "", 0], ["wrapper-tcp", "", 0]]
    meter = types.SimpleNamespace(model=m.model, server=m.server, gateways=())
    links = make.make_links(wanted, meter, port)
    gates = [link.gate for link in links]
    assert gates == m.server.guard.gates
    assert [gate.way for gate in gates] == [0, 1, 2]
    assert [gate.setup for gate in gates] == m.model.rows(23) + m.model.rows(41) * 2
    # One object guards all links of the setup object that it names.
    assert [gate.row for gate in gates] == [-1] + m.model.rows(124)[:1] * 2
    for link in links:
        for profile in link.profiles():
            channels = [x.channel for x in getattr(profile, "links", [profile])]
            assert channels and all(channel.gate is link.gate for channel in channels)


# --- The meter as it runs -------------------------------------------------------------------


def ask_late(meter):
    """What a new connection gets: nothing, however it is told so."""
    try:
        return Wrapper(meter.connect("wrapper-tcp"), client=1).ask(aarq(RIGHT))
    except (ConnectionResetError, BrokenPipeError):
        return b""


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_running_meter_closes_the_port_that_is_attacked(runtime, tmp_path, micropython):
    """Over TCP the sixth failure closes the connection, and nobody comes in; HDLC is served."""
    text = DEFINITION.replace(
        '{class = 41, obis = "0.0.25.0.0"}',
        '{class = 41, obis = "0.0.25.0.0", nb_of_sim_conn = 4}, {class = 23, obis = "0.0.22.0.0"}',
    )
    text = text.replace("allowed_failed_attempts = 5", "allowed_failed_attempts = 3")
    (tmp_path / "guarded.toml").write_text(text)
    options = ("--runtime", runtime, "--definition", str(tmp_path / "guarded.toml"))
    with Running(*options, "--wrapper-tcp", "0", "--hdlc-tcp", "0") as meter:
        tcp = Wrapper(meter.connect("wrapper-tcp"), client=1)
        for _ in range(4):
            assert REFUSED in tcp.ask(aarq(WRONG)).hex().upper()
        assert tcp.ask(aarq(RIGHT)) == b""
        assert ask_late(meter) == b""
        s = meter.connect("hdlc-tcp")
        hdlc = HDLC(s.sendall, lambda: s.recv(4096), client=1)
        assert hdlc.connect() == 0x73
        assert "A203020100" in hdlc.ask(aarq(RIGHT)).hex().upper()
        status = bytes.fromhex("C001C1 007C 00002C0200FF 08 00".replace(" ", ""))
        assert hdlc.ask(status).hex().upper() == "C401C1001601"
        reset = bytes.fromhex("C301C1 007C 00002C0200FF 01 01 0F00".replace(" ", ""))
        assert hdlc.ask(reset).hex().upper() == "C701C10000"
        # The association's own second of delay may still run.
        for _ in range(100):
            if "A203020100" in ask_late(meter).hex().upper():
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the port stays closed")
        assert meter.stop() == 0
        assert "failed" not in meter.errors
