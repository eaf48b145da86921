# SPDX-License-Identifier: MIT
"""IEC HDLC setup (class_id 23, versions 0 and 1; IEC 62056-6-2, 4.7.2).

The values are stored; here their ranges are kept (other-reason outside of them; lengths that no
buffer holds are outside), and the firmware is told by model.on_setup(row) to use them. It does so
when the link is next set up: what was negotiated stays. Nothing is allocated.
"""

from cosem import handler
from dlms.axdr import get_u16
from micropython import const

_COMM_SPEED = const(2)
_WINDOW_SIZE_TRANSMIT = const(3)
_WINDOW_SIZE_RECEIVE = const(4)
_MAX_INFO_FIELD_LENGTH_TRANSMIT = const(5)
_MAX_INFO_FIELD_LENGTH_RECEIVE = const(6)
_INTER_OCTET_TIME_OUT = const(7)
_DEVICE_ADDRESS = const(9)

_SUCCESS = const(0)
_OTHER_REASON = const(250)

_115200_BAUD = const(9)
_MAX_WINDOW = const(7)
# Physical device addresses below are reserved; 3FFE calls any device, 3FFF all of them.
_FIRST_ADDRESS = const(0x10)
_LAST_ADDRESS = const(0x3FFD)


class Handler(handler.Handler):
    """longest_info: information field that the buffers of the links hold; set by the firmware."""

    def __init__(self, model):
        super().__init__(model)
        self.longest_info = 2030

    def check(self, row, attribute, buf, pos, end):
        first = self.model.version(row) == 0
        low = 0
        high = 0xFFFF
        if attribute == _COMM_SPEED:
            high = _115200_BAUD
        elif attribute == _WINDOW_SIZE_TRANSMIT or attribute == _WINDOW_SIZE_RECEIVE:
            low = 1
            high = _MAX_WINDOW
        elif (
            attribute == _MAX_INFO_FIELD_LENGTH_TRANSMIT
            or attribute == _MAX_INFO_FIELD_LENGTH_RECEIVE
        ):
            low = 32
            high = min(128, self.longest_info) if first else self.longest_info
        elif attribute == _INTER_OCTET_TIME_OUT:
            low = 20
            high = 1000 if first else 6000
        elif attribute == _DEVICE_ADDRESS:
            low = _FIRST_ADDRESS
            high = _LAST_ADDRESS
        value = buf[pos + 1] if end - pos == 2 else get_u16(buf, pos + 1)
        return _SUCCESS if low <= value and value <= high else _OTHER_REASON

    def changed(self, row, attribute):
        if self.model.on_setup is not None:
            self.model.on_setup(row)
