# SPDX-License-Identifier: MIT
"""NTP setup (class_id 100, version 0; IEC 62056-6-2, 4.9.7): from where the clock is set.

The values are stored, and firmware/links/ntp.py asks the server; it is told by model.on_setup(row)
when one has changed, or synchronize was invoked. Keys: a key_id, and an octet-string that
nobody should have the right to read.

Project-defined: server_address is the text of an address or of a name; an empty one is none, as
is port 0. Autokey (authentication_method 2) is refused with other-reason: the meter has no such
mechanism. synchronize answers other-reason where the object is not activated or has no server,
else success: the answer of the server comes later. A key_id that is there already, a key of no
octets, and no room are other-reason; one that is not there is object-undefined. Nothing is
allocated.
"""

from cosem import elements, handler, slots
from dlms.axdr import skip
from dlms.prim import compare
from micropython import const

_ACTIVATED = const(2)
_SERVER_ADDRESS = const(3)
_SERVER_PORT = const(4)
_AUTHENTICATION_METHOD = const(5)
_AUTHENTICATION_KEYS = const(6)

_SYNCHRONIZE = const(1)
_ADD_AUTHENTICATION_KEY = const(2)
_DELETE_AUTHENTICATION_KEY = const(3)

_SHARED_SECRETS = const(1)
# An element: 02 02 06 key_id (4 octets) 09 n key.
_KEY_ID_AT = const(3)
_KEY_LEN_AT = const(8)
_KEY_ID_LEN = const(4)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    """row: of the first object, the one that is used; -1: there is none
    asked: counts what the server is to be asked for: changes, and synchronize"""

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.row = -1
        self.asked = 0

    def start(self, row):
        if self.row < 0:
            self.row = row

    def check(self, row, attribute, buf, pos, end):
        if attribute == _AUTHENTICATION_METHOD and buf[pos + 1] > _SHARED_SECRETS:
            return _OTHER_REASON
        if attribute == _AUTHENTICATION_KEYS and not _are_distinct(buf, pos, end):
            return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        self.asked = self.asked + 1 & 0xFFFF
        if self.model.on_setup is not None:
            self.model.on_setup(row)

    def invoke(self, s, method, buf, pos, end):
        row = s.row
        if method == _SYNCHRONIZE:
            if not self.is_on(row):
                return _OTHER_REASON
            result = _SUCCESS
        elif method == _ADD_AUTHENTICATION_KEY:
            if not buf[pos + _KEY_LEN_AT] or self.key(row, buf, pos + _KEY_ID_AT) >= 0:
                return _OTHER_REASON
            result = elements.add(self.model, row, _AUTHENTICATION_KEYS, buf, pos, end)
        elif method == _DELETE_AUTHENTICATION_KEY:
            result = self._delete(row, buf, pos + 1)
        else:
            return _OBJECT_UNDEFINED
        if not result:
            self.changed(row, 0)
        return result

    def _delete(self, row, buf, pos):
        at = self.key(row, buf, pos)
        if at < 0:
            return _OBJECT_UNDEFINED
        if self.model.slot(row, _AUTHENTICATION_KEYS) < 0:
            return _READ_WRITE_DENIED
        elements.remove(self.model, row, _AUTHENTICATION_KEYS, at)
        return _SUCCESS

    def is_on(self, row):
        """Is it activated, and is there a server?"""
        model = self.model
        return (
            slots.octet(model, row, _ACTIVATED) != 0
            and model.value_len(row, _SERVER_ADDRESS) > 2
            and slots.long_unsigned(model, row, _SERVER_PORT) != 0
        )

    def key(self, row, buf, pos):
        """Position in slots.source() of the element with the key_id buf[pos:pos + 4], or -1."""
        model = self.model
        src = slots.source(model, row, _AUTHENTICATION_KEYS)
        at = slots.offset(model, row, _AUTHENTICATION_KEYS)
        return _find(src, at, at + model.value_len(row, _AUTHENTICATION_KEYS), buf, pos)


def _find(src, at, end, buf, pos):
    """Position of the element of the array src[at:end] with this key_id, or -1."""
    n = src[at + 1]
    at += 2
    while n:
        if compare(src, at + _KEY_ID_AT, buf, pos, _KEY_ID_LEN) == 0:
            return at
        at = skip(src, at, end)
        n -= 1
    return -1


def _are_distinct(buf, pos, end):
    """An array of at most 127 elements: each key_id once, and each key of some octets."""
    if buf[pos + 1] > 127:
        return False
    at = pos + 2
    while at < end:
        if not buf[at + _KEY_LEN_AT] or _find(buf, pos, end, buf, at + _KEY_ID_AT) != at:
            return False
        at = skip(buf, at, end)
    return True
