#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A water meter on an M-Bus, octet by octet: the slave's side of EN 13757-2 and -3, written from
the public "The M-Bus: A Documentation", rev. 4.8, and not from the code that it tests.

    python3 host_tests/doubles/water_meter.py --port 4100       on TCP, a litre every ten seconds

    meter.hear(octets) -> [octets, ...]     what it says to what comes, piece by piece
    meter.fault                             what it does wrong, once or always (see FAULTS)
    meter.heard                             the frames that were good, and for it
"""

import argparse
import select
import socket
import sys
import time

# fault -> what becomes of an answer; those of a single character have no checksum to be wrong
FAULTS = {
    "silent": lambda frame: [],
    "checksum": lambda frame: [frame[:-2] + bytes((frame[-2] ^ 1, frame[-1]))],
    "stop": lambda frame: [frame[:-1] + b"\x17"],
    "address": lambda frame: [changed(frame, 5, 1)],
    "function": lambda frame: [changed(frame, 4, 0x40)],
    "lengths": lambda frame: [frame[:2] + bytes((frame[2] ^ 1,)) + frame[3:]],
    "noise": lambda frame: [b"\x00\xff" + frame],
    "half": lambda frame: [frame[: len(frame) // 2]],
    "split": lambda frame: [frame[k : k + 1] for k in range(len(frame))],
    "late rest": lambda frame: [frame[:3], b"", frame[3:]],
}
OF_LONG_ONES = ("checksum", "stop", "address", "function", "lengths")
BCD_ID = 0x12345678
MANUFACTURER = "PMT"
VERSION, WATER = 0x01, 0x07


def changed(frame, at, bits):
    """A long frame with bits of an octet turned, and a checksum that is right again."""
    inner = bytearray(frame[4:-2])
    inner[at - 4] ^= bits
    return long_frame(inner)


def long_frame(inner):
    head = bytes((0x68, len(inner), len(inner), 0x68))
    return head + bytes(inner) + bytes((sum(inner) & 0xFF, 0x16))


def manufacturer_id(letters):
    return sum((ord(c) - 64) << 5 * (2 - k) for k, c in enumerate(letters))


def bcd(value, n):
    return bytes.fromhex("%0*d" % (2 * n, value))[::-1]


class WaterMeter:
    def __init__(self, address=0, identification=BCD_ID, key=None):
        self.address = address
        self.identification = identification
        self.litres = 1234567
        self.flow = 42  # litres an hour
        self.time = bytes.fromhex("00008101")  # type F
        self.errors = 0
        self.alarm = 0
        self.access_number = 0
        self.status = 0
        self.key = key  # (encrypt: octets, initial value -> octets), or None
        self.new_key = b""
        self.pretends = False  # mode 5 of no blocks
        self.appended = b""  # to what is ciphered
        self.short_header = False
        self.selected = False
        self.in_two = False  # says what it has in two answers
        self.fault = None
        self.faults_left = -1  # answers that go wrong; -1: all
        self.heard = []
        self._fcb = None
        self._last = b""
        self._buf = b""

    # --- Link layer -------------------------------------------------------------------------

    def hear(self, octets):
        self._buf += octets
        said = []
        while True:
            frame = self._frame()
            if frame is None:
                return said
            answer = self._answer(frame)
            if answer:
                said += self._spoil(answer)

    def _spoil(self, answer):
        if self.fault is None or not self.faults_left:
            return [answer]
        if answer == b"\xe5" and self.fault in OF_LONG_ONES:
            return [answer]
        self.faults_left -= 1
        return FAULTS[self.fault](answer)

    def _frame(self):
        """The next good frame: (C, A, CI or None, data)."""
        while self._buf:
            buf = self._buf
            if buf[0] == 0x10:
                if len(buf) < 5:
                    return None
                self._buf = buf[5:]
                if buf[3] == buf[1] + buf[2] & 0xFF and buf[4] == 0x16:
                    return buf[1], buf[2], None, b""
            elif buf[0] == 0x68:
                if len(buf) < 4 or len(buf) < buf[1] + 6:
                    return None
                n = buf[1] + 6
                self._buf = buf[n:]
                inner = buf[4 : n - 2]
                good = buf[1] == buf[2] and buf[3] == 0x68 and buf[n - 1] == 0x16
                if good and buf[n - 2] == sum(inner) & 0xFF:
                    return inner[0], inner[1], inner[2], inner[3:]
            else:
                self._buf = buf[1:]
        return None

    def _answer(self, frame):
        c, a, ci, data = frame
        if a == 0xFD and ci == 0x52:
            self.selected = self._is_meant(data)
            return b"\xe5" if self.selected else b""
        if a == 0xFD and c == 0x40:
            was, self.selected = self.selected, False
            return b"\xe5" if was else b""
        if a not in (self.address, 0xFE, 0xFF) and not (a == 0xFD and self.selected):
            return b""
        self.heard.append(frame)
        answer = self._say(c, ci, data)
        return b"" if a == 0xFF else answer

    def _say(self, c, ci, data):
        if c == 0x40:
            self._fcb = None
            return b"\xe5"
        fcb = c & 0x20
        repeated = c & 0x10 and self._fcb == fcb
        self._fcb = fcb
        if c & 0x4F == 0x43:
            if not repeated:
                self._last = b"\xe5" if self._take(ci, data) else b""
        elif c & 0x4F == 0x4B and not repeated:
            self._last = self._data(1 if self.in_two and not fcb else 0)
        elif c & 0x4F == 0x4A:
            # One that has alarms says so to who asks.
            if self.alarm < 0:
                return b""
            alarm = long_frame(bytes((0x08, self.address, 0x71, self.alarm)))
            return alarm if self.alarm else b"\xe5"
        return self._last

    def _is_meant(self, data):
        mine = self.header()[:8]
        if len(data) != 8:
            return False
        for k in range(4):
            for shift in (0, 4):
                digit = data[k] >> shift & 15
                if digit != 15 and digit != mine[k] >> shift & 15:
                    return False
        maker = data[4:6] in (mine[4:6], b"\xff\xff")
        return maker and all(data[k] in (mine[k], 0xFF) for k in (6, 7))

    # --- Application layer ------------------------------------------------------------------

    def header(self):
        maker = manufacturer_id(MANUFACTURER).to_bytes(2, "little")
        return self.identification.to_bytes(4, "little") + maker + bytes((VERSION, WATER))

    def _data(self, part):
        self.access_number = self.access_number + 1 & 0xFF
        first = b"\x0c\x13" + bcd(self.litres, 4)
        second = b"\x04\x6d" + self.time + b"\x02\x3b" + self.flow.to_bytes(2, "little")
        second += b"\x0d\x78\x08" + b"TMP-0815"[::-1] + b"\x01\xfd\x17" + bytes((self.errors,))
        if self.in_two:
            records = second if part else first + b"\x1f"
        else:
            records = first + b"\x2f" + second
        configuration = 0
        if self.pretends:
            records = b"\x2f\x2f" + records
            configuration = 0x0500
        elif self.key is not None:
            records = b"\x2f\x2f" + records
            records += b"\x2f" * (-len(records) % 16)
            configuration = 0x0500 | len(records) // 16 << 4
            head = self.header()
            iv = head[4:6] + head[:4] + head[6:] + bytes((self.access_number,)) * 8
            records = self.key(records, iv) + self.appended
        head = b"" if self.short_header else self.header()
        head += bytes((self.access_number, self.status)) + configuration.to_bytes(2, "little")
        ci = 0x7A if self.short_header else 0x72
        return long_frame(bytes((0x08, self.address, ci)) + head + records)

    def _take(self, ci, data):
        """A command; False: it is none that this meter knows."""
        if ci != 0x51:
            return False
        if data[:2] == b"\x01\x7a" and len(data) == 3:
            self.address = data[2]
        elif data[:2] == b"\x04\x6d" and len(data) == 6:
            self.time = data[2:]
        elif data[:3] == b"\x01\xfd\x17" and len(data) == 4:
            self.errors = data[3]
            if not self.errors:
                self.alarm = min(self.alarm, 0)
        elif data[:2] == b"\x0c\x13" and len(data) == 6:
            self.litres = int(data[5:1:-1].hex())
        elif data[:4] == b"\x0d\xfd\x19\x10" and len(data) == 20:
            self.new_key = data[4:]
        else:
            return False
        return True


def serve(host, number):
    """On TCP, until Ctrl-C."""
    meter = WaterMeter()
    listener = socket.create_server((host, number))
    print("water meter on %s:%d, identification %08X" % (*listener.getsockname(), BCD_ID))
    sys.stdout.flush()
    begin = time.monotonic()
    first = meter.litres
    while True:
        line = listener.accept()[0]
        while True:
            select.select([line], [], [])
            try:
                octets = line.recv(512)
            except ConnectionResetError:
                octets = b""
            if not octets:
                break
            meter.litres = first + int((time.monotonic() - begin) / 10)
            for piece in meter.hear(octets):
                line.sendall(piece)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=4100)
    options = p.parse_args()
    try:
        serve(options.host, options.port)
    except KeyboardInterrupt:
        pass
