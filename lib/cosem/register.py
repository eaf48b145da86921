# SPDX-License-Identifier: MIT
"""Register (class_id 3) and Extended register (class_id 4), version 0; IEC 62056-6-2, 4.3.2.

Values are patched by the meter program. Here is the method reset: value and status become zero (a
string loses its octets), capture_time becomes now. A value that the definition keeps in ROM
cannot be reset: read-write-denied. Nothing is allocated.
"""

from cosem import handler, slots
from micropython import const

_VALUE = const(2)
_STATUS = const(4)
_CAPTURE_TIME = const(5)

_RESET = const(1)

_EXTENDED_REGISTER = const(4)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)


class Handler(handler.Handler):
    """on_reset(row) is called after a reset, in the request: it must not allocate."""

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.on_reset = None

    def sleeps(self):
        return self.on_reset is None

    def reset(self, row):
        """Value 0; action_result."""
        model = self.model
        if not slots.clear_value(model, row, _VALUE):
            return _READ_WRITE_DENIED
        if model.class_id(row) == _EXTENDED_REGISTER:
            slots.clear_value(model, row, _STATUS)
            slots.put_now(model, row, _CAPTURE_TIME, self.model.handler("clock"))
        if self.on_reset is not None:
            self.on_reset(row)
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        if method != _RESET:
            return _OBJECT_UNDEFINED
        return self.reset(s.row)
