# SPDX-License-Identifier: MIT
"""What a meter sends unasked while there is something to send: the notifier (cosem/notifier.py)
with the paths of this meter (links/push.py), and the counters that hear of it. Meter.notifier()
loads it, and lets go of it when turn() says that nothing is left.
"""

from cosem.notifier import Notifier
from firmware.links.push import Paths
from micropython import const

_OUTBOX_LEN = const(5)  # of LIMITS in the definition
_KEEPS = const(6)
_NOTIFICATIONS = const(7)  # counters, see sources.py
_NOTIFICATIONS_LOST = const(8)
_NO_CONNECTION = const(140)  # event code, see events.py


class Sender:
    def __init__(self, meter, port, poller, links):
        limits = meter.model.limits
        self.registers = meter.program.registers
        self.events = meter.program.events
        self.paths = Paths(port, poller, links)
        self.notifier = Notifier(
            meter.model, meter.server, self.paths, limits[_OUTBOX_LEN], limits[_KEEPS]
        )

    def turn(self, now_ms):
        """A turn of the main loop; False: nothing is left to be sent."""
        notifier = self.notifier
        self.paths.poll(now_ms)
        notifier.turn()
        if notifier.done:
            self.registers.count(_NOTIFICATIONS, notifier.done)
            notifier.done = 0
        if notifier.lost:
            self.registers.count(_NOTIFICATIONS_LOST, notifier.lost)
            self.events.later(_NO_CONNECTION)
            notifier.lost = 0
        if notifier.is_idle():
            notifier.close()
            return False
        return True
