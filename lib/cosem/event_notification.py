# SPDX-License-Identifier: MIT
"""What is sent unasked to a client that has an association: EventNotification, and with short
names InformationReport. It waits in the outbox of notifier.py, and is gone if its association is.
"""

from dlms import notification
from micropython import const

_KINDS_SHIFT = const(8)  # number in the outbox: kinds of protection, client_sap
_ALL_KINDS = const(7)
_OPEN = const(2)  # state of an association

# What a path says, see firmware/links/push.py.
_GONE = const(1)
_BROKEN = const(2)
_NOT_NOW = const(-1)


class EventNotification:
    """What Notifier inherits, which has the outbox, the envelope, the paths and the counts."""

    def event(self, a, row, attribute):
        """Tell the client of association a of the value of an attribute: EventNotification, or
        with short names InformationReport."""
        put = notification.put_event
        if a.own_name:
            from dlms.report import put_value as put
        box = self.outbox
        time = None if self.clock is None else self.clock.local
        while True:
            # Nobody asks: what a right wants of the request is there, and what it wants of the
            # answer this has.
            asked, answered = a.protection, a.response_kinds
            a.protection, a.response_kinds = _ALL_KINDS, 0
            end = put(a, box.buf, box.open(), box.limit, row, attribute, time)
            kinds = a.response_kinds
            a.protection, a.response_kinds = asked, answered
            if end >= 0:
                if end:
                    self.post(a, end, kinds)
                return
            made_room = box.make_room()
            self.lost += box.lost
            box.lost = 0
            if not made_room:
                return

    def post(self, a, end, kinds=0):
        """The APDU that has been written at outbox.open() ends there: for the client of a, with
        these kinds of protection at least."""
        k = self.server.associations.index(a)
        self.outbox.close(end, 1 + k, kinds << _KINDS_SHIFT | a.client_sap)

    def _tell(self):
        """Generator: the oldest APDU for an association."""
        box = self.outbox
        at = box.find(-1)
        self._serial = box.found
        plain = bytes(box.buf[at : box.found_end])
        a = self.server.associations[box.owner(at) - 1]
        sap = box.number(at) & 0xFF
        made = None
        if a.state == _OPEN and a.client_sap == sap:
            made = self.envelope.of_association(a, plain, box.number(at) >> _KINDS_SHIFT)
        code = _BROKEN
        while made is not None and a.state == _OPEN and a.client_sap == sap:
            buf, pos, end = made
            code = self.paths.tell(a, buf, pos, end - pos)
            if code != _NOT_NOW:
                break
            yield
        box.remove(self._serial)
        if code == _GONE:
            self.done += 1
        else:
            self.lost += 1
