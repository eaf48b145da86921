# SPDX-License-Identifier: MIT
"""profiles/repeated.py in the two profiles that have it: who asks again, octet for octet, hears
the same answer, and nothing is done twice. Each row is a request, and how long it counts as said
again; then ciphered ones, with a server that deciphers where they lie.
"""

import pytest
import small
from profiles.llc_432 import LLC432
from profiles.wrapper import Wrapper
from secure import AE, A, Client, E
from test_links import Poller, Port, datagram
from test_wrapper import Channel, wpdu

from firmware.links import udp

TICK_MS = 1001
NEVER, A_WHILE, ALWAYS = 0, 30000, 1 << 24

ACCEPTED = "6117 A109060760857405080101 A203020100 A305A103020100"
REFUSED = "618117 A109060760857405080101 A203020101 A305A10302010D"

# request, the answer to it, how long it is said again
ROWS = {
    "GET": ("C001C1 0003 0100010800FF 02 00", "C401C1000501", NEVER),
    "GET with-list": ("C003C1 01 0003 0100010800FF 02 00", "C403C101000501", NEVER),
    "GET next": ("C002C1 00000001", "C402C1 01 00000002 00 0100", ALWAYS),
    "SET": ("C101C1 0003 0100010800FF 02 00 0501", "C501C100", A_WHILE),
    "SET that is refused": ("C101C1 0003 0100010800FF 02 00 0501", "C501C103", NEVER),
    "SET first block": ("C102C1 0003 0100010800FF 02 00 00 00000001 01", "C502C10001", ALWAYS),
    "SET block": ("C103C1 00 00000002 0101", "C502C100000002", ALWAYS),
    "SET last block": ("C103C1 01 00000003 0101", "C503C10000000003", ALWAYS),
    "SET with-list, first block": ("C105C1 01 0000", "C502C100000001", ALWAYS),
    "SET with-list": ("C104C1 01 0003 0100010800FF 02 00 01 0501", "C505C10100", A_WHILE),
    "ACTION": ("C301C1 0009 00000A0064FF 01 01 120001", "C701C10000", A_WHILE),
    "ACTION that is refused": ("C301C1 0009 00000A0064FF 01 00", "C701C10300", NEVER),
    "ACTION next": ("C302C1 00000001", "C702C1 01 00000002 0100", ALWAYS),
    "ACTION with-list": ("C303C1 01 0009 00000A0064FF 01 01 00", "C703C1010000", A_WHILE),
    "ACTION first block": ("C304C1 0009 00000A0064FF 01 00 00000001 00", "C704C100000001", ALWAYS),
    "ACTION with-list, block": ("C305C1 01 0009", "C704C100000001", ALWAYS),
    "ACTION block": ("C306C1 01 00000002 00", "C701C10000", ALWAYS),
    "not possible now": ("C301C1 0009 00000A0064FF 01 00", "D80201", NEVER),
    "ACCESS": ("D9 40000001 00 00 00", "DA 40000001 00 00 00", A_WHILE),
    "Read": ("0501 02 0008", "0C010005", NEVER),
    "Read, block": ("0501 05 0001", "0C0102", ALWAYS),
    "Write": ("0601 02 0008 01 0501", "0D0100", A_WHILE),
    "AARQ": ("6003A10100", ACCEPTED, A_WHILE),
    "Write that is refused": ("0601 02 0008 01 0501", "0D01 01 03", NEVER),
    "Write, not possible now": ("0601 02 0008 01 0501", "0E06 02 02", NEVER),
    "AARQ that is refused": ("6003A10100", REFUSED, NEVER),
    "RLRQ": ("620380 0100", "63038001 00", A_WHILE),
    "RLRQ without a reason": ("6200", "63038001 00", A_WHILE),
    "general block": ("E0 81 0001 0000 01 00", "E0 81 0001 0001 01 00", NEVER),
    "gateway": ("E6 00 00 C001C1", "E7 00 00 C401", NEVER),
    "ciphered GET": ("C8 05 30 00000001" + "01" * 20, "CC00", ALWAYS),
    "dedicated SET": ("D1 05 30 00000001" + "02" * 20, "D500", ALWAYS),
    "ciphered Read": ("25 05 30 00000001" + "03" * 20, "2C00", ALWAYS),
    "general-glo": ("DB 08 0102030405060708 30" + "04" * 20, "DB00", ALWAYS),
    "general-signing": ("DF 00" + "05" * 20, "DF00", ALWAYS),
    "too short for a tag": ("C8 05 30", "CC00", NEVER),
}  # fmt: skip


class Server:
    """Deciphers what is ciphered where it lies, but for its tag; counts what it has done."""

    def __init__(self):
        self.n_done = 0
        self.answer = b""

    def request(self, channel, client_sap, server_sap, buf, pos, end, flags):
        self.n_done += 1
        if buf[pos] & 0xF0 not in (0x60, 0xE0) and buf[pos] >= 0xC8 or 0x20 < buf[pos] < 0x60:
            for k in range(pos + 7, end - 12):
                buf[k] ^= 0x55
        channel.tx_pos = 33
        channel.tx[33 : 33 + len(self.answer)] = self.answer
        return len(self.answer)


class Side:
    def __init__(self):
        self.server = Server()
        self.channel = Channel(200)
        self.now_ms = 0x3FFFFF00
        self.profile = self.make()

    def say(self, apdu, client=16):
        """A request; the answer to it, None: there is none."""
        octets = self.frame(apdu, client)
        self.hear(octets)
        n = self.profile.transmit(self.now_ms)
        if not n:
            return None
        at = self.profile.out_pos
        answer = bytes(self.profile.out[at : at + n])
        assert not self.profile.transmit(self.now_ms)
        self.left()
        return answer

    def wait(self, ms):
        while ms > 0:
            self.now_ms = self.now_ms + min(ms, TICK_MS) & 0x3FFFFFFF
            self.profile.tick(self.now_ms)
            ms -= TICK_MS


class UDP(Side):
    def make(self):
        return Wrapper(self.server, self.channel, True, (1,))

    def frame(self, apdu, client):
        return wpdu(apdu, client)

    def hear(self, octets):
        self.profile.receive(octets, 0, len(octets), self.now_ms)

    def left(self):
        pass


class LLC(Side):
    def make(self):
        return LLC432(self.server, self.channel, 200, (1,))

    def frame(self, apdu, client):
        return bytes((0x90, 1, client)) + apdu

    def hear(self, octets):
        self.profile.receive(octets, 0, len(octets), False, self.now_ms)

    def left(self):
        self.profile.sent(True)


BOTH = pytest.mark.parametrize("side", [UDP, LLC])


def row(name):
    request, answer, kept_ms = ROWS[name]
    return bytes.fromhex(request), bytes.fromhex(answer), kept_ms


@BOTH
@pytest.mark.parametrize("name", ROWS)
def test_what_comes_again_is_not_done_again(side, name):
    request, answer, kept_ms = row(name)
    here = side()
    here.server.answer = answer
    first = here.say(request)
    if kept_ms:
        here.server.answer = bytes(len(answer))  # whoever is served again hears this
    for again in range(1, 4):
        here.wait(5000)
        found = here.say(request)
        if kept_ms:
            assert found == first and here.server.n_done == 1
            assert here.profile.repeated == again
        else:
            assert here.server.n_done == 1 + again and not here.profile.repeated
    here.wait(15001)
    here.say(request)
    assert here.server.n_done == (1 if kept_ms == ALWAYS else 5 if kept_ms == NEVER else 2)


@BOTH
@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name][2]])
def test_what_differs_is_another_request(side, name):
    """An octet, the client, the length: each alone. Of a ciphered one the tag is enough."""
    request, answer, _ = row(name)
    ciphered = len(request) > 20 and request[0] not in (0xC1, 0xC3)
    for k in range(0, len(request), len(request) - 1 if ciphered else 1):
        here = side()
        here.server.answer = answer
        here.say(request)
        here.say(request[:k] + bytes((request[k] ^ 1,)) + request[k + 1 :])
        assert here.server.n_done == 2, k
    here = side()
    here.server.answer = answer
    here.say(request)
    here.say(request, 17)
    here.say(request + b"\0", 17)
    assert here.server.n_done == 3


@BOTH
def test_something_in_between_makes_it_new(side):
    request, answer, _ = row("ACTION")
    here = side()
    here.server.answer = answer
    for apdu in (request, row("GET")[0], request):
        here.say(apdu)
    assert here.server.n_done == 3


@BOTH
def test_a_client_that_is_gone_is_not_repeated(side):
    request, answer, _ = row("ACTION")
    here = side()
    here.server.answer = answer
    here.say(request)
    (here.profile.reset if side is UDP else here.profile.release)()
    here.say(request)
    assert here.server.n_done == 2


@BOTH
@pytest.mark.parametrize("name", ["ACTION", "AARQ", "ciphered GET"])
def test_ticks_that_begin_anew_make_nothing_young_again(side, name):
    """2**30 ms are 12 days in which nobody has said anything."""
    request, answer, kept_ms = row(name)
    here = side()
    here.server.answer = answer
    here.say(request)
    here.wait(1 << 30)
    here.say(request)
    assert here.server.n_done == (1 if kept_ms == ALWAYS else 2)


def test_over_tcp_nothing_is_lost_and_nothing_repeated():
    here = UDP()
    here.profile.udp = False
    request, here.server.answer, _ = row("GET next")
    for _ in range(2):
        here.say(request)
    assert here.server.n_done == 2


# --- With a meter, over UDP, where two peers have the same buffers -----------------------------

GET = "C00141 0001 0000603C01FF 02 00"
SET = "C10141 0001 0000603C01FF 02 00 0904CAFE0102"
AARQ = small.aarq(b"12345678").hex()
RLRQ = "6203800100"
NEXT = "C002C100000001"
LONG = "C001C1 000F 0000280000FF 02 00"


class Peers:
    def __init__(self):
        self.meter = small.Meter()
        server = self.meter.server
        first = Wrapper(server, server.channel(), True)
        second = Wrapper(server, server.channel(0, first.channel.tx), True, other=first)
        self.port = Port()
        self.link = udp.Endpoint(self.port, "wrapper-udp", "127.0.0.1", 0, [first, second])
        self.link.open(Poller())

    def say(self, hex_, peer, client, server):
        n = len(self.port.sent)
        head = b"".join(k.to_bytes(2, "big") for k in (1, client, server, len(hex_) // 2))
        datagram(self.port, self.link, head + bytes.fromhex(hex_), peer)
        while len(self.port.sent) == n:
            assert self.meter.server.todo
            self.meter.server.work()
            self.link.poll(0)
        assert len(self.port.sent) == n + 1 and self.port.sent[n][1] == peer
        return self.port.sent[n][0][8:].hex().upper()

    @property
    def repeated(self):
        return sum(place.profile.repeated for place in self.link.places)


class Talk:
    """What secure.Client talks to."""

    def __init__(self, peers, peer, client, server=17):
        self.meter, self.peers = peers.meter, peers
        self.peer, self.client, self.server = peer, client, server

    def say(self, hex_):
        return self.peers.say(hex_.replace(" ", ""), self.peer, self.client, self.server)


@pytest.mark.parametrize("sc", [A, AE])
@pytest.mark.parametrize("kind", ["glo", "general-glo", "ded"])
def test_a_ciphered_request_is_not_refused_for_its_counter(kind, sc):
    """Each datagram comes twice, those that open the association, too; the SET is done once."""
    peers = Peers()
    talk = Talk(peers, "A", 40)
    say = talk.say
    heard = []

    def twice(hex_):
        first = say(hex_)
        assert say(hex_) == first
        heard.append(first)
        return first

    talk.say = twice
    c = Client(talk, kind="glo" if kind == "ded" else kind, dedicated=bytes(16)).open()
    c.kind = kind
    edits = peers.meter.model.edits
    assert c.ask(SET, sc=sc) == "C5014100"
    assert peers.meter.model.edits == edits + 1
    assert c.ask(GET, sc=sc) == "C40141000904CAFE0102"
    assert peers.repeated == len(heard) == 4
    assert c.talk.say(RLRQ)[:2] == "63"


def test_what_is_encrypted_alone_has_no_tag_and_is_refused_when_it_comes_again():
    peers = Peers()
    c = Client(Talk(peers, "A", 40)).open()
    request = c.protect(bytes.fromhex(SET), sc=E).hex()
    assert c.talk.say(request)[:2] == "CD"
    assert c.talk.say(request)[:4] == "D801" and not peers.repeated


def test_what_another_peer_asks_makes_it_new():
    """Their requests and answers are in the same buffers: nobody hears what another one was
    told, though he asks for it with the same octets."""
    peers = Peers()
    a, b = Talk(peers, "A", 1, 1), Talk(peers, "B", 1, 1)
    opened = a.say(AARQ)
    assert opened[:2] == "61" and a.say(AARQ) == opened and peers.repeated == 1
    assert b.say(NEXT)[:2] == "D8"
    long = a.say(LONG)
    assert long[:4] == "C402"
    block = a.say(NEXT)
    assert b.say(NEXT)[:2] == "D8"
    assert a.say(NEXT) != block and peers.repeated == 1
