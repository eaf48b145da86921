# SPDX-License-Identifier: MIT
"""An input as what it asks for: numbers, choices and octets are taken from its front. When there
is nothing left all of it is zero or empty: a short input is a whole one, too."""


class Octets:
    def __init__(self, octets):
        self.octets = octets
        self.at = 0

    def __bool__(self):
        return self.at < len(self.octets)

    def take(self, n):
        found = self.octets[self.at : self.at + n]
        self.at += n
        return found

    def u8(self):
        return int.from_bytes(self.take(1), "big")

    def u16(self):
        return int.from_bytes(self.take(2), "big")

    def one_of(self, things):
        return things[self.u8() % len(things)]

    def some(self):
        """Octets with their number in front."""
        return self.take(self.u8())

    def rest(self):
        return self.take(len(self.octets))


def put(octets):
    """What some() takes."""
    return bytes((len(octets),)) + octets
