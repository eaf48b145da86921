# SPDX-License-Identifier: MIT
"""Utility tables (class_id 26, version 0; IEC 62056-6-2, 4.3.7): a table of ANSI C12.19 as octets.

length is computed: the number of octets that buffer has now, without the tag and length of its
encoding. Who sets buffer sets the whole table, of any length that the definition has room for.

Uncertain: whether a table may be set shorter or longer than it was; public texts only say what
the attributes are. Nothing is allocated.
"""

from cosem import handler, slots
from dlms.axdr import length, put_u32
from micropython import const

_LENGTH = const(3)
_BUFFER = const(4)

_DOUBLE_LONG_UNSIGNED = const(0x06)
_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def open(self, s):
        if s.attribute != _LENGTH:
            return _OBJECT_UNDEFINED
        s.n = 1
        return _SUCCESS

    def item(self, s, buf, pos):
        model = self.model
        table = slots.source(model, s.row, _BUFFER)
        n = length(table, slots.offset(model, s.row, _BUFFER) + 1, len(table))
        buf[pos] = _DOUBLE_LONG_UNSIGNED
        return put_u32(buf, pos + 1, n)
