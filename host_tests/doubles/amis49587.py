# SPDX-License-Identifier: MIT
"""Double of AMIS-49587, NCN49597 and ST7570 as a slave. Facts: data sheets of AMIS-49587 and
ST7570, UM0934; what the driver marks as uncertain is as uncertain here.
"""

from doubles.local_frames import LocalFrames


class Double(LocalFrames):
    def __init__(self):
        self.config = None
        self.data_base = {}
        self.synchronized = None  # (initiator, own address)
        self.sent = []  # MAC frames on the line
        self.wrong_echo = 0
        super().__init__()

    def is_reset(self):
        self.config = None
        self.synchronized = None

    def status(self):
        bits = 0x10 if self.synchronized is None else 0
        bits |= 0x04 if self.synchronized is None else 0
        bits |= 0x02 if self.config is None else 0
        bits |= 0x01 if self.fault("busy") else 0
        return bytes((bits, 0x01, 0x69))

    def takes(self, command, data):
        if command == 0x21:
            self.is_reset()
        elif command == 0x71:
            if len(data) != 36 or self.config is not None:
                self.send(0x73, b"\x15")
                return
            self.config = data
            if self.wrong_echo:
                self.wrong_echo -= 1
                data = data[:5] + bytes((data[5] ^ 1,)) + data[6:]
            self.send(0x72, data)
        elif command == 0x41:
            self.data_base[int.from_bytes(data[:2], "little")] = data[2:]
            self.send(0x42, data)
        elif command == 0x11:
            self.lose(5)
        elif command == 0x51:
            self._data(data)

    def _data(self, data):
        if self.config is None or self.synchronized is None:
            self.send(0x52, b"\x0a")
        elif self.fault("full"):
            self.send(0x52, b"\x14")
        elif not 5 < len(data) <= 247:
            self.send(0x52, b"\x03")
        else:
            self.sent.append(data)
            self.confirm(0x52, b"\xff")

    # --- What the network does ------------------------------------------------------------------

    def synchronize(self, initiator, address):
        self.synchronized = (initiator, address)
        self.send(0x10, b"\x01\x40\x40")
        self.send(0x10, b"\x02" + (initiator << 12 | address).to_bytes(3, "big"))

    def lose(self, reason):
        self.synchronized = None
        self.send(0x10, bytes((4, reason)))

    def hear(self, source, destination, sdu, credits=0):
        addresses = (source << 12 | destination).to_bytes(3, "big")
        self.send(0x50, bytes((credits,)) + addresses + b"\x00" + sdu)
