# SPDX-License-Identifier: MIT
"""The wrapper of the DLMS/COSEM transport layer for TCP and UDP (IEC 62056-4-7), server's side.

    version 0001 | source wPort | destination wPort | length | APDU          (u16 each)

Allocates at construction a buffer for a received wpdu (max_pdu + 8 octets), nothing later. An
answer is sent from channel.tx, its header written into the headroom in front of it. It stays
there: a datagram that comes again hears it once more, see repeated.py.

    receive(buf, pos, end, now_ms) -> pos  TCP: any portion of the stream. UDP: a whole datagram
    transmit(now_ms) -> n                  next wpdu is out[out_pos:out_pos + n]; 0 = none
    closed                                 TCP: this cannot be followed; close the connection
"""

from dlms.prim import copy
from micropython import const
from profiles.repeated import is_kept, is_over, is_repeated

_HEADER_LEN = const(8)
_VERSION = const(1)
_NO_STATION = const(0x0000)
_ALL_STATION = const(0x007F)
_GATEWAY_REQUEST = const(0xE6)
_TICKS_MASK = const(0x3FFFFFFF)

# Flags of server.request
_UNCONFIRMED = const(4)  # of server.py: no reply, and what has to wait comes again
_CONFIRMED = const(1)


class Wrapper:
    def __init__(self, server, channel, udp=False, saps=None, max_pdu=0, other=None):
        """saps: the logical devices behind this port, None = all that the server has.
        max_pdu: longest request APDU; 0 = the channel's max_receive_pdu.
        other: the Wrapper of another UDP peer, with the same tx, whose rx this one uses, too,
        unless that one waits().
        """
        if saps is None:
            saps = tuple(d[0] for d in server.model.devices)
        self.server = server
        self.channel = channel
        self.udp = udp
        self.answers = True  # False: what comes is for many meters, and none of them answers
        self.saps = saps
        if other is None:
            self.rx = bytearray((max_pdu or channel.max_receive_pdu) + _HEADER_LEN)
            self._owner = [self]  # whose request and answer are in rx and tx
        else:
            self.rx = other.rx
            self._owner = other._owner
        self.out = channel.tx
        self.out_pos = 0
        self.closed = False
        # Octets of the wpdu in rx, and how many it has in all (8 while the header is incomplete).
        self._n = 0
        self._need = _HEADER_LEN
        # Octets of an answer at out_pos that have not been handed to the link.
        self._out_n = 0
        # The request that is asked again: rx[_again_pos:_again_end]; 0: none is.
        self._again_pos = self._again_end = self._again_sap = self._again_flags = 0
        self._told = len(saps)  # logical devices that have had what comes to all of them
        # UDP: the request rx[:_asked] has had the wpdu tx[_kept_pos:_kept_pos + _kept]; 0: none.
        self._asked = self._asked_ms = self._kept = self._kept_pos = 0
        self.repeated = 0  # answers that were sent once more
        # Seconds without an octet after which closed is set (TCP) or the associations are dropped
        # (UDP): inactivity_time_out of TCP-UDP setup (class_id 41); 0 = never.
        self.inactivity_s = 0
        self._last_ms = 0
        self._quiet = True

    def configure(self, inactivity_s):
        if not 0 <= inactivity_s <= 0xFFFF:
            return False
        self.inactivity_s = inactivity_s
        return True

    def reset(self):
        """The connection came or went, or the peer is another one."""
        self._n = 0
        self._need = _HEADER_LEN
        self._out_n = self._again_end = self._kept = 0
        self._told = len(self.saps)
        self._quiet = True
        self.closed = False
        self.channel.release()

    def receive(self, buf, pos, end, now_ms):
        if self._out_n or self._again_end:
            return pos
        self._last_ms = now_ms
        self._quiet = False
        if self.udp:
            self._datagram(buf, pos, end)
            return end
        rx = self.rx
        while pos < end:
            if self.closed:
                return end
            n = self._n
            k = self._need - n
            if k > end - pos:
                k = end - pos
            copy(rx, n, buf, pos, k)
            pos += k
            n += k
            self._n = n
            if n < self._need:
                break
            if n == _HEADER_LEN:
                n += self._length(rx, 0)
                if n == _HEADER_LEN or n > len(rx):
                    self.closed = True
                self._need = n
                continue
            self._n = 0
            self._need = _HEADER_LEN
            # All stations is an address of datagrams; nobody answers to it here.
            sap = rx[4] << 8 | rx[5]
            if sap in self.saps or self._goes_on(sap):
                self._request(_HEADER_LEN, n, _CONFIRMED, sap)
                if self._out_n or self._again_end:
                    break
        return pos

    def waits(self):
        """Does a request wait in rx for the server?"""
        return self._again_end != 0

    def end_of_datagram(self):
        """UDP: nothing of a datagram is kept for the next one."""
        self._n = 0
        self._need = _HEADER_LEN

    def _length(self, buf, pos):
        """Length of the APDU behind the header at buf[pos:]; 0 if the header is none."""
        if buf[pos] or buf[pos + 1] != _VERSION:
            return 0
        return buf[pos + 6] << 8 | buf[pos + 7]

    def _datagram(self, buf, pos, end):
        n = end - pos
        rx = self.rx
        if n <= _HEADER_LEN or n > len(rx) or self._length(buf, pos) != n - _HEADER_LEN:
            return
        if self._kept and self._owner[0] is self and n == self._asked and self.answers:
            if is_repeated(rx, buf, pos, n, _HEADER_LEN):
                self.out = self.channel.tx
                self.out_pos = self._kept_pos
                self._out_n = self._kept
                self.repeated = self.repeated + 1 & 0xFFFFFF
                return
        copy(rx, 0, buf, pos, n)
        self._owner[0] = self
        self._asked = n
        self._asked_ms = self._last_ms
        self._kept = 0
        sap = rx[4] << 8 | rx[5]
        if sap in self.saps or self._goes_on(sap):
            flags = _CONFIRMED if self.answers else _UNCONFIRMED
            self._request(_HEADER_LEN, n, flags, sap)
        elif sap == _ALL_STATION:
            # Each logical device gets a copy, because a ciphered one is deciphered in place. The
            # last gets the original; if there is no room for copies, it is the only one.
            self._told = 0
            self._tell(n)

    def _tell(self, n):
        """Hand the datagram rx[:n] on to all logical devices from _told on."""
        rx = self.rx
        last = len(self.saps) - 1
        apdu_len = n - _HEADER_LEN
        while self._told <= last and not self._again_end:
            sap = self.saps[self._told]
            self._told += 1
            if self._told > last:
                self._request(_HEADER_LEN, n, _UNCONFIRMED, sap)
            elif n + apdu_len <= len(rx):
                copy(rx, n, rx, _HEADER_LEN, apdu_len)
                self._request(n, n + apdu_len, _UNCONFIRMED, sap)

    def _goes_on(self, sap):
        """Is the request in rx for the gateway? What logical devices are behind it is not known
        here."""
        return (
            self.rx[_HEADER_LEN] == _GATEWAY_REQUEST
            and self.server.gateway is not None
            and sap != _ALL_STATION
        )

    def _request(self, pos, end, flags, sap):
        rx = self.rx
        client = rx[2] << 8 | rx[3]
        if client == _NO_STATION:
            return
        channel = self.channel
        n = self.server.request(channel, client, sap, rx, pos, end, flags)
        if n < 0:
            # The server has work to do first; the request stays in rx until the next transmit.
            self._again_pos = pos
            self._again_end = end
            self._again_sap = sap
            self._again_flags = flags
        if n > 0 and flags == _CONFIRMED:
            pos = channel.tx_pos
            self._send(channel.tx, pos, n, client, sap)
            if self.udp and is_kept(channel.tx, pos):
                self._kept_pos = self.out_pos
                self._kept = self._out_n

    def _more(self):
        """A reply that follows the one before without a request."""
        channel = self.channel
        a = channel.more
        self._owner[0] = self
        self._kept = 0
        n = self.server.more(channel)
        if n > 0:
            self._send(channel.tx, channel.tx_pos, n, a.client_sap, a.server_sap)

    def _send(self, buf, pos, n, client_sap, server_sap):
        """Write the header in front of the APDU buf[pos:pos + n]; the next transmit sends it."""
        pos -= _HEADER_LEN
        buf[pos] = 0
        buf[pos + 1] = _VERSION
        buf[pos + 2] = server_sap >> 8
        buf[pos + 3] = server_sap & 0xFF
        buf[pos + 4] = client_sap >> 8
        buf[pos + 5] = client_sap & 0xFF
        buf[pos + 6] = n >> 8
        buf[pos + 7] = n & 0xFF
        self.out = buf
        self.out_pos = pos
        self._out_n = n + _HEADER_LEN

    def notify(self, client_sap, server_sap, buf, pos, n):
        """Send the unsolicited APDU buf[pos:pos + n]; False while an answer waits.

        buf[pos - 8:pos] is overwritten; buf must stay as it is until transmit has handed it out
        and the link has written it.
        """
        if self._out_n or self.closed or not 0 < n <= 0xFFFF:
            return False
        self._send(buf, pos, n, client_sap, server_sap)
        return True

    def is_sending(self):
        """Is there something that transmit has not handed out yet?"""
        return self._out_n != 0

    def transmit(self, now_ms):
        if self._again_end:
            end = self._again_end
            self._again_end = 0
            self._request(self._again_pos, end, self._again_flags, self._again_sap)
            self._tell(_HEADER_LEN + self._length(self.rx, 0))
        elif not self._out_n and self.channel.more is not None:
            self._more()
        n = self._out_n
        self._out_n = 0
        return n

    def tick(self, now_ms):
        if self._kept and self._owner[0] is self:
            if is_over(self.rx, self._asked, _HEADER_LEN, now_ms - self._asked_ms):
                self._kept = 0
        if self._quiet:
            # A new connection: its time starts now. Datagrams: nothing to drop.
            if not self.udp:
                self._quiet = False
                self._last_ms = now_ms
        elif self.inactivity_s:
            if (now_ms - self._last_ms) & _TICKS_MASK >= self.inactivity_s * 1000:
                self._quiet = True
                if self.udp:
                    self._kept = 0
                    self.channel.release()
                else:
                    self.closed = True
