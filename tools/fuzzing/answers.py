# SPDX-License-Identifier: MIT
"""Targets with answers of others: slaves on M-Bus, and meters behind the gateway."""

import small
from dlms import gateway
from profiles.hdlc_client import HDLCClient
from profiles.mbus import Master
from profiles.wrapper_client import WrapperClient

from fuzzing import oracles
from fuzzing.lines import GET, frame, frames_in
from fuzzing.octets import Octets, put


def target_mbus_link():
    master = Master()

    def one(octets):
        o = Octets(octets)
        now_ms = 0
        while o:
            want = o.u8() % 4
            address = o.one_of((1, 5, 253, 254))
            if want == 3:
                master.out[7:11] = b"\1\2\3\4"
                master.long(0x53, address, 0x51, 4, 1)
            else:
                master.short((0x40, 0x5B, 0x7B)[want], address, want)
            if o.u8() & 1:
                master.once()
            for _ in range(4):
                n = master.transmit(now_ms)
                assert n <= len(master.out)
                kind = o.u8() % 4
                heard = o.some()
                if kind == 1:
                    body = bytes((0x08, address, 0x72)) + heard
                    body = body[:255]
                    head = bytes((0x68, len(body), len(body), 0x68))
                    heard = head + body + bytes((sum(body) & 0xFF, 0x16))
                assert master.receive(bytearray(heard), 0, len(heard), now_ms) == len(heard)
                now_ms += o.u16() & 0xFFF
                master.tick(now_ms)
                assert 0 <= master.n <= len(master.rx)
            if o.u8() & 1:
                master.reset()

    answer = bytes.fromhex("7885 12 00 77 04 07 01 00 00 00 0C 78 56 34 12 00".replace(" ", ""))
    one.seeds = [
        b"\0\1\0\0" + put(b"\xe5") + b"\0\x10",
        b"\2\1\0\1" + put(answer) + b"\0\x10",
        b"\2\1\0\0" + put(bytes.fromhex("680F0F680801727856341224400107550000000316")),
    ]
    return one


class NoLinkOwner:
    pass


def turn(o, client, hdlc, now_ms):
    """What a client of another meter says, and what it hears then."""
    n = client.transmit(now_ms)
    assert 0 <= n <= len(client.out)
    if hdlc and n:
        frames_in(bytes(client.out[client.out_pos : client.out_pos + n]))
    kind = o.u8() % 4
    if kind == 0:
        heard = o.some()
    elif hdlc:
        info = o.some()
        heard = frame(b"\x03", b"\x03", o.u8(), info, bool(o.u8() & 1))
    else:
        apdu = o.some()
        heard = b"\0\1\0\1\0\1" + len(apdu).to_bytes(2, "big") + apdu
    buf = bytearray(heard)
    pos = 0
    for _ in range(len(buf) + 1):
        pos = client.receive(buf, pos, len(buf), now_ms)
        assert pos <= len(buf)
        if pos == len(buf):
            break


def target_clients():
    """A client of either kind asks; what comes back is the input."""
    made = [HDLCClient(300, 5000), WrapperClient(300, 5000)]

    def one(octets):
        o = Octets(octets)
        client = made[o.u8() & 1]
        hdlc = client is made[0]
        now_ms = 0
        client.reset()
        client.closed = False
        if client.owner is not None:
            client.release()
        client.owner = None
        client.begin(NoLinkOwner, 1, 1, 0)
        asked = o.some()[:200] or GET
        assert client.ask(asked, 0, len(asked), True)
        while o:
            turn(o, client, hdlc, now_ms)
            now_ms += o.u8() * 20
            client.tick(now_ms)
            if client.state == 4:  # answered
                assert 0 <= client.pos <= client.end <= len(client.buf)
                client.taken()
                assert client.ask(GET, 0, len(GET), True)

    one.seeds = [
        b"\0" + put(GET) + b"\1" + put(b"") + b"\x73\0\1" + b"\1"
        + put(b"\xe6\xe7\0\xc4\1\xc1\0\x09\0") + b"\x30\0\1",
        b"\1" + put(GET) + b"\1" + put(bytes.fromhex("C401C1000900")) + b"\1",
        b"\1" + put(GET) + b"\0" + put(bytes.fromhex("00010001000100")) + b"\1",
    ]  # fmt: skip
    return one


def target_gateway():
    """Requests with a prefix, and whatever comes back from the networks behind the meter."""
    meter = small.Meter()
    server = meter.server
    channel = server.channel()
    networks = {5: WrapperClient(300, 5000), 6: HDLCClient(300, 5000)}
    server.gateway = gateway.Gateway()
    for network, client in networks.items():
        server.gateway.routes.append((network, None, client))

    def answer(o, client, now_ms):
        """A turn of the line behind the meter."""
        turn(o, client, client is networks[6], now_ms)
        client.tick(now_ms)

    def one(octets):
        o = Octets(octets)
        now_ms = 0
        while o:
            network = o.one_of((5, 6, 7))
            address, apdu = o.some(), o.some()
            buf = bytearray(b"\xe6" + bytes((network,)) + put(address) + apdu)
            quiet_s = 0
            while quiet_s < 40:
                n = server.request(channel, 1, 1, buf, 0, len(buf))
                oracles.healthy(server)
                if n >= 0:
                    break
                oracles.turn(server)
                for client in networks.values():
                    answer(o, client, now_ms)
                    if client.closed:
                        client.reset()
                if o:
                    now_ms += 20
                else:
                    now_ms += 1000
                    quiet_s += 1
            assert n >= 0, "a request waits for ever"
            if n > 0:
                said = bytes(channel.tx[channel.tx_pos : channel.tx_pos + n])
                assert channel.tx_pos >= 32 and said[0] in (0xE7, 0xD8), said.hex()
        channel.release()
        server.gateway.release(channel)
        for client in networks.values():
            client.reset()

    wrapper_answer = b"\1" + put(b"\xc4\1\xc1\0\x09\0")
    one.seeds = [
        b"\0" + put(b"") + put(GET) + wrapper_answer * 4,
        b"\1" + put(b"\x11") + put(GET) + (b"\0" + put(b"") + b"\1" + put(b"") + b"\x73\0") * 3,
        b"\2" + put(b"") + put(GET),
    ]
    return one
