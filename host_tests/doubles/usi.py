# SPDX-License-Identifier: MIT
"""What the doubles of Microchip's PRIME and G3 firmware have in common: USI frames, and what goes
wrong with them. Written apart from lib/profiles/modems/usi.py: checks here are divisions of long
integers.
"""

from doubles.wire import Pin, Wire

FAULTS = {
    "split": "what it sends is read octet by octet",
    "merged": "several messages are read at once",
    "garbage": "octets that mean nothing come before what it sends",
    "bad_check": "a message is damaged on its way to the host",
    "cut": "a message to the host ends in its middle",
    "lost": "a message of the host is damaged on its way, and dropped",
    "reset_in_frame": "it is reset while the host sends a message",
    "late_confirm": "the confirm comes after anybody waits for it",
    "confirm_twice": "the confirm comes twice",
    "full": "it refuses data, its buffer is full",
    "silence": "nothing at all comes from it, for two minutes",
    "hangs": "nothing at all comes from it, until it is reset",
}
# What modems with local frames do, and these cannot: USI has neither status nor acknowledgements.
NOT_HERE = ("busy", "nak", "lost_ack", "our_ack_lost", "bad_checksum")


EXTENDED = (0x25, 0x26, 0x30)  # protocols with an 11th bit of the length


def remainder(octets, polynomial, bits):
    value = int.from_bytes(octets, "big")
    for shift in range(value.bit_length() - bits - 1, -1, -1):
        if value >> (shift + bits) & 1:
            value ^= polynomial << shift
    return value


def check(protocol, octets):
    if protocol <= 7:
        return remainder(octets + bytes(4), 0x104C11DB7, 32).to_bytes(4, "big")
    if protocol == 0x30:
        value = 0
        for octet in octets:
            value ^= octet
        return bytes((value,))
    return remainder(octets, 0x11021, 16).to_bytes(2, "big")


def escaped(octets):
    return octets.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")


def pack(protocol, data):
    n = len(data)
    if n >> 10:
        data = bytes((data[0] | 0x80,)) + data[1:]
    body = bytes((n >> 2 & 0xFF, (n & 3) << 6 | protocol)) + data
    return b"\x7e" + escaped(body + check(protocol, body)) + b"\x7e"


def unpack(protocol, octets):
    """The data of what was between two flags."""
    octets = octets.replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
    n = 4 if protocol <= 7 else 1 if protocol == 0x30 else 2
    body = octets[:-n]
    assert octets[-n:] == check(protocol, body), "check"
    length = body[0] << 2 | body[1] >> 6
    data = body[2:]
    if protocol in EXTENDED:
        length |= (data[0] & 0x80) << 3
        data = bytes((data[0] & 0x7F,)) + data[1:]
    assert body[1] & 0x3F == protocol and length == len(data)
    return data


class USIDouble:
    protocol = 0
    silence_ms = 120000

    def __init__(self):
        self.uart = Wire()
        self.reset = Pin()
        self.faults = {}
        self.happened = []
        self.now = 0
        self.messages = []  # that the host has sent
        self.silent_until = 0
        self.power_on()

    def power_on(self):
        self.hung = False
        self.part = bytearray()
        self.begins = []
        self.is_reset()

    def fault(self, name):
        if self.faults.get(name, 0):
            self.faults[name] -= 1
            self.happened.append(name)
            return True
        return False

    def say(self, data, after_ms=2):
        self.begins.append((self.now + after_ms, data))

    def confirm(self, data, after_ms=100):
        if self.fault("late_confirm"):
            after_ms = 35000
        self.say(data, after_ms)
        if self.fault("confirm_twice"):
            self.say(data, after_ms + 30)

    def turn(self, now_ms):
        self.now = now_ms
        if not self.reset():
            self.power_on()
            self.uart.heard()
            return
        if self.fault("silence"):
            self.silent_until = now_ms + self.silence_ms
        if self.fault("hangs"):
            self.hung = True
        heard = self.uart.heard()
        if self.hung or now_ms < self.silent_until:
            self.begins.clear()
            self.part.clear()
            return
        if heard and self.fault("reset_in_frame"):
            self.power_on()
            return
        for octet in heard:
            if octet != 0x7E:
                self.part.append(octet)
            elif self.part:
                octets = bytes(self.part)
                self.part.clear()
                if self.fault("lost"):
                    continue
                data = unpack(self.protocol, octets)
                self.messages.append(data)
                self.takes(data[0], data[1:])
        self.works()
        for item in [b for b in self.begins if b[0] <= now_ms]:
            self.begins.remove(item)
            self._out(item[1])

    def _out(self, data):
        frame = pack(self.protocol, data)
        if self.fault("garbage"):
            frame = b"\x00\xff\x55\x7d" + frame
        if self.fault("bad_check"):
            frame = frame[:4] + bytes((frame[4] ^ 0x02,)) + frame[5:]
        if self.fault("cut"):
            frame = frame[:-4]
        self.uart.to_host += frame

    def takes(self, command, data):
        pass

    def works(self):
        pass

    def is_reset(self):
        pass


def value(modem, bench):
    """What the read() or write() of a driver has come to; None: it was refused."""
    bench.run(200)
    assert modem.value_state in (2, 3)
    return bytes(modem.value[: modem.value_len]) if modem.value_state == 2 else None
