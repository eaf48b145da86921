# SPDX-License-Identifier: MIT
"""Register monitor (class_id 21, version 0; IEC 62056-6-2, 4.5.6).

Each second monitored_value is held against the thresholds (thresholds.py). When it has come above
one since the last look, the script action_up of the same place in `actions` is executed; when it
is no longer above it, action_down. A threshold without actions does nothing. What is there at the
start, or after one of the attributes was set, has crossed nothing.
"""

from cosem import handler, thresholds
from micropython import const

_THRESHOLDS = const(2)
_MONITORED_VALUE = const(3)
_ACTIONS = const(4)

_SUCCESS = const(0)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._values = []
        self._thresholds = []

    def start(self, row):
        model = self.model
        self._values.append(thresholds.Monitored(model, row, _MONITORED_VALUE))
        self._thresholds.append(thresholds.Thresholds(model, row, _THRESHOLDS, _ACTIONS))

    def tick(self, now):
        for k in range(len(self._values)):
            if not self.model.is_off(self._values[k].owner):
                self._thresholds[k].look(self._values[k])

    def check(self, row, attribute, buf, pos, end):
        if attribute == _MONITORED_VALUE:
            there = thresholds.target(self.model, row, buf, pos) >= 0
            return _SUCCESS if there else _OTHER_REASON
        if attribute == _THRESHOLDS:
            return thresholds.check_numbers(buf, pos, end, self._values[self._place(row)].tag())
        return thresholds.check_count(buf, pos)

    def changed(self, row, attribute):
        k = self._place(row)
        self._values[k].renew()
        self._thresholds[k].states = b""

    def _place(self, row):
        k = 0
        while self._values[k].owner != row:
            k += 1
        return k
