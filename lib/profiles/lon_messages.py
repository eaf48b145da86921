# SPDX-License-Identifier: MIT
"""Messages of lon.py: what is in front of an APDU, protection, and what is counted of them.

Project-defined, see there.
"""

from dlms.prim import copy
from micropython import const
from profiles.lon_node import BODY, Node

_VERSION = const(0x10)
_PROTECTED = const(0x04)
_NUMBERED = const(0x02)
_PULL = const(0x01)

_CODE = const(0x2D)
_HEADER_LEN = const(4)
_LONGEST_HEADER = const(5)
_COUNTER_LEN = const(4)  # of what secure opens and seals
_OVERHEAD = const(12)
_CHANCE_LEN = const(8)

_COUNT_MASK = const(0x3FFFFFFF)


class Messages:
    """What LON inherits.

    node       its addresses, see lon_node.py
    code       of application messages
    secure, only    what opens and seals protected messages, or None; nothing else is served
    n_messages, n_valid    messages that came for the adaptation layer, and those that were good
    n_lost   frames that the modem did not send
    n_no_data, n_overrun   messages that had nothing in them, or more than fits
    message_status    of the last one: 1 good, 2 not; 0: none has come
    quality    of the last frame, -1: not known
    """

    def __init__(self, modem, max_data):
        self.modem = modem
        self.node = Node(min(max_data, modem.max_data - BODY))
        self.code = _CODE
        self._room = self.node.max_data - _LONGEST_HEADER - _OVERHEAD
        self.n_messages = self.n_valid = self.n_lost = self.n_no_data = self.n_overrun = 0
        self.message_status = 0
        self.quality = -1
        self.secure = None
        self.only = False
        self._sealed = 0  # _PROTECTED: the request was

    # --- Protection ----------------------------------------------------------------------------

    def _greet(self, buf, pos, end, client, sap):
        """Another session is wanted."""
        if self.secure is None or end - pos != _CHANCE_LEN or not self.node.wants:
            self._refuse(client, sap)
            return
        out = self.node.out
        self._sealed = 0
        n = self._write(_PROTECTED | _PULL, 0, client, sap, out, 0, 0)
        self.secure.start(buf, pos, out, BODY + n)
        self.node.respond(n + _CHANCE_LEN)
        self._valid()

    def _valid(self):
        self.n_valid = self.n_valid + 1 & _COUNT_MASK
        self.message_status = 1

    # --- What goes back -----------------------------------------------------------------------

    def _refuse(self, client, sap):
        if self.node.wants:
            self._sealed = 0
            self._put(_PROTECTED, 0, client, sap, self.rx, 0, 0)

    def _put(self, flags, number, client, sap, buf, pos, n):
        """Make the response of a header and buf[pos:pos + n]."""
        n = self._write(flags | self._sealed, number, client, sap, buf, pos, n)
        if self._sealed:
            at = BODY + (_LONGEST_HEADER if flags & _NUMBERED else _HEADER_LEN)
            n = self.secure.seal(self.node.out, BODY, at, BODY + n) - BODY
        if n > 0:
            self.node.respond(n)
        else:
            self.node.ignore()

    def _write(self, flags, number, client, sap, buf, pos, n):
        out = self.node.out
        at = BODY
        out[at] = self.code
        out[at + 1] = _VERSION | flags
        out[at + 2] = client
        out[at + 3] = sap
        at += _HEADER_LEN
        if flags & _NUMBERED:
            out[at] = number
            at += 1
        if self._sealed and flags & _PROTECTED:
            at += _COUNTER_LEN
        copy(out, at, buf, pos, n)
        return at - BODY + n

    # --- What is counted ----------------------------------------------------------------------

    def status(self, attribute):
        """Of Protocol status (class_id 132)."""
        node = self.node
        modem = self.modem
        if attribute == 2:
            return modem.n_bad_crc
        if attribute == 3:
            return self.n_lost
        if attribute == 4:
            return node.n_again
        if attribute == 5:
            return node.n_full
        if attribute == 6:
            return node.n_lost
        if attribute == 7:
            return node.n_missed
        if attribute == 8:
            return modem.n_ok
        if attribute == 9:
            return node.n_received
        return self.n_messages if attribute == 10 else self.n_valid

    def clear_status(self):
        node = self.node
        self.modem.n_bad_crc = self.modem.n_ok = 0
        node.n_again = node.n_full = node.n_lost = node.n_missed = node.n_received = 0
        self.n_lost = self.n_messages = self.n_valid = 0

    def diagnostic(self, attribute):
        """Of Diagnostic (class_id 133)."""
        if attribute == 5:
            return self.n_overrun
        if attribute == 6:
            return self.n_no_data
        return self.node.n_late if attribute == 8 else 0

    def clear_diagnostic(self):
        self.n_overrun = self.n_no_data = self.node.n_late = 0
