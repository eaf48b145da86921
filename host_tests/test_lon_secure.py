# SPDX-License-Identifier: MIT
"""firmware/links/lon_secure.py: a client that has its own code (`cryptography`) over the simulated
network of test_lon.py."""

import os
import random

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.cmac import CMAC
from firmware.links.lon_secure import Secure
from firmware.ports import ciphers
from test_lon import (
    AARQ,
    AARQ_SECRET,
    GET_LONG,
    GET_NAME,
    GOT_LONG,
    METER,
    NAME,
    REFUSED,
    SET_LONG,
    UNIQUE,
    Bench,
    head,
)

KEY = bytes(range(16))
MORE, PROTECTED, NUMBERED, PULL = 8, 4, 2, 1


def random_fill(buf):
    buf[:] = os.urandom(len(buf))


class Client:
    """The client's side of protected messages."""

    def __init__(self, bench, key=KEY):
        self.bench = bench
        self.master = key
        self.key = self.session = None
        self.counter = 0
        self.heard = 0

    def greet(self):
        chance = os.urandom(8)
        response = self.bench.say(head(PROTECTED | PULL) + chance)
        assert response[:4] == head(PROTECTED | PULL) and len(response) == 12
        c = CMAC(algorithms.AES(self.master))
        c.update(b"PMT LON\x01" + chance + response[4:] + UNIQUE)
        self.session = c.finalize()[:8]
        c = CMAC(algorithms.AES(self.master))
        c.update(b"PMT LON\x02")
        self.key = c.finalize()
        self.counter = self.heard = 0

    def sealed(self, header, apdu, counter=None):
        if counter is None:
            self.counter += 1
            counter = self.counter
        octets = counter.to_bytes(4, "big")
        nonce = self.session + b"\0" + octets
        text = AESCCM(self.key, 8).encrypt(nonce, apdu, header + octets)
        return header + octets + text

    def opened(self, response):
        """Header and octets of a response."""
        n = 5 if response[1] & NUMBERED else 4
        counter = response[n : n + 4]
        assert response[1] & PROTECTED and int.from_bytes(counter, "big") > self.heard
        self.heard = int.from_bytes(counter, "big")
        nonce = self.session + b"\1" + counter
        return response[:n], AESCCM(self.key, 8).decrypt(
            nonce, response[n + 4 :], response[: n + 4]
        )

    def ask(self, apdu, client=16):
        room = 80
        pieces = [apdu[i : i + room] for i in range(0, len(apdu), room)]
        for k, piece in enumerate(pieces):
            if len(pieces) == 1:
                header = head(PROTECTED, client)
            else:
                more = MORE if k < len(pieces) - 1 else 0
                header = head(PROTECTED | NUMBERED | more, client, number=k)
            response = self.bench.say(self.sealed(header, piece))
        answer = b""
        while True:
            header, octets = self.opened(response)
            answer += octets
            if not header[1] & MORE:
                return answer
            pull = head(PROTECTED | NUMBERED | PULL, client, number=header[4] + 1)
            response = self.bench.say(self.sealed(pull, b""))


@pytest.fixture
def bench():
    bench = Bench()
    bench.lon.secure = Secure(ciphers.aes, KEY, UNIQUE, random_fill)
    return bench


@pytest.fixture
def client(bench):
    c = Client(bench)
    c.greet()
    return c


def test_a_session(bench, client):
    assert client.ask(AARQ)[:1] == b"\x61"
    assert client.ask(GET_NAME) == NAME


def test_segments(bench, client):
    client.ask(AARQ_SECRET, 1)
    assert client.ask(SET_LONG, 1).hex() == "c501c100"
    assert client.ask(GET_LONG, 1) == GOT_LONG


def test_with_frames_lost():
    bench = Bench(0.3, 4)
    bench.patient()
    bench.lon.secure = Secure(ciphers.aes, KEY, UNIQUE, random_fill)
    c = Client(bench)
    c.greet()
    assert c.ask(AARQ)[:1] == b"\x61" and c.ask(GET_NAME) == NAME


def test_what_is_not_protected_is_served_beside_it_unless_it_must_not(bench, client):
    assert bench.ask(AARQ)[:1] == b"\x61"
    bench.lon.only = True
    assert bench.ask(GET_NAME) == "refused"
    assert client.ask(GET_NAME) == NAME


def test_every_wrong_octet_is_refused(bench, client):
    bench.head_end.tries = 1
    client.ask(AARQ)
    good = client.sealed(head(PROTECTED), GET_NAME)
    refused = bench.lon.secure.n_refused
    for k in range(2, len(good)):
        octets = bytearray(good)
        octets[k] ^= 0x01
        response = bench.say(bytes(octets))
        assert response[1] & PROTECTED and len(response) == 4
    assert bench.lon.secure.n_refused == refused + len(good) - 3, "but for no such device"
    assert client.opened(bench.say(good))[1] == NAME


def test_an_answer_is_as_protected_as_its_request(bench, client):
    """Whoever pulls the rest of it has to be, and segments of a request are all or none."""
    client.ask(AARQ_SECRET, 1)
    client.ask(SET_LONG, 1)
    header, _ = client.opened(bench.say(client.sealed(head(PROTECTED, 1), GET_LONG)))
    assert header[1] & MORE
    for number in range(2):
        response = bench.say(head(NUMBERED | PULL, 1, number=number))
        assert response == head(PROTECTED, 1)
    first = head(PROTECTED | NUMBERED | MORE, 1, number=0)
    client.opened(bench.say(client.sealed(first, SET_LONG[:80])))
    second = head(NUMBERED | MORE, 1, number=1) + SET_LONG[80:160]
    assert bench.say(second) == head(PROTECTED, 1)


def test_what_comes_while_the_server_works_changes_nothing(bench, client):
    """An unacknowledged message, not protected: the answer is, and to what was asked."""
    client.ask(AARQ)
    request = bench.meter.server.request
    message = client.sealed(head(PROTECTED), GET_NAME)
    junk = bench.head_end.lpdu(3, METER, b"", head(0) + AARQ)
    turns = []

    def slow(*args):
        turns.append(1)
        if len(turns) > 5:
            return request(*args)
        node = bench.lon.node
        if len(turns) > 1:
            node.held = bench.lon._again
            assert not node.receive(junk, 0, len(junk), bench.clock.now_ms)
        return -1

    bench.meter.server.request = slow
    assert client.opened(bench.say(message))[1] == NAME


def test_what_is_played_again_is_refused(bench, client):
    client.ask(AARQ)
    message = client.sealed(head(PROTECTED), GET_NAME)
    assert client.opened(bench.say(message))[1] == NAME
    assert bench.say(message) == REFUSED
    assert bench.say(client.sealed(head(PROTECTED), GET_NAME, counter=1)) == REFUSED


def test_a_message_for_another_device_is_refused(bench, client):
    """The header is authenticated."""
    message = client.sealed(head(PROTECTED), GET_NAME)
    assert bench.say(head(PROTECTED, server=16) + message[4:]) == head(PROTECTED, server=16)


def test_a_stranger_ends_no_session(bench, client):
    client.ask(AARQ)
    stranger = Client(bench, bytes(16))
    stranger.greet()
    assert bench.say(stranger.sealed(head(PROTECTED), GET_NAME)) == REFUSED
    assert client.ask(GET_NAME) == NAME
    client.greet()
    assert client.ask(GET_NAME) == NAME, "a new session, the same association"


def test_nothing_of_a_session_outlives_another(bench, client):
    message = client.sealed(head(PROTECTED), AARQ)
    client.greet()
    assert client.ask(AARQ)[:1] == b"\x61"
    assert bench.say(message) == REFUSED


@pytest.mark.parametrize(
    "what, message",
    [
        ("no session", head(PROTECTED) + bytes(20)),
        ("shorter than a tag", head(PROTECTED) + bytes(11)),
        ("a chance of client 0", head(PROTECTED | PULL, 0) + bytes(8)),
        ("a chance for no such device", head(PROTECTED | PULL, server=5) + bytes(8)),
        ("a chance that is too short", head(PROTECTED | PULL) + bytes(7)),
        ("a chance that is too long", head(PROTECTED | PULL) + bytes(9)),
    ],
)
def test_what_is_refused(bench, what, message):
    assert bench.say(message) == head(PROTECTED, message[2], message[3])


def test_another_unique_identifier_is_that_of_the_next_session(bench, client):
    unique = bytearray(UNIQUE)
    bench.lon.secure = Secure(ciphers.aes, KEY, unique, random_fill)
    client.greet()
    unique[0] ^= 1
    assert client.ask(AARQ)[:1] == b"\x61"
    client.greet()
    assert bench.say(client.sealed(head(PROTECTED), GET_NAME)) == REFUSED, "the client's is old"


def test_the_link_goes_and_the_session_with_it(bench, client):
    client.ask(AARQ)
    bench.lon.reset()
    bench.lon.open(bench.station.ticks_ms())
    bench.run(100)
    assert bench.say(client.sealed(head(PROTECTED), GET_NAME)) == REFUSED
    client.greet()
    assert client.ask(GET_NAME).hex() == "d80101", "the association has gone, too"


def test_protected_messages_to_all_hear_nothing(bench, client):
    before = len(bench.head_end.heard)
    octets = client.sealed(head(PROTECTED), GET_NAME)
    bench.head_end.put(bench.head_end.lpdu(0, 0, b"\x13", octets))
    bench.run(2000)
    assert len(bench.head_end.heard) == before
    assert bench.head_end.request(METER, head(0) + AARQ) is not None


@pytest.mark.parametrize("seed", range(20 if os.environ.get("PICOMETER_ALL") else 3))
def test_messages_by_chance(seed):
    """Every kind of frame, flag and number, protected or not, good messages among them: nothing
    fails, and when it is over a client is served."""
    bench = Bench(seed=seed)
    bench.lon.secure = Secure(ciphers.aes, KEY, UNIQUE, random_fill)
    client = Client(bench)
    client.greet()
    chance = random.Random(seed)
    node = bench.lon.node
    good = (AARQ, AARQ_SECRET, GET_NAME, GET_LONG, SET_LONG[:80], b"", bytes(8))
    for _ in range(300):
        flags = chance.randrange(16)
        number = chance.randrange(4) if flags & NUMBERED else None
        header = head(flags, chance.choice((0, 1, 16)), chance.choice((1, 5, 255)), number)
        apdu = chance.choice(good) if chance.random() < 0.8 else chance.randbytes(40)
        message = header + apdu
        if flags & PROTECTED and chance.random() < 0.8:
            message = client.sealed(header, apdu)
        kind = chance.choice((0, 1, 1, 3))
        pdu = b"" if kind == 3 else bytes((chance.choice((0, 0, 0x10)) | chance.randrange(16),))
        to = chance.choice((METER, METER, UNIQUE, 0))
        lpdu = bench.head_end.lpdu(kind, to, pdu, message)
        if chance.random() < 0.2:
            at = chance.randrange(len(lpdu))
            lpdu = lpdu[:at] + chance.randbytes(1) + lpdu[at + 1 :]
        bench.head_end.put(lpdu)
        bench.run(chance.choice((5, 50, 500)))
        assert bench.meter.server.fault is None
    bench.run(node.receive_ms + 2000)
    assert bench.ask(AARQ)[:1] == b"\x61" and bench.ask(GET_NAME) == NAME
    client.greet()
    assert client.ask(GET_NAME) == NAME


def test_keys_of_another_length():
    with pytest.raises(ValueError):
        Secure(ciphers.aes, bytes(15), UNIQUE, random_fill)
