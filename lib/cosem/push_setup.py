# SPDX-License-Identifier: MIT
"""Push setup (class_id 40, versions 0 to 2; IEC 62056-6-2, 4.4.8.2, 5.4.9, 5.4.10).

This module checks what is set and marks what is to be pushed; with the next second notifier.py
is loaded, which makes the notification and sends it. push is a success as soon as it is marked:
what became of it is counted, and shown in last_confirmation_date_time. A second push before that
is the same one. reset (version 2) takes back what waits.

Sent to the client with push_client_SAP (version 0: 1, the management process), in its words: with
the rights of its association in this logical device, and protected as its Security setup asks for
answers, unless push_protection_parameters say how.

    transport_service    destination
    0 TCP, 1 UDP         address, or address:port (4059): 192.0.2.1:4059, [2001:db8::1]; or a name,
                         head-end.example:4059, which is looked up when something is to be sent
                         (firmware/links/push.py), if the limits of the definition let it
    5 HDLC               nothing: a UI frame to push_client_SAP

A name is labels of letters, digits and hyphens with dots between them, and the last one does not
begin with a digit (RFC 1123, 2.1).

The hidden state says of each object that something of it waits. After a power failure it is pushed
anew: with the values and the time of the start, and once, however many had been waiting. What was
delivered after the last save may come twice.

Project-defined: all that; and that other services, other messages than A-XDR, and destinations of
another form cannot be set (other-reason). What has no destination or no objects is not pushed:
object-unavailable. What the notifier then finds that it cannot do (a client that has no
association, parameters of protection that are wrong or say too little, a port_reference that is
neither zeros nor the setup object of a link with that service) is given up and counted.
Nothing is allocated but in tick().
"""

from cosem import calendar, slots
from cosem.handler import Handler as Base
from dlms.axdr import get_u16
from micropython import const

_PUSH_OBJECT_LIST = const(2)
_SEND_DESTINATION_AND_METHOD = const(3)
_COMMUNICATION_WINDOW = const(4)
_PUSH_CLIENT_SAP = const(9)

_PUSH = const(1)
_RESET = const(2)

# Marks of an object.
_TO_PUSH = const(1)
_TO_RESET = const(2)

_TCP = const(0)
_UDP = const(1)
_HDLC = const(5)
_AXDR = const(0)
_SERVICE_AT = const(3)  # 02 03 16 transport_service 09 destination 16 message
_DESTINATION_AT = const(5)

_FAR = const(0x3FFFFFFF)

_LAST_SAP = const(0x7F)
_LOOK_UP = const(7)  # of LIMITS in the definition
_LONGEST_LABEL = const(63)

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_OBJECT_UNDEFINED = const(4)
_OBJECT_UNAVAILABLE = const(11)
_OTHER_REASON = const(250)

_COLON = const(58)
_DOT = const(46)
_OPENED = const(91)
_CLOSED = const(93)
_HYPHEN = const(45)
_ZERO = const(48)
_NINE = const(57)


class Handler(Base):
    """
    rows      of all objects; marks: what is to be done for each with the next second
    notifier  while it is loaded: it is told of each second
    """

    rows = b""
    notifier = None

    def sleeps(self):
        return self.notifier is None and not any(self.marks)

    def due(self):
        return _FAR

    def start(self, row):
        self.rows += bytes((row >> 8, row & 0xFF))
        # What the last power failure has kept from being sent is asked for again.
        marks = bytearray(len(self.rows) >> 1)
        for k in range(len(marks)):
            marks[k] = self.model.image[self.model.state(get_u16(self.rows, 2 * k), 0)]
        self.marks = marks

    def wait(self, row, yes):
        """Does something of this object wait? After a power failure, too."""
        self.model.image[self.model.state(row, 0)] = yes

    def tick(self, now):
        if self.notifier is None and self.model.notifier is not None and any(self.marks):
            self.notifier = self.model.notifier()
        if self.notifier is not None:
            self.notifier.tick()

    # --- Methods ------------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        if method == _PUSH:
            return self.push(s.row)
        if method != _RESET:
            return _OBJECT_UNDEFINED
        self._mark(s.row, _TO_RESET)
        return _SUCCESS

    def push(self, row):
        """Push what the object says, with the next second; action_result."""
        model = self.model
        objects = slots.offset(model, row, _PUSH_OBJECT_LIST) + 1
        at = slots.offset(model, row, _SEND_DESTINATION_AND_METHOD)
        src = slots.source(model, row, _SEND_DESTINATION_AND_METHOD)
        if not slots.source(model, row, _PUSH_OBJECT_LIST)[objects] or not (
            src[at + _DESTINATION_AT] or src[at + _SERVICE_AT] == _HDLC
        ):
            return _OBJECT_UNAVAILABLE
        if model.is_off(row):
            return _TEMPORARY_FAILURE
        self._mark(row, _TO_PUSH)
        return _SUCCESS

    def _mark(self, row, what):
        self.wait(row, what == _TO_PUSH)
        for k in range(len(self.marks)):
            if get_u16(self.rows, 2 * k) == row:
                # What was asked for first is done first: a reset takes back a push before it.
                self.marks[k] = what if what == _TO_RESET else self.marks[k] | what

    # --- Attributes ---------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        good = True
        if attribute == _SEND_DESTINATION_AND_METHOD:
            good = is_good(self.model, buf, pos, end)
        elif attribute == _COMMUNICATION_WINDOW:
            good = calendar.windows_are_good(buf, pos)
        elif attribute == _PUSH_CLIENT_SAP:
            good = 0 < buf[pos + 1] <= _LAST_SAP
        return _SUCCESS if good else _OTHER_REASON


def is_good(model, buf, pos, end):
    """Is the send_destination_and_method buf[pos:end] one that this meter can do?"""
    service = buf[pos + _SERVICE_AT]
    if buf[end - 1] != _AXDR:
        return False
    if service == _HDLC:
        return True
    n = buf[pos + _DESTINATION_AT]
    if service != _TCP and service != _UDP or n > 0x7F:
        return False
    return not n or host_end(buf, pos + 6, pos + 6 + n, model.limits[_LOOK_UP]) > 0


def host_end(buf, pos, end, names=True):
    """Where the host of the destination buf[pos:end] ends, or -1: it is none. Behind it comes
    nothing, or the port; around an IPv6 address are brackets. names: may it be one?"""
    if buf[pos] == _OPENED:
        at = pos + 1
        while at < end and buf[at] != _CLOSED:
            if not (_ZERO <= buf[at] <= _COLON or _is_hexadecimal(buf[at]) or buf[at] == _DOT):
                return -1
            at += 1
        at += 1
        if at > end or at - pos < 4:
            return -1
    else:
        at = pos
        for k in range(4):
            after = _number_end(buf, at, end, 3, 255)
            if after < 0 or (k < 3 and (after >= end or buf[after] != _DOT)):
                at = _name_end(buf, pos, end) if names else -1
                break
            at = after + 1 if k < 3 else after
        if at < 0:
            return -1
    if at == end:
        return at
    if buf[at] != _COLON or _number_end(buf, at + 1, end, 5, 65535) != end:
        return -1
    return at


def _name_end(buf, pos, end):
    start = pos  # of the label
    at = pos
    while True:
        octet = buf[at] if at < end else 0
        if octet == _DOT or octet == _COLON or at == end:
            if not 0 < at - start <= _LONGEST_LABEL or buf[at - 1] == _HYPHEN:
                return -1
            if octet != _DOT:
                return -1 if _ZERO <= buf[start] <= _NINE else at
            start = at + 1
        elif octet == _HYPHEN:
            if at == start:
                return -1
        elif not (_ZERO <= octet <= _NINE or ord("a") <= octet | 0x20 <= ord("z")):
            return -1
        at += 1


def _is_hexadecimal(octet):
    return ord("a") <= octet | 0x20 <= ord("f")


def _number_end(buf, pos, end, most, highest):
    """The end of the number at pos, of one digit at least and `most` at most; -1: it is none."""
    at = pos
    value = 0
    while at < end and at - pos < most and _ZERO <= buf[at] <= _NINE:
        value = value * 10 + buf[at] - _ZERO
        at += 1
    return at if at > pos and value <= highest else -1
