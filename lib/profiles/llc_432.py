# SPDX-License-Identifier: MIT
"""LLC sublayer of IEC 61334-4-32, connectionless, the server's side: S-FSK, and PRIME's likewise.

    control 90 | destination L-SAP | source L-SAP | APDU

The MAC layer loses frames, so that a client asks again: repeated.py has the rule.

Allocates at construction a buffer for a request, nothing later.

    receive(buf, pos, end, to_all, now_ms)  an L_PDU has come; is_busy: it is dropped
    transmit(now_ms) -> n                   the next L_PDU is out[out_pos:out_pos + n]; 0: none
    sent(good)                              it has left; or (False) never will
"""

from dlms.prim import copy
from micropython import const
from profiles.repeated import is_kept, is_over, is_repeated

_DL_DATA = const(0x90)
_HEADER_LEN = const(3)
_SHORTEST = const(64)
_NO_STATION = const(0x00)
_ALL_STATION = const(0xFF)
_CIASE = const(0xFD)

# Flags of server.request
_CONFIRMED = const(1)
_UNCONFIRMED = const(4)


class LLC432:
    """out, out_pos  what transmit() has given
    is_busy          a request is in hand, or its answer has not left
    capacity         octets of the longest APDU
    dropped          L_PDUs that were not served: malformed, for nobody here, or not in their turn
    repeated         answers that were sent once more
    """

    header_len = head_len = _HEADER_LEN
    tail_len = 0

    def __init__(self, server, channel, max_data, saps=None):
        """max_data: of the longest L_PDU. saps: the logical devices, None: all."""
        if saps is None:
            saps = tuple(d[0] for d in server.model.devices)
        self.server = server
        self.channel = channel
        self.saps = saps
        self.max_data = max_data
        self.longest = channel.max_pdu
        channel.max_receive_pdu = min(channel.max_receive_pdu, max_data - _HEADER_LEN)
        # A request for several logical devices is copied for each but the last.
        self.rx = bytearray(max_data if len(saps) == 1 else 2 * max_data)
        self.out = channel.tx
        self.out_pos = 0
        self.is_busy = False
        self.dropped = 0
        self.repeated = 0
        # The request rx[:_n], what it is, and the answer tx[_pos:_pos + _kept], all 0: none.
        self._n = 0
        self._flags = 0
        self._told = len(saps)
        self._again = False  # the server has had work to do first
        self._pos = self._kept = self._heard_ms = 0
        self._out_n = 0
        self._note = None
        self._note_pos = self._note_n = 0
        self._note_leaves = False
        self.note_sap = 0
        self.note_good = False  # what notify() took has left
        self.configure(max_data)

    def configure(self, max_frame_length):
        """The longest L_PDU to send: max_frame_length of IEC 61334-4-32 LLC setup (class_id 55).
        It counts from the next association on; less than 64 octets counts as 64."""
        longest = min(max(max_frame_length, _SHORTEST), self.max_data)
        self.capacity = longest - _HEADER_LEN
        self.channel.max_pdu = min(self.capacity, self.longest)

    def release(self):
        """The client is gone: its associations, its request and what it was to hear."""
        self._n = self._kept = self._out_n = 0
        self._again = self.is_busy = False
        self._told = len(self.saps)
        self.channel.release()

    # --- In ------------------------------------------------------------------------------------

    def receive(self, buf, pos, end, to_all, now_ms):
        n = end - pos
        if n <= _HEADER_LEN or n > self.max_data or buf[pos] != _DL_DATA or self.is_busy:
            self._drop()
            return
        sap = buf[pos + 1]
        every = sap == _ALL_STATION
        if buf[pos + 2] == _NO_STATION or not (every or sap in self.saps):
            self._drop()
            return
        if to_all or every:
            self._flags = _UNCONFIRMED
        else:
            if self._kept and n == self._n:
                if is_repeated(self.rx, buf, pos, n, _HEADER_LEN):
                    self.is_busy = True
                    self._out_n = self._kept
                    self.repeated = self.repeated + 1 & 0xFFFFFF
                    return
            self._flags = _CONFIRMED
        copy(self.rx, 0, buf, pos, n)
        self._n = n
        self._kept = 0
        self._heard_ms = now_ms
        self._told = 0 if every else len(self.saps)
        if not every:
            self._request(sap, 0)
        self._tell()

    def _drop(self):
        self.dropped = self.dropped + 1 & 0xFFFFFF

    def _request(self, sap, at):
        """Hand the request at rx[at:] to the server."""
        rx = self.rx
        client = rx[at + 2]
        pos = at + _HEADER_LEN
        end = at + self._n
        n = self.server.request(self.channel, client, sap, rx, pos, end, self._flags)
        self._again = n < 0
        self.is_busy = n != 0 and self._flags == _CONFIRMED or n < 0
        if n > 0 and self._flags == _CONFIRMED:
            self._answer(client, sap, n)

    def _tell(self):
        """Hand the request on to all logical devices from _told on: a ciphered one is deciphered
        in place, so that all but the last get a copy."""
        last = len(self.saps) - 1
        while self._told <= last and not self._again:
            sap = self.saps[self._told]
            self._told += 1
            if self._told > last:
                self._request(sap, 0)
            else:
                copy(self.rx, self._n, self.rx, 0, self._n)
                self._request(sap, self._n)

    def _answer(self, client, sap, n):
        channel = self.channel
        tx = channel.tx
        pos = channel.tx_pos - _HEADER_LEN
        tx[pos] = _DL_DATA
        tx[pos + 1] = client
        tx[pos + 2] = sap
        self._pos = pos
        self._out_n = n + _HEADER_LEN
        self._kept = self._out_n if is_kept(tx, channel.tx_pos) else 0

    # --- Out -----------------------------------------------------------------------------------

    def transmit(self, now_ms):
        if self._again:
            if self._told > len(self.saps) - 1:
                sap = self.saps[-1] if self.rx[1] == _ALL_STATION else self.rx[1]
                self._request(sap, 0)
            else:
                self._request(self.saps[self._told - 1], self._n)
            self._tell()
        if not self._out_n and not self.is_busy and self.channel.more is not None:
            a = self.channel.more
            n = self.server.more(self.channel)
            if n > 0:
                self.is_busy = True
                self._answer(a.client_sap, a.server_sap, n)
        n = self._out_n
        if n:
            self._out_n = 0
            self.out = self.channel.tx
            self.out_pos = self._pos
            return n
        if self._note is not None and not self._note_leaves and not self.is_busy:
            self._note_leaves = True
            self.out = self._note
            self.out_pos = self._note_pos
            return self._note_n
        return 0

    def is_leaving(self):
        """Was what transmit() gave last not asked for?"""
        return self._note_leaves

    def sent(self, good):
        if self._note_leaves:
            self._note_leaves = False
            self._note = None
            self.note_good = good
        else:
            self.is_busy = False

    def tick(self, now_ms):
        if self._kept and is_over(self.rx, self._n, _HEADER_LEN, now_ms - self._heard_ms):
            self._kept = 0

    # --- Unasked -------------------------------------------------------------------------------

    def notify(self, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n] when nothing else is to be sent; False: one waits
        already, or it is too long. buf[pos - 3:pos] is overwritten, and buf must stay as it is
        until is_notifying() is over."""
        if self._note is not None or not 0 < n <= self.capacity:
            return False
        pos -= _HEADER_LEN
        buf[pos] = _DL_DATA
        buf[pos + 1] = client_sap
        buf[pos + 2] = server_sap
        self.note_sap = server_sap
        self.note_good = False
        self._note_pos = pos
        self._note_n = n + _HEADER_LEN
        self._note = buf
        return True

    def is_notifying(self):
        return self._note is not None

    def forget_note(self):
        """What notify() has taken is not wanted any more, unless it is leaving."""
        if not self._note_leaves:
            self._note = None

    def waiting(self):
        """Octets of an L_PDU that waits to be sent unasked, 0: there is none."""
        return self._note_n if self._note is not None else 0

    # --- Frames of layer management ------------------------------------------------------------

    def management(self, buf, pos, end):
        """Where the APDU of an L_PDU for layer management (CIASE) begins; 0: it is for others."""
        if end - pos <= _HEADER_LEN or buf[pos] != _DL_DATA:
            return 0
        # uncertain: public sources have 00 for requests and FD for what servers send.
        if buf[pos + 1] != _NO_STATION and buf[pos + 1] != _CIASE:
            return 0
        return pos + _HEADER_LEN

    def wrap_management(self, out, pos, end):
        """Write the header in front of the CI-PDU out[pos:end]; where the L_PDU begins."""
        pos -= _HEADER_LEN
        out[pos] = _DL_DATA
        out[pos + 1] = _NO_STATION
        out[pos + 2] = _CIASE
        return pos
