# SPDX-License-Identifier: MIT
"""The wrapper of the DLMS/COSEM transport layer for TCP (IEC 62056-4-7), client's side.

The connection is made when there is something to say; `closed` asks for its end, and with it the
associations of the other side end. What that side says without having been asked is dropped.
"""

from micropython import const

from dlms.prim import copy
from profiles.client import Client

_NOTHING = const(0)
_WAITS = const(1)
_SENT = const(3)
_ANSWERED = const(4)
_TOO_LONG = const(7)
_ROOM = const(8)

_HEADER_LEN = const(8)
_VERSION = const(1)
# Services of a server that nobody asks for: data-notification, informationReport, and
# event-notification, plain and ciphered with a key that is known. What is in a general-ciphering
# cannot be seen, and is taken for the answer.
_UNASKED = b"\x0f\x18\x38\x58\xc2\xca\xd2"


class WrapperClient(Client):
    def __init__(self, max_pdu, time_out_ms):
        Client.__init__(self, max_pdu, time_out_ms)
        self.out = self.buf
        self.out_pos = 0
        self._head = bytearray(_HEADER_LEN)
        # Octets of the header, or of the APDU behind it; octets of the APDU to come, and whether
        # it is the answer.
        self._n = 0
        self._left = 0
        self._wanted = False

    def number_of(self, client_sap, server_sap, buf, pos, n):
        """One meter is behind a connection, whatever its physical_device_address."""
        return 0

    def reset(self):
        """The connection came or went."""
        self._n = self._left = 0
        self.closed = False
        if self.state == _SENT:
            self.fail()

    def leave(self):
        self.closed = True

    def tick(self, now_ms):
        self.pass_time(now_ms)

    def transmit(self, now_ms):
        if self.closed or not self.is_waiting():
            return 0
        self.state = _SENT if self.state == _WAITS else _NOTHING
        buf = self.buf
        n = self.end - _ROOM
        buf[0] = 0
        buf[1] = _VERSION
        buf[2] = self.client_sap >> 8
        buf[3] = self.client_sap & 0xFF
        buf[4] = self.server_sap >> 8
        buf[5] = self.server_sap & 0xFF
        buf[6] = n >> 8
        buf[7] = n & 0xFF
        return self.end

    def receive(self, buf, pos, end, now_ms):
        while pos < end and not self.closed:
            if not self._left:
                self._head[self._n] = buf[pos]
                self._n += 1
                pos += 1
                if self._n == _HEADER_LEN:
                    self._begin()
                continue
            if not self._n and buf[pos] in _UNASKED:
                self._wanted = False
            k = self._left
            if k > end - pos:
                k = end - pos
            if self._wanted and self.state == _SENT:
                copy(self.buf, _ROOM + self._n, buf, pos, k)
            pos += k
            self._n += k
            self._left -= k
            if not self._left:
                if self._wanted and self.state == _SENT:
                    self.pos = _ROOM
                    self.end = _ROOM + self._n
                    self.state = _ANSWERED
                self._n = 0
        return end

    def _begin(self):
        """A header is there."""
        head = self._head
        n = head[6] << 8 | head[7]
        if head[0] or head[1] != _VERSION or not n:
            self.fail()
            self.leave()
            return
        self._n = 0
        self._left = n
        self._wanted = (
            self.state == _SENT
            and head[2] << 8 | head[3] == self.server_sap
            and head[4] << 8 | head[5] == self.client_sap
        )
        if self._wanted and n > len(self.buf) - _ROOM:
            self.fail(_TOO_LONG)
