# SPDX-License-Identifier: MIT
"""One HDLC link: the connection between one client and one logical device (IEC 62056-46, 6.4).

Everything that changes the state of a link is in this file. Unbalanced, normal response mode: the
client polls (P = 1), the server then sends up to a window of frames, F = 1 on the last of them.
Nothing is sent on a time-out: whoever misses something, it is the client who asks again.

Allocates at construction the buffer that joins the segments of a request, nothing later.
"""

from micropython import const

from dlms.prim import copy

# States
_NDM = const(0)  # normal disconnected mode
_IDLE = const(1)  # NRM: nothing under way
_RECEIVING = const(2)  # NRM: part of a segmented request is here, the last segment is not
_SENDING = const(3)  # NRM: an answer waits for the poll, or is not acknowledged to its end
_REJECTED = const(4)  # NRM, but a FRMR condition holds: only SNRM and DISC count

# Events: frames for this device by their control octet, and the inactivity time-out
_EV_SNRM = const(0)
_EV_DISC = const(1)
_EV_INFO = const(2)
_EV_RR = const(3)
_EV_RNR = const(4)
_EV_UI = const(5)
_EV_OTHER = const(6)  # any other control octet: REJ, SREJ, and what only a server may send
_EV_TIME_OUT = const(7)

# Actions. "P:" is what is sent if P = 1; SNRM and DISC without P never get here.
_NONE = const(0)
_DM = const(1)  # P: DM
_CONNECT = const(2)  # associations dropped, variables 0, parameters negotiated. P: UA
_RELEASE = const(3)  # associations dropped. P: UA
_DATA = const(4)  # N(R), N(S), information field. P: I frames, RR, RNR, FRMR
_ACK = const(5)  # N(R). P: I frames, RR, RNR, FRMR
_HOLD = const(6)  # N(R), and no I frames. P: RR, RNR, FRMR
_REJECT = const(7)  # undefined control field. P: FRMR
_REPEAT = const(8)  # the FRMR condition stays. P: FRMR
_DELIVER = const(9)  # UI. P: UI, RR, DM
_DROP = const(10)  # associations dropped, nothing sent

# Row = state, column = event; action << 4 | next state, next state F = as the action leaves it:
#   DATA     -> RECEIVING after a segment, SENDING with an answer, IDLE with none, REJECTED on
#               Y, Z; as it was if N(S) is wrong or the server is busy
#   ACK HOLD -> IDLE when N(R) acknowledges the end of the answer, REJECTED on W X, Z
#   DELIVER  -> IDLE when the request needs the buffer of an answer that was sent to its end
# fmt: off
TABLE = bytes((
    # SNRM  DISC  I     RR    RNR   UI    other time-out
    0x21, 0x10, 0x10, 0x10, 0x10, 0x90, 0x10, 0x00,  # NDM
    0x21, 0x30, 0x4F, 0x5F, 0x6F, 0x91, 0x74, 0xA0,  # IDLE
    0x21, 0x30, 0x4F, 0x5F, 0x6F, 0x92, 0x74, 0xA0,  # RECEIVING
    0x21, 0x30, 0x4F, 0x5F, 0x6F, 0x9F, 0x74, 0xA0,  # SENDING
    0x21, 0x30, 0x84, 0x84, 0x84, 0x84, 0x84, 0xA0,  # REJECTED
))
# fmt: on

_PF = const(0x10)
_INFO_F = const(0x10)
_RR_F = const(0x11)
_RNR_F = const(0x15)
_AGAIN = const(-1)  # of hdlc_frame.py
_DM_F = const(0x1F)
_UA_F = const(0x73)
_FRMR_F = const(0x97)

# Reasons of FRMR
_W = const(1)  # control field undefined or not implemented
_X = const(2)  # information field not permitted (with W)
_Y = const(4)  # information field too long
_Z = const(8)  # N(R) out of range

_DEFAULT_INFO = const(128)
_DEFAULT_WINDOW = const(1)

# Flags of server.request
_CONFIRMED = const(1)
_CUT = const(2)  # the request was longer than max_pdu; only its beginning is handed over


class Link:
    def __init__(self, hdlc, channel, max_pdu):
        self.hdlc = hdlc
        self.channel = channel
        self.state = _NDM
        self.client = 0
        self.sap = 0
        self.last_ms = 0
        # Negotiated by SNRM and UA, as seen from here.
        self.info_tx = _DEFAULT_INFO
        self.info_rx = _DEFAULT_INFO
        self.window_tx = _DEFAULT_WINDOW
        self.window_rx = _DEFAULT_WINDOW
        self._with_info = False  # UA has an information field
        # vr: V(R). va: N(S) of the first frame not acknowledged. outstanding: frames sent from
        # there on; V(S) = va + outstanding. cursor: frames of this turn.
        self.vr = 0
        self.va = 0
        self.outstanding = 0
        self.cursor = 0
        # The answer with its LLC header is channel.tx[..:_end]; frame va begins at _pos.
        # _begun: a frame of it was sent; _whole: its last one too.
        self._pos = 0
        self._end = 0
        self._begun = False
        self._whole = False
        # The request with its LLC header: _buf[0:_n]. _again: its end when it comes again.
        self._buf = bytearray(max_pdu + 3)
        self._n = self._again = 0
        self._cut = False
        # Information field of FRMR
        self._rejected = 0
        self._variables = 0
        self._reason = 0

    def event(self, event):
        """Do what the table says; self.hdlc holds the frame. Sets hdlc.reply if one is due."""
        cell = TABLE[self.state << 3 | event]
        action = cell >> 4
        h = self.hdlc
        poll = h.control & _PF
        if action == _DATA:
            self._data(h, poll)
        elif action == _ACK:
            self._ack(h, poll, True)
        elif action == _HOLD:
            self._ack(h, poll, False)
        elif action == _CONNECT:
            self._connect(h)
        elif action == _DELIVER:
            h.deliver(self)
        elif action == _REJECT:
            self._reject(h, poll, _W)
        elif action == _RELEASE:
            self.drop()
            h.reply = _UA_F
            self._with_info = False
        elif action == _DROP:
            self.drop()
        elif poll:
            if action == _DM:
                h.reply = _DM_F
            elif action == _REPEAT:
                h.reply = _FRMR_F
        if cell & 15 != 15:
            self.state = cell & 15

    def drop(self):
        """To NDM; the associations of this link are gone."""
        self._clear()
        self.state = _NDM
        self.channel.release()

    def can_lend(self):
        """Whether a UI request may use the channel; an answer sent to its end is given up."""
        if not self._end:
            return True
        if not self._whole:
            return False
        self._end = 0
        if self.state == _SENDING:
            self.state = _IDLE
        return True

    def _clear(self):
        self.vr = 0
        self.va = 0
        self.outstanding = 0
        self.cursor = 0
        self._end = 0
        self._n = self._again = 0
        self._cut = False

    # Mode setting

    def _connect(self, h):
        if self.state or self.channel.in_use():
            self.channel.release()
        self._clear()
        self.client = h.client
        self.sap = h.sap
        self.info_tx = min(h.max_info_tx, _DEFAULT_INFO)
        self.info_rx = min(h.max_info_rx, _DEFAULT_INFO)
        self.window_tx = _DEFAULT_WINDOW
        self.window_rx = _DEFAULT_WINDOW
        self._negotiate(h, h.rx, h.info, h.info_end)
        self._with_info = (
            h.info_end > h.info or self.info_tx != _DEFAULT_INFO or self.info_rx != _DEFAULT_INFO
        )
        h.reply = _UA_F

    def _negotiate(self, h, buf, pos, end):
        """For each parameter the lesser of proposal and setting; only group 80 is looked at."""
        if pos == end or buf[pos] != 0x81:
            return
        pos += 1
        while pos + 2 <= end:
            group = buf[pos]
            stop = pos + 2 + buf[pos + 1]
            pos += 2
            if stop > end:
                return
            while group == 0x80 and pos + 2 <= stop:
                parameter = buf[pos]
                n = buf[pos + 1]
                pos += 2
                if pos + n > stop:
                    return
                value = 0
                while n:
                    value = value << 8 | buf[pos]
                    if value > 0x7FFF:
                        value = 0x7FFF
                    pos += 1
                    n -= 1
                # The client's transmit is our receive. 0 is no value: the default stays.
                if not value:
                    pass
                elif parameter == 5:
                    self.info_rx = min(h.max_info_rx, value)
                elif parameter == 6:
                    self.info_tx = min(h.max_info_tx, value)
                elif parameter == 7:
                    self.window_rx = min(h.window_rx, value)
                elif parameter == 8:
                    self.window_tx = min(h.window_tx, value)
            pos = stop

    def write_ua(self):
        h = self.hdlc
        if not self._with_info:
            return h.finish(h.begin(_UA_F, 0, 0), 0)
        out = h.out
        n = 3 + 12
        n += (3 if self.info_tx < 256 else 4) + (3 if self.info_rx < 256 else 4)
        start = h.begin(_UA_F, n, 0)
        out[start] = 0x81
        out[start + 1] = 0x80
        out[start + 2] = n - 3
        pos = _put(out, start + 3, 5, self.info_tx)
        pos = _put(out, pos, 6, self.info_rx)
        pos = _put_window(out, pos, 7, self.window_tx)
        _put_window(out, pos, 8, self.window_rx)
        return h.finish(start, n)

    # Requests

    def _data(self, h, poll):
        n = h.info_end - h.info
        if h.over or n > self.info_rx:
            self._reject(h, poll, _Y)
            return
        if not self._acknowledge(h.control >> 5):
            self._reject(h, poll, _Z)
            return
        # A request is not taken while the answer to the one before waits for its first poll.
        if (
            h.control >> 1 & 7 == self.vr
            and not h.busy
            and (self.state != _SENDING or self._begun)
            and not self._take(h, n)
        ):
            h.reply = _AGAIN
        elif poll:
            self._turn(h)

    def _take(self, h, n):
        """Take the information field of a frame in sequence; False: the server has work to do
        first, and the frame comes again."""
        if self.outstanding:
            # The client has asked for something else before it had all: the rest is withdrawn, and
            # the next frame has the number that the client expects.
            self.outstanding = 0
        self._end = 0
        kept = self._n
        cut = self._cut
        buf = h.rx
        pos = h.info
        end = h.info_end
        if self._again:
            # They are all there, and as they were left.
            buf = self._buf
            pos = 0
            end = self._again
        elif kept or h.segmented:
            buf = self._buf
            room = len(buf) - kept
            if n > room:
                n = room
                self._cut = True
            copy(buf, kept, h.rx, pos, n)
            pos = 0
            end = kept + n
        if h.segmented:
            self._n = end
            self.state = _RECEIVING
        else:
            n = 0
            # LLC: destination E6, source E6, quality 00; anything else is not for this sublayer.
            if end - pos > 3 and buf[pos] == 0xE6 and buf[pos + 1] == 0xE6 and not buf[pos + 2]:
                flags = _CONFIRMED | _CUT if self._cut else _CONFIRMED
                n = h.server.request(self.channel, self.client, self.sap, buf, pos + 3, end, flags)
                if n < 0:
                    self._cut = cut
                    self._again = end if kept else 0
                    self.state = _RECEIVING if kept else _IDLE
                    return False
            self._again = 0
            self._n = 0
            self._cut = False
            self.state = _IDLE
            if n:
                self._answer(n)
        self.vr = self.vr + 1 & 7
        return True

    def _answer(self, n):
        channel = self.channel
        tx = channel.tx
        pos = channel.tx_pos - 3
        tx[pos] = 0xE6
        tx[pos + 1] = 0xE7
        tx[pos + 2] = 0
        self._pos = pos
        self._end = pos + 3 + n
        self._begun = False
        self._whole = False
        self.state = _SENDING

    # Answers

    def _acknowledge(self, nr):
        """Frames before nr have arrived; False if nr is none of those that are outstanding."""
        k = nr - self.va & 7
        if k > self.outstanding:
            return False
        if k:
            self.va = nr
            self.outstanding -= k
            self._pos += k * self.info_tx
            if self._end and self._pos >= self._end:
                self._end = 0
                self.state = _IDLE
        return True

    def _ack(self, h, poll, ready):
        if h.over or h.info_end > h.info:
            self._reject(h, poll, _W | _X)
        elif not self._acknowledge(h.control >> 5):
            self._reject(h, poll, _Z)
        elif poll:
            if ready:
                self._turn(h)
            else:
                h.reply = _RNR_F if h.busy else _RR_F

    def _turn(self, h):
        """The client has polled: from the first frame it has not acknowledged on, or RR."""
        if self._end:
            self.cursor = 0
            h.reply = _INFO_F
            return
        n = h.server.more(self.channel) if self.channel.more is not None else 0
        if n:
            self._answer(n)
            self._turn(h)
        else:
            h.reply = _RNR_F if h.busy else _RR_F

    def next_frame(self):
        """Make the next I frame of this turn; hdlc.reply is 0 after the last."""
        h = self.hdlc
        cursor = self.cursor
        size = self.info_tx
        pos = self._pos + cursor * size
        n = self._end - pos
        more = n > size
        if more:
            n = size
        else:
            self._whole = True
        control = self.vr << 5 | (self.va + cursor & 7) << 1
        cursor += 1
        if not more or cursor == self.window_tx:
            control |= _PF
            h.reply = 0
        self._begun = True
        self.cursor = cursor
        if self.outstanding < cursor:
            self.outstanding = cursor
        at = h.begin(control, n, more)
        copy(h.out, at, self.channel.tx, pos, n)
        return h.finish(at, n)

    # Rejection

    def _reject(self, h, poll, reason):
        self._rejected = h.control
        self._variables = self.vr << 5 | (self.va + self.outstanding & 7) << 1
        self._reason = reason
        self._end = 0
        self._n = self._again = 0
        self._cut = False
        self.state = _REJECTED
        if poll:
            h.reply = _FRMR_F

    def write_frmr(self):
        h = self.hdlc
        pos = h.begin(_FRMR_F, 3, 0)
        out = h.out
        out[pos] = self._rejected
        out[pos + 1] = self._variables
        out[pos + 2] = self._reason
        return h.finish(pos, 3)


def _put(out, pos, parameter, value):
    out[pos] = parameter
    if value < 256:
        out[pos + 1] = 1
        out[pos + 2] = value
        return pos + 3
    out[pos + 1] = 2
    out[pos + 2] = value >> 8
    out[pos + 3] = value & 0xFF
    return pos + 4


def _put_window(out, pos, parameter, value):
    out[pos] = parameter
    out[pos + 1] = 4
    out[pos + 2] = 0
    out[pos + 3] = 0
    out[pos + 4] = 0
    out[pos + 5] = value
    return pos + 6
