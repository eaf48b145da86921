# SPDX-License-Identifier: MIT
"""Faults on the links of a meter with a feed, for tests of what its clients make of them: frames
that leave with a wrong check, late, or not at all. Loaded with the first of them; allocates.
"""

from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)
_BUSY_MS = const(10)
_IDLE_MS = const(1000)
_ALL = const(0)
_MOST = const(99999999)

# Kinds of notes, of feed.py.
_CRC = const(0)
_DROP = const(1)
_DELAY = const(2)
_NAMES = ("crc", "drop", "delay")
_FLAG = const(0x7E)
_ENDS = (0x03, 0x04)  # ETX, EOT: a BCC follows


class Faults:
    def __init__(self, feed):
        self._feed = feed
        self._set = {}  # number of a link, or _ALL: [frames, frames, milliseconds]
        self._late = []  # [when, link, octets]: to be sent then, in this order

    def set(self, words):
        """LINK crc K, LINK drop K, LINK delay MS, LINK none. ValueError with a sentence."""
        if len(words) < 2 or words[1] not in _NAMES + ("none",):
            raise ValueError("It is: fault LINK crc, drop or delay, a number, or fault LINK none.")
        number = _ALL
        if words[0] != "*":
            found = [link for link in self._feed.links if str(link.number) == words[0]]
            if not found:
                raise ValueError("There is no link %s; * is all of them." % words[0])
            number = found[0].number
            if words[1] == "crc" and not _has_checks(found[0].kind):
                raise ValueError("What goes over %s has no check." % found[0].kind)
        if words[1] == "none":
            if number == _ALL:
                self._set.clear()
            else:
                self._set.pop(number, None)
            return
        if len(words) != 3 or not words[2].isdigit() or int(words[2]) > _MOST:
            raise ValueError("How many frames, or milliseconds? 0 to %d." % _MOST)
        self._set.setdefault(number, [0, 0, 0])[_NAMES.index(words[1])] = int(words[2])

    def write(self, link, buf, pos, n):
        """buf[pos:pos + n] is to be sent. n: it is taken care of; 0: nothing happens to it."""
        is_behind = False
        for entry in self._late:
            is_behind = is_behind or entry[1] is link
        wanted = self._set.get(link.number) or self._set.get(_ALL)
        if wanted is None and not is_behind:
            return 0
        octets = bytes(memoryview(buf)[pos : pos + n])
        delay_ms = 0
        if wanted is not None:
            delay_ms = wanted[_DELAY]
            if wanted[_DROP]:
                wanted[_DROP] -= 1
                self._feed.note_fault(_DROP, link, octets)
                return n
            if wanted[_CRC] and _has_checks(link.kind):
                spoilt = _spoil(octets)
                if spoilt is not None:
                    wanted[_CRC] -= 1
                    self._feed.note_fault(_CRC, link, octets)
                    octets = spoilt
                    is_behind = True
        if not is_behind and not delay_ms:
            return 0
        now_ms = self._feed.ticks_ms()
        self._late.append([now_ms + delay_ms & _TICKS_MASK, link, octets])
        self.turn(now_ms)
        return n

    def turn(self, now_ms):
        """Send what is due."""
        blocked = []
        for entry in self._late[:]:
            link = entry[1]
            if link in blocked:
                continue
            if now_ms - entry[0] & _TICKS_MASK < _HALF:
                n = self._feed.send_late(link, entry[2])
                if n < 0:
                    self.forget(link)
                    continue
                entry[2] = entry[2][n:]
            if entry[2]:
                blocked.append(link)
            elif entry in self._late:
                self._late.remove(entry)

    def forget(self, link):
        """It is gone."""
        self._late = [entry for entry in self._late if entry[1] is not link]
        self._set.pop(link.number, None)

    def wait_ms(self):
        now_ms = self._feed.ticks_ms()
        ms = _IDLE_MS
        for entry in self._late:
            left = entry[0] - now_ms & _TICKS_MASK
            ms = min(ms, _BUSY_MS if left >= _HALF else max(left, 1))
        return ms


def _has_checks(kind):
    return kind[:4] == "hdlc" or kind[:7] == "optical"


def _spoil(octets):
    """A frame, or a message of IEC 62056-21, with another check; None: it has none."""
    spoilt = bytearray(octets)
    if len(octets) > 3 and octets[0] == _FLAG and octets[-1] == _FLAG:
        spoilt[-2] ^= 1
    elif len(octets) > 2 and octets[-2] & 0x7F in _ENDS:
        spoilt[-1] ^= 3  # two bits: the parity of a character stays
    else:
        return None
    return spoilt
