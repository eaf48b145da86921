# SPDX-License-Identifier: MIT
"""PRIME PLC (IEC 62056-8-4) with the 4-32 convergence sublayer, the server's side, over a modem
that does PHY, MAC and CL_432: profiles/modems/prime_node.py, or what behaves like it.

    application layer | LLC (llc_432.py) | CL_432 at the boundary of the modem

The modem registers, establishes the connection with the meter's identifier, and says UP; then it
knows its own address and that of the base node, which all answers go to. The header of the LLC
goes as two LSAPs beside the data.

    poll(now_ms)  takes an event of the modem, serves, sends; True: there may be more at once

An address that has changed ends the associations; a network that was lost and has given back the
same address does not. Nothing is allocated beside what the parts do at construction.
"""

from micropython import const
from profiles.modems import more

# Events of a modem.
_MODEM_UP = const(1)
_MODEM_DOWN = const(2)
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)
_MODEM_FAULT = const(5)

_DL_DATA = const(0x90)
_HEADER_LEN = const(3)
_BROADCAST = const(0x0FFF)
_NOBODY = const(0xFFFF)


class PRIME:
    """One meter on one modem.

    address, base_address  4-32 addresses; FFFF: none yet
    n_lost                 L_PDUs that the modem did not take or send
    n_foreign              L_PDUs that came from somebody else than the base node
    """

    name = "prime"
    closed = False

    def __init__(self, channel, modem, llc, attributes=None):
        """llc: an LLC432. attributes: what reads and writes those of the modem, see
        modem_values.py; None: nobody wants them."""
        self.channel = channel
        self.modem = modem
        self.llc = llc
        self.attributes = attributes
        self.muted = False  # the port is locked, see dlms/guard.py
        self.address = self.base_address = _NOBODY
        self.n_lost = 0
        self.n_foreign = 0
        self._n = 0  # octets of an L_PDU that waits for the modem
        self._restarts = False

    @property
    def capacity(self):
        return self.llc.capacity

    def open(self, now_ms):
        self.reset()
        self.modem.open(now_ms)

    def reset(self):
        """The link goes: what was on its way is forgotten."""
        self._n = 0
        self.llc.release()

    def restart(self):
        """Start the modem again when the answer that waits has left: reset of 61334-4-32 LLC SSCS
        setup."""
        self._restarts = True

    def poll(self, now_ms):
        modem = self.modem
        event = modem.poll(now_ms)
        if event == _MODEM_DATA:
            self._receive(now_ms)
        elif event == _MODEM_CONFIRM:
            if modem.status:
                self.n_lost = more(self.n_lost)  # the client asks again
        elif event == _MODEM_UP:
            self._up()
        elif event == _MODEM_DOWN or event == _MODEM_FAULT:
            if self._n:
                self._left(-1)
        if self._restarts and event == _MODEM_CONFIRM and not self.is_busy():
            self._restarts = False
            self.address = self.base_address = _NOBODY
            self.open(now_ms)
        self._send(now_ms)
        if self.attributes is not None:
            self.attributes.poll(now_ms)
        return event != 0

    def is_busy(self):
        """Is there something that waits for the modem, or for the server?"""
        return self._n != 0 or self.llc.is_busy

    def _up(self):
        modem = self.modem
        if modem.address != self.address or modem.base_address != self.base_address:
            self.address = modem.address
            self.base_address = modem.base_address
            self._n = 0
            self.llc.release()
        if self.attributes is not None:
            self.attributes.up()

    def _receive(self, now_ms):
        modem = self.modem
        if modem.source != self.base_address or self.muted:
            self.n_foreign = more(self.n_foreign)
            return
        to_all = modem.destination == _BROADCAST
        if not to_all and modem.destination != self.address:
            self.n_foreign = more(self.n_foreign)
            return
        # In front of the data is what the modem said about it: there is room for the header.
        buf = modem.buf
        pos = modem.pos - _HEADER_LEN
        buf[pos] = _DL_DATA
        buf[pos + 1] = modem.options >> 8
        buf[pos + 2] = modem.options & 0xFF
        self.llc.receive(buf, pos, modem.end, to_all, now_ms)

    def _left(self, taken):
        """The modem has what was to be sent, or never will."""
        if taken < 0:
            self.n_lost = more(self.n_lost)
        self._n = 0
        self.llc.sent()

    def _send(self, now_ms):
        llc = self.llc
        if not self._n:
            self._n = llc.transmit(now_ms)
        if not self._n or not self.modem.is_up:
            return
        out = llc.out
        pos = llc.out_pos
        taken = self.modem.send(
            out,
            pos + _HEADER_LEN,
            pos + self._n,
            self.base_address,
            out[pos + 1] << 8 | out[pos + 2],
        )
        if taken:
            self._left(taken)

    # --- Unasked --------------------------------------------------------------------------------

    def can_notify(self):
        """Is there a base node that hears what is sent unasked, and nothing that waits?"""
        return self.modem.is_up and not self.llc.is_notifying()

    def notify(self, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n] to the base node; False: not now, or too long."""
        return self.can_notify() and self.llc.notify(client_sap, server_sap, buf, pos, n)
