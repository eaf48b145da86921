# SPDX-License-Identifier: MIT
"""Double of a LON interface for power lines, MIP/U61; its framing is written apart from the
driver's.

faults   what goes wrong, and how often: see FAULTS
"""

from doubles.wire import Wire

FAULTS = {
    "split": "what it sends is read octet by octet",
    "merged": "several messages are read at once",
    "garbage": "octets that mean nothing come before what it sends",
    "bad_check": "a message to the host is damaged on its way",
    "cut": "a message to the host ends in its middle",
    "bad_crc": "a frame comes with another CRC than it has",
    "reset": "it is reset, and says so",
    "forgets": "it comes up in another phase mode",
    "silence": "nothing at all comes from it, for ten seconds",
}


def crc16(octets):
    """By long division: polynomial 11021, the first 16 bits and the result inverted."""
    value = int.from_bytes(octets, "big") << 16 ^ 0xFFFF << 8 * len(octets)
    for shift in range(value.bit_length() - 17, -1, -1):
        if value >> (shift + 16) & 1:
            value ^= 0x11021 << shift
    return (value ^ 0xFFFF).to_bytes(2, "big")


def message(command, pdu=b""):
    body = bytes((len(pdu) + 1, command)) + pdu
    body += bytes((-sum(body) & 0xFF,))
    return b"\x7e\x00" + body.replace(b"\x7e", b"\x7e\x7e")


class Double:
    def __init__(self):
        self.wire = self.uart = Wire()
        self.faults = {}
        self.sent = []  # LPDUs that the host has sent
        self.commands = []
        self.phase_mode = False
        self.now = 0
        self.silent_until = -1
        self._in = b""
        self._due = []  # (ms, octets)

    def fault(self, name):
        if self.faults.get(name, 0) > 0:
            self.faults[name] -= 1
            return True
        return False

    def turn(self, now):
        self.now = now
        if self.fault("silence"):
            self.silent_until = now + 10000
        self._in += self.wire.heard()
        while self._take():
            pass
        ready = [octets for ms, octets in self._due if ms <= now]
        self._due = [d for d in self._due if d[0] > now]
        if now < self.silent_until:
            return
        for octets in ready:
            if self.fault("garbage"):
                self.wire.to_host += b"\x00\x7e\x41\x55\x7e\x00\x7e\x13"
            if self.fault("bad_check"):
                octets = octets[:-1] + bytes((octets[-1] ^ 0x10,))
            if self.fault("cut"):
                octets = octets[: len(octets) // 2]
            self.wire.piece = 1 if "split" in self.faults else 1 << 20
            if self.fault("merged"):
                octets += message(0xE0, bytes(3)) + octets
            self.wire.to_host += octets

    def say(self, command, pdu=b"", after=1):
        self._due.append((self.now + after, message(command, pdu)))

    def _take(self):
        """One message of the host."""
        octets = self._in
        if len(octets) < 2:
            return False
        assert octets[:2] == b"\x7e\x00", octets
        body = bytearray()
        at = 2
        while at < len(octets):
            if octets[at] == 0x7E:
                if at + 1 == len(octets):
                    return False
                assert octets[at + 1] == 0x7E, octets
                at += 1
            body.append(octets[at])
            at += 1
            if len(body) > 1 and len(body) == body[0] + 2:
                assert sum(body) & 0xFF == 0
                self._in = octets[at:]
                self._do(body[1], bytes(body[2:-1]))
                return True
        return False

    def _do(self, command, pdu):
        self.commands.append(command)
        if self.now < self.silent_until:
            return
        if command == 0x50:
            self.restart()
        elif command == 0x42:
            self.phase_mode = True
        elif command == 0x12:
            self.sent.append(pdu)
            if self.fault("reset"):
                self.restart()

    def restart(self):
        self.phase_mode = False
        self.say(0x50, after=200)

    def hear(self, lpdu):
        """A frame comes from the line."""
        crc = crc16(lpdu)
        if self.fault("bad_crc"):
            crc = bytes((crc[0] ^ 1, crc[1]))
        if self.fault("forgets"):
            self.phase_mode = False
        if self.phase_mode:
            self.say(0x1C, b"\x05" + lpdu + crc + b"\x70\x80")
        else:
            self.say(0x1A, lpdu + crc)
