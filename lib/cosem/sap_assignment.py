# SPDX-License-Identifier: MIT
"""SAP assignment (class_id 17, version 0; IEC 62056-6-2, 4.4.5).

Logical devices and their SAPs are fixed by the definition: links and associations are made for
them at boot. So connect_logical_device changes nothing (project-defined): asked for what is in
SAP_assignment_list it succeeds, anything else is read-write-denied. Nothing is allocated.
"""

from cosem import handler, slots
from dlms.axdr import length, length_size, skip
from dlms.prim import compare
from micropython import const

_SAP_ASSIGNMENT_LIST = const(2)

_CONNECT_LOGICAL_DEVICE = const(1)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def invoke(self, s, method, buf, pos, end):
        if method != _CONNECT_LOGICAL_DEVICE:
            return _OBJECT_UNDEFINED
        # 02 02 12 SAP 09 n logical_device_name
        if end - pos < 7 or buf[pos] != 2 or buf[pos + 1] != 2 or buf[pos + 2] != 0x12:
            return _TYPE_UNMATCHED
        if buf[pos + 5] != 0x09 or skip(buf, pos, end) != end:
            return _TYPE_UNMATCHED
        src = slots.source(self.model, s.row, _SAP_ASSIGNMENT_LIST)
        at = slots.offset(self.model, s.row, _SAP_ASSIGNMENT_LIST)
        last = at + self.model.value_len(s.row, _SAP_ASSIGNMENT_LIST)
        n = length(src, at + 1, last)
        at += 1 + length_size(src, at + 1)
        while n:
            after = skip(src, at, last)
            if after - at == end - pos and compare(src, at, buf, pos, end - pos) == 0:
                return _SUCCESS
            at = after
            n -= 1
        return _READ_WRITE_DENIED
