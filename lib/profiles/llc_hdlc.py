# SPDX-License-Identifier: MIT
"""LLC sublayer based on HDLC, the second option of IEC 62056-8-3: an M_sdu is an HDLC frame.

The same interface as llc_432.py, over hdlc.py; who asks again for what was lost is the data link.
Public sources do not settle:

uncertain: whether the flags are part of the M_sdu. They are sent, and wanted.
uncertain: the addresses of layer management (CIASE): UI from client 0x66 to upper address 0x67;
from there, with the lower address CALLING, comes what servers send.

Allocates what hdlc.py does.
"""

from dlms.prim import crc16
from micropython import const
from profiles.hdlc import HDLC

_FLAG = const(0x7E)
_GOOD = const(0xF0B8)
_UI = const(0x03)
_OVERHEAD = const(16)  # of hdlc_frame.py
_LLC_LEN = const(3)
_CIASE_CLIENT = const(0x66)
_CIASE_SERVER = const(0x67)
_CALLING = const(0x7E)
# 7E, format 2, addresses 1 + 2, control, HCS 2, LLC 3; and behind the APDU FCS 2, 7E.
_HEAD_LEN = const(12)
_TAIL_LEN = const(3)


class LLCHDLC:
    header_len = _LLC_LEN
    head_len = _HEAD_LEN
    tail_len = _TAIL_LEN

    def __init__(self, server, channel, max_data, saps=None):
        self.channel = channel
        self.hdlc = HDLC(server, channel, max_data - _OVERHEAD, saps=saps)
        self.max_data = max_data
        self.capacity = self.hdlc.capacity - _LLC_LEN
        self.out = self.hdlc.out
        self.out_pos = 0
        self.dropped = 0
        self.note_sap = 0
        self.note_good = False
        self._note_n = 0
        self._leaves = self._note_leaves = False

    @property
    def is_busy(self):
        return self._leaves or self.hdlc.reply != 0

    def configure(self, max_frame_length):
        """Of IEC 61334-4-32 LLC setup: nothing here. SNRM and UA settle it."""

    def release(self):
        self._leaves = self._note_leaves = False
        self.hdlc.reset()

    def receive(self, buf, pos, end, to_all, now_ms):
        hdlc = self.hdlc
        if self.is_busy or to_all and not _is_to_all(buf, pos, end):
            self.dropped = self.dropped + 1 & 0xFFFFFF
            return
        hdlc.receive(buf, pos, end, now_ms)

    def transmit(self, now_ms):
        note = self.hdlc.note_buf
        n = self.hdlc.transmit(now_ms)
        self._leaves = n > 0
        self._note_leaves = n > 0 and note is not None and self.hdlc.note_buf is None
        self.out_pos = self.hdlc.out_pos
        return n

    def is_leaving(self):
        """Was what transmit() gave last not asked for?"""
        return self._note_leaves

    def sent(self, good):
        if self._note_leaves:
            self.note_good = good
        self._leaves = self._note_leaves = False

    def tick(self, now_ms):
        self.hdlc.tick(now_ms)

    # --- Unasked -------------------------------------------------------------------------------

    def notify(self, client_sap, server_sap, buf, pos, n):
        self.note_sap = server_sap
        self.note_good = False
        self._note_n = n + _LLC_LEN
        return self.hdlc.notify(client_sap, server_sap, buf, pos, n, True)

    def is_notifying(self):
        return self._note_leaves or self.hdlc.note_buf is not None

    def forget_note(self):
        self.hdlc.note_buf = None

    def waiting(self):
        return self._note_n if self.is_notifying() else 0

    # --- Frames of layer management ------------------------------------------------------------

    def management(self, buf, pos, end):
        """Where the APDU of a frame for layer management (CIASE) begins; 0: it is for others."""
        n = end - pos - 2
        if n < _HEAD_LEN or buf[pos] != _FLAG or buf[end - 1] != _FLAG:
            return 0
        if (buf[pos + 1] << 8 | buf[pos + 2]) != 0xA000 | n:
            return 0
        if crc16(buf, pos + 1, end - 1, 0xFFFF) != _GOOD:
            return 0
        upper = buf[pos + 3] >> 1
        at = pos + 4
        if not buf[pos + 3] & 1:
            at += 1
            if not buf[pos + 4] & 1:
                upper = upper << 7 | buf[pos + 4] >> 1
                at += 2
        # at: the client's address; behind control and HCS there is the LLC.
        if upper != _CIASE_SERVER or buf[at + 1] & 0xEF != _UI:
            return 0
        at += 4
        if at + _LLC_LEN + _TAIL_LEN >= end or buf[at] != 0xE6 or buf[at + 2]:
            return 0
        return at + _LLC_LEN

    def wrap_management(self, out, pos, end):
        """Put the CI-PDU out[pos:end] into a frame; where the frame begins."""
        at = pos - _HEAD_LEN
        n = end + _TAIL_LEN - at - 2
        out[at] = _FLAG
        out[at + 1] = 0xA0 | n >> 8
        out[at + 2] = n & 0xFF
        out[at + 3] = _CIASE_CLIENT << 1 | 1
        out[at + 4] = _CIASE_SERVER << 1
        out[at + 5] = _CALLING << 1 | 1
        out[at + 6] = _UI
        _put_crc(out, at + 1, at + 7)
        out[at + 9] = 0xE6
        out[at + 10] = 0xE7
        out[at + 11] = 0
        _put_crc(out, at + 1, end)
        out[end + 2] = _FLAG
        return at


def _put_crc(out, pos, end):
    crc = crc16(out, pos, end, 0xFFFF) ^ 0xFFFF
    out[end] = crc & 0xFF
    out[end + 1] = crc >> 8


def _is_to_all(buf, pos, end):
    """Is the destination of this frame an all-station address?"""
    if end - pos < _HEAD_LEN:
        return False
    first = buf[pos + 3]
    second = buf[pos + 4]
    if first & 1:
        return first == 0xFF
    if second & 1:
        return first == 0xFE or second == 0xFF
    return first == 0xFE and second == 0xFE or buf[pos + 5] == 0xFE and buf[pos + 6] == 0xFF
