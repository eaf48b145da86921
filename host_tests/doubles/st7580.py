# SPDX-License-Identifier: MIT
"""Double of the ST7580 in its data link mode. Facts: UM0932 and public drivers of the shield."""

from doubles.local_frames import LocalFrames


class Double(LocalFrames):
    counts_data = True
    status_ms = 20
    boot_ms = 400

    def __init__(self):
        self.mib = {}
        self.reset_at = None
        self.sent = []
        self.line = None  # the double at the other end of the line
        super().__init__()

    def is_reset(self):
        self.mib = {}
        self.reset_at = self.now

    def is_silent(self):
        return self.reset_at is not None or super().is_silent()

    def status(self):
        return bytes((0x04 if self.fault("busy") else 0x20,))

    def works(self):
        if self.reset_at is not None and self.now - self.reset_at >= self.boot_ms:
            self.reset_at = None
            self.send(0x3E, b"\x00")

    def takes(self, command, data):
        if command == 0x3C:
            self.is_reset()
            self.send(0x3D)
        elif command == 0x08:
            if data[0] == 0x01 and len(data) != 15:
                self.send(0x0B, b"\x02")
                return
            self.mib[data[0]] = data[1:]
            self.send(0x09, data[:1])
        elif command == 0x50:
            if self.mib.get(0) != b"\x11":
                self.send(0x36, b"\x50")
            elif self.fault("full"):
                self.send(0x53, b"\x07")
            else:
                self.sent.append(data)
                if self.line is not None:
                    self.line.hear(data[1:])
                self.confirm(0x51, data[:1] + bytes(10))
        else:
            self.send(0x36, bytes((command,)))

    def hear(self, payload):
        """A frame comes on the line: 10 octets at 9600 bit/s take about 10 ms."""
        self.send(0x52, b"\x40\x1c\x00\x1e" + payload, 10 + len(payload))
