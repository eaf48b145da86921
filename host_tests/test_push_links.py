# SPDX-License-Identifier: MIT
"""firmware/links/push.py: notifications on real sockets of the loopback address, to those who
listen, refuse, hang, close, talk nonsense; the meter goes on. Its time is that of the test."""

import os
import pty
import socket
import struct
import tty

import pytest
from blocks import Block
from cosem.notifier import Notifier
from fakes import array, enum
from pushing import (
    CONFIRMING, HDLC, IDLE, READY, REPEATING, SENDING, TCP, UDP, V2, Looped, PushMeter, accepted,
    address, body, confirmation, destination, element,
    listening,  # noqa: F401  a fixture
    received, wpdu, wrapped,
)  # fmt: skip
from running import AARQ
from running import HDLC as HDLCClient

from firmware.links.make import make_links
from firmware.links.push import Paths, split
from firmware.links.settings import apply
from firmware.ports import cpython

LINKS = [["wrapper-tcp", "127.0.0.1", 0], ["wrapper-udp", "127.0.0.1", 0]]
LINKS += [["hdlc-tcp", "127.0.0.1", 0]]


class Port:
    """The real one; time is what has passed, and what the test adds."""

    def __init__(self):
        self.later_ms = 0

    def __getattr__(self, name):
        return getattr(cpython, name)

    def ticks_ms(self):
        return cpython.ticks_ms() + self.later_ms & 0x3FFFFFFF


class Linked(Looped, PushMeter):
    gateways = ()

    def __init__(self, wanted=LINKS):
        super().__init__(load=False)
        self.port = Port()
        self.links = make_links(wanted, self, self.port)
        self.poller = self.port.Poller()
        for link in self.links:
            link.open(self.poller)
        self.at = {link.name: getattr(link, "number", 0) for link in self.links}
        self.load()

    def load(self):
        self.paths = Paths(self.port, self.poller, self.links)
        made = Notifier(self.model, self.server, self.paths, 2000, True)
        self.handler.notifier = made
        return made

    def turn(self, n=1):
        for _ in range(n):
            self.poller.wait(5)
            now_ms = self.port.ticks_ms()
            for link in self.links:
                link.poll(now_ms)
            while self.server.todo:
                self.server.work()
            self.paths.poll(now_ms)
            self.notifier.turn()

    def pass_(self, seconds):
        for _ in range(seconds):
            self.port.later_ms += 1000
            self.second(turns=0)
            self.turn()

    def start(self, to, service=TCP, confirmed=False, method=0):
        self.put(V2, 3, destination(to, service))
        self.put(V2, 2, array(element(1, "0.0.96.1.0.255", version=2)))
        self.put(V2, 11, enum(2 if confirmed else method))
        assert self.push(V2) == 0
        self.second(turns=0)


@pytest.fixture
def m():
    meter = Linked()
    yield meter
    meter.close()


# --- TCP ----------------------------------------------------------------------------------------


def test_where_it_goes():
    assert split(b"127.0.0.1") == ("127.0.0.1", 4059)
    assert split(b"127.0.0.1:99") == ("127.0.0.1", 99)
    assert split(b"[2001:db8::1]") == ("2001:db8::1", 4059)
    assert split(b"[2001:db8::1]:99") == ("2001:db8::1", 99)


def test_a_listener(m, listener):
    m.start(address(listener))
    with accepted(m, listener) as s:
        source, to, apdu = wpdu(received(m, s))
        assert (source, to) == (1, 1) and body(apdu) == [b"42"]
        m.until(lambda: m.notifier.done)
        # The next one to the same destination comes on the same connection.
        m.start(address(listener))
        assert body(wpdu(received(m, s))[2]) == [b"42"]
        m.until(lambda: m.notifier.done == 2)
        assert not m.notifier.is_idle()
        # Nobody says anything: it is closed.
        m.pass_(6)
        assert received(m, s) == b"" and m.notifier.is_idle()


def test_the_next_one_goes_somewhere_else(m, listener):
    m.start(address(listener))
    with accepted(m, listener) as s, socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        received(m, s)
        m.until(lambda: m.notifier.done)
        m.start(address(other))
        with accepted(m, other) as t:
            assert body(wpdu(received(m, t))[2]) == [b"42"]
        assert received(m, s) == b""


def test_an_association_on_the_connection(m, listener):
    """Who is told that the meter is there may ask it things, for as long as it likes."""
    m.start(address(listener))
    with accepted(m, listener) as s:
        received(m, s)
        s.sendall(wrapped(16, 1, AARQ))
        assert wpdu(received(m, s))[2][0] == 0x61
        m.pass_(20)
        s.sendall(wrapped(16, 1, bytes.fromhex("C001C1000100002A0000FF0200")))
        assert wpdu(received(m, s))[2][:4] == bytes.fromhex("C401C100")
    m.until(lambda: m.notifier.is_idle())


def refuses(m):
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return address(s), None


def hangs(m):
    """Its queue is full: the connection is neither taken nor refused."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    kept = [s]
    for _ in range(4):
        other = socket.socket()
        other.setblocking(False)
        other.connect_ex(s.getsockname())
        kept.append(other)
    return address(s), kept


def no_route(m):
    return b"[2001:db8::1]:4059", None


def takes_nothing(m):
    """The connection is there, but no octet goes through."""
    s = socket.create_server(("127.0.0.1", 0))
    m.port.write = lambda stream, buf, pos, n: 0
    return address(s), [s]


def closes_at_once(m):
    s = socket.create_server(("127.0.0.1", 0))
    m.port.write = lambda stream, buf, pos, n: -1
    return address(s), [s]


# What a destination does -> after the first attempt, seconds until that is known.
FAILURES = [(refuses, 0), (hangs, 21), (no_route, 21), (takes_nothing, 21), (closes_at_once, 0)]


@pytest.mark.parametrize("what,seconds", FAILURES, ids=lambda x: getattr(x, "__name__", None))
def test_failures(m, what, seconds):
    """Repeated after 10 s and 20 s, then given up. Clients are served all the time."""
    to, kept = what(m)
    m.start(to)
    m.turn(3)
    if seconds and m.state(V2) == SENDING:
        m.pass_(seconds)
    m.until(lambda: m.state(V2) == REPEATING)
    if "write" not in vars(m.port):
        with socket.create_connection(("127.0.0.1", m.at["wrapper-tcp"])) as s:
            s.setblocking(False)
            s.sendall(wrapped(16, 1, AARQ))
            assert wpdu(received(m, s))[2][0] == 0x61
    m.pass_(140)
    m.until(lambda: m.state(V2) == IDLE)
    assert (m.notifier.done, m.notifier.lost) == (0, 1) and m.notifier.is_idle()
    for s in kept or ():
        s.close()


def test_while_it_hangs_clients_are_served(m):
    to, kept = hangs(m)
    m.start(to)
    m.turn(3)
    assert m.state(V2) == SENDING
    with socket.create_connection(("127.0.0.1", m.at["wrapper-tcp"])) as s:
        s.setblocking(False)
        s.sendall(wrapped(16, 1, AARQ))
        assert wpdu(received(m, s))[2][0] == 0x61
    assert m.state(V2) == SENDING
    for s in kept:
        s.close()


def test_who_only_listens(m, listener):
    """Its side of the connection is closed from the start; it takes what comes."""
    m.start(address(listener))
    m.turn(1)
    with accepted(m, listener) as s:
        s.shutdown(socket.SHUT_WR)
        assert body(wpdu(received(m, s))[2]) == [b"42"]
        m.until(lambda: m.notifier.done)
    assert m.notifier.lost == 0


def test_while_a_client_on_it_is_answered(m, listener):
    """An answer that is not out yet is no failure: the next notification goes after it."""
    m.start(address(listener))
    with accepted(m, listener) as s:
        received(m, s)
        m.until(lambda: m.notifier.done)
        profile = m.paths._place.profile
        took, profile.notify = profile.notify, lambda *_: False
        m.start(address(listener))
        m.turn(5)
        assert m.state(V2) == SENDING
        profile.notify = took
        assert body(wpdu(received(m, s))[2]) == [b"42"]
        m.until(lambda: m.notifier.done == 2)


def test_it_ends_while_a_client_on_it_is_answered(m, listener):
    """What had not begun to go out is lost with the connection; the next attempt opens another."""
    m.start(address(listener))
    with accepted(m, listener) as s:
        received(m, s)
        m.until(lambda: m.notifier.done)
        profile = m.paths._place.profile
        took, profile.notify = profile.notify, lambda *_: False
        m.start(address(listener))
        m.turn(5)
        assert m.state(V2) == SENDING
    m.until(lambda: m.state(V2) == REPEATING)
    profile.notify = took
    m.pass_(10)
    with accepted(m, listener) as s:
        assert body(wpdu(received(m, s))[2]) == [b"42"]


def test_a_datagram_leaves_the_connection_alone(m, listener, endpoint):
    m.start(address(listener))
    with accepted(m, listener) as s:
        received(m, s)
        m.until(lambda: m.notifier.done)
        m.start(address(endpoint), UDP)
        m.until(lambda: m.notifier.done == 2)
        m.start(address(listener))
        assert body(wpdu(received(m, s))[2]) == [b"42"]


def test_no_place_is_waited_for(m, listener):
    """All four are taken by clients: no attempt is made, and none is counted."""
    clients = []
    for _ in range(4):
        s = socket.create_connection(("127.0.0.1", m.at["wrapper-tcp"]))
        s.setblocking(False)
        s.sendall(wrapped(16, 1, b"\x62\x00"))
        assert received(m, s)
        clients.append(s)
    m.start(address(listener))
    m.pass_(40)
    assert m.state(V2) == READY and m.notifier.lost == 0
    clients.pop().close()
    with accepted(m, listener) as s:
        assert body(wpdu(received(m, s))[2]) == [b"42"]
    for s in clients:
        s.close()


def test_reset_takes_back_what_hangs(m):
    to, kept = hangs(m)
    m.start(to)
    m.turn(3)
    assert m.state(V2) == SENDING
    m.push(V2, 2)
    m.pass_(1)
    assert m.state(V2) == IDLE and m.notifier.is_idle() and m.notifier.lost == 0
    for s in kept:
        s.close()


# --- Names --------------------------------------------------------------------------------------


class Resolver:
    """A port's look-ups, which say what the test wants: None: not yet."""

    def __init__(self, m, says):
        self.says = says
        self.asked = []
        m.port.look_up = self.look_up
        m.port.found = self.found

    def look_up(self, host, six):
        self.asked.append((host, six))
        if self.says is RuntimeError:
            raise OSError("no thread")
        return self

    def found(self, lookup):
        assert lookup is self
        if self.says is OSError:
            raise OSError("unknown")
        return self.says


def named(s, name=b"head-end.example"):
    return name + b":%d" % s.getsockname()[1]


def test_a_name(m, listener):
    """It is waited for beside everything else; then as with an address."""
    resolver = Resolver(m, None)
    m.start(named(listener))
    m.turn(3)
    assert m.state(V2) == SENDING and resolver.asked == [("head-end.example", False)]
    with socket.create_connection(("127.0.0.1", m.at["wrapper-tcp"])) as client:
        client.setblocking(False)
        client.sendall(wrapped(16, 1, AARQ))
        assert wpdu(received(m, client))[2][0] == 0x61
    resolver.says = "127.0.0.1"
    with accepted(m, listener) as s:
        assert body(wpdu(received(m, s))[2]) == [b"42"]
        m.until(lambda: m.notifier.done)
        # The connection is there: nobody is asked.
        m.start(named(listener))
        assert body(wpdu(received(m, s))[2]) == [b"42"]
        m.until(lambda: m.notifier.done == 2)
        assert len(resolver.asked) == 1
        # Another name for the same host is another destination.
        m.start(named(listener, b"other.example"))
        assert received(m, s) == b""
    with accepted(m, listener) as s:
        assert body(wpdu(received(m, s))[2]) == [b"42"]
    assert [host for host, _ in resolver.asked] == ["head-end.example", "other.example"]


def test_a_name_over_udp(m, endpoint):
    resolver = Resolver(m, "127.0.0.1")
    for n in (1, 2):
        m.start(named(endpoint), UDP)
        m.until(lambda n=n: m.notifier.done == n)
        assert body(wpdu(endpoint.recvfrom(4096)[0])[2]) == [b"42"]
    assert len(resolver.asked) == 2


def test_a_name_of_this_machine(m, listener):
    """By the resolver that is here."""
    m.start(named(listener, b"localhost"))
    with accepted(m, listener) as s:
        assert body(wpdu(received(m, s))[2]) == [b"42"]


# What becomes of the look-up -> seconds until that is known.
LOOK_UPS = [(OSError, 0), (RuntimeError, 0), (None, 21)]


@pytest.mark.parametrize("says,seconds", LOOK_UPS)
@pytest.mark.parametrize("service", [TCP, UDP])
def test_names_that_are_not_found(m, listener, service, says, seconds):
    """A failure like any other: repeated, then given up and counted."""
    resolver = Resolver(m, says)
    m.start(named(listener), service)
    m.turn(3)
    if seconds:
        assert m.state(V2) == SENDING
        m.pass_(seconds)
    m.until(lambda: m.state(V2) == REPEATING)
    m.pass_(140)
    m.until(lambda: m.state(V2) == IDLE)
    assert (m.notifier.done, m.notifier.lost, len(resolver.asked)) == (0, 1, 3)
    assert m.notifier.is_idle()


def test_found_too_late(m, listener):
    """The answer to a look-up that was given up goes nowhere."""
    resolver = Resolver(m, None)
    m.start(named(listener))
    m.pass_(21)
    assert m.state(V2) == REPEATING
    resolver.says = "127.0.0.1"
    m.turn(5)
    with pytest.raises(BlockingIOError):
        listener.accept()
    m.pass_(10)
    with accepted(m, listener) as s:
        received(m, s)
    m.until(lambda: m.notifier.done)


def test_found_while_all_places_are_taken(m, listener):
    resolver = Resolver(m, None)
    m.start(named(listener))
    m.turn(3)
    clients = []
    for _ in range(4):
        clients.append(socket.create_connection(("127.0.0.1", m.at["wrapper-tcp"])))
        clients[-1].setblocking(False)
        clients[-1].sendall(wrapped(16, 1, b"\x62\x00"))
        assert received(m, clients[-1])
    resolver.says = "127.0.0.1"
    m.turn(5)
    assert m.state(V2) == SENDING
    for s in clients:
        s.close()
    with accepted(m, listener) as s:
        assert body(wpdu(received(m, s))[2]) == [b"42"]


# --- Confirmed by the layer below ---------------------------------------------------------------


class Layer:
    """What the port says of acknowledgements."""

    def __init__(self, m, n):
        self.n = n
        m.port.unacknowledged = lambda stream: self.n


def closes_in_order(s):
    s.recv(4096)
    s.close()


def resets_it(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def stays(s):
    pass


# unacknowledged(), what the other side does -> what becomes of it, seconds until that is known.
ACKNOWLEDGED = [
    (0, stays, IDLE, 0),
    (0, closes_in_order, IDLE, 0),
    (0, resets_it, IDLE, 0),
    (9, stays, REPEATING, 21),
    (9, closes_in_order, REPEATING, 0),
    (9, resets_it, REPEATING, 0),
    (-1, stays, IDLE, 3),
    (-1, closes_in_order, IDLE, 0),
    (-1, resets_it, REPEATING, 0),
]


@pytest.mark.parametrize("n,what,state,seconds", ACKNOWLEDGED)
def test_acknowledged(m, listener, n, what, state, seconds):
    Layer(m, n)
    m.start(address(listener), method=1)
    with accepted(m, listener) as s:
        m.turn(3)
        assert m.state(V2) == (SENDING if n else IDLE)
        what(s)
        if seconds > 3:
            m.pass_(seconds - 2)
            assert m.state(V2) == SENDING
            m.pass_(2)
        m.pass_(seconds and 3)
        m.until(lambda: m.state(V2) == state)
    assert (m.notifier.done, m.notifier.lost) == (int(state == IDLE), 0)


def test_acknowledged_after_a_while(m, listener):
    layer = Layer(m, 9)
    m.start(address(listener), method=1)
    with accepted(m, listener):
        m.pass_(15)
        assert m.state(V2) == SENDING
        layer.n = 0
        m.until(lambda: m.notifier.done)


def test_method_0_asks_nobody(m, listener):
    Layer(m, 9)
    m.start(address(listener), method=0)
    with accepted(m, listener):
        m.until(lambda: m.notifier.done)


def test_acknowledged_by_this_machine(m, listener):
    """By the TCP that is here. The queue of who does not read fills, and says so."""
    m.start(address(listener), method=1)
    with accepted(m, listener) as s:
        m.until(lambda: m.notifier.done)
        assert body(wpdu(received(m, s))[2]) == [b"42"]
        stream = m.paths._place.stream
        assert cpython.unacknowledged(stream) == 0
        block = bytearray(1 << 20)
        while cpython.write(stream, block, 0, len(block)):
            pass
        assert cpython.unacknowledged(stream) > 0


@pytest.mark.parametrize("service", [UDP, HDLC])
def test_where_the_layer_confirms_what_it_has_sent(m, line, endpoint, service):
    """Method 1 is as 0: a datagram, and a frame, that are out are done."""
    m.start(address(endpoint) if service == UDP else b"", service, method=1)
    m.until(lambda: m.notifier.done)
    assert m.state(V2) == IDLE


# --- Confirmed ----------------------------------------------------------------------------------


def confirms(s, apdu):
    s.sendall(wrapped(1, 1, confirmation(apdu)))


def says_nothing(s, apdu):
    pass


def closes(s, apdu):
    s.close()


def resets(s, apdu):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def talks_nonsense(s, apdu):
    s.sendall(b"GET / HTTP/1.1\r\n\r\n")


def says_half_of_it(s, apdu):
    s.sendall(wrapped(1, 1, confirmation(apdu))[:-2])


def confirms_another(s, apdu):
    s.sendall(wrapped(1, 1, confirmation(b"\x0f\x40\x00\x00\x63")))


def as_another_client(s, apdu):
    s.sendall(wrapped(16, 1, confirmation(apdu)))


# What the client does -> what becomes of it, seconds until that is known.
ANSWERS = [
    (confirms, IDLE, 0),
    (says_nothing, REPEATING, 31),
    (closes, REPEATING, 0),
    (resets, REPEATING, 0),
    (talks_nonsense, REPEATING, 0),
    (says_half_of_it, REPEATING, 31),
    (confirms_another, REPEATING, 31),
    (as_another_client, REPEATING, 31),
]


@pytest.mark.parametrize("what,state,seconds", ANSWERS, ids=lambda x: getattr(x, "__name__", None))
def test_answers(m, listener, what, state, seconds):
    m.start(address(listener), confirmed=True)
    with accepted(m, listener) as s:
        apdu = wpdu(received(m, s))[2]
        assert apdu[1] == 0x40
        m.until(lambda: m.state(V2) == CONFIRMING)
        what(s, apdu)
        if seconds:
            m.turn(5)
            m.pass_(seconds)
        m.until(lambda: m.state(V2) == state)
    assert m.notifier.done == (1 if state == IDLE else 0)
    if state == REPEATING:
        # The next attempt is answered as it should be.
        m.pass_(10)
        with accepted(m, listener) as s:
            again = wpdu(received(m, s))[2]
            assert again == apdu
            confirms(s, again)
            m.until(lambda: m.state(V2) == IDLE)
        assert (m.notifier.done, m.notifier.lost) == (1, 0)


# --- UDP ----------------------------------------------------------------------------------------


@pytest.fixture
def endpoint():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(10)
        yield s


def test_a_datagram(m, endpoint):
    m.start(address(endpoint), UDP)
    m.until(lambda: m.notifier.done)
    octets, peer = endpoint.recvfrom(4096)
    assert peer[1] == m.at["wrapper-udp"]
    source, to, apdu = wpdu(octets)
    assert (source, to) == (1, 1) and body(apdu) == [b"42"]


def test_a_datagram_that_is_confirmed(m, endpoint):
    m.start(address(endpoint), UDP, confirmed=True)
    m.until(lambda: m.state(V2) == CONFIRMING)
    octets, peer = endpoint.recvfrom(4096)
    endpoint.sendto(wrapped(1, 1, confirmation(wpdu(octets)[2])), peer)
    m.until(lambda: m.state(V2) == IDLE)
    assert m.notifier.done == 1


def test_datagrams_to_nobody(m):
    """Nobody says that they were lost, unless they were to be confirmed."""
    to, _ = refuses(m)
    m.start(to, UDP)
    m.until(lambda: m.notifier.done)
    m.start(to, UDP, confirmed=True)
    m.pass_(140)
    assert m.notifier.lost == 1 and m.state(V2) == IDLE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        s.sendto(wrapped(16, 1, AARQ), ("127.0.0.1", m.at["wrapper-udp"]))
        assert wpdu(received(m, s))[2][0] == 0x61


def test_a_datagram_that_cannot_be_sent(m):
    """The socket says so at once: no such address, for one."""
    m.start(b"[::1]:4059", UDP)
    m.until(lambda: m.state(V2) == REPEATING)
    m.pass_(140)
    assert (m.notifier.done, m.notifier.lost) == (0, 1) and m.state(V2) == IDLE


# --- HDLC ---------------------------------------------------------------------------------------


@pytest.fixture
def line(m):
    with socket.create_connection(("127.0.0.1", m.at["hdlc-tcp"])) as s:
        s.setblocking(False)
        m.turn(3)
        yield s


def ui(octets):
    """(client, server, information) of a UI frame from the meter."""
    assert octets[0] == octets[-1] == 0x7E
    n = (octets[1] & 7) << 8 | octets[2]
    assert n == len(octets) - 2
    at = 4
    while not octets[at] & 1:
        at += 1
    assert octets[3] & 1 and octets[at + 1] == 0x13
    return octets[3] >> 1, octets[4] >> 1, octets[at + 4 : -3]


def test_a_frame(m, line):
    m.start(b"", HDLC)
    client, server, information = ui(received(m, line))
    assert (client, server) == (1, 1) and information[:3] == b"\xe6\xe7\x00"
    assert body(information[3:]) == [b"42"]
    m.until(lambda: m.notifier.done)


def test_nobody_on_the_line(m):
    m.start(b"", HDLC)
    m.pass_(60)
    assert m.state(V2) == READY and m.notifier.lost == 0
    with socket.create_connection(("127.0.0.1", m.at["hdlc-tcp"])) as s:
        s.setblocking(False)
        assert body(ui(received(m, s))[2][3:]) == [b"42"]


def test_a_line_that_is_never_free(m, line):
    """Half a frame keeps coming in: what is waiting is taken back, and tried again."""
    profile = m.links[2].places[0].profile
    profile.configure(-1, -1, -1, -1, 6000, -1, -1)
    frame = HDLCClient(None, None).frame(0x13, bytes(60))
    line.sendall(frame[:12])
    m.turn(5)
    m.start(b"", HDLC)
    for k in range(12, 40):
        line.sendall(frame[k : k + 1])
        m.pass_(1)
        if m.state(V2) == REPEATING:
            break
    assert m.state(V2) == REPEATING and profile.note_buf is None


def test_too_long_for_a_frame(m, line):
    m.start(b"", HDLC)
    m.put(V2, 2, array(*[element(1, "0.0.42.0.0.255", version=2)] * 15))
    m.notifier.outbox.clear(0, m.row(V2))
    m.push(V2)
    m.pass_(1)
    m.until(lambda: m.state(V2) == IDLE)
    assert m.notifier.lost == 1


def test_in_general_blocks(m, line):
    """Of a client who may have them: each in a frame, and all but the last one stream."""
    configs = [list(config) for config in m.model.configs]
    configs[0][4] = bytes([configs[0][4][0], configs[0][4][1] | 0x20, *configs[0][4][2:]])
    m.model.configs = configs
    m.start(b"", HDLC)
    m.put(V2, 2, array(*[element(1, "0.0.42.0.0.255", version=2)] * 15))
    m.notifier.outbox.clear(0, m.row(V2))
    m.push(V2)
    m.pass_(1)
    got = b""

    def all_of_them():
        nonlocal got
        try:
            got += line.recv(4096)
        except BlockingIOError:
            pass
        return m.state(V2) == IDLE

    m.until(all_of_them)
    all_of_them()
    assert (m.notifier.done, m.notifier.lost) == (1, 0)
    apdu, number, at, last = b"", 0, 0, False
    while at < len(got):
        end = at + 2 + ((got[at + 1] & 7) << 8 | got[at + 2])
        block = Block(ui(got[at:end])[2][3:])
        number += 1
        assert not last
        last = block.last
        assert (block.number, block.ack, block.streaming) == (number, 0, not last)
        apdu += block.octets
        at = end
    assert last and number > 1 and body(apdu) == [b"PMT1000000000042"] * 15


def test_the_line_goes_while_it_waits(m, line):
    m.links[2].places[0].profile.configure(-1, -1, -1, -1, 6000, -1, -1)
    line.sendall(HDLCClient(None, None).frame(0x13, bytes(60))[:12])
    m.turn(5)
    m.start(b"", HDLC)
    m.turn(2)
    assert m.state(V2) == SENDING
    line.close()
    m.until(lambda: m.state(V2) == REPEATING)


def test_the_line_goes_between_two_blocks(m, line):
    """Nobody is left, or another one has come: who has the first block gets them all, or none."""
    configs = [list(config) for config in m.model.configs]
    configs[0][4] = bytes([configs[0][4][0], configs[0][4][1] | 0x20, *configs[0][4][2:]])
    m.model.configs = configs
    m.start(b"", HDLC)
    m.put(V2, 2, array(*[element(1, "0.0.42.0.0.255", version=2)] * 15))
    m.notifier.outbox.clear(0, m.row(V2))
    m.push(V2)
    taken = []
    begin = m.paths.begin

    def watched(*args):
        if len(taken) == 2:
            m.links[2].places[0].detach()
        taken.append(begin(*args))
        return taken[-1]

    m.paths.begin = watched
    m.pass_(1)
    m.until(lambda: m.state(V2) == REPEATING)
    assert taken == [3, 0, 2] and (m.notifier.done, m.notifier.lost) == (0, 0)


def test_the_line_goes_before_it_is_begun(m, line):
    """It was there when the turn came; what protects the notification took its time."""
    m.paths.is_ready = lambda service: True
    line.close()
    m.turn(3)
    m.start(b"", HDLC)
    m.until(lambda: m.state(V2) == REPEATING)


def test_without_such_a_link():
    meter = Linked([["hdlc-tcp", "127.0.0.1", 0]])
    meter.start(b"127.0.0.1:9")
    meter.pass_(40)
    assert meter.state(V2) == READY and meter.notifier.lost == 0
    meter.close()


# --- At the optical port ------------------------------------------------------------------------


class Signed(Linked):
    """A client at an optical port, on a pseudo-terminal; it speaks first."""

    definition = "push_optical.toml"

    def __init__(self, mode):
        self.master, self.slave = pty.openpty()
        for fd in (self.master, self.slave):
            tty.setraw(fd)
            os.set_blocking(fd, False)
        super().__init__([["optical-pty", "head", os.dup(self.master)]])
        self.put_port_mode(mode)

    def put_port_mode(self, mode):
        row = self.row("0.0.20.0.0.255", 19)
        assert self.model.write(row, 2, enum(mode), 0, 2) == 0
        apply(self.model, self.links)
        self.turn(2)

    def say(self, octets):
        os.write(self.slave, octets)

    def hear(self, enough=1):
        heard = b""

        def came():
            nonlocal heard
            try:
                heard += os.read(self.slave, 4096)
            except BlockingIOError:
                pass
            return len(heard) >= enough

        self.until(came)
        return heard

    def sign_on(self):
        self.say(b"/?!\r\n")
        assert self.hear(16).startswith(b"/PMT")
        self.say(b"\x06252\r\n")
        assert self.hear(6) == b"\x06252\r\n"

    def close(self):
        super().close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture(params=["mode E", "direct HDLC"])
def head(request):
    meter = Signed(0 if request.param == "mode E" else 1)
    if request.param == "mode E":
        meter.sign_on()
    yield meter
    meter.close()


def test_a_push_at_the_optical_port(head):
    """A UI frame, once there is a data link: before that nobody is known to listen."""
    head.start(b"", HDLC)
    head.pass_(3)
    assert head.state(V2) == READY and head.notifier.lost == 0
    client = HDLCClient(head.say, head.hear, 16)
    client.connect()
    assert body(ui(head.hear())[2][3:]) == [b"42"]
    head.until(lambda: head.notifier.done)
    assert client.ask(
        bytes.fromhex("601DA109060760857405080101BE10040E01000000065F1F040000101D0400")
    )
    head.start(b"", HDLC)
    assert body(ui(head.hear())[2][3:]) == [b"42"]
    assert client.ask(bytes.fromhex("C001C1000100002A0000FF0200"))[:2] == b"\xc4\x01"


def test_nothing_is_pushed_into_a_readout():
    """While the port speaks its own protocol there is no path."""
    meter = Signed(0)
    meter.start(b"", HDLC)
    meter.say(b"/?!\r\n")
    assert meter.hear(16).startswith(b"/PMT")
    meter.pass_(1)
    assert meter.state(V2) == READY
    meter.say(b"\x06050\r\n")
    assert meter.hear(10).startswith(b"\x02")
    assert meter.state(V2) == READY and meter.notifier.lost == 0
    meter.close()


def test_a_session_that_ends_before_the_push_has_left(head):
    client = HDLCClient(head.say, head.hear, 16)
    client.connect()
    head.start(b"", HDLC)
    profile = head.links[0].pace.profile.hdlc
    profile.configure(-1, -1, -1, -1, 6000, -1, -1)
    head.say(client.frame(0x53)[:5])
    head.turn(3)
    assert head.state(V2) == SENDING
    head.links[0].pace.profile.reset()
    head.until(lambda: head.state(V2) == REPEATING)


def test_a_session_that_times_out_takes_the_push_with_it(head):
    """What has not left by then is taken back: nobody is there, or somebody else."""
    client = HDLCClient(head.say, head.hear, 16)
    client.connect()
    head.start(b"", HDLC)
    profile = head.links[0].pace.profile.hdlc
    profile.configure(-1, -1, -1, -1, 6000, 1, -1)
    head.say(client.frame(0x53)[:5])
    head.turn(3)
    assert head.state(V2) == SENDING and profile.note_buf is not None
    head.until(lambda: head.state(V2) == REPEATING)
    assert profile.note_buf is None


def test_an_event_at_the_optical_port(head):
    client = HDLCClient(head.say, head.hear, 1)
    client.connect()
    assert client.ask(AARQ)[0] == 0x61
    told(head, lambda: ui(head.hear())[2][3:])
    assert client.ask(bytes.fromhex("C001C1000100002A0000FF0200"))[:2] == b"\xc4\x01"


def test_an_rs_485_line(m, monkeypatch):
    """What is behind links/line.py: a half-duplex line."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    meter = Linked([["hdlc-tty", os.ttyname(slave), 9600]])
    meter.start(b"", HDLC)
    meter.until(lambda: meter.notifier.done)
    assert body(ui(os.read(master, 200))[2][3:]) == [b"42"]
    meter.close()
    os.close(master)
    os.close(slave)


# --- To associations ----------------------------------------------------------------------------


def told(m, receive):
    """What the client of the one association that is open is told of an event."""
    (a,) = (a for a in m.server.associations if a.state)
    m.notifier.event(a, m.row("0.0.96.1.0.255", 1), 2)
    done = m.notifier.done
    m.until(lambda: m.notifier.done > done)
    apdu = receive()
    assert apdu[:2] == b"\xc2\x01"
    assert apdu.endswith(bytes.fromhex("0001 0000600100FF 02 0902 3432"))


def test_an_event_over_tcp(m):
    with socket.create_connection(("127.0.0.1", m.at["wrapper-tcp"])) as s:
        s.setblocking(False)
        s.sendall(wrapped(1, 1, AARQ))
        assert wpdu(received(m, s))[2][0] == 0x61
        told(m, lambda: wpdu(received(m, s))[2])


def test_an_event_over_udp(m, endpoint):
    endpoint.setblocking(False)
    endpoint.sendto(wrapped(1, 1, AARQ), ("127.0.0.1", m.at["wrapper-udp"]))
    assert wpdu(received(m, endpoint))[2][0] == 0x61
    told(m, lambda: wpdu(received(m, endpoint))[2])


def test_an_event_over_hdlc(m, line):
    client = HDLCClient(line.sendall, lambda: received(m, line, 1), 1)
    client.connect()
    assert client.ask(AARQ)[0] == 0x61
    told(m, lambda: ui(received(m, line))[2][3:])
    # And goes on.
    assert client.ask(bytes.fromhex("C001C1000100002A0000FF0200"))[:2] == b"\xc4\x01"
