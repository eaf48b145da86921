# SPDX-License-Identifier: MIT
"""M-Bus diagnostic (class_id 77, version 0; IEC 62056-6-2, 4.8.7): what the M-Bus port counts.

The firmware's port says note() when it has sent or heard something; public sources give the class
with confidence medium. Project-defined: the objects show the meter's M-Bus port as a master;
link_status is 0 until an answer has come, 1 after a good one, 2 after a request without one, 3
after ten of them in a row; capture_time has the attribute that has changed last, and when. A
wired port has no signal strength and no channel, and hears no broadcasts. reset sets what counts
to 0, and capture_time to no attribute and no time. Nothing is allocated.
"""

from cosem import handler, slots
from dlms.prim import copy, fill
from micropython import const

_LINK_STATUS = const(4)
_BROADCAST_FRAMES_COUNTER = const(5)
_TRANSMISSIONS_COUNTER = const(6)
_FCS_OK_FRAMES_COUNTER = const(7)
_FCS_NOK_FRAMES_COUNTER = const(8)
_CAPTURE_TIME = const(9)

_RESET = const(1)

# capture_time: 02 02 11 attribute_id 19 date-time.
_ID_AT = const(3)
_TIME_AT = const(5)
_TIME_LEN = const(12)

_NORMAL = const(1)
_INTERRUPTED = const(2)
_LOST = const(3)
_MOST_LOST = const(10)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        self._lost = 0

    def start(self, row):
        self.rows.append(row)
        self._status(row, 0)

    def note(self, sent, good, bad):
        """So many frames more were sent, and heard, and spoilt."""
        for row in self.rows:
            self._count(row, _TRANSMISSIONS_COUNTER, sent)
            self._count(row, _FCS_OK_FRAMES_COUNTER, good)
            self._count(row, _FCS_NOK_FRAMES_COUNTER, bad)

    def heard(self, good):
        """A request has had an answer, or none for all its repetitions."""
        self._lost = 0 if good else self._lost + 1 if self._lost < _MOST_LOST else _MOST_LOST
        status = _NORMAL if good else _LOST if self._lost == _MOST_LOST else _INTERRUPTED
        for row in self.rows:
            self._status(row, status)

    def invoke(self, s, method, buf, pos, end):
        if method != _RESET:
            return _OBJECT_UNDEFINED
        for attribute in range(_TRANSMISSIONS_COUNTER, _FCS_NOK_FRAMES_COUNTER + 1):
            self.model.put_int(s.row, attribute, 0)
        image = self.model.image
        at = self.model.slot(s.row, _BROADCAST_FRAMES_COUNTER)
        image[at + 1] = 0  # elements
        slots.set_len(image, at, 2)
        at = self.model.slot(s.row, _CAPTURE_TIME)
        image[at + _ID_AT] = 0
        fill(image, at + _TIME_AT, _TIME_LEN, 0xFF)
        return _SUCCESS

    def _status(self, row, status):
        at = self.model.slot(row, _LINK_STATUS) + 1
        if self.model.image[at] != status:
            self.model.image[at] = status
            self._changed(row, _LINK_STATUS)

    def _count(self, row, attribute, more):
        if more:
            at = self.model.slot(row, attribute) + 4
            image = self.model.image
            # Octet by octet: 32 bits allocate on a board.
            for k in range(4):
                more += image[at - k]
                image[at - k] = more & 0xFF
                more >>= 8
            self._changed(row, attribute)

    def _changed(self, row, attribute):
        clock = self.model.handler("clock")
        at = self.model.slot(row, _CAPTURE_TIME)
        self.model.image[at + _ID_AT] = attribute
        if clock is not None:
            copy(self.model.image, at + _TIME_AT, clock.local, 0, _TIME_LEN)
