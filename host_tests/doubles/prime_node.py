# SPDX-License-Identifier: MIT
"""Double of a PRIME service node with Microchip's modem firmware. Facts: public code of it."""

import struct

from doubles.usi import USIDouble

SNA = bytes.fromhex("0080E1000001")


class Double(USIDouble):
    protocol = 0x30
    search_ms = 1500  # from a reset until it is registered, where there is a network

    def __init__(self):
        self.network = True
        self.identifiers = {b"PRIME0000000001": 0x123}
        self.pib = {
            0x0010: b"\x18", 0x0011: b"\x02", 0x0012: b"\x05", 0x0013: b"\x05", 0x0014: b"\x05",
            0x0015: b"\x0f", 0x0018: b"\x03",
            0x0020: b"\x00\x07", 0x0021: b"\x05", 0x0022: b"\x02", 0x0023: SNA, 0x0024: b"\x01",
            0x0025: b"\x00\x64", 0x0026: b"\x01", 0x0027: b"\x05", 0x0028: b"\x00",
            0x0029: b"\x01", 0x002A: b"\x02", 0x002B: b"\x03", 0x002C: b"\x00\xc7",
            0x0040: bytes.fromhex("00010203"), 0x0041: bytes.fromhex("FFFFFFFE"),
            0x0042: bytes(4), 0x0043: bytes(4), 0x0044: bytes(4), 0x0045: bytes(4),
            0x00A0: b"\x00\x11", 0x00A1: b"\x00\x12", 0x00A2: b"\x00\x13", 0x00A3: b"\x00\x14",
            0x0075: b"S14.03", 0x0076: b"\x00\x1c", 0x0077: b"\x00\x02",
        }  # fmt: skip
        self.lists = {}
        self.released = False
        self.sent = []
        super().__init__()

    def is_reset(self):
        self.registered = False
        self.reset_at = self.now
        self.connected = None

    def works(self):
        if self.network and not self.registered and self.now - self.reset_at >= self.search_ms:
            self.registered = True
            self.say(b"\x21" + SNA + b"\x02")

    def takes(self, command, data):
        if command == 0x2B:
            self.is_reset()
            self.say(b"\x2c\x00")
        elif command == 0x2D:
            value = self.pib.get(struct.unpack(">H", data)[0], None)
            if data == b"\x00\x24":
                value = b"\x01" if self.registered else b"\x00"
            if value is None:
                self.say(b"\x2e\x03" + data + b"\x00")
            else:
                self.say(b"\x2e\x00" + data + bytes((len(value),)) + value)
        elif command == 0x1B:
            value = self.pib[struct.unpack(">H", data[:2])[0]]
            self.say(b"\x1c\x00" + data[:2] + bytes((len(value),)) + value + data[2:])
        elif command == 0x2F:
            value = self.lists.get(struct.unpack(">H", data)[0], b"")
            self.say(b"\x30\x00" + data + struct.pack(">H", len(value)) + value)
        elif command == 0x31:
            attribute = struct.unpack(">H", data[:2])[0]
            good = attribute in self.pib and len(self.pib[attribute]) == data[2]
            if good:
                self.pib[attribute] = data[3:]
            self.say(b"\x32\x00" if good else b"\x32\x03")
        elif command == 0x33:
            identifier = data[1:-1]
            address = self.identifiers.get(identifier, 0xFFFF) if self.registered else 0xFFFF
            self.connected = None if address == 0xFFFF else address
            numbers = struct.pack(">HH", address, 0 if self.connected else 0xFFFF)
            self.say(b"\x34" + data[:-1] + numbers + b"\x00", 200)
        elif command == 0x37:
            head = data[:4]
            n = struct.unpack(">H", data[4:6])[0]
            assert len(data) == 6 + n + 1 and data[-1] == 0
            if self.connected is None:
                self.confirm(b"\x39" + head + b"\xc1")
            elif self.fault("full"):
                self.confirm(b"\x39" + head + b"\xc2")
            else:
                self.sent.append((data[0], data[1], struct.unpack(">H", data[2:4])[0], data[6:-1]))
                self.confirm(b"\x39" + head + b"\x00")

    # --- What the network does ------------------------------------------------------------------

    def hear(self, dst_lsap, src_lsap, sdu, source=0, destination=None):
        if destination is None:
            destination = self.connected
        head = struct.pack(">BBHHH", dst_lsap, src_lsap, destination, source, len(sdu))
        self.say(b"\x38" + head + sdu + b"\x00")

    def unregister(self):
        self.registered = False
        self.connected = None
        self.network = False
        self.say(b"\x24")

    def release(self):
        self.say(b"\x36" + struct.pack(">H", self.connected) + b"\x00")
        self.connected = None
