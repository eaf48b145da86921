# SPDX-License-Identifier: MIT
"""Double of a G3 device with Microchip's modem firmware, protocol ADP. Facts: public code of its
serial interface.
"""

import struct

from doubles.usi import USIDouble


class Double(USIDouble):
    protocol = 0x25
    discovery_ms = 3000

    def __init__(self):
        self.networks = [(0x781D, 40, 0x0000, 0x0010)]  # PAN, LQI, LBA, cost
        self.short_address = 0x0005
        self.key = None  # that the coordinator wants; None: any
        self.adp = {(k, 0): b"\x00" for k in (
            0x00, 0x03, 0x09, 0x0A, 0x0D, 0x10, 0x11, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19,
            0x1A, 0x1B, 0x21, 0x22, 0x24, 0xF0)}  # fmt: skip
        self.adp.update({(k, 0): b"\x00\x00" for k in (0x02, 0x08, 0x12, 0x1F, 0x20)})
        self.adp[0x0F, 0] = b"\x08"
        self.adp[0x0E, 0] = b"\x80\x01"
        # Routes: to 0000 by 0003, cost 16, 2 hops of which 1 is weak, 300 s.
        self.adp[0x0C, 0] = bytes.fromhex("000000030010 21 012C")
        self.adp[0x0C, 1] = bytes.fromhex("000300030008 10 0100")
        self.mac = {(0x100 + k, 0): bytes(4) for k in range(1, 10)}
        self.mac.update({(k, 0): b"\x00" for k in (
            0x47, 0x4E, 0x4F, 0x59, 0x100, 0x10C, 0x10D, 0x10E, 0x111, 0x112, 0x113, 0x114, 0x115,
            0x116, 0x11E, 0x11F)})  # fmt: skip
        self.mac[0x101, 0] = bytes.fromhex("00010203")
        self.mac[0x109, 0] = bytes.fromhex("FFFFFFFF")
        self.mac[0x53, 0] = b"\xff\xff"
        self.mac[0x50, 0] = b"\x78\x1d"
        self.mac[0x10F, 0] = b"\x00\x10"
        self.mac[0x77, 0] = bytes.fromhex("00000123")
        self.mac[0x110, 0] = bytes(9)
        self.mac[0x120, 0] = bytes.fromhex("0003 5A 00FF")
        self.sent = []
        self.other = None  # who else is in the network
        super().__init__()

    def is_reset(self):
        self.initialized = False
        self.joined = False

    def takes(self, command, data):
        if command == 0x10:
            self.is_reset()
            self.say(b"\x26\x00")
        elif command == 0x0A:
            self.initialized = True
            self.say(bytes((0x00, 0x00, command)))
        elif not self.initialized:
            self.say(bytes((0x00, 0x01, command)))
        elif command == 0x0C:
            for pan, lqi, lba, cost in self.networks:
                self.say(b"\x30" + struct.pack(">HBHH", pan, lqi, lba, cost), 1000)
            self.say(b"\x21\x00" if self.networks else b"\x21\xa9", self.discovery_ms)
        elif command == 0x0E:
            self._join(*struct.unpack(">HH", data))
        elif command in (0x11, 0x16):
            values = self.adp if command == 0x11 else self.mac
            attribute, index, n = struct.unpack(">IHB", data[:7])
            assert n == len(data) - 7
            known = values.get((attribute, index))
            good = known is None and attribute >= 0x08000000 or known and len(known) == n
            if good:
                values[attribute, index] = data[7:]
            self.say(bytes((command + (0x16 if command == 0x11 else 0x17),
                            0 if good else 0xB1)) + data[:6])  # fmt: skip
        elif command in (0x12, 0x17):
            values = self.adp if command == 0x12 else self.mac
            value = values.get(struct.unpack(">IH", data))
            head = bytes((command + (0x16 if command == 0x12 else 0x17),))
            if value is None:
                self.say(head + b"\xb1" + data + b"\x00")
            else:
                self.say(head + b"\x00" + data + bytes((len(value),)) + value)
        elif command == 0x0B:
            self._data(data)
        else:
            self.say(bytes((0x00, 0x02, command)))

    def _join(self, pan, lba):
        there = [n for n in self.networks if n[0] == pan and n[2] == lba]
        if there and self.key in (None, self.adp.get((0x080000C2, 0))):
            self.joined = True
            self.mac[0x53, 0] = struct.pack(">H", self.short_address)
            self.say(b"\x23\x00" + struct.pack(">HH", self.short_address, pan), 800)
        else:
            self.say(b"\x23\xa4\xff\xff\xff\xff", 800)

    def _data(self, data):
        handle, route, qos, n = struct.unpack(">BBBH", data[:5])
        assert len(data) == 5 + n and route == 1 and qos in (0, 1)
        if not self.joined or self.fault("full"):
            self.confirm(bytes((0x1E, 0xA1, handle)))
            return
        self.sent.append(data[5:])
        self.confirm(bytes((0x1E, 0x00, handle)))

    # --- What the network does ------------------------------------------------------------------

    def hear(self, nsdu, lqi=50, after_ms=2):
        self.say(bytes((0x1F, lqi)) + struct.pack(">H", len(nsdu)) + nsdu, after_ms)

    def kick(self, heard=True):
        self.joined = False
        self.mac[0x53, 0] = b"\xff\xff"
        if heard:
            self.say(b"\x25")
