# SPDX-License-Identifier: MIT
"""The local frames of On Semi's and ST's S-FSK and PSK modems, and who may speak when.

    AMIS-49587 family, ST7570    02 | length | command | data | checksum   length = all behind it
    ST7580                       02 | length | command | data | checksum   length = data
                                 03: a frame that is sent again

checksum: the sum of everything from length to the end of data, 16 bits, low octet first. Each
frame is answered with 06 or 15. The modem sends whenever it has something. Before the host does,
it pulls T_REQ low, and the modem says how it is: 3F and some octets. Sources: data sheets of
AMIS-49587 and ST7570, UM0934, UM0932.

Exchange does this, for one request at a time; what happens when to it:

             | status  | busy    | 06      | 15      | answer  | time is over
    IDLE     | stray   | stray   | stray   | stray   | late    | -
    PAUSE    | stray   | stray   | stray   | stray   | done    | T_REQ, to ASKED
    ASKED    | to SENT | to PAUSE| stray   | stray   | done    | again
    SENT     | stray   | stray   | to      | again   | done    | again
             |         |         | ANSWER  |         |         |
    ANSWER   | stray   | stray   | stray   | stray   | done    | done: no answer

again: to PAUSE, and after _TRIES times done: no answer.

Frames are read in chunks: an octet may be late by _GAP_MS, not by the 10 ms of the data sheets.
Allocates three buffers at construction.
"""

from dlms.prim import copy
from micropython import const
from profiles.modems import more

_STX = const(0x02)
_STX_AGAIN = const(0x03)
_ACK = const(0x06)
_NAK = const(0x15)
_STATUS = const(0x3F)

_HEAD_LEN = const(3)
_SUM_LEN = const(2)
_CHUNK_LEN = const(64)
_ROUNDS = const(4)  # chunks that one poll reads at most
_TICKS_MASK = const(0x3FFFFFFF)

_ACK_MS = const(100)  # data sheets: 40
_GAP_MS = const(150)
_PAUSE_MS = const(50)
_TRIES = const(3)
_BUSY_TRIES = const(60)

# Where an exchange is.
_IDLE = const(0)
_PAUSE = const(1)
_ASKED = const(2)
_SENT = const(3)
_ANSWER = const(4)

# What can happen to it.
_ON_READY = const(0)
_ON_BUSY = const(1)
_ON_ACK = const(2)
_ON_NAK = const(3)
_ON_ANSWER = const(4)
_ON_TIME = const(5)
_N_HAPPENINGS = const(6)

# And what is done about it.
_NOTHING = const(0)
_STRAY = const(1)
_LATE = const(2)
_DONE = const(3)
_ASK = const(4)
_WRITE = const(5)
_WAIT = const(6)
_TAKEN = const(7)
_AGAIN = const(8)
_LOST = const(9)

_TABLE = bytes((
    _STRAY, _STRAY, _STRAY, _STRAY, _LATE, _NOTHING,
    _STRAY, _STRAY, _STRAY, _STRAY, _DONE, _ASK,
    _WRITE, _WAIT, _STRAY, _STRAY, _DONE, _AGAIN,
    _STRAY, _STRAY, _TAKEN, _AGAIN, _DONE, _AGAIN,
    _STRAY, _STRAY, _STRAY, _STRAY, _DONE, _LOST,
))  # fmt: skip

# What has become of a request, for _done().
_ANSWERED = const(0)
_MODEM_BUSY = const(2)
_NO_ANSWER = const(4)
_NO_CONFIRM = const(5)  # it was taken, and that is all


def checksum(buf, pos, end):
    total = 0
    for i in range(pos, end):
        total += buf[i]
    return total & 0xFFFF


def frame(buf, pos, command, data_len, counts_data):
    """Put head and checksum around the data at buf[pos + 3:]; returns the end of the frame.

    counts_data: the length is that of the data alone (ST7580), else of all behind it.
    """
    end = pos + _HEAD_LEN + data_len
    buf[pos] = _STX
    buf[pos + 1] = data_len if counts_data else data_len + 3
    buf[pos + 2] = command
    total = checksum(buf, pos + 1, end)
    buf[end] = total & 0xFF
    buf[end + 1] = total >> 8
    return end + _SUM_LEN


class Exchange:
    """Counters: n_frames (good ones from the modem), n_garbled (frames cut short or with a bad
    checksum), n_stray (octets and answers nobody waited for), n_late (answers after the end),
    n_twice (frames that came again), n_busy, n_nak, n_retries, n_no_answer."""

    counts_data = False  # see frame()
    n_status = 3  # octets behind 3F
    status_ms = 60  # how long the modem may take for these; data sheets: 20
    syntax_error = -1  # the command that answers what it does not understand

    def __init__(self, uart, t_req):
        self.uart = uart
        self.t_req = t_req
        self.buf = bytearray(2 + 255 + _HEAD_LEN)
        self.pos = self.end = 0
        self.source = self.destination = self.options = self.status = 0
        self.quality = -1
        self._tx = bytearray(2 + 255 + _HEAD_LEN)
        self._tx_pos = self._tx_end = 0
        self._reply = bytearray(1)  # 06 or 15 that is due, else 0
        self._chunk = bytearray(_CHUNK_LEN)
        self._at = self._n_chunk = 0
        self._n = self._need = 0  # octets of a frame in buf, and how many it has
        self._heard_ms = 0
        self._last_sum = -1
        self.state = _IDLE
        self._since_ms = self._limit_ms = 0
        self._tries = self._busy = 0
        self._answer = self._refusal = -1  # commands that answer what was sent
        self._answer_ms = 0
        self._later = self._later_status = 0  # an event for the next poll, and its status
        self._asked = 0  # the command that is under way
        self.n_frames = self.n_garbled = self.n_stray = self.n_late = self.n_twice = 0
        self.n_busy = self.n_nak = self.n_retries = self.n_no_answer = 0

    # --- What local_modem.py and the drivers say ------------------------------------------------

    def _next(self, now_ms):
        """Nothing is under way: begin a request, if there is one."""

    def _status(self, pos):
        """buf[pos:] are the octets behind 3F. 1: it takes a request, 0: busy, -1: it does not."""
        return 1

    def _frame(self, command, pos, end, now_ms):
        """A frame that nobody asked for, with the data buf[pos:end]; returns an event."""
        return 0

    def _ended(self, result, command, pos, end, now_ms):
        """What was asked has come to its end, see _done() of local_modem.py; returns an event."""
        return 0

    def _drop(self):
        """Forget what is under way."""
        self.t_req(1)
        self.state = _IDLE
        self._n = self._at = self._n_chunk = 0
        self._tx_pos = self._tx_end = 0
        self._reply[0] = 0
        self._last_sum = -1
        self._later = self._asked = 0

    # --- Requests -------------------------------------------------------------------------------

    def _request(self, command, n, answer, refusal, answer_ms, now_ms):
        """Send command with the n octets of data at _tx[3:]. answer, refusal: the commands that
        end it; answer_ms: after so long there is none, 0: none is waited for."""
        self._tx_end = frame(self._tx, 0, command, n, self.counts_data)
        self._asked = command
        self._answer = answer
        self._refusal = refusal
        self._answer_ms = answer_ms
        self._tries = self._busy = 0
        self._ask(now_ms)

    def _ask_status(self, now_ms):
        """Ask only how it is."""
        self._tx_end = self._asked = 0
        self._answer = self._refusal = -1
        self._tries = self._busy = 0
        self._ask(now_ms)

    def _ask(self, now_ms):
        self.t_req(0)
        self._enter(_ASKED, self.status_ms, now_ms)

    def _enter(self, state, limit_ms, now_ms):
        self.state = state
        self._since_ms = now_ms
        self._limit_ms = limit_ms

    def _finish(self, result, command, pos, end, now_ms):
        self.t_req(1)
        self.state = _IDLE
        self._tx_pos = self._tx_end = 0
        return self._ended(result, command, pos, end, now_ms)

    def _happens(self, what, command, pos, end, now_ms):
        todo = _TABLE[self.state * _N_HAPPENINGS + what]
        if todo == _NOTHING:
            return 0
        if todo == _STRAY:
            self.n_stray = more(self.n_stray)
            return 0
        if todo == _LATE:
            self.n_late = more(self.n_late)
            return 0
        if todo == _DONE:
            return self._finish(_ANSWERED, command, pos, end, now_ms)
        if todo == _ASK:
            self._ask(now_ms)
            return 0
        if todo == _WRITE:
            if not self._tx_end:
                return self._finish(_ANSWERED, _STATUS, pos, end, now_ms)
            self._tx_pos = 0
            self._enter(_SENT, _ACK_MS, now_ms)
            self._flush(now_ms)
            return 0
        if todo == _TAKEN:
            if not self._answer_ms:
                return self._finish(_ANSWERED, _ACK, pos, pos, now_ms)
            self._enter(_ANSWER, self._answer_ms, now_ms)
            return 0
        if todo == _WAIT:
            return self._is_busy(now_ms)
        if todo == _AGAIN:
            if what == _ON_NAK:
                self.n_nak = more(self.n_nak)
            self._tries += 1
            if self._tries < _TRIES:
                self.n_retries = more(self.n_retries)
                # That it is sent again is said only where the modem knows what it means.
                if self.counts_data and self.state == _SENT:
                    self._tx[0] = _STX_AGAIN
                self.t_req(1)
                self._enter(_PAUSE, _PAUSE_MS, now_ms)
                return 0
        self.n_no_answer = more(self.n_no_answer)
        result = _NO_CONFIRM if todo == _LOST else _NO_ANSWER
        return self._finish(result, 0, pos, pos, now_ms)

    def _is_busy(self, now_ms):
        """The modem has no room for the request: ask again in a while. Event."""
        self.n_busy = more(self.n_busy)
        self._busy += 1
        if self._busy >= _BUSY_TRIES:
            return self._finish(_MODEM_BUSY, 0, 0, 0, now_ms)
        self.t_req(1)
        self._enter(_PAUSE, _PAUSE_MS, now_ms)
        return 0

    # --- Octets ---------------------------------------------------------------------------------

    def _flush(self, now_ms):
        """Write what there is to write: 06 and 15 only between frames."""
        if self.state == _SENT and self._tx_pos < self._tx_end:
            n = self.uart.write(self._tx, self._tx_pos, self._tx_end - self._tx_pos)
            if n:
                self._tx_pos += n
                self.t_req(1)  # may go up once 02 is on its way
                self._since_ms = now_ms
            if self._tx_pos < self._tx_end:
                return
        if self._reply[0] and self.uart.write(self._reply, 0, 1):
            self._reply[0] = 0

    def poll(self, now_ms):
        if self._later:
            event = self._later
            self._later = 0
            self.status = self._later_status
            return event
        if self._reply[0] or self.state == _SENT:
            self._flush(now_ms)
        rounds = _ROUNDS
        while True:
            while self._at < self._n_chunk:
                event = self._read(now_ms)
                if event:
                    return event
            # Whoever never stops talking does not stop the time either.
            if not rounds:
                break
            rounds -= 1
            n = self.uart.readinto(self._chunk)
            if not n:
                break
            self._at = 0
            self._n_chunk = n
            self._heard_ms = now_ms
        if self._n and (now_ms - self._heard_ms) & _TICKS_MASK > _GAP_MS:
            self._n = 0
            self.n_garbled = more(self.n_garbled)
        if self.state == _IDLE:
            self._next(now_ms)
        elif (now_ms - self._since_ms) & _TICKS_MASK >= self._limit_ms and not self._n:
            return self._happens(_ON_TIME, 0, 0, 0, now_ms)
        return 0

    def _read(self, now_ms):
        """Take some octets of the chunk; returns an event."""
        at = self._at
        buf = self.buf
        n = self._n
        if not n:
            octet = self._chunk[at]
            self._at = at + 1
            if octet == _ACK:
                # One that comes before all is written is none of ours.
                if self._tx_pos == self._tx_end:
                    return self._happens(_ON_ACK, 0, 0, 0, now_ms)
                self.n_stray = more(self.n_stray)
            elif octet == _NAK:
                return self._happens(_ON_NAK, 0, 0, 0, now_ms)
            elif octet == _STX or octet == _STATUS or octet == _STX_AGAIN and self.counts_data:
                buf[0] = octet
                self._n = 1
                self._need = 1 + self.n_status if octet == _STATUS else 2
            else:
                self.n_stray = more(self.n_stray)
            return 0
        k = self._need - n
        if k > self._n_chunk - at:
            k = self._n_chunk - at
        copy(buf, n, self._chunk, at, k)
        self._at = at + k
        n += k
        self._n = n
        if n < self._need:
            return 0
        if buf[0] == _STATUS:
            self._n = 0
            ready = self._status(1)
            if ready < 0 and self.state == _ASKED:
                return self._finish(_NO_ANSWER, _STATUS, 1, n, now_ms)
            return self._happens(_ON_READY if ready else _ON_BUSY, _STATUS, 1, n, now_ms)
        if n == 2:
            if self.counts_data:
                self._need = 2 + 1 + buf[1] + _SUM_LEN
            else:
                self._need = 2 + buf[1]
                if buf[1] < 3:
                    self._refuse(now_ms)
            return 0
        end = n - _SUM_LEN
        total = buf[end] | buf[end + 1] << 8
        if checksum(buf, 1, end) != total:
            self._refuse(now_ms)
            return 0
        self._n = 0
        self.n_frames = more(self.n_frames)
        self._reply[0] = _ACK
        self._flush(now_ms)
        if buf[0] == _STX_AGAIN and total == self._last_sum:
            self.n_twice = more(self.n_twice)
            return 0
        self._last_sum = total
        command = buf[2]
        if command == self._answer or command == self._refusal or command == self.syntax_error:
            return self._happens(_ON_ANSWER, command, _HEAD_LEN, end, now_ms)
        return self._frame(command, _HEAD_LEN, end, now_ms)

    def _refuse(self, now_ms):
        """What has come is no frame: the modem sends it once more."""
        self._n = 0
        self.n_garbled = more(self.n_garbled)
        self._reply[0] = _NAK
        self._flush(now_ms)
