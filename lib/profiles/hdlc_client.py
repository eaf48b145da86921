# SPDX-License-Identifier: MIT
"""HDLC, the client's (primary station's) side, for a gateway: one link at a time, windows of 1,
information fields of 128 octets at most (IEC 62056-46, the defaults that need no negotiation).

The physical_device_address is the lower HDLC address, in one or two octets; without one the
server's address is the logical device alone (project-defined: public sources do not say what it is
in a network of HDLC). Allocates at construction what client.py and hdlc_frame.py do.

Each frame asks for an answer (P = 1). What is not answered in time is sent again, three times;
RR for an answer that is not there yet goes out ten times a second.
"""

from micropython import const

from dlms.prim import copy, crc16
from profiles.client import Client
from profiles.hdlc_frame import Frames

_NOTHING = const(0)
_WAITS = const(1)
_SENT = const(3)
_ANSWERED = const(4)
_LOST = const(5)
_TOO_LONG = const(7)
_ROOM = const(8)

# What is to be sent, or was sent and is not answered.
_QUIET = const(0)
_CONNECT = const(1)  # SNRM
_ASK = const(2)  # a segment of the request
_POLL = const(3)  # RR: the rest of the answer, or its beginning
_LEAVE = const(4)  # DISC

# Control octets, P or F = 1 where they are sent, 0 where they are compared.
_SNRM = const(0x93)
_DISC = const(0x53)
_RR = const(0x11)
_UI = const(0x03)
_UA = const(0x63)
_DM = const(0x0F)
_FRMR = const(0x87)
_PF = const(0x10)

_INFO_LEN = const(128)
_LLC_LEN = const(3)
_MAX_INFO_RX = const(6)  # parameter of UA: the longest information field that the server takes
_FLAG = const(0x7E)
_GOOD = const(0xF0B8)
_LONGEST_ADDRESS = const(0x3FFF)
_SHORT_ADDRESS = const(0x7F)
_RESPONSE_MS = const(1500)
_PAUSE_MS = const(100)
_TRIES = const(4)
_TICKS_MASK = const(0x3FFFFFFF)


class _ToClient(Frames):
    """Frames whose first address is the client's."""

    def __init__(self, client):
        Frames.__init__(self, _INFO_LEN)
        self._client = client

    def _frame(self, now_ms):
        self._client.heard(self.rx[self._head - 1])

    def is_from(self, client_sap, address, n):
        rx = self.rx
        if self._head != 4 + n or rx[2] >> 1 != client_sap:
            return False
        for i in range(n):
            if rx[3 + i] != address[i]:
                return False
        return True

    def _header(self, length):
        rx = self.rx
        if rx[0] & 0xF0 != 0xA0 or not rx[2] & 1:
            return -1
        if rx[3] & 1:
            head = 5
        elif rx[4] & 1:
            head = 6
        elif not rx[5] & 1 and rx[6] & 1:
            head = 8
        else:
            return -1
        return -1 if length != head + 2 and length < head + 5 else head

    def write(self, client_sap, address, n, control, src, pos, end, segmented):
        """A frame to the server with that address of n octets; its length in out."""
        out = self.out
        info_len = end - pos
        length = n + 6 + (info_len + 2 if info_len else 0)
        out[0] = _FLAG
        out[1] = 0xA0 | (8 if segmented else 0) | length >> 8
        out[2] = length & 0xFF
        copy(out, 3, address, 0, n)
        out[3 + n] = client_sap << 1 | 1
        out[4 + n] = control
        crc = crc16(out, 1, n + 5, 0xFFFF) ^ 0xFFFF
        out[n + 5] = crc & 0xFF
        out[n + 6] = crc >> 8
        copy(out, n + 7, src, pos, info_len)
        return self.finish(n + 7, info_len)


class HDLCClient(Client):
    def __init__(self, max_pdu, time_out_ms):
        Client.__init__(self, max_pdu, time_out_ms)
        self.frames = _ToClient(self)
        self.out = self.frames.out
        self.out_pos = 0
        self._address = bytearray(4)
        self._address_n = 1
        self._connected = False
        self._stage = _QUIET
        self._due = False  # its frame is to be sent
        self._tries = 0
        self._wait_ms = 0  # so long after the last frame it is due
        self._sent_ms = 0
        self._info_tx = _INFO_LEN
        self._vs = self._vr = 0
        self._from = 0  # of buf: where the segment begins that is not acknowledged
        self._n = 0  # octets of the answer in buf

    def number_of(self, client_sap, server_sap, buf, pos, n):
        """The lower address, 0: none; -1: such a server or client has no address in HDLC."""
        number = 0
        for i in range(n):
            number = number << 8 | buf[pos + i]
            if number > _LONGEST_ADDRESS:
                return -1
        if client_sap > _SHORT_ADDRESS or server_sap > _LONGEST_ADDRESS:
            return -1
        return -1 if not number and server_sap > _SHORT_ADDRESS else number

    def begin(self, owner, client_sap, server_sap, number):
        Client.begin(self, owner, client_sap, server_sap, number)
        address = self._address
        if not number:
            n = 1
            address[0] = server_sap << 1
        elif number <= _SHORT_ADDRESS and server_sap <= _SHORT_ADDRESS:
            n = 2
            address[0] = server_sap << 1
            address[1] = number << 1
        else:
            n = 4
            address[0] = server_sap >> 6 & 0xFE
            address[1] = server_sap << 1 & 0xFE
            address[2] = number >> 6 & 0xFE
            address[3] = number << 1 & 0xFE
        address[n - 1] |= 1
        self._address_n = n

    def ready(self):
        return self.owner is None and self._stage != _LEAVE

    def reset(self):
        """The physical link came or went."""
        self.frames._forget()
        self._connected = False
        self._stage = _QUIET
        self.closed = False
        if self.state == _SENT:
            self.fail()

    def leave(self):
        if self._connected or self._stage == _CONNECT:
            self._go(_LEAVE)
        elif self._stage != _LEAVE:
            self._stage = _QUIET
        self._connected = False

    def is_due(self):
        return self._due if self._stage else self.is_waiting()

    def _go(self, stage, wait_ms=0):
        """What comes next; wait_ms: not at once."""
        if stage != self._stage:
            self._tries = 0
        self._stage = stage
        self._due = not wait_ms
        self._wait_ms = wait_ms or _RESPONSE_MS

    def _give_up(self, state=_LOST):
        self._connected = False
        self._stage = _QUIET
        self.fail(state)

    # Octets and time

    def receive(self, buf, pos, end, now_ms):
        return self.frames.receive(buf, pos, end, now_ms)

    def tick(self, now_ms):
        self.frames._overdue(now_ms)
        self.pass_time(now_ms)
        if self._stage and not self._due:
            if (now_ms - self._sent_ms) & _TICKS_MASK >= self._wait_ms:
                self._due = True

    def transmit(self, now_ms):
        if not self._stage and self.is_waiting():
            # One that is not to be answered is acknowledged all the same.
            if not self._connected:
                self._go(_CONNECT)
            else:
                self._begin()
        if not self._stage or not self._due:
            return 0
        self._due = False
        self._sent_ms = now_ms
        self._wait_ms = _RESPONSE_MS
        self._tries += 1
        if self._tries > (1 if self._stage == _LEAVE else _TRIES):
            self._give_up()
            return 0
        pos = end = 0
        more = False
        control = _SNRM
        if self._stage == _LEAVE:
            control = _DISC
        elif self._stage == _POLL:
            control = self._vr << 5 | _RR
        elif self._stage == _ASK:
            control = self._vr << 5 | _PF | self._vs << 1
            pos = self._from
            end = self.end
            more = end - pos > self._info_tx
            if more:
                end = pos + self._info_tx
        return self.frames.write(
            self.client_sap, self._address, self._address_n, control, self.buf, pos, end, more
        )

    def _begin(self):
        """A request goes out, its LLC header in front of it."""
        buf = self.buf
        buf[_ROOM - 3] = 0xE6
        buf[_ROOM - 2] = 0xE6
        buf[_ROOM - 1] = 0
        self._from = _ROOM - _LLC_LEN
        self._n = 0
        if self.state == _WAITS:
            self.state = _SENT
        self._tries = 0
        self._go(_ASK)

    # Frames of the server

    def heard(self, control):
        """A frame is in rx whose check sequences fit."""
        frames = self.frames
        if not frames.is_from(self.client_sap, self._address, self._address_n):
            return
        kind = control & ~_PF
        stage = self._stage
        if stage == _LEAVE:
            if kind == _UA or kind == _DM:
                self._stage = _QUIET
        elif kind == _DM or kind == _FRMR:
            self._give_up()
        elif stage == _CONNECT:
            if kind == _UA:
                self._connected = True
                self._stage = _QUIET
                self._vs = self._vr = 0
                self._info_tx = self._longest(frames.rx, frames.info, frames.info_end)
        elif stage == _ASK or stage == _POLL:
            if not control & 1:
                self._information(control)
            elif control & 0x03 == 0x01:
                self._supervisory(control >> 5)

    def _longest(self, rx, pos, end):
        """The longest information field for the server, of its UA."""
        longest = _INFO_LEN
        pos += 3  # 81 80 length
        while pos + 2 < end:
            n = rx[pos + 1]
            if rx[pos] == _MAX_INFO_RX and pos + 2 + n <= end:
                value = rx[pos + 1 + n] | (rx[pos + n] << 8 if n > 1 else 0)
                if _LLC_LEN < value < longest:
                    longest = value
            pos += 2 + n
        return longest

    def _supervisory(self, nr):
        """RR, or RNR: what it acknowledges; the answer is not there yet."""
        self._tries = 0
        if self._stage == _ASK and nr == self._vs + 1 & 7 and self._acknowledged():
            self._go(_ASK)
        elif self._stage == _ASK and nr == self._vs:
            self._go(_ASK, _PAUSE_MS)
        elif self.state == _SENT:
            self._go(_POLL, _PAUSE_MS)

    def _acknowledged(self):
        """The segment has arrived; is there another?"""
        self._vs = self._vs + 1 & 7
        self._tries = 0
        self._from += self._info_tx
        if self._from < self.end:
            return True
        if self.state == _SENT:
            self._stage = _POLL
        else:
            # Nothing is to be waited for.
            self._stage = _QUIET
            if self.is_waiting():
                self.taken()
        return False

    def _information(self, control):
        """An I frame: the answer, or a segment of it."""
        frames = self.frames
        if self._stage == _ASK and control >> 5 == self._vs + 1 & 7:
            self._acknowledged()
        expected = control >> 1 & 7 == self._vr and not frames.over
        if expected:
            self._vr = self._vr + 1 & 7
        if self.state != _SENT or self._stage != _POLL:
            return
        self._tries = 0
        if not expected:
            self._go(_POLL, _PAUSE_MS)
            return
        n = frames.info_end - frames.info
        if self._n + n > len(self.buf):
            self.fail(_TOO_LONG)
            self.leave()
            return
        copy(self.buf, self._n, frames.rx, frames.info, n)
        self._n += n
        self._go(_POLL)
        if not frames.rx[0] & 8:
            self._stage = _QUIET
            buf = self.buf
            if self._n > _LLC_LEN and buf[0] == 0xE6 and buf[1] == 0xE7:
                self.pos = _LLC_LEN
                self.end = self._n
                self.state = _ANSWERED
            else:
                self.fail()
                self.leave()
