# SPDX-License-Identifier: MIT
"""What the setup classes of the PLC profiles have in common (IEC 62056-6-2, 4.10, 4.12, 4.13 and
4.18): their station (lib/profiles/), which the firmware puts into model.plc under the name of its
profile, and computed attributes that are made as one item each. Nothing is allocated."""

from cosem import handler
from micropython import const

_SUCCESS = const(0)


class Handler(handler.Handler):
    profile = ""

    def sleeps(self):
        return True

    def station(self):
        """None: the meter has no modem for it."""
        plc = self.model.plc
        return None if plc is None else plc.get(self.profile)

    def changed(self, row, attribute):
        if self.model.on_setup is not None:
            self.model.on_setup(row)

    def open(self, s):
        s.n = 1
        return _SUCCESS
