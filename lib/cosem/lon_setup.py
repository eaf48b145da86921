# SPDX-License-Identifier: MIT
"""ISO/IEC 14908 (IEC 62056-6-2, 4.18): Identification (class_id 130), Protocol setup (131),
Protocol status (132), Diagnostic (133).

What clients set is stored, and the firmware is told by model.on_setup(row) to hand it to the
profile; a node_ID or subnet_ID of 0 is a node without an address. What happens on the line is
computed from the station (lib/profiles/lon.py), which the firmware puts into model.plc under
"lon"; without one nothing has been counted.

Project-defined, for the values of these enumerations are not public: plc_signal_quality_status 0
not known, 1 good, 2 poor; com_module_state 0 down, 1 up; received_message_status 0 none has come,
1 good, 2 not understood. Nothing counts backlog_overflows and frequency_invalid here.

Nothing is allocated.
"""

from cosem import station_setup
from dlms.axdr import put_u16, put_u32
from micropython import const

_IDENTIFICATION = const(130)
_PROTOCOL_STATUS = const(132)
_DIAGNOSTIC = const(133)

_NODE_ID = const(2)
_DOMAIN_ID = const(4)
_PROGRAM_ID = const(5)
_UNIQUE_NODE_ID = const(6)
_LAST_NODE = const(127)
_PROGRAM_LEN = const(8)
_UNIQUE_LEN = const(6)

# Of Protocol status, from attribute 2 on.
_MESSAGES_RECEIVED = const(10)
# Of Diagnostic.
_MODULE_STATE = const(3)
_MESSAGE_STATUS = const(4)

_DOUBLE_LONG_UNSIGNED = const(0x06)
_UNSIGNED = const(0x11)
_LONG_UNSIGNED = const(0x12)
_ENUM = const(0x16)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_FULL = const(0xFFFF)
_GOOD = const(128)


class Handler(station_setup.Handler):
    profile = "lon"

    def check(self, row, attribute, buf, pos, end):
        good = True
        if self.model.class_id(row) == _IDENTIFICATION:
            n = buf[pos + 1]
            if attribute == _NODE_ID:
                good = n <= _LAST_NODE
            elif attribute == _DOMAIN_ID:
                good = n == 0 or n == 1 or n == 3 or n == 6
            elif attribute == _PROGRAM_ID:
                good = n == 0 or n == _PROGRAM_LEN
            elif attribute == _UNIQUE_NODE_ID:
                good = n == 0 or n == _UNIQUE_LEN
        return _SUCCESS if good else _OTHER_REASON

    def item(self, s, buf, pos):
        station = self.station()
        if self.model.class_id(s.row) == _PROTOCOL_STATUS:
            return _status(station, s.attribute, buf, pos)
        return _diagnostic(station, s.attribute, buf, pos)

    def invoke(self, s, method, buf, pos, end):
        class_id = self.model.class_id(s.row)
        if method != 1 or class_id != _PROTOCOL_STATUS and class_id != _DIAGNOSTIC:
            return _OBJECT_UNDEFINED
        station = self.station()
        if station is not None:
            if class_id == _PROTOCOL_STATUS:
                station.clear_status()
            else:
                station.clear_diagnostic()
        return _SUCCESS


def _status(station, attribute, buf, pos):
    n = 0 if station is None else station.status(attribute)
    if attribute >= _MESSAGES_RECEIVED:
        buf[pos] = _DOUBLE_LONG_UNSIGNED
        return put_u32(buf, pos + 1, n)
    buf[pos] = _LONG_UNSIGNED
    return put_u16(buf, pos + 1, n if n < _FULL else _FULL)


def _diagnostic(station, attribute, buf, pos):
    value = 0
    if attribute > _MESSAGE_STATUS:
        if station is not None:
            value = station.diagnostic(attribute)
        buf[pos] = _LONG_UNSIGNED
        return put_u16(buf, pos + 1, value if value < _FULL else _FULL)
    buf[pos] = _UNSIGNED if attribute == _MESSAGE_STATUS else _ENUM
    if station is not None:
        if attribute == _MESSAGE_STATUS:
            value = station.message_status
        elif attribute == _MODULE_STATE:
            value = 1 if station.modem.is_up else 0
        elif station.quality >= 0:
            value = 1 if station.quality >= _GOOD else 2
    buf[pos + 1] = value
    return pos + 2
