# SPDX-License-Identifier: MIT
"""PRIME PLC (IEC 62056-8-4) with the 4-32 convergence sublayer, the server's side, over a modem
that does PHY, MAC and CL_432: profiles/modems/prime_node.py, or what behaves like it.

    application layer | LLC (llc_432.py) | CL_432 at the boundary of the modem

The modem registers, establishes the connection with the meter's identifier, and says UP; then it
knows its own address and that of the base node, which all answers go to. The header of the LLC
goes as two LSAPs beside the data. station.py has the rest.

An address that has changed ends the associations; a network that was lost and has given back the
same address does not. Nothing is allocated beside what the parts do at construction.
"""

from micropython import const
from profiles.modems import more
from profiles.station import Station

_DL_DATA = const(0x90)
_HEADER_LEN = const(3)
_BROADCAST = const(0x0FFF)
_NOBODY = const(0xFFFF)


class PRIME(Station):
    """One meter on one modem. address, base_address: 4-32 addresses; FFFF: none yet."""

    name = "prime"

    def __init__(self, channel, modem, llc, attributes=None):
        Station.__init__(self, channel, modem, llc, attributes)
        self.address = self.base_address = _NOBODY

    def restart(self):
        """reset of 61334-4-32 LLC SSCS setup: there is no address any more."""
        Station.restart(self)
        self.address = self.base_address = _NOBODY

    def _up(self):
        modem = self.modem
        if modem.address != self.address or modem.base_address != self.base_address:
            self.address = modem.address
            self.base_address = modem.base_address
            self.reset()

    def _receive(self, now_ms):
        modem = self.modem
        to_all = modem.destination == _BROADCAST
        own = to_all or modem.destination == self.address
        if not own or modem.source != self.base_address or self.muted:
            self.n_foreign = more(self.n_foreign)
            return
        # In front of the data is what the modem said about it: there is room for the header.
        buf = modem.buf
        pos = modem.pos - _HEADER_LEN
        buf[pos] = _DL_DATA
        buf[pos + 1] = modem.options >> 8
        buf[pos + 2] = modem.options & 0xFF
        self.llc.receive(buf, pos, modem.end, to_all, now_ms)

    def _hand_over(self):
        out = self.llc.out
        pos = self.llc.out_pos
        lsaps = out[pos + 1] << 8 | out[pos + 2]
        end = pos + self._n
        return self.modem.send(out, pos + _HEADER_LEN, end, self.modem.base_address, lsaps)
