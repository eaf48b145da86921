# SPDX-License-Identifier: MIT
"""A client with general block transfer, written from the rules of IEC 62056-5-3 and with nothing
of lib/: it keeps windows, numbers and acknowledgements by itself, and loses what it is told to."""

import subprocess

import tables
from small import HERE, aarq
from suites import SUITES, SuitesMeter
from tables import show

LONG = "0001 0000603C02FF 02"
SHORT = "0001 0000603C01FF 02"
GET_LONG = bytes.fromhex("C00141" + LONG + "00")
GET_SHORT = bytes.fromhex("C00141" + SHORT + "00")
HEAD = bytes.fromhex("C4014100")


def block(control, number, ack, octets=b""):
    head = bytes([len(octets)]) if len(octets) < 128 else b"\x82" + len(octets).to_bytes(2, "big")
    return (
        b"\xe0"
        + bytes([control])
        + number.to_bytes(2, "big")
        + ack.to_bytes(2, "big")
        + head
        + octets
    )


class Block:
    def __init__(self, octets):
        assert octets[0] == 0xE0, octets.hex()
        self.last, self.streaming = bool(octets[1] & 0x80), bool(octets[1] & 0x40)
        self.window = octets[1] & 0x3F
        self.number, self.ack = (int.from_bytes(octets[k : k + 2], "big") for k in (2, 4))
        head = 1 if octets[6] < 0x80 else 1 + (octets[6] & 0x7F)
        n = octets[6] if head == 1 else int.from_bytes(octets[7 : 6 + head], "big")
        self.octets = octets[6 + head :]
        assert len(self.octets) == n


class Lost(Exception):
    """The transfer was aborted."""


class Blocks:
    """A client with general block transfer. lose(number) -> bool: a block of the meter that does
    not arrive; drop(number): one of ours. window: of what comes, and of what we send."""

    def __init__(self, meter, client=55, max_pdu=128, window=5):
        self.meter, self.client, self.window = meter, client, window
        self.channel = meter.server.channel()
        self.talk = meter.talk(client=client, server=17, channel=self.channel)
        self.lose = self.drop = lambda number: False
        self.sent = self.said = 0  # blocks of the meter, and of ours
        if client in (55, 56):
            got = self.talk.say(aarq(None, conformance="7EFF5F", max_pdu=max_pdu).hex())
            assert "A203020100" in got
        self.max_pdu = max_pdu
        self.begin(0)

    def begin(self, n_parts):
        """n_parts: blocks of a request; ours: those that the meter has; number: our last; ack: the
        last of the meter without a gap; early: those behind one."""
        self.n_parts, self.ours, self.number, self.ack = n_parts, 0, 0, 0
        self.early, self.whole, self.done, self.theirs = {}, b"", False, 63

    def say(self, octets):
        """All APDUs that come back."""
        got = bytes.fromhex(self.talk.say(octets.hex()))
        back = [got] if got else []
        server, channel = self.meter.server, self.channel
        while channel.more is not None:
            n = server.more(channel)
            assert server.fault is None, server.fault
            back.append(bytes(channel.tx[channel.tx_pos : channel.tx_pos + n]))
        assert all(len(octets) <= self.max_pdu for octets in back)
        return back

    def hear(self, back):
        """What comes back; True: something has arrived."""
        arrived = False
        for octets in back:
            if octets[0] != 0xE0:
                raise Lost(octets.hex())
            self.sent += 1
            b = Block(octets)
            assert b.ack <= self.number
            if not self.lose(b.number):
                self.early[b.number] = b
                self.ours, self.theirs = max(self.ours, b.ack), b.window
                arrived = True
        while self.ack + 1 in self.early:
            self.ack += 1
            b = self.early.pop(self.ack)
            self.whole += b.octets
            self.done = b.last and b.ack >= self.n_parts
        return arrived

    def send(self, control, number, octets=b""):
        self.said += 1
        self.number = max(self.number, number)
        if self.drop(number):
            return False
        return self.hear(self.say(block(control, number, self.ack, octets)))

    def ask(self, apdu, size=50):
        """Send an APDU in blocks, and gather the answer. What ends the transfer is returned."""
        parts = [apdu[k : k + size] for k in range(0, len(apdu), size)]
        self.begin(len(parts))
        try:
            while self.ours < len(parts):
                k = self.ours
                end = min(k + max(1, min(self.window, self.theirs)), len(parts))
                while k < end - 1:
                    k += 1
                    assert not self.send(0x40 | self.window, k, parts[k - 1])
                last = 0x80 if end == len(parts) else 0
                self.insist(last | self.window, end, parts[end - 1])
            return self.gather()
        except Lost as e:
            return bytes.fromhex(str(e))

    def insist(self, *what):
        """The end of a window, until something comes back."""
        turns = 0
        while not self.send(*what):
            turns += 1
            assert turns < 99

    def gather(self):
        """The rest of the answer. What is behind a gap is kept; then only the gap is asked for."""
        while not self.done:
            self.insist(0x80 | (1 if self.early else self.window), self.number + 1)
        assert not self.send(0x80 | self.window, self.number + 1)
        return self.whole


def meter_with(n):
    meter = SuitesMeter()
    row = meter.model.find_any(bytes.fromhex("00010000603C02FF"), 0)
    octets = bytes(k * 7 + (k >> 8) & 0xFF for k in range(n))
    head = [n] if n < 128 else [0x81, n] if n < 256 else [0x82, n >> 8, n & 0xFF]
    value = b"\x09" + bytes(head) + octets
    assert meter.model.write(row, 2, value, 0, len(value)) == 0
    return meter, value


def on_device(micropython, folder, *args):
    """What device/blocks.py prints there."""
    (folder / "definition.py").write_text(show.module(tables.compile(str(SUITES))))
    root = HERE.parent
    done = subprocess.run(
        [micropython, str(HERE / "device/blocks.py"), str(folder), *args],
        capture_output=True, text=True, timeout=60,
        env={"MICROPYPATH": ":".join(str(root / p) for p in ("lib", ".")) + ":.frozen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
