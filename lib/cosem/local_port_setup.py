# SPDX-License-Identifier: MIT
"""IEC local port setup (class_id 19, versions 0 and 1; IEC 62056-6-2, 4.7.1 and 5.7.1).

The values are stored; here is looked at what their types leave open (other-reason), and the
firmware is told by model.on_setup(row): the port uses them from the next sign-on. What they mean
there: local_port.py. Nothing is allocated.

Project-defined: default_mode 2 (no protocol) is of version 1 only; a device address has letters,
digits and spaces, as a request message can have them; a password has characters of seven bits
without the parentheses that it stands in.
"""

from cosem import handler
from micropython import const

_DEFAULT_MODE = const(2)
_DEVICE_ADDR = const(6)

_NO_PROTOCOL = const(2)
_HDLC = const(1)
_LONGEST = const(32)

_SUCCESS = const(0)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def check(self, row, attribute, buf, pos, end):
        if attribute == _DEFAULT_MODE:
            good = buf[pos + 1] <= (_NO_PROTOCOL if self.model.version(row) else _HDLC)
        else:
            good = buf[pos + 1] <= _LONGEST
            for i in range(pos + 2, end):
                good = good and _may_stand(buf[i], attribute == _DEVICE_ADDR)
        return _SUCCESS if good else _OTHER_REASON

    def changed(self, row, attribute):
        if self.model.on_setup is not None:
            self.model.on_setup(row)


def _may_stand(x, in_address):
    if in_address:
        return x == 0x20 or 0x30 <= x <= 0x39 or 0x41 <= x & 0x5F <= 0x5A and x < 0x80
    return 0x20 <= x < 0x7F and x != 0x28 and x != 0x29
