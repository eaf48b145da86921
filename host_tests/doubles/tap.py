# SPDX-License-Identifier: MIT
"""Between a driver and its double: what passes, frame by frame, and what it means."""

from decoding.conversation import Conversation
from decoding.show import lines


class Tap:
    """found: [(who, octets, lines)], who being "meter" or "modem". Takes the place of the uart.
    layer: of decoding.layers."""

    def __init__(self, uart, layer):
        self.uart = uart
        self.conversation = Conversation(layer=layer, turns=False)
        self.found = []

    def any(self):
        return self.uart.any()

    def readinto(self, buf):
        n = self.uart.readinto(buf) or 0
        self._add("modem", bytes(buf[:n]))
        return n

    def write(self, buf, pos, n):
        n = self.uart.write(buf, pos, n) or 0
        self._add("meter", bytes(buf[pos : pos + n]))
        return n

    def _add(self, who, octets):
        for unit in self.conversation.octets(who, octets):
            self.found.append((who, unit.octets, lines(unit)))
