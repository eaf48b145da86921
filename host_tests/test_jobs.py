# SPDX-License-Identifier: MIT
"""Requests that need a job (lib/dlms/secured_association.py): they are asked again until it is
done, and are served once. The method that needs one here is key_transfer of Security setup, made
slow; ECDSA comes over HDLC, where the request is kept in frames and segments."""

import pytest
from crypto import ec
from cryptography.hazmat.primitives import keywrap
from firmware.links import udp
from profiles.hdlc import HDLC
from profiles.wrapper import Wrapper
from secure import KEK, Client
from small import Meter, aarq
from suites import ROWS, SigningClient, SuitesMeter
from test_hdlc import address
from test_hdlc_server import Line
from test_links import Poller, Port, datagram

from firmware.ports import ciphers

GET = "C00141 0001 0000603C01FF 02 00"
VALUE = "C401410009020102"
# Method 2 of Security setup 0.0.43.0.1, and of 0.0.43.0.2, with a list of no keys.
SLOW = "C30141 0040 00002B0000FF 02 01 0100".replace("2B0000", "2B0001")
DONE = "C701410000"


def slow(meter, result=(0, b""), steps=5):
    """From now on method 2 is slow; what it is asked for is gathered in the list returned."""
    handler = meter.model.handler("security_setup")
    calls = []

    def invoke(s, method, buf, pos, end):
        calls.append(("invoke", method, bytes(buf[pos:end])))
        return -1

    def job(a, row, method, octets):
        calls.append(("job", row, method, octets))
        for _ in range(steps):
            yield
        if isinstance(result, Exception):
            raise result
        return result

    handler.invoke, handler.job = invoke, job
    return calls


def plain(meter, **how):
    """A client of SHA-256, whose association does not cipher."""
    talk = meter.talk(client=46, server=17)
    return Client(talk, 6, context=1, kind=None, secret=b"secret of small", **how).open()


def ciphered(meter, **how):
    return Client(meter.talk(client=40, server=17), **how).open()


CLIENTS = pytest.mark.parametrize("client", [plain, ciphered])


@CLIENTS
def test_a_method_is_invoked_once_and_its_job_runs_once(client):
    meter = Meter()
    c = client(meter)
    calls = slow(meter)
    assert c.ask(SLOW) == DONE
    kinds = [call[0] for call in calls]
    assert kinds == ["invoke", "job"]
    assert calls[1][2:] == (2, b"\1\0")


@CLIENTS
def test_what_comes_back(client):
    meter = Meter()
    c = client(meter)
    slow(meter, (0, b"\x09\x03abc"))
    assert c.ask(SLOW) == "C7014100" + "0100" + "0903616263"


@CLIENTS
def test_a_result_that_is_none(client):
    meter = Meter()
    c = client(meter)
    slow(meter, (12, b""))
    assert c.ask(SLOW) == "C701410C00"


@CLIENTS
def test_return_data_that_have_no_room(client):
    meter = Meter()
    c = client(meter)
    slow(meter, (0, b"\x09\x82\x04\x00" + bytes(1024)))
    assert c.ask(SLOW) == "C70141FA00"


@CLIENTS
def test_a_job_that_fails_is_told_and_forgotten(client):
    meter = Meter()
    c = client(meter)
    slow(meter, ValueError("a fault in the meter"))
    with pytest.raises(ValueError):
        c.ask(SLOW)
    if c.kind:
        # The answer that the fault has hidden took a counter.
        assert c.ask("C00141 0001 0000603C01FF 02 00") == VALUE


def test_in_a_list_there_is_no_time_for_it():
    meter = Meter()
    c = ciphered(meter)
    calls = slow(meter)
    two = "C303C1 01 0040 00002B0001FF 02 01 0100".replace(" ", "")
    assert c.ask(two) == "C703C1" + "01" + "0200"
    assert [call[0] for call in calls] == ["invoke"]
    assert meter.server.todo in (0, 64)
    assert c.ask(GET) == VALUE


def test_unconfirmed_nothing_is_answered():
    meter = Meter()
    c = ciphered(meter)
    calls = slow(meter)
    assert c.ask(SLOW.replace("C30141", "C30101")) == ""
    assert [call[0] for call in calls] == ["invoke", "job"]


def test_a_parameter_in_blocks():
    meter = SuitesMeter()
    c = SigningClient(meter, 1).open()
    calls = slow(meter, (0, b"\x09\x01\x07"))
    head = "C304C1 0040 00002B0001FF 02".replace(" ", "")
    assert c.ask(head + "00 00000001 01 01") == "C704C100000001"
    assert c.ask("C306C1 00 00000002 01 00") == "C704C100000002"
    # Nothing is left of it in the last block but its end: no octets.
    assert c.ask("C306C1 01 00000003 00") == "C701C100" + "0100" + "090107"
    assert calls[-1][3] == b"\1\0"
    assert [call[0] for call in calls] == ["invoke", "job"]


def test_a_block_that_comes_first_and_last():
    meter = SuitesMeter()
    c = SigningClient(meter, 1).open()
    calls = slow(meter)
    head = "C304C1 0040 00002B0001FF 02".replace(" ", "")
    assert c.ask(head + "01 00000001 02 0100") == "C701C10000"
    assert [call[0] for call in calls] == ["invoke", "job"]


def test_two_clients_at_the_same_time():
    meter = Meter()
    first = plain(meter)
    second = plain(meter)
    calls = slow(meter, (0, b"\x09\x03abc"), steps=9)
    buf = bytearray.fromhex(SLOW)
    ask = meter.server.request
    assert ask(first.talk.channel, 46, 17, buf, 0, len(buf)) == -1
    meter.server.work()
    assert second.ask(SLOW) == "C70141000100" + "0903616263"
    n = -1
    while n < 0:
        n = ask(first.talk.channel, 46, 17, buf, 0, len(buf))
        meter.server.work()
    assert n == 11
    assert [call[0] for call in calls].count("job") == 2


def test_what_finds_no_room_is_refused():
    """The part that a SET needs cannot be loaded, and the firmware gives it up."""
    meter = Meter()
    talk = meter.talk(client=32, server=17)
    talk.say(aarq(b"12345678").hex())
    server, channel = meter.server, talk.channel
    load, meter.model.load = meter.model.load, full
    server.forget(True)
    apdu = bytearray(bytes.fromhex("C10141 0001 0000603C01FF 02 00 0900"))
    for _ in range(2):
        assert server.request(channel, 32, 17, apdu, 0, len(apdu)) == -1
        with pytest.raises(MemoryError) as e:
            server.work()
        server.refuse(e.value)
        n = server.request(channel, 32, 17, apdu, 0, len(apdu))
        assert bytes(channel.tx[channel.tx_pos :][:n]).hex() == "d80101"
    meter.model.load, server.fault = load, None
    assert talk.say(apdu.hex())[:6] == "C50141"


def test_security_that_finds_no_room_at_first():
    """What opens associations was let go of for it meanwhile, and is wanted first again."""
    meter = Meter()
    talk = meter.talk(client=40, server=17)
    server, channel = meter.server, talk.channel
    load, meter.model.load = meter.model.load, lambda n: full(n) if "sec" in n else load(n)
    apdu = bytearray(Client(talk).aarq())
    for _ in range(4):
        assert server.request(channel, 40, 17, apdu, 0, len(apdu)) == -1
        try:
            server.work()
        except MemoryError:
            server.forget(True)
    meter.model.load = load
    assert talk.say(apdu.hex())[:2] == "61"


def full(name):
    raise MemoryError


# --- Over HDLC


class HDLCTalk:
    """What secure.Client talks to, over HDLC with segments of `info` octets."""

    def __init__(self, meter, client, info):
        line = self.line = Line(info=(info, info), client=client, meter=meter)
        line.hdlc = HDLC(line.server, line.channel, saps=(17,), max_info=max(info, 128))
        line.link = line.hdlc.links[0]
        line.who["server"] = address(17, 17)
        line.flush, flush = self.flush, line.flush
        self._flush = flush
        line.snrm()

    def flush(self):
        back = self._flush()
        while self.line.meter.server.todo and not back:
            self.line.meter.server.work()
            back = self._flush()
        return back

    def say(self, hex_):
        return self.line.ask(hex_.replace(" ", ""))


@pytest.mark.parametrize("info", [32, 128, 1024])
@pytest.mark.parametrize("elliptic", [ciphers.work, lambda name: ec.new(name, ciphers.new_hash)])
def test_ecdsa_over_hdlc(info, elliptic):
    """A request is deciphered where it lies, and then waits there, check sequence and all."""
    meter = SuitesMeter(elliptic=elliptic)
    c = SigningClient(meter, 1)
    c.talk = HDLCTalk(meter, 51, info)
    c.open()
    assert c.ask(GET) == VALUE


def test_the_line_is_dropped_in_the_middle():
    meter = SuitesMeter(elliptic=lambda name: ec.new(name, ciphers.new_hash))
    c = SigningClient(meter, 1)
    c.talk = HDLCTalk(meter, 51, 64)
    c.begin()
    proof = c.f()
    c.talk.flush = c.talk._flush
    c.talk.line.flush = c.talk._flush
    hex_ = "C30141 000F0000280000FF 01 01 0940" + proof.hex()
    assert c.talk.line.send(c.protect(bytes.fromhex(hex_)).hex()) is not None
    for _ in range(5):
        meter.server.work()
        assert c.talk._flush() == []
    c.talk.line.hdlc.reset()
    meter.server.work()
    assert meter.server.todo == 0
    again = SigningClient(meter, 1, ic=20)
    again.talk = HDLCTalk(meter, 51, 64)
    again.open()


# --- Over UDP, where all peers have the same buffers


def wpdu(client, apdu):
    return b"".join(n.to_bytes(2, "big") for n in (1, client, 17, len(apdu))) + apdu


class UDPTalk:
    """What secure.Client talks to, over UDP."""

    def __init__(self, meter, client, port, link):
        self.meter, self.client, self.port, self.link = meter, client, port, link

    def say(self, hex_):
        n = len(self.port.sent)
        datagram(self.port, self.link, wpdu(self.client, bytes.fromhex(hex_)), "A")
        while len(self.port.sent) == n:
            self.meter.server.work()
            self.link.poll(0)
        return self.port.sent[-1][0][8:].hex()


def test_what_a_stranger_sends_is_not_taken_for_a_request_that_waits():
    meter = SuitesMeter()
    port = Port()
    first = Wrapper(meter.server, meter.server.channel(), True)
    second = Wrapper(meter.server, meter.server.channel(0, first.channel.tx), True, other=first)
    link = udp.Endpoint(port, "wrapper-udp", "127.0.0.1", 0, [first, second])
    link.open(Poller())
    c = SigningClient(meter, 1)
    c.talk = UDPTalk(meter, 51, port, link)
    c.open()
    slow(meter)
    # In plain text, where the client's request is in plain text by now.
    forged = wpdu(16, bytes(7) + bytes.fromhex("C10141 0001 0000603C01FF 02 00 0900"))
    request = c.protect(bytes.fromhex(SLOW))
    datagram(port, link, wpdu(51, request), "A")
    n = len(port.sent)
    meter.server.work()
    datagram(port, link, forged, "B")
    for _ in range(20):
        meter.server.work()
        link.poll(0)
    assert c.unprotect(port.sent[n][0][8:]).hex().upper() == DONE
    assert c.ask(GET) == VALUE


# --- What a client leaves behind


def until_done(meter, talk, apdu):
    """A request whose answer is never fetched: its job has ended."""
    buf = bytearray(apdu)
    ask = meter.server.request
    while True:
        assert ask(talk.channel, talk.client, talk.server, buf, 0, len(buf)) == -1
        meter.server.work()
        (a,) = [a for a in meter.server.associations if a.channel is talk.channel]
        if a.asks and a.code is not None:
            return


def test_keys_that_were_never_put_in_force_are_forgotten():
    """The next client in that place, of another Security setup, does not put them in force."""
    meter = SuitesMeter()
    first = SigningClient(meter, 1).open()
    wrapped = keywrap.aes_key_wrap(KEK, bytes(16)).hex()
    transfer = "C30141 0040 00002B0001FF 02 01 01 01 0202 1600 0918" + wrapped
    until_done(meter, first.talk, first.protect(bytes.fromhex(transfer)))
    first.talk.channel.release()
    at = meter.model.state(ROWS[2], 0)
    before = bytes(meter.model.image[at : at + 128])
    for k in range(3):
        other = SigningClient(meter, 2, ic=100 * k).open()
        assert other.ask("C30141 0040 00002B0002FF 04 01 1600") == DONE
        assert bytes(meter.model.image[at : at + 128]) == before
