# SPDX-License-Identifier: MIT
"""The MAC layer of S-FSK (IEC 61334-5-1) as far as a host sees it: settings on their way to the
modem, and what happened to the synchronization (class_id 50, 52, 53).

The layer itself is the modem's. Settings are numbered as in profiles/modems/README.md; each goes
there when it has changed, as soon as the modem takes it. Counters stop at 0x3FFFFFFF, an int that
no board allocates (the standard's have 32 bits).

Allocates at construction, nothing later.
"""

from micropython import const

# Places of settings, and their numbers for the modem.
_GROUPS = const(5)
_N_GROUPS = const(5)
_DESYNCHRONIZE = const(18)
_ITEMS = bytes((0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 8, 0x0A, 0x0B, 0x0C, 0x0F, 0x11, 0x15, 0x16, 9))
_N_ITEMS = const(19)

_N_SOURCES = const(4)
_TOP = const(0x3FFFFFFF)

# Where desynchronization_listing counts a reason of the modem, see profiles/modems/README.md; 5,
# which was asked for, is counted where it was. uncertain: 3 and 6.
_LISTED = bytes((0, 1, 2, 0, 4, 5, 0))
_N_LISTED = const(5)


class Mac:
    """dirty      places of settings that have changed, a bit each
    listing    desynchronizations by reason: physical layer, not addressed, frame not OK,
               write request, wrong initiator
    synchronizations, broadcasts  [MAC address, counter, ...] of up to 4 sources, newest last
    """

    def __init__(self, modem):
        self.modem = modem
        self._a = [0] * _N_ITEMS
        self._b = [0] * _N_ITEMS
        self.dirty = 0
        self.listing = [0] * _N_LISTED
        self.synchronizations = [0] * (2 * _N_SOURCES)
        self.broadcasts = [0] * (2 * _N_SOURCES)

    def put(self, place, a, b=0):
        """Have the modem take a setting; place: of _ITEMS."""
        if self._a[place] != a or self._b[place] != b or place == _DESYNCHRONIZE:
            self._a[place] = a
            self._b[place] = b
            self.dirty |= 1 << place

    def put_group(self, k, address):
        self.put(_GROUPS + k, k, address)

    def is_group(self, address):
        for k in range(_N_GROUPS):
            if address and self._b[_GROUPS + k] == address:
                return True
        return False

    def poll(self):
        """Hand settings that have changed to the modem, until it is busy."""
        place = 0
        while self.dirty:
            if self.dirty >> place & 1:
                if not self.modem.set(_ITEMS[place], self._a[place], self._b[place]):
                    return
                self.dirty &= ~(1 << place)
            place += 1

    def up(self, source):
        self._count(self.synchronizations, source)

    def down(self, reason):
        k = _LISTED[reason] if reason < len(_LISTED) else 0
        if k < _N_LISTED:
            self.count_down(k)

    def count_down(self, k):
        if self.listing[k] < _TOP:
            self.listing[k] += 1

    def broadcast(self, source):
        self._count(self.broadcasts, source)

    def _count(self, rows, source):
        """Count for a source; the oldest gives its place to a new one."""
        k = 0
        while k < 2 * _N_SOURCES and rows[k] != source and rows[k]:
            k += 2
        if k == 2 * _N_SOURCES:
            k -= 2
            for i in range(k):
                rows[i] = rows[i + 2]
            rows[k + 1] = 0
        rows[k] = source
        if rows[k + 1] < _TOP:
            rows[k + 1] += 1

    def reset(self):
        """Counters to zero: method of MAC counters (class_id 53)."""
        _clear(self.listing)
        _clear(self.synchronizations)
        _clear(self.broadcasts)
        self.modem.n_sent = self.modem.n_repeated = self.modem.n_ok = self.modem.n_bad = 0


def _clear(counts):
    for i in range(len(counts)):
        counts[i] = 0
