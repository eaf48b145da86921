# SPDX-License-Identifier: MIT
"""What a request has set, as it was before: it comes back if the new values cannot be saved.

    take(), put()                           what a client sets, with that
    undo.keep(row, attribute, n) -> bool    a value is about to be replaced by one of n octets;
                                            False: there is no room to remember it, and it is not
    undo.end                                0: nothing is remembered; also a mark
    undo.restore(mark)                      what is remembered since is there again

The slot of a longer value has the end of it after the new one has come: only octets that are
written over are kept. A record: those; row u16, attribute, length of the old value u16, number of
kept octets u16. One buffer a server, as long as its longest request; made with the service SET,
and let go of with it.
"""

from dlms.axdr import get_u16, put_u16
from dlms.prim import copy
from micropython import const

_OTHER_REASON = const(250)

_TAIL_LEN = const(7)
_SLACK = const(64)  # a record may be longer than what a request needs to change a value


def take(a, row, attribute, buf, pos, end):
    """Model.write() for the client of association a; data_access_result."""
    return a.model.accepts(row, attribute, buf, pos, end) or put(a, row, attribute, buf, pos, end)


def put(a, row, attribute, buf, pos, end):
    """Model.store() likewise: the old value comes back if the new one cannot be saved, or the
    class says that it cannot come into force."""
    model = a.model
    undo = a.server.parts.get("dlms.undo")
    if undo is None:
        return model.store(row, attribute, buf, pos, end)
    mark = undo.end
    if not undo.keep(row, attribute, end - pos):
        return _OTHER_REASON
    dar = model.store(row, attribute, buf, pos, end)
    if dar:
        undo.restore(mark)
    return dar


class Undo:
    def __init__(self, model):
        self._model = model
        limits = model.limits
        self._log = bytearray(max(limits[1], limits[3], limits[4]) + _SLACK)
        self.end = 0

    def keep(self, row, attribute, n):
        model = self._model
        at = model.slot(row, attribute)
        if at < 0:
            return True  # computed, or still as in ROM
        was = model.value_len(row, attribute)
        log = self._log
        end = self.end
        while end:
            tail = end - _TAIL_LEN
            kept = get_u16(log, tail + 5)
            if get_u16(log, tail) == row and log[tail + 2] == attribute:
                # Once more in this request: all that counts is the first one, whose end is still
                # in the slot and has to stay there.
                return n <= kept or get_u16(log, tail + 3) == kept
            end = tail - kept
        kept = was if was < n else n
        end = self.end
        tail = end + kept
        if tail + _TAIL_LEN > len(log):
            return False
        copy(log, end, model.image, at, kept)
        put_u16(log, tail, row)
        log[tail + 2] = attribute
        put_u16(log, tail + 3, was)
        self.end = put_u16(log, tail + 5, kept)
        return True

    def restore(self, mark):
        model = self._model
        log = self._log
        while self.end > mark:
            tail = self.end - _TAIL_LEN
            row = get_u16(log, tail)
            attribute = log[tail + 2]
            kept = get_u16(log, tail + 5)
            self.end = tail - kept
            at = model.slot(row, attribute)
            copy(model.image, at, log, self.end, kept)
            model.store(row, attribute, model.image, at, at + get_u16(log, tail + 3))
