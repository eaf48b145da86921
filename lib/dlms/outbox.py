# SPDX-License-Identifier: MIT
"""The APDUs that the meter sends unasked, while they wait for a path: oldest first, and bounded.

    at = outbox.open()                     an APDU may be written at buf[at:outbox.limit] ...
    outbox.close(end, owner, number)       ... and ends there: now it waits
    outbox.make_room()                     it did not fit: True if something older has gone for it
    at = outbox.find(owner, number)        the oldest one of an owner: buf[at:outbox.found_end]
    outbox.remove(outbox.found)            it was sent, or given up

APDUs wait in plain text; they are protected when they leave, so that a key may change meanwhile,
and a repetition does not use an invocation counter twice. The buffer is allocated once; nothing
else is.

owner    0: a Push setup object, number: its row; else 1 + the place of an association in the
         server's pool, number: its client_sap
An entry: u16 octets of the APDU, owner, u16 number, serial, the APDU.
"""

from dlms.axdr import get_u16, put_u16
from dlms.prim import copy
from micropython import const

_HEAD_LEN = const(6)
_ANY = const(-1)


class Outbox:
    """
    keeps_oldest   what happens when it is full: True: nothing new is taken; False: the oldest goes
    lost           APDUs that have been dropped, or never taken, since somebody has reset this
    n              APDUs that wait
    found, found_end   of the last find()
    """

    def __init__(self, size, keeps_oldest):
        self.buf = bytearray(size)
        self.limit = size
        self.keeps_oldest = keeps_oldest
        self.lost = 0
        self.n = 0
        self.found = self.found_end = 0
        self._end = 0
        self._serial = 0

    def open(self):
        """Where the next APDU is written; there may be no room (beyond limit)."""
        return self._end + _HEAD_LEN

    def close(self, end, owner, number):
        """The APDU that was written at open() ends there, and waits from now on."""
        buf = self.buf
        at = self._end
        put_u16(buf, at, end - at - _HEAD_LEN)
        buf[at + 2] = owner
        put_u16(buf, at + 3, number)
        self._serial = self._serial + 1 & 0xFF
        buf[at + 5] = self._serial
        self._end = end
        self.n += 1

    def make_room(self):
        """An APDU did not fit. False: it is lost, for what is older is kept, or there is none."""
        self.lost += 1
        if self.keeps_oldest or not self.n:
            return False
        self._cut(0)
        return True

    def find(self, owner, number=_ANY):
        """Position of the oldest APDU of an owner (-1: of any association) and number, or -1."""
        buf = self.buf
        at = 0
        while at < self._end:
            after = at + _HEAD_LEN + get_u16(buf, at)
            if buf[at + 2] == owner if owner >= 0 else buf[at + 2]:
                if number < 0 or get_u16(buf, at + 3) == number:
                    self.found = buf[at + 5]
                    self.found_end = after
                    return at + _HEAD_LEN
            at = after
        return -1

    def owner(self, at):
        """Owner of the APDU at buf[at:]."""
        return self.buf[at - _HEAD_LEN + 2]

    def number(self, at):
        return get_u16(self.buf, at - _HEAD_LEN + 3)

    def remove(self, serial):
        """Take an APDU out; that one may be gone meanwhile."""
        at = 0
        while at < self._end:
            if self.buf[at + 5] == serial:
                self._cut(at)
                return
            at += _HEAD_LEN + get_u16(self.buf, at)

    def clear(self, owner, number):
        """Take out all that an owner has; how many there were."""
        n = 0
        while self.find(owner, number) >= 0:
            self.remove(self.found)
            n += 1
        return n

    def _cut(self, at):
        after = at + _HEAD_LEN + get_u16(self.buf, at)
        copy(self.buf, at, self.buf, after, self._end - after)
        self._end -= after - at
        self.n -= 1
