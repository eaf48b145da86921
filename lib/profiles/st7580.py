# SPDX-License-Identifier: MIT
"""A raw link over two or more ST7580 on one line: project-defined, not IEC 62056. HDLC frames (IEC
62056-46), each in a frame of the modem's data link layer; addresses, repetition and order are
HDLC's, as on an RS-485 bus.

    application layer | HDLC (hdlc.py, by llc_hdlc.py) | data link of the modem (modems/st7580.py)

Half duplex: the client has the word, and gives it with P = 1. Nothing is allocated beside what
the parts do at construction.
"""

from micropython import const
from profiles.modems import more
from profiles.station import Station

_MODULATION = const(0x00)  # BPSK, coded; uncertain: what else a receiver finds by itself


class RawLink(Station):
    name = "st7580"

    def _receive(self, now_ms):
        modem = self.modem
        if self.muted:
            self.n_foreign = more(self.n_foreign)
            return
        # The profile answers to all-station addresses by itself: silence.
        self.llc.receive(modem.buf, modem.pos, modem.end, False, now_ms)

    def _hand_over(self):
        pos = self.llc.out_pos
        return self.modem.send(self.llc.out, pos, pos + self._n, 0, _MODULATION)
